import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BridgeError } from '../../src/core/errors.ts'
import { laneOf, type Push } from '../../src/core/outlet.ts'
import { lanesOf } from '../../src/engine/pushes.ts'
import { generationKey } from '../../src/engine/signals.ts'
import { until } from '../e2e/until.ts'
import { alice, minute, registrar, runtime, second, soc } from './harness.ts'
import { PushRig } from './pushrig.ts'
import { secretOf } from './receiver.ts'

const hour = 60 * minute
const day = 24 * hour

test('a fresh outlet gets all that is held first, then each signal in order; a restart repeats nothing', async () => {
  await using rig = await PushRig.open()
  const { world, receiver } = rig
  const a = await world.agent('a')
  await world.kill(a)
  await rig.now()
  assert.deepEqual(receiver.told, ['snapshot 1'])
  await world.agent('b')
  assert.partialDeepStrictEqual(receiver.taken[0], { type: 'snapshot', page: 0, last: true })
  const hold = await world.bridge.place('did:mesh:b', { severity: 'suspend', reason: 'r' }, soc)
  await rig.now()
  await world.bridge.release('did:mesh:b', hold.id, 'r', soc)
  await rig.now()
  assert.deepEqual(receiver.told.slice(1), ['suspended did:mesh:b', 'resumed did:mesh:b'])
  assert.equal(receiver.taken[1]?.id, `generation-${receiver.taken[1]?.seq}`)
  await rig.restart()
  await rig.now()
  assert.equal(receiver.tried.length, 3)
  assert.equal((await rig.view()).status, 'ok')
})

test('an answer closes the leg of its runtime on the receipt, of a signal and of a snapshot', async () => {
  await using rig = await PushRig.open()
  const { world } = rig
  const a = await world.agent('a')
  const b = await world.agent('b')
  const legs = async (did: string, holdId: string) => {
    const { receipt } = await world.bridge.receipt(did, holdId, alice)
    return receipt.legs.filter(({ type }) => type === 'runtime').map(({ state }) => state)
  }
  const first = await world.bridge.place(a, { severity: 'suspend', reason: 'r' }, soc)
  assert.deepEqual(await legs(a, first.id), ['pending'])
  await rig.now()
  assert.deepEqual(await legs(a, first.id), ['closed'])
  const second_ = await world.bridge.place(b, { severity: 'suspend', reason: 'r' }, soc)
  rig.receiver.reply = () => 503
  await rig.now()
  assert.deepEqual(await legs(b, second_.id), ['pending'])
  rig.receiver.reply = () => 200
  await rig.run(5 * second)
  assert.deepEqual(await legs(b, second_.id), ['closed'])
})

test('a snapshot is told in pages, and a new suspension overtakes those that are left', async () => {
  await using rig = await PushRig.open()
  const { world, receiver } = rig
  const reason = 'r'.repeat(900)
  for (let n = 0; n < 150; n++) await world.bridge.kill({ did: `did:mesh:${n}`, reason }, { ...runtime, name: `k${n}` })
  await rig.lanes.urgent.step(world.signal)
  await world.kill('did:mesh:later')
  await rig.now()
  const [first, next, ...more] = receiver.taken
  assert.partialDeepStrictEqual(first, { type: 'snapshot', page: 0, last: false })
  assert.partialDeepStrictEqual(next, { type: 'suspended', did: 'did:mesh:later' })
  assert.ok(more.length >= 1 && more.every(({ type }) => type === 'snapshot'))
  assert.equal(more.at(-1)?.last, true)
  const dids = receiver.taken.flatMap(({ held = [] }) => held.map(({ did }) => did))
  assert.equal(new Set(dids).size, dids.length)
  assert.equal(dids.filter((did) => did !== 'did:mesh:later').length, 150)
})

test('labels of its client bound what an outlet is told, and a change of them begins anew; types choose', async () => {
  await using rig = await PushRig.open({ config: { types: ['suspended'] } })
  const { world, receiver } = rig
  world.runtimes = [{ name: runtime.name, labels: { unit: 'y' } }]
  await rig.now()
  const x = await world.agent('x', { labels: { unit: 'x' } })
  const y = await world.agent('y', { labels: { unit: 'y' } })
  const hold = await world.bridge.place(y, { severity: 'suspend', reason: 'r' }, soc)
  await world.kill(x)
  await world.bridge.release(y, hold.id, 'r', soc)
  await rig.now()
  assert.deepEqual(receiver.told, ['snapshot 0', 'suspended did:mesh:y'])
  world.runtimes = [{ name: runtime.name, labels: { unit: 'x' } }]
  await rig.now()
  assert.deepEqual(receiver.told.slice(2), ['snapshot 1'])
  world.runtimes = []
  await world.kill(x)
  await rig.now()
  assert.equal(receiver.tried.length, 3, 'nobody is left as whom it reads')
  assert.equal((await rig.view()).status, 'unbounded')
})

test('one that is refused is set aside and tried again, those behind it go on; refused ten times it is a dead letter', async () => {
  await using rig = await PushRig.open()
  const { world, receiver } = rig
  await rig.now()
  receiver.reply = ({ did }) => (did === 'did:mesh:a' ? 400 : 204)
  const { holdId } = await world.kill('did:mesh:a')
  await world.kill('did:mesh:b')
  await rig.now()
  assert.deepEqual(receiver.told.slice(1), ['suspended did:mesh:b'])
  assert.partialDeepStrictEqual(await rig.view(), { waiting: 1, dead: 0, lastError: undefined })
  await rig.run(day)
  assert.equal(receiver.tried.filter(({ did }) => did === 'did:mesh:a').length, 10)
  assert.partialDeepStrictEqual(await rig.view(), { waiting: 0, dead: 1 })
  assert.deepEqual(
    world.alerts.map(({ code }) => code),
    ['push-dead'],
  )
  const { items } = await rig.pushes.deadLetters('payments', { after: undefined, limit: 10 })
  assert.partialDeepStrictEqual(items, [{ did: 'did:mesh:a', holdId, attempts: 10, error: 'HTTP 400' }])
  receiver.reply = () => 204
  assert.equal(await rig.pushes.redeliver('payments', [items[0]?.seq ?? 0], alice), 1)
  await rig.now()
  assert.equal(receiver.told.at(-1), 'suspended did:mesh:a')
  assert.partialDeepStrictEqual(await rig.view(), { waiting: 0, dead: 0 })
  const entries = await world.store.audit({ limit: 1000 })
  assert.partialDeepStrictEqual(
    entries.filter(({ type }) => type === 'outlet.redelivered'),
    [{ actor: 'alice', details: { outlet: 'payments', count: 1 } }],
  )
})

test('a dead letter that is not so any more is dropped, not told', async () => {
  await using rig = await PushRig.open()
  const { world, receiver } = rig
  await rig.now()
  await world.agent('a')
  receiver.reply = ({ type }) => (type === 'suspended' ? 422 : 204)
  const hold = await world.bridge.place('did:mesh:a', { severity: 'suspend', reason: 'r' }, soc)
  await rig.run(day)
  await world.bridge.release('did:mesh:a', hold.id, 'r', soc)
  receiver.reply = () => 204
  await rig.now()
  const before = receiver.tried.length
  assert.equal(await rig.pushes.redeliver('payments', undefined, alice), 1)
  await rig.now()
  assert.equal(receiver.tried.length, before)
  assert.partialDeepStrictEqual(await rig.view(), { waiting: 0, dead: 0 })
  await assert.rejects(
    () => rig.pushes.redeliver('unknown', undefined, alice),
    (error) => error instanceof BridgeError && error.code === 'E_NOT_FOUND',
  )
})

test('one that makes its receiver fail is set aside after three failures and keeps no other waiting', async () => {
  await using rig = await PushRig.open()
  const { world, receiver } = rig
  await rig.now()
  receiver.reply = ({ did }) => (did === 'did:mesh:a' ? 500 : 204)
  await world.kill('did:mesh:a')
  await world.kill('did:mesh:b')
  await rig.run(10 * second)
  assert.deepEqual(receiver.told.slice(1), ['suspended did:mesh:b'])
  await rig.run(hour)
  await world.kill('did:mesh:c')
  await rig.now()
  assert.equal(receiver.told.at(-1), 'suspended did:mesh:c', 'at once, however often the first one fails')
})

test('while nothing is taken the order stays, and Retry-After is waited for', async () => {
  await using rig = await PushRig.open()
  const { world, receiver } = rig
  await rig.now()
  receiver.reply = () => ({ status: 429, retryAfter: '120' })
  for (const id of ['a', 'b', 'c']) await world.kill(`did:mesh:${id}`)
  await rig.now()
  await rig.run(119 * second)
  assert.equal(receiver.tried.length, 2)
  assert.equal((await rig.view()).status, 'failing')
  receiver.reply = () => 204
  await rig.run(10 * second)
  assert.deepEqual(receiver.told.slice(1), ['suspended did:mesh:a', 'suspended did:mesh:b', 'suspended did:mesh:c'])
  receiver.reply = () => 'cut'
  await world.kill('did:mesh:d')
  await rig.run(10 * minute)
  assert.deepEqual(
    world.alerts.map(({ code }) => code),
    ['push-failing'],
  )
  assert.equal((await rig.view()).lastError, 'E_OUTBOUND_NETWORK')
})

test('a suspension overtakes what the other lane has on the wire, and the end of an earlier hold never follows it', async () => {
  await using rig = await PushRig.open()
  const { world, receiver } = rig
  await rig.now()
  await world.agent('a')
  const hold = await world.bridge.place('did:mesh:a', { severity: 'suspend', reason: 'r' }, soc)
  await rig.now()
  receiver.reply = ({ type }) => (type === 'resumed' ? 'hang' : 204)
  await world.bridge.release('did:mesh:a', hold.id, 'r', soc)
  await rig.lanes.urgent.step(world.signal)
  const resuming = rig.lanes.rest.step(world.signal)
  await until('the end of the hold is on the wire', () => receiver.tried.at(-1)?.type === 'resumed')
  await world.kill('did:mesh:a')
  await world.kill('did:mesh:b')
  await rig.lanes.urgent.step(world.signal)
  await resuming
  receiver.reply = () => 204
  await rig.now()
  assert.deepEqual(receiver.told.slice(1), ['suspended did:mesh:a', 'suspended did:mesh:a', 'suspended did:mesh:b'])
})

test('410 ends it with an alert until an operator enables it; it then gets a snapshot', async () => {
  await using rig = await PushRig.open()
  const { world, receiver } = rig
  await rig.now()
  receiver.reply = () => 410
  await world.kill('did:mesh:a')
  await rig.now()
  await world.kill('did:mesh:b')
  receiver.reply = () => 204
  await rig.run(day)
  assert.equal(receiver.tried.length, 2)
  assert.equal((await rig.view()).status, 'disabled')
  assert.equal(world.alerts[0]?.code, 'push-gone')
  await rig.restart()
  await rig.now()
  assert.equal(receiver.tried.length, 2, 'a restart does not enable it')
  assert.equal((await rig.pushes.enableOutlet('payments', alice)).status, 'snapshot')
  await rig.now()
  assert.deepEqual(receiver.told.slice(1), ['snapshot 2'])
  const types = (await world.store.audit({ limit: 1000 })).map(({ type }) => type)
  assert.deepEqual(
    types.filter((type) => type.startsWith('outlet.')),
    ['outlet.disabled', 'outlet.enabled'],
  )
  // Configured elsewhere it is another receiver, which knows nothing.
  rig.reopen({ url: receiver.url.replace('signals', 'elsewhere') })
  await rig.now()
  assert.deepEqual(receiver.told.slice(2), ['snapshot 2'])
})

test('what is older than it takes to give up is a dead letter, and all that is held is told once anything is taken', async () => {
  await using rig = await PushRig.open({ config: { giveUpAfter: '1h' } })
  const { world, receiver } = rig
  await rig.now()
  receiver.reply = () => 503
  for (let n = 0; n < 30; n++) await world.kill(`did:mesh:${n}`)
  await rig.run(hour - minute)
  assert.equal((await rig.view()).dead, 0)
  await rig.run(10 * minute)
  assert.partialDeepStrictEqual(await rig.view(), { dead: 30, waiting: 0, status: 'failing' })
  await world.kill('did:mesh:new')
  receiver.reply = () => 204
  await rig.run(2 * minute)
  assert.deepEqual(receiver.told.slice(1), ['suspended did:mesh:new', 'snapshot 31'])
  assert.equal((await rig.view()).status, 'ok')
})

test('retention that overtakes an outlet gives it a snapshot', async () => {
  await using rig = await PushRig.open()
  const { world, receiver } = rig
  await rig.now()
  receiver.reply = () => 503
  await world.kill('did:mesh:a')
  await rig.now()
  await world.store.write((tx) =>
    tx.prune({ signals: world.clock.now() + 1, inbox: 0, idempotency: 0, guard: 0, receipts: 0 }),
  )
  await world.clock.advance(minute)
  receiver.reply = () => 204
  await world.kill('did:mesh:b')
  await rig.run(2 * minute)
  assert.deepEqual(receiver.told.slice(1), ['snapshot 2'])
  assert.equal(world.alerts.at(-1)?.code, 'push-overtaken')
})

test('every secret signs: a receiver that knows one of them verifies; one that knows none answers 401', async () => {
  await using rig = await PushRig.open()
  rig.reopen({ secret: [secretOf('new'), secretOf('one')] })
  await rig.now()
  rig.receiver.secrets = [secretOf('new')]
  await rig.world.kill('did:mesh:a')
  await rig.now()
  assert.deepEqual(rig.receiver.told, ['snapshot 0', 'suspended did:mesh:a'])
  rig.receiver.secrets = [secretOf('other')]
  await rig.world.kill('did:mesh:b')
  await rig.now()
  assert.equal(rig.receiver.unsigned.length, 1)
  assert.equal((await rig.view()).lastError, 'HTTP 401')
})

test('killed between the answer and its record, it is told once more and no more; killed after it, never again', async () => {
  for (const [point, times] of [
    ['push.answered', 2],
    ['push.kept', 1],
  ] as const) {
    await using rig = await PushRig.open()
    const { world, receiver } = rig
    await rig.now()
    await world.kill('did:mesh:a')
    await world.kill('did:mesh:b')
    world.dieAt = point
    await rig.now()
    assert.ok(world.dead)
    await rig.restart()
    await rig.now()
    const told = receiver.taken.filter(({ did }) => did === 'did:mesh:a')
    assert.equal(told.length, times, point)
    assert.equal(new Set(told.map(({ id }) => id)).size, 1)
    assert.equal(receiver.taken.filter(({ did }) => did === 'did:mesh:b').length, 1)
  }
})

test('a hold that is placed between the look at its agent and the sending is not followed by the end of an earlier one', async () => {
  await using rig = await PushRig.open()
  const { world, receiver } = rig
  await rig.now()
  const a = await world.agent('a')
  const hold = await world.bridge.place(a, { severity: 'suspend', reason: 'r' }, soc)
  await rig.now()
  await world.bridge.release(a, hold.id, 'r', soc)
  let held = false
  const { store } = world
  const openHolds: typeof store.openHolds = async (did) => {
    const found = await store.openHolds(did)
    if (held) return found
    held = true
    await world.kill(a)
    await lanes.urgent.step(world.signal)
    return found
  }
  const lanes = lanesOf({ ...world.deps, store: { ...store, openHolds } }, rig.outlet)
  await lanes.urgent.step(world.signal)
  await lanes.rest.step(world.signal)
  assert.equal(held, true)
  assert.deepEqual(receiver.told.slice(1), ['suspended did:mesh:a', 'suspended did:mesh:a'])
})

/** A dead letter of this type and an agent of the unit y, and a receiver that takes everything again. */
const dead = async (rig: PushRig, type: Push['type']): Promise<string> => {
  const { world, receiver } = rig
  await rig.now()
  const a = await world.agent('a', { labels: { unit: 'y' } })
  await rig.now()
  receiver.reply = (event) => (event.type === type ? 400 : 204)
  if (type === 'suspended') await world.kill(a)
  else await world.bridge.patch(a, { capabilities: ['read:x', 'write:x'] }, registrar, undefined)
  await rig.now()
  const [item] = await world.store.setAsideDue('payments', laneOf(type), Number.MAX_SAFE_INTEGER, 1)
  assert.ok(item)
  await world.store.write((tx) => tx.saveSetAside({ ...item, nextAt: undefined, deadAt: world.clock.now() }))
  receiver.reply = () => 204
  assert.partialDeepStrictEqual(await rig.view(), { waiting: 0, dead: 1 })
  return a
}

/** What is told of it when an operator has it tried again. */
const redelivered = async (rig: PushRig): Promise<string[]> => {
  await rig.now()
  const before = rig.receiver.told.length
  assert.equal(await rig.pushes.redeliver('payments', undefined, alice), 1)
  await rig.now()
  assert.partialDeepStrictEqual(await rig.view(), { waiting: 0, dead: 0 })
  return rig.receiver.told.slice(before)
}

test('a dead letter of an agent that its receiver may not be told of any more is dropped', async () => {
  await using rig = await PushRig.open()
  rig.world.runtimes = [{ name: runtime.name, labels: { unit: 'y' } }]
  await dead(rig, 'suspended')
  rig.world.runtimes = [{ name: runtime.name, labels: { unit: 'x' } }]
  assert.deepEqual(await redelivered(rig), [])
})

test('a dead letter of before a restore is dropped: its number may be that of another signal', async () => {
  await using rig = await PushRig.open()
  await dead(rig, 'suspended')
  await rig.world.store.write((tx) => tx.putMeta(generationKey, 'restored'))
  assert.deepEqual(await redelivered(rig), [])
})

test('capabilities that were told anew since are not told, though retention took the later signal; those that stand are', async () => {
  for (const isChanged of [true, false]) {
    await using rig = await PushRig.open()
    const { world } = rig
    const a = await dead(rig, 'capabilities')
    if (isChanged) await world.bridge.patch(a, { capabilities: ['read:x'] }, registrar, undefined)
    else await world.kill('did:mesh:b')
    await rig.now()
    await world.clock.advance(minute)
    const signals = world.clock.now()
    await world.store.write((tx) => tx.prune({ signals, inbox: 0, idempotency: 0, guard: 0, receipts: 0 }))
    assert.deepEqual(await redelivered(rig), isChanged ? [] : ['capabilities did:mesh:a'])
  }
})
