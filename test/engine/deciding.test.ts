import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DecisionInput } from '../../src/engine/api.ts'
import { createDecider } from '../../src/engine/deciding.ts'
import type { Deps } from '../../src/engine/deps.ts'
import type { Verifier } from '../../src/engine/verify.ts'
import { alice, bob, minute, type Name, registrar, soc, World } from './harness.ts'

test('an allowed decision is activity, a refused one is not; it is written at the next flush', async () => {
  await using world = await World.open()
  const [did, held] = [await world.agent('a'), await world.agent('b')]
  await world.kill(held)
  assert.equal((await world.bridge.decide({ did })).allow, true)
  assert.equal((await world.bridge.decide({ did: held })).allow, false)
  assert.equal((await world.store.agent(did))?.lastActivity, undefined)
  await world.activity.flush()
  const noted = await world.store.agent(did)
  assert.equal(typeof noted?.lastActivity, 'number')
  assert.equal(noted?.revision, 1)
  assert.equal((await world.store.agent(held))?.lastActivity, undefined)
})

/** Decides on tokens of one account, issued at the given time. */
const tokensOf = (world: World, at: Name, id: string, issuedAt: number, deps: Deps = world.deps) => {
  const verifier: Verifier = {
    verify: async () => {
      const principal = await world.store.principal({ adapter: at, id })
      assert.ok(principal)
      return {
        valid: true,
        adapter: at,
        issuer: at,
        issuedAt,
        expiresAt: issuedAt + 60 * minute,
        audiences: [],
        actor: { did: principal.did, principal: { adapter: at, id } },
        principals: [principal],
        onBehalfOf: undefined,
        act: [],
        scopes: [],
      }
    },
    subject: async () => ({ valid: false, codes: [], principals: [] }),
    reload: () => undefined,
  }
  return createDecider(deps, verifier, world.activity)
}

test('an ancestor that may have been stopped unseen stops its descendants, as actors too', async () => {
  await using world = await World.open({ policy: { maxStaleness: { warnMs: minute, denyMs: 60 * minute } } })
  const parentDid = await world.agent('parent', { capabilities: ['read:reports'] }, ['north'])
  await world.clock.advance(30 * minute)
  const middle = await world.agent('middle', { parentDid, capabilities: ['read:reports'] }, [])
  const did = await world.agent('child', { parentDid: middle, capabilities: ['read:reports'] }, ['south'])
  const other = await world.agent('other', {}, ['south'])
  const codes = async (input: DecisionInput) => (await world.bridge.decide(input)).codes
  const questions: readonly DecisionInput[] = [
    { did },
    { did, capability: 'read:reports' },
    { principal: { adapter: 'south', id: 'child' } },
    { did: middle },
  ]
  for (const input of questions) assert.deepEqual(await codes(input), [], JSON.stringify(input))
  await world.clock.advance(30 * minute + 1)
  for (const input of questions) assert.deepEqual(await codes(input), ['R_STALE'], JSON.stringify(input))
  assert.deepEqual(await codes({ did: other }), [])
  const chained: Verifier = {
    verify: async () => ({
      valid: true,
      adapter: 'south',
      issuer: 'south',
      issuedAt: world.clock.now(),
      expiresAt: world.clock.now() + minute,
      audiences: [],
      actor: { did: other, principal: { adapter: 'south', id: 'other' } },
      principals: await world.store.principalsById('south', ['other']),
      onBehalfOf: undefined,
      act: [{ sub: 'child' }],
      scopes: [],
    }),
    subject: async () => ({ valid: false, codes: [], principals: [] }),
    reload: () => undefined,
  }
  const decider = createDecider(world.deps, chained, world.activity)
  assert.deepEqual((await decider.decide({ token: 't' })).codes, ['R_STALE'])
  await world.full()
  await world.work()
  for (const input of questions) assert.deepEqual(await codes(input), [], JSON.stringify(input))
  assert.deepEqual((await decider.decide({ token: 't' })).codes, [])
})

test('a token from before a hold stays refused though the release is committed while it is decided', async () => {
  await using world = await World.open()
  const did = await world.agent('a')
  const { store } = world
  const releaseAfter =
    <A extends unknown[], T>(read: (...args: A) => Promise<T>) =>
    async (...args: A): Promise<T> => {
      const answer = await read(...args)
      for (const hold of await world.open(did)) await world.bridge.release(did, hold.id, 'r', soc)
      return answer
    }
  for (const part of [{ agent: releaseAfter(store.agent) }, { openHolds: releaseAfter(store.openHolds) }]) {
    const issuedAt = world.clock.now()
    await world.clock.advance(minute)
    await world.bridge.place(did, { severity: 'suspend', reason: 'r' }, soc)
    await world.clock.advance(minute)
    const deps = { ...world.deps, store: { ...store, ...part } }
    const { allow } = await tokensOf(world, 'north', 'a', issuedAt, deps).decide({ token: 't' })
    assert.deepEqual([allow, await world.open(did)], [false, []])
  }
})

test('a release by a clock that was set back revives no token from before it', async () => {
  await using world = await World.open()
  const did = await world.agent('a')
  const suspendAndRelease = async () => {
    const { id } = await world.bridge.place(did, { severity: 'suspend', reason: 'r' }, soc)
    return () => world.bridge.release(did, id, 'r', soc)
  }
  await (await suspendAndRelease())()
  const between = world.clock.now() - minute
  const codes = async (at: number) => (await tokensOf(world, 'north', 'a', at).decide({ token: 't' })).codes
  assert.deepEqual(await codes(between), ['R_BEFORE_RESUME'])
  world.clock.jump(-10 * minute)
  await (await suspendAndRelease())()
  // Its account was read in what is now the future.
  const refused = ['R_BEFORE_RESUME', 'R_STALE']
  assert.deepEqual(await codes(between), refused, 'the latest release stays the latest')

  world.clock.jump(60 * minute)
  const during = world.clock.now() - minute
  const release = await suspendAndRelease()
  world.clock.jump(-10 * minute)
  await release()
  assert.ok((await codes(during)).includes('R_BEFORE_RESUME'), 'a release comes after its hold')
})

test('a generation that could not be read once is read again', async () => {
  await using world = await World.open()
  const did = await world.agent('a')
  let failures = 1
  const meta = async (key: string) => {
    if (failures-- > 0) throw new Error('busy')
    return world.store.meta(key)
  }
  const deps = { ...world.deps, store: { ...world.store, meta } }
  const decider = tokensOf(world, 'north', 'a', 0, deps)
  await assert.rejects(async () => decider.decide({ did }), { message: 'busy' })
  assert.equal((await decider.decide({ did })).allow, true)
})

test('a token from before the release of a kill is refused, though its agent was registered only afterwards', async () => {
  await using world = await World.open()
  const issuedAt = world.clock.now()
  await world.clock.advance(minute)
  const did = 'did:mesh:a'
  const { holdId } = await world.kill(did)
  await world.releaseByTwo(did, holdId, alice, bob)
  const released = world.clock.now()
  await world.clock.advance(minute)
  await world.agent('a')
  const codes = async (at: number) => (await tokensOf(world, 'north', 'a', at).decide({ token: 't' })).codes
  assert.deepEqual([await codes(issuedAt), await codes(released + minute)], [['R_BEFORE_RESUME'], []])
})

test('an account that could not be read for too long refuses tokens of the other accounts too', async () => {
  await using world = await World.open()
  await world.agent('a')
  world.north.reads.add({ mode: 'unreadable', id: 'a' })
  await world.clock.advance(25 * 60 * minute)
  await world.runner('south').sync.full(world.signal)
  const { codes } = await tokensOf(world, 'south', 'a', world.clock.now()).decide({ token: 't' })
  assert.deepEqual(codes, ['R_STALE'])
})

test('an account found disabled at registration is the doing of the directory, not of whoever registers', async () => {
  await using world = await World.open()
  world.north.add({ id: 'off' }).set('off', false)
  const did = await world.agent('off', {}, ['north'])
  const [hold] = await world.open(did)
  assert.deepEqual([hold?.origin, hold?.actor], ['adapter:north/off', 'directory'])
})

test('a replacement that expects a revision never registers', async () => {
  await using world = await World.open()
  const input = { did: 'did:mesh:nobody', name: 'nobody' }
  await assert.rejects(world.bridge.replace(input.did, input, registrar, 3), { code: 'E_REVISION' })
  assert.equal(await world.store.agent(input.did), undefined)
})
