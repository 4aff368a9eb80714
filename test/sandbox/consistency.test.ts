import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { startEntraTenant } from '../../sandbox/entra/index.ts'
import { at, clock, code, GraphClient, ids } from './client.ts'

const cast = 'microsoft.graph.agentIdentity'
const roles = ['AgentIdentity.Read.All', 'AgentIdentity.EnableDisable.All', 'Directory.Read.All']

describe('eventual consistency', () => {
  it('a write is answered at once and read only after the delay', async () => {
    const time = clock()
    await using tenant = await startEntraTenant({ staleMs: 5000, now: time.now })
    const agent = tenant.addAgentIdentity({ displayName: 'agent', blueprintAppId: crypto.randomUUID() })
    const client = await GraphClient.signIn(tenant, ...roles)
    const path = `/servicePrincipals/${agent}/${cast}`
    const read = async (headers = {}) => at((await client.get(path, headers)).body, 'accountEnabled')
    assert.equal((await client.patch(path, { accountEnabled: false })).status, 204)
    assert.equal(await read(), true)
    assert.equal(tenant.get(agent)?.enabled, false)
    time.advance(5001)
    assert.equal(await read(), false)
    // The search index lags the primary store once more.
    const eventual = { ConsistencyLevel: 'eventual' }
    assert.equal(await read(eventual), true)
    time.advance(5001)
    assert.equal(await read(eventual), false)
  })

  it('two writes come to light one after the other', async () => {
    const time = clock()
    await using tenant = await startEntraTenant({ staleMs: 5000, now: time.now })
    const agent = tenant.addAgentIdentity({ displayName: 'agent', blueprintAppId: crypto.randomUUID() })
    const client = await GraphClient.signIn(tenant, ...roles)
    const read = async () => at((await client.get(`/servicePrincipals/${agent}`)).body, 'accountEnabled')
    tenant.setEnabled(agent, false)
    time.advance(3000)
    tenant.setEnabled(agent, true)
    time.advance(2001)
    assert.equal(await read(), false)
    time.advance(3000)
    assert.equal(await read(), true)
  })

  it('memberships, deletions and new objects replicate too; settle() ends the wait', async () => {
    const time = clock()
    await using tenant = await startEntraTenant({ staleMs: 5000, now: time.now })
    const agent = tenant.addAgentIdentity({ displayName: 'agent', blueprintAppId: crypto.randomUUID() })
    const group = tenant.addGroup({ members: [agent] })
    const client = await GraphClient.signIn(tenant, ...roles)
    const members = async () => ids(await client.get(`/groups/${group}/members`))
    assert.deepEqual(await members(), [])
    tenant.settle()
    assert.deepEqual(await members(), [agent])
    tenant.removeMember(group, agent)
    assert.deepEqual(await members(), [agent])
    time.advance(5001)
    assert.deepEqual(await members(), [])
    tenant.remove(agent)
    assert.equal((await client.get(`/servicePrincipals/${agent}`)).status, 200)
    tenant.settle()
    assert.equal((await client.get(`/servicePrincipals/${agent}`)).status, 404)
    const young = tenant.addAgentIdentity({
      displayName: 'young',
      blueprintAppId: crypto.randomUUID(),
      replicating: true,
    })
    const path = `/servicePrincipals/${young}/${cast}`
    assert.equal((await client.get(path)).status, 404)
    assert.deepEqual(code(await client.patch(path, { accountEnabled: false })), [404, 'Request_ResourceNotFound'])
    time.advance(5001)
    assert.equal((await client.patch(path, { accountEnabled: false })).status, 204)
  })

  it('what is written after settle() waits again', async () => {
    const time = clock()
    await using tenant = await startEntraTenant({ staleMs: 5000, now: time.now })
    const agent = tenant.addAgentIdentity({ displayName: 'agent', blueprintAppId: crypto.randomUUID() })
    const client = await GraphClient.signIn(tenant, ...roles)
    const read = async () => at((await client.get(`/servicePrincipals/${agent}`)).body, 'accountEnabled')
    tenant.setEnabled(agent, false)
    tenant.settle()
    tenant.setEnabled(agent, true)
    assert.equal(await read(), false)
    tenant.settle()
    assert.equal(await read(), true)
  })
})
