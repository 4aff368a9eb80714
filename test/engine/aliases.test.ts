import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { AgentIdentity } from '@microsoft/agent-governance-sdk'
import { aliasText } from '../../src/core/aliases.ts'
import type { SignalFrame } from '../../src/engine/api.ts'
import { parseAgentKey } from '../../src/lib/agentkey.ts'
import { alice, bob, caller, carol, dave, registrar, runtime, soc, World } from './harness.ts'

const code = (wanted: string) => ({ code: wanted })
const python = 'did:mesh:0123456789abcdef0123456789abcdef'
const rust = 'did:agentmesh:billing-bot'
const meshOf = (identity: AgentIdentity) =>
  `did:mesh:${createHash('sha256')
    .update(Buffer.from(parseAgentKey(identity.toJWK()), 'base64url'))
    .digest('hex')
    .slice(0, 32)}`
const signed = (identity: AgentIdentity, did: string, alias: string) => ({
  did: alias,
  signature: Buffer.from(identity.sign(Buffer.from(aliasText(did, alias)))).toString('base64'),
})

const frames = async (world: World, as = runtime, most = 50): Promise<SignalFrame[]> => {
  const seen: SignalFrame[] = []
  const stop = new AbortController()
  for await (const frame of world.bridge.signals(as, 'generation-0', stop.signal)) {
    if (frame.event === 'current' || seen.push(frame) >= most) break
  }
  stop.abort()
  return seen
}
const types = async (world: World) => (await world.store.audit({ limit: 1000 })).map(({ type }) => type)

test('the three identifiers of one key are one agent: derived from it, they need no other proof', async () => {
  await using world = await World.open()
  const identity = AgentIdentity.generate('billing-bot', [])
  const { agent } = await world.bridge.register(
    { did: identity.did, name: 'n', keys: [identity.toJWK()], aliases: [meshOf(identity)] },
    registrar,
  )
  assert.deepEqual(agent.aliases, [{ did: meshOf(identity), how: 'fingerprint' }])
  assert.equal((await world.bridge.agent(meshOf(identity), registrar)).did, identity.did)
})

test('what no key shows needs a signature, or an operator', async () => {
  await using world = await World.open()
  const identity = AgentIdentity.generate('billing-bot', [])
  const stranger = AgentIdentity.generate('billing-bot', [])
  const { did } = identity
  const whole = { did, name: 'n', keys: [identity.toJWK()] }
  const refused = [
    rust,
    meshOf(stranger),
    stranger.did,
    did,
    { ...signed(stranger, did, rust) },
    { ...signed(identity, did, python), did: rust },
    { ...signed(identity, rust, did), did: rust },
    { ...signed(identity, did, rust), key: stranger.toJWK() },
    { did: rust, signature: '' },
    { did: rust, key: identity.toJWK() },
    did.toUpperCase().replace('DID:AGENTMESH', 'did:agentmesh'),
  ]
  for (const alias of refused) {
    await assert.rejects(world.bridge.register({ ...whole, aliases: [alias] }, registrar), code('E_ALIAS'))
  }
  // A proof that is offered and wrong is not saved by who offers it.
  await assert.rejects(
    world.bridge.register({ ...whole, aliases: [signed(stranger, did, rust)] }, alice),
    code('E_ALIAS'),
  )
  assert.equal(await world.store.agent(did), undefined)
  const aliases = [signed(identity, did, rust), { ...signed(identity, did, 'did:mesh:b'), key: identity.toJWK() }]
  const { agent } = await world.bridge.register({ ...whole, aliases }, registrar)
  assert.deepEqual(agent.aliases, [
    { did: rust, how: 'signature' },
    { did: 'did:mesh:b', how: 'signature' },
  ])
  await assert.rejects(world.bridge.patch(did, { aliases: [rust, 'did:mesh:b', python] }, registrar, undefined), {
    code: 'E_ALIAS',
  })
  const more = await world.bridge.patch(did, { aliases: [rust, 'did:mesh:b', python] }, alice, undefined)
  assert.deepEqual(more.aliases.at(0), { did: rust, how: 'signature' })
  assert.deepEqual(
    more.aliases.find((one) => one.did === python),
    { did: python, how: 'asserted' },
  )
})

test('a spelling is never of two agents, and an alias is never registered', async () => {
  await using world = await World.open()
  await world.bridge.register({ did: 'did:mesh:a', name: 'a', aliases: [rust] }, alice)
  await world.bridge.register({ did: 'did:mesh:b', name: 'b' }, alice)
  for (const alias of [rust, 'did:mesh:a']) {
    await assert.rejects(world.bridge.patch('did:mesh:b', { aliases: [alias] }, alice, undefined), code('E_EXISTS'))
    await assert.rejects(
      world.bridge.register({ did: 'did:mesh:c', name: 'c', aliases: [alias] }, alice),
      code('E_EXISTS'),
    )
  }
  const error = await world.bridge.register({ did: rust, name: 'x' }, alice).catch((thrown) => thrown)
  assert.equal(error.code, 'E_EXISTS')
  assert.match(error.hint, /did:mesh:a/)
  const nine = Array.from({ length: 9 }, (_, n) => `did:mesh:n${n}`)
  await assert.rejects(world.bridge.patch('did:mesh:b', { aliases: nine }, alice, undefined), code('E_VALIDATION'))
})

test('every way in takes an alias, and every answer names the DID', async () => {
  await using world = await World.open()
  const did = 'did:mesh:a'
  const labels = { unit: 'x' }
  await world.bridge.register({ did, name: 'a', aliases: [rust], capabilities: ['read:x'], labels }, alice)
  assert.equal((await world.bridge.decide({ did: rust, capability: 'read:x' })).did, did)
  const child = await world.bridge.register({ did: 'did:mesh:child', name: 'c', parentDid: rust }, registrar)
  assert.equal(child.agent.parentDid, did)
  const same = await world.bridge.register({ did: 'did:mesh:child', name: 'c', parentDid: rust }, registrar)
  assert.equal(same.created, false)
  await assert.rejects(world.bridge.patch(did, { parentDid: rust }, registrar, undefined), code('E_CYCLE'))

  const hold = await world.bridge.place(rust, { severity: 'suspend', reason: 'r' }, soc)
  assert.equal(hold.did, did)
  assert.deepEqual(await world.codes('did:mesh:child'), ['R_SUSPENDED'])
  assert.equal((await world.bridge.holds(rust, 10, soc)).items[0]?.id, hold.id)
  assert.equal((await world.bridge.receipt(rust, hold.id, soc)).receipt.did, did)
  const released = await world.bridge.release(rust, hold.id, 'r', soc)
  assert.ok(released.done && released.did === did)

  const killed = await world.bridge.kill({ did: rust, reason: 'r' }, runtime)
  assert.deepEqual([killed.did, killed.known], [did, true])
  const answered = await world.bridge.kill({ did: rust, reason: 'r', inResponseTo: killed.holdId }, runtime)
  assert.equal(answered.status, 'acknowledged')
  const many = await world.bridge.killMany({ targets: { dids: [rust, did, 'did:mesh:child'] }, reason: 'r' }, 10, soc)
  assert.deepEqual(
    many.items.map((one) => one.did),
    [did, 'did:mesh:child'],
  )
  assert.deepEqual(
    (await world.bridge.previewKill({ selector: { parent: rust } }, soc)).map((one) => one.did),
    ['did:mesh:child'],
  )
  const renamed = await world.bridge.patch(rust, { name: 'other' }, registrar, undefined)
  assert.deepEqual([renamed.did, renamed.name], [did, 'other'])
  const replaced = await world.bridge.replace(rust, { did: rust, name: 'third' }, registrar, undefined)
  assert.deepEqual([replaced.agent.did, replaced.agent.name, replaced.created], [did, 'third', false])
  const back = await world.bridge.replace(rust, { did, name: 'fourth' }, registrar, undefined)
  assert.equal(back.agent.name, 'fourth')
  assert.equal((await world.bridge.decommission(rust, 'r', registrar)).did, did)
  assert.equal((await world.bridge.audit({ did: rust, limit: 100 })).items.at(-1)?.did, did)
})

test('labels bound a runtime by every spelling', async () => {
  await using world = await World.open()
  await world.bridge.register({ did: 'did:mesh:a', name: 'a', aliases: [rust], labels: { unit: 'x' } }, alice)
  const other = { ...runtime, labels: { unit: 'y' } }
  await assert.rejects(world.bridge.kill({ did: rust, reason: 'r' }, other), code('E_FORBIDDEN'))
  await assert.rejects(world.bridge.killMany({ targets: { dids: [rust] }, reason: 'r' }, 1, other), code('E_FORBIDDEN'))
  await assert.rejects(world.bridge.place(rust, { severity: 'suspend', reason: 'r' }, other), code('E_FORBIDDEN'))
})

test('what was held before it was an alias holds the agent, its accounts and its children from that transaction on', async () => {
  await using world = await World.open()
  const did = await world.agent('a')
  await world.agent('child', { parentDid: did }, [])
  const killed = await world.bridge.kill({ did: rust, reason: 'r' }, runtime)
  assert.equal(killed.known, false)
  const open = await world.store.countOpenHolds()
  await world.bridge.patch(did, { aliases: [rust] }, alice, undefined)
  assert.deepEqual(await world.codes(did), ['R_SUSPENDED'])
  assert.deepEqual(await world.codes('did:mesh:child'), ['R_SUSPENDED'])
  assert.equal((await world.store.hold(killed.holdId))?.did, did)
  assert.equal(await world.store.countOpenHolds(), open + 1)
  assert.equal((await types(world)).filter((type) => type === 'hold.moved').length, 1)
  assert.ok((await world.bridge.verifyAudit()).ok)
  await world.settleAll()
  assert.equal(world.north.enabled('a'), false)
  assert.equal(world.south.enabled('a'), false)
  const told = (await frames(world)).map(({ event, data }) => [event, data])
  const last = told.find(([, data]) => JSON.stringify(data).includes(`"aliases":["${rust}"]`))
  assert.equal(last?.[0], 'suspended')
  // Its own runtime releases it through the spelling it knows, with a second person.
  const asked = await world.bridge.release(rust, killed.holdId, 'r', carol)
  assert.ok(!asked.done)
  assert.ok((await world.bridge.approve(asked.release.id, dave)).done)
  await world.settleAll()
  assert.equal(world.north.enabled('a'), true)
  assert.deepEqual(await world.codes(did), [])
})

test('a release that waited under the alias is completed under the DID', async () => {
  await using world = await World.open()
  const killed = await world.bridge.kill({ did: rust, reason: 'r' }, runtime)
  const asked = await world.bridge.release(rust, killed.holdId, 'r', carol)
  assert.ok(!asked.done)
  await world.bridge.register({ did: 'did:mesh:a', name: 'a', aliases: [rust] }, alice)
  assert.deepEqual(await world.codes('did:mesh:a'), ['R_SUSPENDED'])
  const done = await world.bridge.approve(asked.release.id, dave)
  assert.ok(done.done && done.did === 'did:mesh:a')
})

test('a release under the alias refuses tokens from before it', async () => {
  await using world = await World.open()
  const hold = await world.bridge.kill({ did: rust, reason: 'r' }, runtime)
  const asked = await world.bridge.release(rust, hold.holdId, 'r', carol)
  assert.ok(!asked.done)
  await world.bridge.approve(asked.release.id, dave)
  const releasedAt = world.clock.now()
  await world.clock.advance(5_000)
  const did = await world.agent('a', {}, [])
  assert.equal((await world.store.agent(did))?.resumedAt, undefined)
  await world.bridge.patch(did, { aliases: [rust] }, alice, undefined)
  assert.equal((await world.store.agent(did))?.resumedAt, releasedAt)
  const [entry] = (await world.store.audit({ limit: 100 })).filter(({ type }) => type === 'hold.moved')
  assert.equal(entry?.details?.released, true)
  assert.deepEqual(await world.codes(did), [])
})

test('an alias is not removed while the agent is held, nor from a tombstone', async () => {
  await using world = await World.open()
  const did = await world.agent('a', {}, [])
  await world.bridge.patch(did, { aliases: [rust] }, alice, undefined)
  const hold = await world.bridge.place(did, { severity: 'suspend', reason: 'r' }, soc)
  for (const aliases of [[], null]) {
    await assert.rejects(world.bridge.patch(did, { aliases }, alice, undefined), code('E_HELD'))
  }
  await assert.rejects(world.bridge.replace(did, { did, name: 'a', aliases: [] }, alice, undefined), code('E_HELD'))
  await world.bridge.replace(did, { did, name: 'b' }, alice, undefined)
  assert.equal(await world.store.aliased(rust), did)
  await world.bridge.release(did, hold.id, 'r', soc)
  await world.bridge.patch(did, { aliases: [] }, registrar, undefined)
  assert.equal(await world.store.aliased(rust), undefined)
  await world.bridge.patch(did, { aliases: [rust] }, alice, undefined)
  await world.bridge.decommission(did, 'r', alice)
  await assert.rejects(world.bridge.patch(did, { aliases: [] }, bob, undefined), code('E_DECOMMISSIONED'))
})

test('runtimes hear every name: in signals, in snapshots, and when a name comes to a held agent', async () => {
  await using world = await World.open()
  const did = await world.agent('a', {}, [])
  await world.bridge.place(did, { severity: 'suspend', reason: 'r' }, soc)
  await world.bridge.patch(did, { aliases: [rust, python] }, alice, undefined)
  const [before, after] = await frames(world)
  assert.ok(!JSON.stringify(before).includes('aliases'))
  assert.deepEqual(Object(after?.data).aliases, [rust, python])
  const stop = new AbortController()
  for await (const { event, data } of world.bridge.signals(caller('fresh', 'runtime'), undefined, stop.signal)) {
    assert.equal(event, 'snapshot')
    assert.deepEqual(Object(data).held[0].aliases, [rust, python])
    break
  }
  stop.abort()
})

test('a kill of many that was recorded before a target became an alias holds the agent', async () => {
  await using world = await World.open()
  const did = await world.agent('a', {}, [])
  world.dieAt = 'kill.recorded'
  await assert.rejects(world.bridge.killMany({ targets: { dids: [rust, 'did:mesh:z'] }, reason: 'r' }, 10, soc))
  world.dead = false
  await world.bridge.patch(did, { aliases: [rust] }, alice, undefined)
  assert.deepEqual(await world.codes(did), [])
  const [unfinished] = await world.store.unfinishedKills()
  assert.ok(unfinished)
  const page = await world.bridge.killedAgain(unfinished.id, 10, soc)
  assert.deepEqual(await world.codes(did), ['R_SUSPENDED'])
  assert.deepEqual(
    page.items.map((one) => [one.did, one.released]),
    [
      [did, false],
      ['did:mesh:z', false],
    ],
  )
})

test('another agent with the same key is told, and never merged', async () => {
  await using world = await World.open()
  const identity = AgentIdentity.generate('billing-bot', [])
  await world.bridge.register({ did: identity.did, name: 'a', keys: [identity.toJWK()] }, registrar)
  await world.bridge.register({ did: python, name: 'b', keys: [identity.toJWK()] }, registrar)
  await world.bridge.kill({ did: python, reason: 'r' }, runtime)
  assert.ok(!(await world.codes(identity.did)).includes('R_SUSPENDED'))
  const { issues } = await world.bridge.validate(identity.did, registrar)
  const issue = issues.find((one) => one.code === 'V_KEY_SHARED')
  assert.match(`${issue?.text}`, /0123456789abcdef/)
})
