import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memoryConfig, open as openMemory } from '../../adapters/memory/index.ts'
import { BridgeError } from '../../src/core/errors.ts'
import type { BlueprintInput } from '../../src/engine/blueprintapi.ts'
import { checkPolicies } from '../../src/engine/policies.ts'
import { defineConfigured } from '../../src/engine/regranting.ts'
import { minute, registrar, second, World } from './harness.ts'

const policy = { adapter: 'north', id: 'p1' }
const code = (wanted: string) => (error: unknown) => error instanceof BridgeError && error.code === wanted
const put = (world: World, input: BlueprintInput) => world.bridge.defineBlueprint('B', input, registrar, undefined)
const open = async () => {
  const world = await World.open()
  world.north.policies.set('p1', { name: 'Block what is suspended', enforced: true })
  return world
}
const alerts = (world: World) => world.alerts.map((alert) => alert.code)
const issues = async (world: World, did: string) =>
  (await world.bridge.validate(did, registrar)).issues.map((issue) => issue.code).filter((one) => /POLICY/.test(one))
const configured = (world: World, id: string) =>
  defineConfigured(
    world.deps,
    new Map([
      [
        'B',
        {
          description: undefined,
          capabilities: [],
          requireSponsor: false,
          maxDelegationDepth: undefined,
          accessPolicy: { adapter: 'north', id },
        },
      ],
    ]),
  )

test('a policy that a blueprint names must exist when it is put', async () => {
  await using world = await open()
  const { blueprint } = await put(world, { accessPolicy: policy })
  assert.deepEqual([blueprint.policy?.state, blueprint.policy?.checkedAt], ['enforced', world.clock.now()])
  await assert.rejects(put(world, { accessPolicy: { adapter: 'north', id: 'p2' } }), code('E_ACCESS_POLICY'))
  await assert.rejects(put(world, { accessPolicy: { adapter: 'north', id: 'not an id' } }), code('E_ACCESS_POLICY'))
  await assert.rejects(put(world, { accessPolicy: { adapter: 'nowhere', id: 'p1' } }), code('E_ADAPTER_UNKNOWN'))
  assert.deepEqual(world.north.policyReads, ['p1', 'p2'])
  assert.deepEqual((await world.bridge.blueprint('B')).accessPolicy, policy)
})

test('one that is found gone when another blueprint is put is gone for every blueprint, and told', async () => {
  await using world = await open()
  await put(world, { accessPolicy: policy })
  world.north.policies.clear()
  const other = world.bridge.defineBlueprint('C', { accessPolicy: policy }, registrar, undefined)
  await assert.rejects(other, code('E_ACCESS_POLICY'))
  assert.deepEqual(alerts(world), ['access-policy-absent'])
  assert.equal((await world.bridge.blueprint('B')).policy?.state, 'absent')
  await assert.rejects(world.agent('a', { blueprint: 'B' }), code('E_ACCESS_POLICY'))
})

test('a directory without access policies has none of that id', async () => {
  await using world = await World.open({
    adapters: {
      south: {
        adapter: (clock) => {
          const config = memoryConfig.parse({ kind: 'memory' })
          const { accessPolicies: _none, ...rest } = openMemory('south', config, { clock })
          return rest
        },
      },
    },
  })
  await assert.rejects(put(world, { accessPolicy: { adapter: 'south', id: 'p1' } }), code('E_ACCESS_POLICY'))
})

test('one that cannot be read is taken, and told', async () => {
  await using world = await open()
  world.north.policyFaults.add({ mode: 'forbidden' })
  const { blueprint } = await put(world, { accessPolicy: policy })
  assert.equal(blueprint.policy?.state, 'unread')
  assert.deepEqual(alerts(world), ['access-policy-unread'])
  const a = await world.agent('a', { blueprint: 'B' }, [])
  assert.deepEqual(await issues(world, a), ['V_ACCESS_POLICY_UNREAD'])
  world.north.policyFaults.clear()
  await world.clock.advance(10 * second)
  assert.deepEqual(await issues(world, a), [])
  assert.equal((await world.bridge.blueprint('B')).policy?.state, 'enforced')
})

test('one that is off or only reports is told by validate', async () => {
  await using world = await open()
  await put(world, { accessPolicy: policy })
  const a = await world.agent('a', { blueprint: 'B' }, [])
  assert.deepEqual(await issues(world, a), [])
  world.north.policies.set('p1', { name: 'x', enforced: false })
  await world.clock.advance(10 * second)
  assert.deepEqual(await issues(world, a), ['V_ACCESS_POLICY_OFF'])
  await world.agent('b', { blueprint: 'B' }, [])
  assert.deepEqual(alerts(world), [])
})

test('the policy of a configured blueprint is checked: gone is an alert, and nothing is registered under it', async () => {
  await using world = await open()
  await configured(world, 'p1')
  assert.equal((await world.bridge.blueprint('B')).policy?.state, 'unchecked')
  assert.equal(await checkPolicies(world.deps, world.signal), true)
  const a = await world.agent('a', { blueprint: 'B' }, [])
  world.north.policies.clear()
  assert.equal(await checkPolicies(world.deps, world.signal), true)
  assert.equal(await checkPolicies(world.deps, world.signal), true)
  assert.deepEqual(alerts(world), ['access-policy-absent'])
  await assert.rejects(world.agent('b', { blueprint: 'B' }), code('E_ACCESS_POLICY'))
  assert.deepEqual(world.north.readIds, [])
  const c = await world.agent('c', {}, [])
  await assert.rejects(world.bridge.patch(c, { blueprint: 'B' }, registrar, undefined), code('E_ACCESS_POLICY'))
  // Who carries it already goes on.
  assert.equal((await world.bridge.patch(a, { labels: { unit: 'x' } }, registrar, undefined)).blueprint, 'B')
  assert.equal(
    (await world.bridge.register({ did: a, name: 'a', blueprint: 'B', labels: { unit: 'x' } }, registrar)).created,
    false,
  )
  assert.deepEqual(await issues(world, a), ['V_ACCESS_POLICY'])

  world.north.policies.set('p1', { name: 'x', enforced: true })
  await assert.rejects(world.agent('b', { blueprint: 'B' }, []), code('E_ACCESS_POLICY'))
  await world.clock.advance(10 * second)
  await world.agent('b', { blueprint: 'B' }, [])
  world.north.policies.clear()
  await world.clock.advance(minute)
  await checkPolicies(world.deps, world.signal)
  assert.deepEqual(alerts(world), ['access-policy-absent', 'access-policy-absent'])
})

test('a registration before the first check reads the policy itself, once for all that wait', async () => {
  await using world = await open()
  await configured(world, 'p2')
  const refused = await Promise.allSettled(['a', 'b', 'c'].map((id) => world.agent(id, { blueprint: 'B' }, [])))
  assert.ok(refused.every((one) => one.status === 'rejected' && code('E_ACCESS_POLICY')(one.reason)))
  assert.deepEqual(world.north.policyReads, ['p2'])
  await configured(world, 'p1')
  await Promise.all(['a', 'b', 'c'].map((id) => world.agent(id, { blueprint: 'B' }, [])))
  await world.agent('d', { blueprint: 'B' }, [])
  assert.deepEqual(world.north.policyReads, ['p2', 'p1'])
})

test('a policy that stays unreadable costs one read a minute, however many agents are registered', async () => {
  await using world = await open()
  world.north.policyFaults.add({ mode: 'throttled' })
  await configured(world, 'p1')
  assert.equal(await checkPolicies(world.deps, world.signal), false)
  for (const id of ['a', 'b', 'c']) await world.agent(id, { blueprint: 'B' }, [])
  assert.equal(world.north.policyReads.length, 1)
  await world.clock.advance(minute)
  await world.agent('d', { blueprint: 'B' }, [])
  assert.equal(world.north.policyReads.length, 2)
  assert.deepEqual(alerts(world), ['access-policy-unread'])
})

test('a check reads each policy once, with time between two, and forgets those that nobody names', async () => {
  await using world = await open()
  world.north.policies.set('p2', { name: 'y', enforced: true })
  const define = (name: string, id: string) =>
    world.bridge.defineBlueprint(name, { accessPolicy: { adapter: 'north', id } }, registrar, undefined)
  for (const [name, id] of [
    ['X', 'p1'],
    ['Y', 'p1'],
    ['Z', 'p2'],
  ] as const) {
    await define(name, id)
  }
  world.north.policyReads.length = 0
  const checked = checkPolicies(world.deps, world.signal)
  while (world.clock.sleeping === 0) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(world.north.policyReads, ['p1'])
  await world.clock.advance(2 * second)
  assert.equal(await checked, true)
  assert.deepEqual(world.north.policyReads, ['p1', 'p2'])
  await world.bridge.removeBlueprint('Z', registrar, undefined)
  await checkPolicies(world.deps, world.signal)
  await configured(world, 'p2')
  assert.equal((await world.bridge.blueprint('B')).policy?.state, 'unchecked')
})
