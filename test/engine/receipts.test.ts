import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { canonical } from '../../src/core/canonical.ts'
import { receiptType } from '../../src/engine/receipts.ts'
import type { AccountLeg, Leg, Receipt } from '../../src/engine/receiptviews.ts'
import { openStrict, publicJwk } from '../../src/lib/jws.ts'
import { alice, bob, caller, minute, runtime, second, settleMs, World } from './harness.ts'

const receiptOf = async (world: World, did: string, holdId: string): Promise<Receipt> =>
  (await world.bridge.receipt(did, holdId, alice)).receipt

const nameOf = (leg: Leg): string =>
  leg.type === 'account' ? `${leg.adapter}/${leg.id}` : leg.type === 'runtime' ? leg.client : leg.did

/** Each leg as `state reason`, by its name. */
const legs = async (world: World, did: string, holdId: string): Promise<Record<string, string>> =>
  Object.fromEntries(
    (await receiptOf(world, did, holdId)).legs.map((leg) => [
      nameOf(leg),
      leg.type === 'descendant' ? leg.state : `${leg.state} ${leg.reason}`,
    ]),
  )

const accountLeg = async (world: World, did: string, holdId: string, name = 'north/a'): Promise<AccountLeg> => {
  const found = (await receiptOf(world, did, holdId)).legs.find((leg) => nameOf(leg) === name)
  assert.ok(found?.type === 'account', `no leg of ${name}`)
  return found
}

const iso = (ms: number) => new Date(ms).toISOString()
const second1 = { ...runtime, name: 'agt-2' }

test('a kill: each account closes on a read by id past settle, and not before', async () => {
  await using world = await World.open()
  const did = await world.agent('a')
  const { holdId } = await world.kill(did)
  const placed = world.clock.now()
  assert.deepEqual(await legs(world, did, holdId), { 'north/a': 'pending queued', 'south/a': 'pending queued' })
  await world.work()
  assert.equal(world.north.enabled('a'), false)
  assert.deepEqual(await legs(world, did, holdId), { 'north/a': 'pending settling', 'south/a': 'pending settling' })
  assert.equal((await accountLeg(world, did, holdId)).answeredAt, iso(placed))
  await world.run(settleMs)
  assert.equal((await receiptOf(world, did, holdId)).status, 'open')
  await world.run(second)
  const receipt = await receiptOf(world, did, holdId)
  assert.deepEqual(await legs(world, did, holdId), { 'north/a': 'closed disabled', 'south/a': 'closed disabled' })
  assert.equal(receipt.status, 'closed')
  assert.equal(receipt.counts.closed, 2)
  const leg = await accountLeg(world, did, holdId)
  assert.ok(Date.parse(leg.closedAt ?? '') > placed + settleMs)
  assert.deepEqual([leg.observed, leg.nextAt, leg.realm], ['disabled', null, 'north'])
})

test('a row of the feed past settle closes nothing: only a read by id does', async () => {
  await using world = await World.open()
  const did = await world.agent('a', {}, ['north'])
  const { holdId } = await world.kill(did)
  await world.work()
  world.north.reads.add({ mode: 'unreadable', id: 'a' })
  await world.clock.advance(settleMs + second)
  await world.poll()
  assert.equal((await world.account('north', 'a')).observed, 'disabled')
  await world.work()
  assert.deepEqual(await legs(world, did, holdId), { 'north/a': 'failed retrying' })
  world.north.reads.clear()
  await world.run(minute)
  assert.deepEqual(await legs(world, did, holdId), { 'north/a': 'closed disabled' })
})

test('a write whose answer was lost is indeterminate until a read settles it, landed or not', async () => {
  for (const mode of ['lost', 'dropped'] as const) {
    await using world = await World.open()
    const did = await world.agent('a', {}, ['north'])
    world.north.writes.add({ mode, times: 1 })
    const { holdId } = await world.kill(did)
    await world.work()
    assert.deepEqual(await legs(world, did, holdId), { 'north/a': 'indeterminate answer-lost' }, mode)
    await world.poll()
    assert.deepEqual(await legs(world, did, holdId), { 'north/a': 'indeterminate answer-lost' }, mode)
    await world.run(10 * minute)
    assert.deepEqual(await legs(world, did, holdId), { 'north/a': 'closed disabled' }, mode)
    assert.equal(world.north.enabled('a'), false)
  }
})

test('a process that dies with a write on the wire leaves an indeterminate leg', async () => {
  await using world = await World.open()
  const did = await world.agent('a', {}, ['north'])
  const { holdId } = await world.kill(did)
  world.dieAt = 'disable.answered'
  await world.work()
  await world.restart()
  assert.deepEqual(await legs(world, did, holdId), { 'north/a': 'pending sent' })
  const { writeTimeoutMs = 0 } = world.deps.mounts().get('north')?.adapter.accounts ?? {}
  await world.clock.advance(writeTimeoutMs + 1)
  assert.deepEqual(await legs(world, did, holdId), { 'north/a': 'indeterminate answer-lost' })
  await world.run(10 * minute)
  assert.deepEqual(await legs(world, did, holdId), { 'north/a': 'closed disabled' })
})

test('a directory that refuses is failed, with the code, and tried again', async () => {
  await using world = await World.open()
  const did = await world.agent('a')
  world.north.writes.add({ mode: 'forbidden' })
  const { holdId } = await world.kill(did)
  await world.run(minute)
  const leg = await accountLeg(world, did, holdId)
  assert.deepEqual([leg.state, leg.error], ['failed', 'E_DIRECTORY_FORBIDDEN'])
  assert.ok((leg.attempts ?? 0) > 1)
  assert.ok(Date.parse(leg.nextAt ?? '') > world.clock.now())
  assert.equal((await accountLeg(world, did, holdId, 'south/a')).state, 'closed')
  assert.equal((await receiptOf(world, did, holdId)).status, 'open')
  world.north.writes.clear()
  await world.run(10 * minute)
  assert.equal((await receiptOf(world, did, holdId)).status, 'closed')
})

test('an account that somebody else switches on again is open anew, then contested', async () => {
  await using world = await World.open()
  const did = await world.agent('a', {}, ['north'])
  const { holdId } = await world.kill(did)
  await world.settleAll()
  const first = await accountLeg(world, did, holdId)
  assert.equal(first.state, 'closed')
  world.north.set('a', true)
  await world.poll()
  const open = await accountLeg(world, did, holdId)
  assert.equal(open.state, 'pending')
  assert.deepEqual([open.closedAt, open.reopenedAt], [first.closedAt, iso(world.clock.now())])
  await world.run(minute)
  const again = await accountLeg(world, did, holdId)
  assert.deepEqual([again.state, again.reopenedAt], ['closed', null])
  assert.ok(Date.parse(again.closedAt ?? '') > Date.parse(open.reopenedAt ?? ''))
  for (let times = 0; times < 6; times++) {
    world.north.set('a', true)
    await world.poll()
    await world.run(settleMs + 2 * second)
  }
  assert.deepEqual(await legs(world, did, holdId), { 'north/a': 'contested drift' })
})

test('policy.drift accept leaves a leg contested by the policy', async () => {
  await using world = await World.open({ policy: { drift: 'accept' } })
  const did = await world.agent('a', {}, ['north'])
  const { id } = await world.bridge.place(did, { severity: 'suspend', reason: 'case' }, alice)
  await world.settleAll()
  world.north.set('a', true)
  await world.settleAll()
  assert.deepEqual(await legs(world, did, id), { 'north/a': 'contested drift-accepted' })
})

test('an account that was off already is read once more for every hold', async () => {
  await using world = await World.open()
  world.north.add({ id: 'a', enabled: false })
  const did = await world.agent('a')
  const [own] = await world.open(did)
  assert.ok(own)
  assert.equal((await accountLeg(world, did, own.id)).reason, 'settling')
  await world.settleAll()
  assert.deepEqual(await legs(world, did, own.id), { 'north/a': 'closed off-by-others', 'south/a': 'closed disabled' })
  const { holdId } = await world.kill(did)
  assert.deepEqual(await legs(world, did, holdId), { 'north/a': 'pending settling', 'south/a': 'pending settling' })
  await world.run(settleMs + second)
  assert.equal((await receiptOf(world, did, holdId)).status, 'closed')
  assert.deepEqual(world.writes('north'), [])
  assert.deepEqual(world.writes('south'), ['disable'])
})

test('the hold of a directory that ends: closed while it was off, on again at its release', async () => {
  await using world = await World.open({ policy: { resume: 'automatic' } })
  const did = await world.agent('a', {}, ['north'])
  world.north.set('a', false)
  await world.settleAll()
  const [own] = await world.open(did)
  assert.ok(own)
  const { closedAt } = await accountLeg(world, did, own.id)
  world.north.set('a', true)
  await world.poll()
  assert.deepEqual(await legs(world, did, own.id), { 'north/a': 'pending on-again' })
  const seenOn = iso(world.clock.now())
  await world.settleAll()
  assert.deepEqual(await world.open(did), [])
  const leg = await accountLeg(world, did, own.id)
  assert.deepEqual([leg.state, leg.reason, leg.closedAt, leg.reopenedAt], ['pending', 'on-again', closedAt, seenOn])
})

test('a deleted account closes its leg', async () => {
  await using world = await World.open()
  const did = await world.agent('a', {}, ['north'])
  world.north.remove('a')
  const { holdId } = await world.kill(did)
  await world.settleAll()
  assert.deepEqual(await legs(world, did, holdId), { 'north/a': 'closed deleted' })
})

test('what the bridge may not write is unsupported, and says why; off it closes all the same', async () => {
  await using world = await World.open({
    adapters: { north: { settings: { mirror: 'inbound' } }, south: { settings: { mirror: 'observe' } } },
  })
  const did = await world.agent('a')
  const { holdId } = await world.kill(did)
  await world.settleAll()
  assert.deepEqual(await legs(world, did, holdId), { 'north/a': 'unsupported mirror', 'south/a': 'unsupported mirror' })
  assert.equal((await receiptOf(world, did, holdId)).status, 'partial')
  world.north.set('a', false)
  world.south.set('a', false)
  await world.settleAll()
  assert.deepEqual(await legs(world, did, holdId), {
    'north/a': 'closed off-by-others',
    'south/a': 'closed off-by-others',
  })
})

test('paused writes and the guard are said to be what a leg waits for', async () => {
  await using world = await World.open({
    policy: {
      guard: { windowMs: minute, minAgents: 50, suspend: { max: 0, percent: 100 }, resume: { max: 9, percent: 9 } },
    },
  })
  world.runtimes = [{ name: 'agt-1', labels: undefined }]
  const did = await world.agent('a')
  await world.bridge.pause(true, 'maintenance', alice)
  const { holdId } = await world.kill(did)
  await world.work()
  assert.deepEqual(await legs(world, did, holdId), {
    'agt-1': 'closed origin',
    'north/a': 'pending paused',
    'south/a': 'pending paused',
  })
  await world.bridge.pause(false, 'over', alice)
  const other = await world.agent('b')
  world.north.set('b', false)
  await world.settleAll()
  const [own] = await world.open(other)
  assert.equal(own?.guarded, true)
  assert.deepEqual(await legs(world, other, own.id), {
    'agt-1': 'pending guard',
    'north/b': 'closed off-by-others',
    'south/b': 'pending guard',
  })
})

test('a runtime is closed by its acknowledgement of this hold, and by nothing else', async () => {
  await using world = await World.open()
  world.runtimes = [
    { name: 'agt-1', labels: undefined },
    { name: 'agt-2', labels: { unit: 'payments' } },
    { name: 'agt-3', labels: { unit: 'treasury' } },
    { name: 'agt-4', labels: undefined },
  ]
  const did = await world.agent('a', { labels: { unit: 'payments' } }, ['north'])
  const { id } = await world.bridge.place(did, { severity: 'suspend', reason: 'case' }, runtime)
  const other = await world.kill(did)
  const seq = (await world.store.signalsAfter(0, 10)).find(({ holdId }) => holdId === id)?.seq ?? 0
  await world.clock.advance(second)
  await world.bridge.ack(seq, second1)
  const acked = world.clock.now()
  await world.clock.advance(second)
  await world.bridge.ack(seq, second1)
  await world.bridge.kill({ did, reason: 'told so', inResponseTo: id }, { ...runtime, name: 'agt-4' })
  await world.bridge.kill({ did, reason: 'told so', inResponseTo: id }, caller('soc', 'responder'))
  const runtimes = (receipt: Receipt) =>
    receipt.legs.flatMap((leg) => (leg.type === 'runtime' ? [[leg.client, leg.state, leg.reason, leg.closedAt]] : []))
  assert.deepEqual(runtimes(await receiptOf(world, did, id)), [
    ['agt-1', 'pending', 'unacknowledged', null],
    ['agt-2', 'closed', 'acknowledged', iso(acked)],
    ['agt-4', 'closed', 'acknowledged', iso(acked + second)],
  ])
  assert.deepEqual(
    runtimes(await receiptOf(world, did, other.holdId)).map(([client, state, reason]) => [client, state, reason]),
    [
      ['agt-1', 'closed', 'origin'],
      ['agt-2', 'pending', 'unacknowledged'],
      ['agt-4', 'pending', 'unacknowledged'],
    ],
  )
})

test('that a runtime let an agent go on is no acknowledgement that it had stopped it', async () => {
  await using world = await World.open()
  world.runtimes = [{ name: 'agt-2', labels: undefined }]
  const did = await world.agent('a', {}, ['north'])
  const { id } = await world.bridge.place(did, { severity: 'suspend', reason: 'case' }, alice)
  await world.bridge.release(did, id, 'cleared', alice)
  const resumed = (await world.store.signalsAfter(0, 10)).find(({ type }) => type === 'resumed')
  await world.bridge.ack(resumed?.seq ?? 0, second1)
  assert.equal((await legs(world, did, id))['agt-2'], 'pending unacknowledged')
})

test('descendants: one leg each, closed when their own receipts are', async () => {
  await using world = await World.open()
  world.runtimes = [{ name: 'agt-2', labels: undefined }]
  const parent = await world.agent('a', {}, ['north'])
  const child = await world.agent('b', { parentDid: parent }, ['north', 'south'])
  const grandchild = await world.agent('c', { parentDid: child }, [])
  world.south.writes.add({ mode: 'down' })
  const { holdId } = await world.kill(parent)
  await world.settleAll()
  const receipt = await receiptOf(world, parent, holdId)
  const family = receipt.legs.filter((leg) => leg.type === 'descendant')
  assert.deepEqual(
    family.map(({ did, state, legs: n, closed }) => [did, state, n, closed]),
    [
      [child, 'failed', 3, 1],
      [grandchild, 'pending', 1, 0],
    ],
  )
  assert.deepEqual(receipt.descendants, { total: 2, examined: 2, listed: 2 })
  world.south.writes.clear()
  for (const { seq } of await world.store.signalsAfter(0, 100)) await world.bridge.ack(seq, second1)
  await world.settleAll()
  const done = await receiptOf(world, parent, holdId)
  assert.equal(done.status, 'closed')
  assert.deepEqual(done.counts.closed, 4)
  const [cascade] = await world.open(child)
  assert.equal(cascade?.origin, `cascade:${parent}`)
  assert.equal((await receiptOf(world, child, cascade.id)).status, 'closed')
  assert.deepEqual((await receiptOf(world, child, cascade.id)).descendants.total, 0)
})

test('a shared account is shared until its last DID is held, and closes for each of their holds', async () => {
  await using world = await World.open()
  const principals = [{ adapter: 'north', id: 'a', kind: 'account', shared: true }]
  const one = await world.agent('a', { principals }, ['north'])
  const two = await world.agent('b', { principals }, [])
  const first = await world.kill(one)
  await world.settleAll(minute)
  assert.deepEqual(await legs(world, one, first.holdId), { 'north/a': 'shared shared' })
  assert.equal((await receiptOf(world, one, first.holdId)).status, 'partial')
  const second = await world.kill(two)
  await world.settleAll(minute)
  assert.equal(world.north.enabled('a'), false)
  for (const [did, { holdId }] of [[one, first] as const, [two, second] as const]) {
    assert.deepEqual(await legs(world, did, holdId), { 'north/a': 'closed disabled' })
  }
  const { closedAt } = await accountLeg(world, one, first.holdId)
  await world.releaseByTwo(two, second.holdId)
  await world.settleAll()
  assert.equal(world.north.enabled('a'), true)
  const open = await accountLeg(world, one, first.holdId)
  assert.deepEqual([open.state, open.closedAt], ['shared', closedAt])
  assert.ok(open.reopenedAt)
  assert.equal((await accountLeg(world, two, second.holdId)).state, 'closed')
})

test('a released hold keeps its receipt as it was, however the accounts fare after', async () => {
  await using world = await World.open()
  world.runtimes = [
    { name: 'agt-1', labels: undefined },
    { name: 'agt-2', labels: undefined },
  ]
  const parent = await world.agent('p', {}, [])
  const did = await world.agent('a', { parentDid: parent })
  world.south.writes.add({ mode: 'forbidden' })
  const { holdId } = await world.kill(parent)
  await world.settleAll(5 * minute)
  const [cascade] = await world.open(did)
  assert.ok(cascade)
  const before = await accountLeg(world, did, cascade.id)
  assert.equal(before.state, 'closed')
  await world.releaseByTwo(parent, holdId, alice, bob)
  world.south.writes.clear()
  const atRelease = await receiptOf(world, did, cascade.id)
  world.runtimes = [...world.runtimes, { name: 'agt-9', labels: undefined }]
  await world.settleAll()
  assert.equal(world.north.enabled('a'), true)
  const after = await receiptOf(world, did, cascade.id)
  assert.deepEqual({ ...after, iat: 0, audit: 0 }, { ...atRelease, iat: 0, audit: 0 })
  assert.deepEqual(await legs(world, did, cascade.id), {
    'agt-1': 'pending unacknowledged',
    'agt-2': 'pending unacknowledged',
    'north/a': 'closed disabled',
    'south/a': 'failed retrying',
  })
  const leg = await accountLeg(world, did, cascade.id)
  assert.deepEqual([leg.closedAt, leg.answeredAt], [before.closedAt, before.answeredAt])
  const family = await receiptOf(world, parent, holdId)
  assert.ok(family.hold.releasedAt)
  assert.deepEqual(
    family.legs.map((one) => [nameOf(one), one.state]),
    [
      ['agt-1', 'closed'],
      ['agt-2', 'pending'],
      [did, 'failed'],
    ],
  )
})

test('a crash changes no receipt', async () => {
  await using world = await World.open()
  world.runtimes = [{ name: 'agt-2', labels: undefined }]
  const parent = await world.agent('a')
  await world.agent('b', { parentDid: parent })
  const { holdId } = await world.kill(parent)
  await world.run(settleMs + second)
  const before = await receiptOf(world, parent, holdId)
  await world.restart()
  const { audit: _audit, ...after } = await receiptOf(world, parent, holdId)
  const { audit: _before, ...was } = before
  assert.deepEqual(after, was)
})

test('a kill of a DID that nobody registered has an open receipt', async () => {
  await using world = await World.open()
  const { holdId, did } = await world.kill('did:mesh:later')
  const receipt = await receiptOf(world, did, holdId)
  assert.deepEqual([receipt.known, receipt.status, receipt.legs.length], [false, 'open', 0])
  await world.agent('later', {}, ['north'])
  await world.settleAll()
  assert.equal((await receiptOf(world, did, holdId)).status, 'closed')
})

test('a wall clock that was set back closes nothing early', async () => {
  await using world = await World.open()
  const did = await world.agent('a', {}, ['north'])
  await world.kill(did)
  await world.settleAll()
  world.clock.jump(-60 * minute)
  const { holdId } = await world.kill(did)
  assert.equal((await accountLeg(world, did, holdId)).state, 'pending')
  await world.run(settleMs)
  assert.equal((await accountLeg(world, did, holdId)).state, 'pending')
  await world.full()
  await world.run(minute)
  assert.equal((await accountLeg(world, did, holdId)).state, 'closed')
})

test('an account that an operator frees of a tombstone keeps its leg', async () => {
  await using world = await World.open()
  const did = await world.agent('a', {}, ['north'])
  await world.bridge.decommission(did, 'replaced', alice)
  await world.settleAll()
  const [hold] = await world.open(did)
  assert.ok(hold)
  const before = await accountLeg(world, did, hold.id)
  assert.equal(before.state, 'closed')
  await world.bridge.patch(did, { principals: [] }, alice, undefined)
  assert.deepEqual(await world.store.principalsOf(did), [])
  const leg = await accountLeg(world, did, hold.id)
  assert.deepEqual([leg.state, leg.reason, leg.closedAt], ['closed', 'unmapped', before.closedAt])
})

const pem = () => generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
const secret = (text: string) => ({ read: () => text })

test('the first key signs the canonical receipt; all are published, one that is none is left out', async () => {
  await using world = await World.open()
  const did = await world.agent('a', {}, ['north'])
  const { holdId } = await world.kill(did)
  assert.equal((await world.bridge.receipt(did, holdId, alice)).jws, undefined)
  assert.deepEqual(await world.bridge.signingKeys(), [])
  const [first, second] = [pem(), pem()]
  world.keys = [secret(first), secret('no key'), secret(second), secret(first)]
  const { receipt, jws = '' } = await world.bridge.receipt(did, holdId, alice)
  const published = await world.bridge.signingKeys()
  assert.deepEqual(published, [await publicJwk(first), await publicJwk(second)])
  const { kid = '', ...jwk } = published[0] ?? {}
  const opened = await openStrict(jws, receiptType, [{ kid, key: createPublicKey({ key: jwk, format: 'jwk' }) }])
  assert.deepEqual(opened, { payload: canonical(receipt), kid })
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
  for (const text of ['no key', rsa.export({ type: 'pkcs8', format: 'pem' }).toString()]) {
    world.keys = [secret(text), secret(second)]
    await assert.rejects(world.bridge.receipt(did, holdId, alice), { code: 'E_SIGNING_KEY' })
    assert.deepEqual(await world.bridge.signingKeys(), [await publicJwk(second)])
  }
})

test('a family of more than are examined: the ones to look at first are listed, and the status stays open', async () => {
  await using world = await World.open()
  const parent = await world.agent('a', {}, [])
  const { holdId } = await world.kill(parent)
  const family = 10_003
  await world.store.write(async (tx) => {
    const [hold] = await tx.openHolds(parent)
    assert.ok(hold)
    for (let n = 0; n < family; n++) {
      const did = `did:mesh:child-${String(n).padStart(5, '0')}`
      const origin = `cascade:${parent}` as const
      await tx.insertHold({ ...hold, id: `cascade-${n}`, did, origin, evidence: {} })
    }
  })
  world.runtimes = [{ name: 'agt-1', labels: undefined }]
  await world.store.write(async (tx) => {
    for (let n = 0; n < 9_990; n++) await tx.ackHold(`cascade-${n}`, 'agt-1', world.clock.now())
  })
  const receipt = await receiptOf(world, parent, holdId)
  assert.deepEqual(receipt.descendants, { total: family, examined: 10_000, listed: 1_000 })
  assert.deepEqual([receipt.counts.closed, receipt.counts.pending], [9_991, 10])
  assert.equal(receipt.status, 'open')
  const listed = receipt.legs.filter((leg) => leg.type === 'descendant')
  assert.equal(listed.length, 1_000)
  assert.deepEqual(
    listed.slice(0, 11).map(({ state }) => state),
    [...Array(10).fill('pending'), 'closed'],
  )
  assert.equal(listed[0]?.did, 'did:mesh:child-09990')
  const whole = await receiptOf(world, 'did:mesh:child-00001', 'cascade-1')
  assert.equal(whole.descendants.total, 0)
})

test('no receipt of another agent’s hold, of none, or past retention', async () => {
  await using world = await World.open()
  const did = await world.agent('a', {}, ['north'])
  const other = await world.agent('b', {}, ['north'])
  const { id } = await world.bridge.place(did, { severity: 'suspend', reason: 'case' }, alice)
  await assert.rejects(world.bridge.receipt(other, id, alice), { code: 'E_HOLD_UNKNOWN' })
  await assert.rejects(world.bridge.receipt(did, 'none', alice), { code: 'E_HOLD_UNKNOWN' })
  await world.bridge.release(did, id, 'cleared', alice)
  await world.clock.advance(400 * 24 * 60 * minute + second)
  await assert.rejects(world.bridge.receipt(did, id, alice), { code: 'E_NOT_FOUND' })
})
