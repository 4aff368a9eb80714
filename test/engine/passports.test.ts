import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { thumbprintOf } from '../../src/lib/agentkey.ts'
import { alice, bob, caller, minute, registrar, runtime, second, soc, World } from './harness.ts'
import { published } from './published.ts'
import { newSigner } from './signing.ts'

const hold = { severity: 'suspend', reason: 'r' } as const
const hour = 60 * minute
const outcomes = async (world: World) =>
  [...(await world.metrics.text()).matchAll(/passports_total\{outcome="(\w+)"\} (\d+)/g)].map(
    ([, name, n]) => `${name} ${n}`,
  )

test('a passport says who the agent is, what it may do, under whom, and where its status stands', async () => {
  await using world = await World.open()
  const { check, issue, keys } = published(world)
  const signer = newSigner()
  const root = await world.agent('root', { capabilities: ['read:*', 'write:x'] })
  const expiresAt = new Date(world.clock.now() + hour).toISOString()
  const { agent } = await world.bridge.register(
    {
      did: signer.did,
      name: 'a child',
      parentDid: root,
      delegation: { capabilities: ['read:x'], expiresAt },
      capabilities: ['write:x', 'send:mail'],
      sponsor: { email: 'alice@contoso.com', objectId: 'alice-id' },
      keys: [signer.jwk],
    },
    registrar,
  )
  assert.deepEqual(agent.effective, ['read:x', 'write:x'])
  const issued = await issue(signer.did)
  const iat = Math.floor(world.clock.now() / 1000)
  assert.deepEqual(decodeProtectedHeader(issued.passport), {
    alg: 'EdDSA',
    typ: 'agent-passport+jwt',
    kid: keys[0]?.kid,
  })
  const { uri, idx } = issued.status
  assert.deepEqual(decodeJwt(issued.passport), {
    iss: 'https://bridge.test/',
    sub: signer.did,
    iat,
    exp: iat + 900,
    jti: issued.jti,
    name: 'a child',
    principals: [],
    capabilities: ['read:x', 'write:x'],
    sponsor: { objectId: 'alice-id' },
    delegation: [
      { did: root, depth: 0, granted: null, expiresAt: null, signed: null },
      { did: signer.did, depth: 1, granted: ['read:x'], expiresAt: Date.parse(expiresAt) / 1000, signed: null },
    ],
    status: { status_list: { idx, uri } },
    cnf: { jwk: { kty: 'OKP', crv: 'Ed25519', x: signer.key } },
    delegation_claims: {
      authority_scope: ['read:x', 'write:x'],
      issued_at: new Date(iat * 1000).toISOString(),
      revocation_check_url: `${uri}/${idx}/${iat}/jwks-revoked.json`,
    },
  })
  assert.equal(issued.key, thumbprintOf(signer.key))
  const verdict = await check(issued.passport, uri)
  assert.deepEqual(verdict.failed, [])
  assert.equal(verdict.checks.length, 10)
  assert.equal(verdict.passport?.sub, signer.did)
  assert.deepEqual(await outcomes(world), ['issued 1'])
})

test('accounts are named by their ids, and of the sponsor only what the configuration says', async () => {
  await using world = await World.open()
  const { issue } = published(world)
  const did = await world.agent('a', { sponsor: { email: 'alice@contoso.com', objectId: 'alice-id' } })
  const claims = async () => decodeJwt((await issue(did)).passport)
  assert.deepEqual((await claims()).principals, [
    { adapter: 'north', id: 'a', kind: 'account', realm: 'north' },
    { adapter: 'south', id: 'a', kind: 'account', realm: 'south' },
  ])
  for (const [sponsor, told] of [
    ['none', null],
    ['id', { objectId: 'alice-id' }],
    ['email', { objectId: 'alice-id', email: 'alice@contoso.com' }],
  ] as const) {
    world.passports = { ...world.passports, sponsor }
    assert.deepEqual((await claims()).sponsor, told)
  }
})

test('none is issued for an agent that would be denied now, and the answer says why', async () => {
  await using world = await World.open({ policy: { maxStaleness: { warnMs: minute, denyMs: hour } } })
  const { issue } = published(world)
  const did = await world.agent('a')
  const { id } = await world.bridge.place(did, hold, soc)
  await assert.rejects(issue(did), { code: 'E_HELD' })
  await world.bridge.release(did, id, 'clear', soc)
  await world.clock.advance(second)
  await issue(did)
  await world.clock.advance(hour + second)
  await assert.rejects(issue(did), { code: 'E_REFUSED', details: [{ pointer: '', code: 'R_STALE' }] })
  await world.bridge.decommission(did, 'gone', registrar)
  await assert.rejects(issue(did), { code: 'E_DECOMMISSIONED' })
  await assert.rejects(issue('did:mesh:nobody'), { code: 'E_AGENT_UNKNOWN' })
  await assert.rejects(issue('nobody'), { code: 'E_DID' })
  assert.deepEqual(await outcomes(world), [
    'E_HELD 1',
    'issued 1',
    'E_REFUSED 1',
    'E_DECOMMISSIONED 1',
    'E_AGENT_UNKNOWN 1',
    'E_DID 1',
  ])
  const [place, ...others] = (await world.store.audit({ dids: [did], limit: 100 })).filter(({ type }) =>
    type.startsWith('passport.'),
  )
  assert.deepEqual([place?.actor, others], ['registrar', []])
})

test('it lives no longer than configured, asked for, or known to last', async () => {
  await using world = await World.open({ policy: { maxStaleness: { warnMs: minute, denyMs: hour } } })
  const { issue } = published(world)
  const did = await world.agent('a', { capabilities: ['read:x'] })
  const lives = async (lifetimeMs?: number, of = did) => {
    const { expiresAt, issuedAt } = await issue(of, { lifetimeMs })
    return expiresAt - issuedAt
  }
  assert.deepEqual([await lives(), await lives(minute), await lives(hour)], [15 * minute, minute, 15 * minute])
  world.passports = { ...world.passports, lifetimeMs: 24 * hour }
  // Both accounts were read when it was registered.
  assert.equal(await lives(), hour)
  await world.clock.advance(20 * minute)
  assert.equal(await lives(), 40 * minute)
  const expiresAt = new Date(world.clock.now() + 5 * minute + 300).toISOString()
  const child = {
    did: 'did:mesh:child',
    name: 'c',
    parentDid: did,
    delegation: { capabilities: ['read:x'], expiresAt },
  }
  await world.bridge.register(child, registrar)
  assert.equal(await lives(undefined, child.did), 5 * minute)
  await world.clock.advance(5 * minute + 200)
  await assert.rejects(issue(child.did), { code: 'E_REFUSED', details: [{ pointer: '', code: 'R_DELEGATION' }] })
})

test('it lives no longer than the readings of those above the agent, as its decisions do', async () => {
  await using world = await World.open({ policy: { maxStaleness: { warnMs: minute, denyMs: hour } } })
  const { issue } = published(world)
  world.passports = { ...world.passports, lifetimeMs: hour }
  const parentDid = await world.agent('a')
  await world.clock.advance(20 * minute)
  const did = await world.agent('b', { parentDid })
  const { expiresAt } = await issue(did)
  assert.equal(expiresAt - world.clock.now(), 40 * minute)
  await world.clock.advance(40 * minute + 1)
  await assert.rejects(issue(did), { code: 'E_REFUSED', details: [{ pointer: '', code: 'R_STALE' }] })
})

test('it may carry less than the agent has and be for one audience, and never more', async () => {
  await using world = await World.open()
  const { check, issue } = published(world)
  const did = await world.agent('a', { capabilities: ['read:*', 'write:x'] })
  const { capabilities, passport, status } = await issue(did, { capabilities: ['read:y', 'read:y'], audience: 'shop' })
  assert.deepEqual(capabilities, ['read:y'])
  assert.deepEqual((await check(passport, status.uri)).failed, ['audience'])
  assert.deepEqual((await check(passport, status.uri, { audience: 'bank' })).failed, ['audience'])
  assert.deepEqual((await check(passport, status.uri, { audience: 'shop' })).failed, [])
  await assert.rejects(issue(did, { capabilities: ['read:y', 'write:*', '*'] }), {
    code: 'E_WIDENING',
    details: [1, 2].map((at) => ({ pointer: `/capabilities/${at}`, code: 'conflict' })),
  })
  assert.deepEqual((await issue(did, { capabilities: [] })).capabilities, [])
})

test('it is bound to the firmest key of the agent, or to the one asked for, and to no other', async () => {
  await using world = await World.open()
  const { issue } = published(world)
  const [mine, other] = [newSigner(), newSigner()]
  await world.bridge.register({ did: mine.did, name: 'n', keys: [other.jwk, mine.jwk] }, registrar)
  assert.equal((await issue(mine.did)).key, thumbprintOf(mine.key))
  assert.equal((await issue(mine.did, { key: thumbprintOf(other.key) })).key, thumbprintOf(other.key))
  await assert.rejects(issue(mine.did, { key: thumbprintOf(newSigner().key) }), { code: 'E_KEY' })
  const bare = await world.agent('bare')
  const issued = await issue(bare)
  assert.deepEqual([issued.key, decodeJwt(issued.passport).cnf], [undefined, undefined])
})

test('a runtime gets them for agents with its labels only', async () => {
  await using world = await World.open()
  const { issue } = published(world)
  const did = await world.agent('a', { labels: { unit: 'payments' } })
  const bounded = (unit: string) => ({ ...caller('agt-1', 'runtime'), labels: { unit } })
  await issue(did, {}, bounded('payments'))
  await assert.rejects(issue(did, {}, bounded('trading')), { code: 'E_FORBIDDEN' })
})

test('another spelling of the DID is the agent, and the passport names it as it is registered', async () => {
  await using world = await World.open()
  const { issue } = published(world)
  const signer = newSigner()
  const alias = 'did:mesh:other-name'
  await world.bridge.register({ did: signer.did, name: 'n', keys: [signer.jwk], aliases: [alias] }, alice)
  assert.equal(decodeJwt((await issue(alias)).passport).sub, signer.did)
})

test('a passport from before a release stays refused, and one from after it holds', async () => {
  await using world = await World.open()
  const { check, issue } = published(world)
  const did = await world.agent('a')
  const before = await issue(did)
  const { id } = await world.bridge.place(did, hold, soc)
  assert.deepEqual((await check(before.passport, before.status.uri)).failed, ['status'])
  await world.clock.advance(400)
  await world.bridge.release(did, id, 'clear', soc)
  const at = await issue(did)
  assert.deepEqual((await check(before.passport, before.status.uri)).failed, ['released'])
  assert.deepEqual((await check(at.passport, at.status.uri)).failed, [], 'of the second of the release')
  await world.clock.advance(2 * second)
  const after = await issue(did)
  assert.deepEqual((await check(after.passport, after.status.uri)).failed, [])
  await world.kill(did, runtime)
  const [kill] = await world.open(did)
  await world.releaseByTwo(did, kill?.id ?? '', alice, bob)
  assert.deepEqual((await check(after.passport, after.status.uri)).failed, ['released'])
})

test('a hold that commits while the passport is made is seen before it is handed out', async () => {
  await using world = await World.open()
  const { issue } = published(world)
  const did = await world.agent('a')
  await issue(did)
  const { store } = world
  const { keysOf } = store
  const read = Object.assign(store, {
    keysOf: async (one: string) => {
      Object.assign(store, { keysOf })
      await world.kill(one)
      return keysOf(one)
    },
  })
  assert.equal(read, store)
  await assert.rejects(issue(did), { code: 'E_HELD' })
})

test('one that would be too long for those who check is not issued', async () => {
  await using world = await World.open()
  const { issue } = published(world)
  const capabilities = Array.from({ length: 500 }, (_, at) => `read:${'x'.repeat(40)}-${at}`)
  const did = await world.agent('a', { capabilities })
  await assert.rejects(issue(did), { code: 'E_VALIDATION' })
  await issue(did, { capabilities: capabilities.slice(0, 10) })
})
