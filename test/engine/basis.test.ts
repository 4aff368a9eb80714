import assert from 'node:assert/strict'
import { test } from 'node:test'
import { alice, audience, minute, registrar, soc, World } from './harness.ts'

type Claims = Parameters<World['north']['tokens']['sign']>[0]

const token = (world: World, claims: Claims) => world.north.tokens.sign({ aud: audience, ...claims })
const ask = async (world: World, claims: Claims, more: { capability?: string } = {}) =>
  world.bridge.decide({ token: await token(world, claims), describe: true, ...more })

test('the epoch grows with every recorded change, survives a restart, and a restore starts another generation', async () => {
  await using world = await World.open()
  const did = await world.agent('a')
  const epoch = async () => (await world.bridge.decide({ did })).epoch
  const first = await epoch()
  assert.deepEqual(await epoch(), first, 'asking changes nothing')
  const backup = await world.backup()
  const hold = await world.bridge.place(did, { severity: 'suspend', reason: 'r' }, soc)
  const held = await epoch()
  assert.ok(held.seq > first.seq)
  await world.bridge.release(did, hold.id, 'r', soc)
  const released = await epoch()
  assert.ok(released.seq > held.seq)
  await world.bridge.patch(did, { capabilities: ['read:x'] }, registrar, undefined)
  const granted = await epoch()
  assert.ok(granted.seq > released.seq)
  await world.restart()
  const restarted = await epoch()
  assert.ok(restarted.seq > granted.seq)
  assert.equal(restarted.generation, first.generation)
  await world.restore(backup)
  assert.notEqual((await epoch()).generation, first.generation)
})

test('a hold is in every decision whose epoch is at or past its entry of the audit chain', async () => {
  await using world = await World.open()
  const did = await world.agent('a')
  const { holdId } = await world.kill(did)
  const [entry] = await world.store.audit({ hold: holdId, limit: 1 })
  const view = await world.bridge.decide({ did })
  assert.ok(entry !== undefined && view.epoch.seq >= entry.seq)
  assert.deepEqual(view.codes, ['R_SUSPENDED'])
})

test('a capability comes with every source that grants it, those of ancestors too, and their age', async () => {
  await using world = await World.open()
  const parentDid = await world.agent('parent', { capabilities: ['read:*'] })
  const did = await world.agent('child', { parentDid, capabilities: ['read:reports', '*', 'write:x'] })
  await world.clock.advance(minute)
  const { allow, grants } = await world.bridge.decide({ did, capability: 'read:reports' })
  assert.equal(allow, true)
  assert.deepEqual(
    grants.map(({ did: whose, capability, source, ageMs }) => [whose, capability, source, ageMs]),
    [
      [did, '*', 'manual', minute],
      [did, 'read:reports', 'manual', minute],
      [parentDid, 'read:*', 'manual', minute],
    ],
  )
  const refused = await world.bridge.decide({ did, capability: 'write:x' })
  assert.deepEqual([refused.codes, refused.grants], [['R_CAPABILITY'], []], 'the parent narrows')
  assert.deepEqual((await world.bridge.decide({ did })).grants, [])
})

test('actor and the one acted for are apart; whoever is acted for never becomes the agent', async () => {
  await using world = await World.open()
  const did = await world.agent('a')
  await world.agent('b')
  const view = await ask(world, { sub: 'a', obo: 'alice' })
  assert.equal(view.allow, true)
  assert.deepEqual(view.actor, { did, principal: { adapter: 'north', id: 'a' } })
  assert.deepEqual(view.onBehalfOf, { id: 'alice', kind: 'person' })
  const other = await ask(world, { sub: 'a', obo: 'b' })
  assert.deepEqual([other.allow, other.codes, other.actor, other.agent], [false, ['R_AMBIGUOUS'], undefined, undefined])
  const asked = { did: 'did:mesh:b', token: await token(world, { sub: 'a' }), describe: true }
  const mismatched = await world.bridge.decide(asked)
  assert.deepEqual([mismatched.codes, mismatched.actor?.did], [['R_MISMATCH'], did], 'the token says who acts')
  const human = await ask(world, { sub: 'alice', obo: 'a' })
  assert.deepEqual([human.allow, human.codes, human.actor], [false, ['R_UNMAPPED'], undefined])
})

test('every actor of a chain is looked up, by DID and by account, and a suspended one denies at any hop', async () => {
  await using world = await World.open()
  const did = await world.agent('a')
  const [first, second] = [await world.agent('first'), await world.agent('second')]
  const act = { sub: second, act: { sub: 'first' } }
  const before = await ask(world, { sub: 'a', act })
  assert.deepEqual([before.allow, before.codes, before.did], [true, [], did])
  assert.deepEqual(
    before.actors.map(({ names, dids, held }) => [names, dids, held]),
    [
      [[second], [second], false],
      [['first'], [first], false],
    ],
  )
  for (const held of [first, second]) {
    const hold = await world.bridge.place(held, { severity: 'suspend', reason: 'r' }, soc)
    const view = await ask(world, { sub: 'a', act })
    assert.deepEqual([view.allow, view.codes], [false, ['R_ACTOR_SUSPENDED']], held)
    assert.deepEqual(view.holds, [], 'the holds of another agent are not told')
    const old = await token(world, { sub: 'a', act })
    await world.clock.advance(minute)
    await world.bridge.release(held, hold.id, 'r', soc)
    await world.clock.advance(minute)
    const revived = await world.bridge.decide({ token: old })
    assert.deepEqual(revived.codes, ['R_BEFORE_RESUME'], 'a token from before the release of an actor stays refused')
    assert.equal((await ask(world, { sub: 'a', act })).allow, true)
  }
})

test('a hold of an ancestor stops an actor of the chain as well', async () => {
  await using world = await World.open()
  await world.agent('a')
  const parentDid = await world.agent('parent')
  const child = await world.agent('child', { parentDid })
  await world.kill(parentDid)
  assert.deepEqual((await ask(world, { sub: 'a', act: { sub: child } })).codes, ['R_ACTOR_SUSPENDED'])
})

test('an actor is known by every spelling of its DID, and stopped under each', async () => {
  await using world = await World.open()
  await world.agent('a')
  const did = await world.agent('first')
  const alias = 'did:agentmesh:first'
  await world.bridge.patch(did, { aliases: [alias] }, alice, undefined)
  const act = { sub: alias }
  const view = await ask(world, { sub: 'a', act })
  assert.deepEqual([view.codes, view.actors.map(({ dids }) => dids)], [[], [[did]]])
  world.policy = { ...world.policy, unknownActors: 'allow' }
  const old = await token(world, { sub: 'a', act })
  const hold = await world.bridge.place(did, { severity: 'suspend', reason: 'r' }, soc)
  assert.deepEqual((await ask(world, { sub: 'a', act })).codes, ['R_ACTOR_SUSPENDED'])
  await world.clock.advance(minute)
  await world.bridge.release(did, hold.id, 'r', soc)
  assert.deepEqual((await world.bridge.decide({ token: old })).codes, ['R_BEFORE_RESUME'])
})

test('an actor whose delegation has ended denies, from that millisecond on', async () => {
  await using world = await World.open()
  await world.agent('a')
  const parentDid = await world.agent('parent', { capabilities: ['read:x'] })
  const endsAt = world.clock.now() + 10 * minute
  const delegation = { capabilities: ['read:x'], expiresAt: new Date(endsAt).toISOString() }
  const child = await world.agent('child', { parentDid, delegation })
  await world.agent('below', { parentDid: child })
  await world.full()
  for (const sub of ['child', 'below']) {
    const chained = await token(world, { sub: 'a', act: { sub } })
    await world.clock.advance(endsAt - world.clock.now() - 1)
    for (let n = 0; n < 2; n += 1) assert.deepEqual((await world.bridge.decide({ token: chained })).codes, [])
    world.clock.jump(1)
    assert.deepEqual((await world.bridge.decide({ token: chained })).codes, ['R_DELEGATION'])
    world.clock.jump(-1)
  }
})

test('a kill of an actor that nobody registered denies', async () => {
  await using world = await World.open()
  await world.agent('a')
  await world.kill('did:mesh:stranger')
  world.policy = { ...world.policy, unknownActors: 'allow' }
  assert.deepEqual((await ask(world, { sub: 'a', act: { sub: 'did:mesh:stranger' } })).codes, ['R_ACTOR_SUSPENDED'])
})

test('an actor nobody knows denies, unless the policy lets it pass; a malformed one always does', async () => {
  await using world = await World.open()
  await world.agent('a')
  const strangers = [
    { sub: 'nobody' },
    { sub: 'did:mesh:nobody' },
    { sub: 'did:web:elsewhere' },
    { sub: 'a', iss: 'https://elsewhere.invalid/' },
    {},
  ]
  for (const act of strangers) {
    const { codes } = await ask(world, { sub: 'a', act })
    assert.deepEqual(codes, ['R_ACTOR_UNKNOWN'], JSON.stringify(act))
  }
  world.policy = { ...world.policy, unknownActors: 'allow' }
  for (const act of strangers) assert.equal((await ask(world, { sub: 'a', act })).allow, true, JSON.stringify(act))
  assert.deepEqual((await ask(world, { sub: 'a', act: 'a' })).codes, ['R_ACT'])
})

test('an actor of another configured directory is looked up there', async () => {
  await using world = await World.open()
  await world.agent('a')
  const held = await world.agent('s', {}, ['south'])
  const act = { sub: 's', iss: world.directories.south.tokens.issuer }
  assert.equal((await ask(world, { sub: 'a', act })).allow, true)
  assert.deepEqual((await ask(world, { sub: 'a', act: { sub: 's' } })).codes, ['R_ACTOR_UNKNOWN'])
  await world.kill(held)
  assert.deepEqual((await ask(world, { sub: 'a', act })).codes, ['R_ACTOR_SUSPENDED'])
})

test('of a shared account that acted, any held agent denies', async () => {
  await using world = await World.open()
  await world.agent('a')
  world.north.add({ id: 'pool' })
  const principals = [{ adapter: 'north', id: 'pool', kind: 'account', shared: true }]
  const held = await world.agent('one', { principals }, [])
  await world.agent('two', { principals }, [])
  assert.equal((await ask(world, { sub: 'a', act: { sub: 'pool' } })).allow, true)
  await world.kill(held)
  assert.deepEqual((await ask(world, { sub: 'a', act: { sub: 'pool' } })).codes, ['R_ACTOR_SUSPENDED'])
})
