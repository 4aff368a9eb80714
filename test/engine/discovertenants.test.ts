import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Adapter } from '../../src/core/adapter.ts'
import type { Unmapped } from '../../src/engine/discoverapi.ts'
import { bench as startCloud } from '../adapters/awscloud.ts'
import { bench as startOrg } from '../adapters/org.ts'
import { bench as startTenant } from '../adapters/tenant.ts'
import { domain } from '../adapters/trustdomain.ts'
import { registrar, World } from './harness.ts'

interface Rig {
  readonly adapter: Adapter
  /** Adds an account of an agent. */
  add(name: string): string
  remove(id: string): void
}

const tenants: Readonly<Record<string, () => Promise<Rig & AsyncDisposable>>> = {
  entra: async () => {
    const rig = await startTenant({ settings: { manage: { kinds: ['agentIdentity'] } } })
    const { tenant, blueprint } = rig
    return {
      adapter: rig.adapter,
      add: (displayName) => tenant.addAgentIdentity({ displayName, blueprintAppId: blueprint.appId }),
      remove: (id) => tenant.remove(id),
      [Symbol.asyncDispose]: () => rig[Symbol.asyncDispose](),
    }
  },
  okta: async () => {
    const rig = await startOrg()
    return {
      adapter: rig.adapter,
      add: (label) => rig.org.addApp({ label }),
      remove: (id) => rig.org.remove(id),
      [Symbol.asyncDispose]: () => rig[Symbol.asyncDispose](),
    }
  },
  aws: async () => {
    const rig = await startCloud()
    return {
      adapter: rig.adapter,
      add: (name) => rig.cloud.addRole({ name, path: '/agents/' }),
      remove: (id) => rig.cloud.remove(id),
      [Symbol.asyncDispose]: () => rig[Symbol.asyncDispose](),
    }
  },
  spiffe: async () => {
    const rig = await domain()
    const { spire } = rig
    return {
      adapter: rig.adapter,
      add: (name) => {
        const id = `spiffe://${spire.trustDomain}/${name}`
        spire.addEntry({ spiffeId: id, selectors: [`unix:user:${name}`] })
        return id
      },
      remove: (id) => {
        const [entry] = spire.entries.filter(({ spiffe_id: { path } }) => id.endsWith(path))
        spire.removeEntry(entry?.id ?? '')
      },
      [Symbol.asyncDispose]: () => rig[Symbol.asyncDispose](),
    }
  },
}

const findings = async (world: World) => {
  const items: string[] = []
  const free: Unmapped[] = []
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page = await world.bridge.discover('north', { cursor }, world.signal)
    for (const one of page.items) {
      items.push(`${one.finding} ${one.id}`)
      if (one.finding === 'unmapped') free.push(one)
    }
    cursor = page.nextCursor
  }
  return { items, free }
}

for (const [kind, start] of Object.entries(tenants)) {
  test(`${kind}: what is found unmapped can be registered as it is told, and is gone when it is deleted`, async () => {
    await using rig = await start()
    // Adapters are mounted under their own names.
    const adapter = { ...rig.adapter, name: 'north' }
    await using world = await World.open({ adapters: { north: { adapter: () => adapter } } })
    const ids = ['one', 'two', 'three'].map((name) => rig.add(name))
    const { items, free } = await findings(world)
    assert.deepEqual(items.sort(), ids.map((id) => `unmapped ${id}`).sort())
    for (const { appId, id, kind, name } of free) {
      const principals = [{ adapter: 'north', id, kind, ...(appId !== undefined && { appId }) }]
      const { created } = await world.bridge.register({ did: `did:mesh:${name}`, name, principals }, registrar)
      assert.ok(created)
    }
    assert.deepEqual((await findings(world)).items, [])
    rig.remove(ids[1] ?? '')
    assert.deepEqual((await findings(world)).items, [`gone ${ids[1]}`])
  })
}

test('aws: a role made anew under the name of one that is gone is another, and is told as such', async () => {
  await using rig = await startCloud()
  const adapter = { ...rig.adapter, name: 'north' }
  await using world = await World.open({ adapters: { north: { adapter: () => adapter } } })
  const old = rig.cloud.addRole({ name: 'a', path: '/agents/' })
  const did = 'did:mesh:a'
  await world.bridge.register(
    { did, name: 'x', principals: [{ adapter: 'north', id: old, kind: 'iamRole' }] },
    registrar,
  )
  const fresh = rig.cloud.recreateRole(old)
  assert.notEqual(fresh, old)
  await world.runner('north').sync.full(world.signal)
  await world.work()
  const { free, items } = await findings(world)
  assert.deepEqual(items, [`unmapped ${fresh}`, `gone ${old}`])
  assert.deepEqual(free[0]?.replaces, [{ did, id: old }])
})
