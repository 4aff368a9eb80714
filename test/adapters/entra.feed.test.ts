import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { bridgeRoles } from '../../sandbox/entra/seed.ts'
import { pass } from './pass.ts'
import { bench, signal } from './tenant.ts'

const of = (kinds: string[]) => ({ settings: { manage: { kinds } } })

describe('entra change feed', () => {
  it('agent identities alone need one permission each, and are listed in every pass', async () => {
    const roles = ['AgentIdentity.Read.All', 'AgentIdentityBlueprintPrincipal.Read.All']
    await using it = await bench({ ...of(['agentIdentity']), roles })
    const ids = ['a', 'b'].map((displayName) =>
      it.tenant.addAgentIdentity({ displayName, blueprintAppId: it.blueprint.appId }),
    )
    const first = await pass(it.adapter)
    assert.deepEqual(first.place.agents, 'poll')
    const second = await pass(it.adapter, first.checkpoint)
    assert.deepEqual(second.sightings.map((each) => each.id).sort(), ids.sort())
    assert.ok(it.tenant.requests.every((each) => !each.path.includes('/delta')))
    it.tenant.remove(ids[0] ?? '')
    assert.deepEqual((await pass(it.adapter, second.checkpoint)).touched, [ids[0]])
  })

  it('a look aside between two passes does not make the list forget who was on it', async () => {
    await using it = await bench(of(['agentIdentity']))
    const id = it.tenant.addAgentIdentity({ displayName: 'a', blueprintAppId: it.blueprint.appId })
    const first = await pass(it.adapter)
    it.tenant.remove(id)
    for await (const { sightings } of it.adapter.changes(undefined, signal(), true)) assert.deepEqual(sightings, [])
    assert.deepEqual((await pass(it.adapter, first.checkpoint)).touched, [id])
  })

  it('probes whether the delta feed shows agent identities and uses it then', async () => {
    await using it = await bench(of(['agentIdentity', 'servicePrincipal']))
    const id = it.tenant.addAgentIdentity({ displayName: 'a', blueprintAppId: it.blueprint.appId })
    const first = await pass(it.adapter)
    assert.equal(first.place.agents, 'delta')
    assert.equal(first.sightings.filter((each) => each.id === id).length, 1)
    it.tenant.clearRequests()
    it.tenant.setEnabled(id, false)
    const second = await pass(it.adapter, first.checkpoint)
    assert.deepEqual(second.touched, [id])
    assert.ok(it.tenant.requests.every((each) => !each.path.includes('microsoft.graph.agentIdentity?')))
    assert.equal(second.place.agents, 'delta')
  })

  it('falls back to the list when the delta feed hides them', async () => {
    await using it = await bench({ ...of(['agentIdentity', 'servicePrincipal']), deltaHidesAgents: true })
    const id = it.tenant.addAgentIdentity({ displayName: 'a', blueprintAppId: it.blueprint.appId })
    const first = await pass(it.adapter)
    assert.equal(first.place.agents, 'poll')
    it.tenant.setEnabled(id, false)
    const second = await pass(it.adapter, first.checkpoint)
    assert.equal(second.sightings.find((each) => each.id === id)?.state, 'disabled')
  })

  it('a blueprint that is switched touches its agents in the same pass', async () => {
    await using it = await bench(of(['agentIdentity', 'agentUser', 'servicePrincipal']))
    const id = it.tenant.addAgentIdentity({ displayName: 'a', blueprintAppId: it.blueprint.appId })
    const user = it.tenant.addAgentUser({ displayName: 'u', identityParentId: id })
    const first = await pass(it.adapter)
    assert.equal(first.sightings.find((each) => each.id === user)?.state, 'enabled')
    it.tenant.setEnabled(it.blueprint.id, false)
    const second = await pass(it.adapter, first.checkpoint)
    assert.ok(second.touched.includes(it.blueprint.appId))
    assert.ok(second.touched.includes(id), 'agent users that name this parent are read again')
    assert.equal(second.sightings.find((each) => each.id === id)?.state, 'disabled')
    const again = await pass(it.open({ manage: { kinds: ['agentIdentity', 'agentUser', 'servicePrincipal'] } }))
    assert.equal(again.sightings.find((each) => each.id === user)?.state, 'disabled')
  })

  it('rows that are removed or incomplete say only whom to re-read', async () => {
    await using it = await bench(of(['servicePrincipal', 'user']))
    const ids = ['a', 'b'].map((displayName) => it.tenant.addServicePrincipal({ displayName }))
    const user = it.tenant.addUser({ displayName: 'u' })
    const first = await pass(it.adapter)
    it.tenant.remove(ids[0] ?? '')
    it.tenant.setEnabled(user, false)
    const second = await pass(it.adapter, first.checkpoint)
    assert.deepEqual(second.touched, [ids[0]])
    assert.equal(second.sightings.find((each) => each.id === user)?.state, 'disabled')
    const link = `${it.tenant.origin}/v1.0/servicePrincipals/delta?$deltatoken=x`
    const body = { value: [{ id: ids[1], displayName: 'renamed' }], '@odata.deltaLink': link }
    it.tenant.fail(/^GET \/servicePrincipals\/delta/, { status: 200, body })
    const third = await pass(it.adapter, second.checkpoint)
    assert.deepEqual(third.touched, [ids[1]])
    assert.ok(third.sightings.every((each) => each.id !== ids[1]))
  })

  it('replays are harmless', async () => {
    await using it = await bench(of(['servicePrincipal']))
    const id = it.tenant.addServicePrincipal({ displayName: 'a' })
    const first = await pass(it.adapter)
    it.tenant.setEnabled(id, false)
    const second = await pass(it.adapter, first.checkpoint)
    it.tenant.replayDelta()
    const third = await pass(it.adapter, second.checkpoint)
    assert.deepEqual(
      third.sightings.map((each) => [each.id, each.state]),
      [[id, 'disabled']],
    )
  })

  it('sends opaque links byte for byte', async () => {
    await using it = await bench(of(['servicePrincipal']))
    const odd = '/servicePrincipals/delta?$skiptoken=b%2Bz==&x=%24top%20$select&$select=id,%20a&y='
    const deltaLink = `${it.tenant.origin}/v1.0/servicePrincipals/delta?b=2&$deltatoken=q~-._a&a=1`
    it.tenant.fail(/^GET \/servicePrincipals\/delta\?\$select/, {
      status: 200,
      body: { value: [], '@odata.nextLink': `${it.tenant.origin}/v1.0${odd}` },
    })
    it.tenant.fail(/skiptoken=b%2Bz==/, { status: 200, body: { value: [], '@odata.deltaLink': deltaLink } })
    const first = await pass(it.adapter)
    assert.equal(it.tenant.requests.at(-1)?.path, odd)
    assert.equal(first.place.principals, deltaLink)
  })

  it('a link that comes twice, and a round without end, fail the pass', async () => {
    await using it = await bench(of(['servicePrincipal']))
    const link = `${it.tenant.origin}/v1.0/servicePrincipals/delta?$skiptoken=loop`
    const loop = it.tenant.fail(/delta/, { status: 200, body: { value: [], '@odata.nextLink': link }, times: 50 })
    await assert.rejects(pass(it.adapter), { code: 'E_DIRECTORY_ANSWER' })
    loop()
    it.tenant.fail(/delta/, { status: 200, body: { value: [] } })
    await assert.rejects(pass(it.adapter), { code: 'E_DIRECTORY_ANSWER' })
    it.tenant.fail(/delta/, { status: 200, body: { value: [{ id: 'nonsense' }], '@odata.deltaLink': link } })
    await assert.rejects(pass(it.adapter), { code: 'E_DIRECTORY_ANSWER' })
  })

  for (const [name, link] of [
    ['another host', 'https://graph.example.com/v1.0/servicePrincipals/delta?$skiptoken=x'],
    ['another version', '{origin}/beta/servicePrincipals/delta?$skiptoken=x'],
    ['a way out of the version', '{origin}/v1.0/../beta/servicePrincipals'],
    ['a user name', 'http://graph@{host}/v1.0/servicePrincipals/delta'],
    ['no address', '/v1.0/servicePrincipals/delta?$skiptoken=x'],
  ] as const) {
    it(`refuses a link with ${name}, next or delta`, async () => {
      await using it = await bench(of(['servicePrincipal']))
      const { origin } = it.tenant
      const hostile = link.replace('{origin}', origin).replace('{host}', new URL(origin).host)
      for (const key of ['@odata.nextLink', '@odata.deltaLink']) {
        it.tenant.fail(/delta/, { status: 200, body: { value: [], [key]: hostile } })
        const before = it.tenant.requests.length
        await assert.rejects(pass(it.adapter), { code: 'E_OUTBOUND_ORIGIN' })
        assert.equal(it.tenant.requests.filter((each) => each.surface === 'graph').length, 1 + (before > 0 ? 1 : 0))
      }
    })
  }

  it('a place in another configuration or directory has expired', async () => {
    await using it = await bench(of(['servicePrincipal']))
    const { checkpoint, place } = await pass(it.adapter)
    const other = it.open({ manage: { kinds: ['servicePrincipal', 'user'] } })
    await assert.rejects(pass(other, checkpoint), { code: 'E_CHECKPOINT_EXPIRED' })
    const moved = JSON.stringify({ ...place, principals: 'https://graph.example.com/v1.0/servicePrincipals/delta' })
    await assert.rejects(pass(it.adapter, moved), { code: 'E_CHECKPOINT_EXPIRED' })
    it.tenant.expireDelta('syncStateNotFound')
    await assert.rejects(pass(it.adapter, checkpoint), { code: 'E_CHECKPOINT_EXPIRED' })
  })

  it('passes go below everything else, and name the permission they lack', async () => {
    await using it = await bench({
      ...of(['servicePrincipal']),
      roles: bridgeRoles.filter((role) => role !== 'Application.Read.All'),
    })
    await assert.rejects(pass(it.adapter), (error: Error & { hint?: string }) => {
      return /Application\.Read\.All/.test(error.hint ?? '')
    })
    const sent = it.tenant.requests.filter((each) => each.surface === 'graph')
    assert.ok(sent.every((each) => each.headers['x-ms-throttle-priority'] === 'Low'))
  })
})
