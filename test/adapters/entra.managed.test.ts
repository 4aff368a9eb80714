import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { PrincipalRef } from '../../src/core/adapter.ts'
import { bench, leaping, signal } from './tenant.ts'

const always = Number.POSITIVE_INFINITY
const agents = { kinds: ['agentIdentity', 'agentUser', 'servicePrincipal'] }

describe('what the entra adapter manages', () => {
  it('an application on the never list: its account is refused once it was read', async () => {
    await using it = await bench()
    const id = it.tenant.addServicePrincipal({ displayName: 'break-glass' })
    const ref = { id, kind: 'servicePrincipal' }
    const appId = (await it.adapter.lookup([ref], signal())).get(id)?.appId
    assert.notEqual(appId, id)
    const careful = it.open({ never: [appId] })
    await careful.lookup([ref], signal())
    assert.equal(careful.vet(ref)?.code, 'E_NEVER')
    const [result] = (await careful.accounts?.disable([ref], signal())) ?? []
    assert.deepEqual([result?.outcome, result?.error?.code], ['unsent', 'E_NEVER'])
    const listed = it.open({ never: [appId] })
    for await (const _ of listed.changes(undefined, signal()));
    assert.equal(listed.vet(ref)?.code, 'E_NEVER')
  })

  it('an account of another kind than it was said to be is refused once it was read', async () => {
    await using it = await bench({ settings: { manage: agents } })
    const human = { id: it.tenant.addUser({ displayName: 'human' }), kind: 'agentUser' }
    const fleet = { id: it.blueprint.id, kind: 'servicePrincipal' }
    for (const ref of [human, fleet]) {
      await it.adapter.lookup([ref], signal())
      assert.equal(it.adapter.vet(ref)?.code, 'E_KIND_REFUSED')
      const [result] = (await it.adapter.accounts?.disable([ref], signal())) ?? []
      assert.deepEqual([result?.outcome, result?.error?.code], ['unsent', 'E_KIND_REFUSED'])
    }
  })

  it('ids have one spelling', async () => {
    await using it = await bench()
    const refused = it.adapter.vet({ id: 'ABCDEF00-1111-4222-8333-444444444444', kind: 'agentIdentity' })
    assert.equal(refused?.code, 'E_PRINCIPAL_ID')
    assert.match(String(refused?.hint), /abcdef00-1111-4222-8333-444444444444/)
  })
})

async function grouped(options: Parameters<typeof bench>[0] = {}) {
  const base = await bench(options)
  const { tenant, blueprint } = base
  const agent = (displayName: string): PrincipalRef => ({
    id: tenant.addAgentIdentity({ displayName, blueprintAppId: blueprint.appId }),
    kind: 'agentIdentity',
  })
  const [inside, outside] = [agent('inside'), agent('outside')]
  const inner = tenant.addGroup({ displayName: 'inner', members: [inside.id] })
  const outer = tenant.addGroup({ displayName: 'outer', members: [inner] })
  const adapter = base.open({ manage: { kinds: ['agentIdentity'], groups: [outer] } })
  const disable = async (ref: PrincipalRef) => {
    const [result] = (await adapter.accounts?.disable([ref], signal())) ?? []
    return [result?.outcome, result?.error?.code]
  }
  return { ...base, [Symbol.asyncDispose]: () => base[Symbol.asyncDispose](), adapter, inside, outside, outer, disable }
}

describe('manage.groups of the entra adapter', () => {
  it('only members, of nested groups too, are registered and written', async () => {
    await using it = await grouped()
    await it.adapter.lookup([it.inside, it.outside], signal())
    assert.equal(it.adapter.vet(it.inside), undefined)
    assert.equal(it.adapter.vet(it.outside)?.code, 'E_KIND_REFUSED')
    assert.deepEqual(await it.disable(it.outside), ['unsent', 'E_KIND_REFUSED'])
    assert.deepEqual(await it.disable(it.inside), ['done', undefined])
  })

  it('a write before anything was read reads the groups first, and is not sent when they cannot be', async () => {
    await using it = await grouped()
    it.tenant.fail(/^GET \/groups/, { status: 403, times: always })
    assert.deepEqual(await it.disable(it.inside), ['unsent', 'E_DIRECTORY_FORBIDDEN'])
    assert.equal((await it.adapter.lookup([it.inside], signal())).get(it.inside.id)?.state, 'enabled')
    it.tenant.clearFaults()
    assert.deepEqual(await it.disable(it.outside), ['unsent', 'E_KIND_REFUSED'])
    assert.deepEqual(await it.disable(it.inside), ['done', undefined])
  })

  it('one read of the groups serves for a minute, and the last good one when they cannot be read', async () => {
    const clock = leaping()
    await using it = await grouped({ clock })
    const reads = () => it.tenant.requests.filter(({ path }) => path.includes('/transitiveMembers')).length
    await Promise.all([it.adapter.lookup([it.inside], signal()), it.adapter.lookup([it.outside], signal())])
    await it.disable(it.outside)
    assert.equal(reads(), 1)
    await clock.sleep(61_000)
    it.tenant.fail(/^GET \/groups/, { status: 403, times: always })
    assert.deepEqual(await it.disable(it.inside), ['done', undefined])
    assert.equal(reads(), 2)
  })
})
