import assert from 'node:assert/strict'
import { test } from 'node:test'
import { alice, bob, carol, dave, minute, soc, World, type WorldOptions } from './harness.ts'

const hour = 60 * minute
const day = 24 * hour

/** The memory directory's log reaches back 7 days, as Entra's does. */
const suspended = async (options: WorldOptions = {}) => {
  const world = await World.open(options)
  const did = await world.agent('a', {}, ['north'])
  await world.clock.advance(minute)
  const hold = await world.bridge.place(did, { severity: 'suspend', reason: 'r' }, soc)
  await world.run(hour)
  const release = () => world.bridge.release(did, hold.id, 'r', soc)
  return { did, release, world }
}

/** Days go by with the daemon running. */
const pass = async (world: World, days: number): Promise<void> => {
  for (let n = 0; n < days * 4; n++) await world.settleAll(6 * hour)
}

test('a hold of 30 days is lifted although the log reaches back only 7: the claim was proven in time', async () => {
  const { did, release, world } = await suspended()
  await using _ = world
  await pass(world, 30)
  const { length } = world.north.logReads
  assert.ok(length >= 7 && length <= 12, `the log was read ${length} times`)
  // Never again from the begin, but from where it was last looked through.
  assert.ok(world.north.logReads.every(({ from, to }) => to - from < 5 * day))
  await release()
  await world.settleAll()
  assert.deepEqual([world.north.enabled('a'), await world.origins(did)], [true, []])
  assert.deepEqual(world.writes('north'), ['disable', 'enable'])
})

test('somebody else switches it off again during the hold: found while the log still has it', async () => {
  const { did, release, world } = await suspended()
  await using _ = world
  world.north.set('a', true, 'mallory')
  world.north.set('a', false, 'mallory')
  await pass(world, 30)
  const own = (await world.open(did)).find(({ origin }) => origin === 'adapter:north/a')
  assert.deepEqual([own?.evidence['cause'], own?.evidence['by']], ['disabled', 'mallory'])
  await release()
  await world.settleAll()
  assert.deepEqual([world.north.enabled('a'), await world.origins(did)], [false, ['adapter:north/a']])
})

test('a claim without proof becomes ours by the log while the hold lasts', async () => {
  const world = await World.open()
  await using _ = world
  const did = await world.agent('a', {}, ['north'])
  world.north.writes.add({ mode: 'lost', times: 1 })
  await world.bridge.place(did, { severity: 'suspend', reason: 'r' }, soc)
  await pass(world, 2)
  assert.equal((await world.account('north', 'a')).mark, 'claimed')
  await pass(world, 3)
  assert.equal((await world.account('north', 'a')).mark, 'ours')
})

test('the daemon was down for longer than the log reaches back: unproven at once, with the reason, and no reading', async () => {
  const { did, release, world } = await suspended()
  await using _ = world
  const read = world.north.logReads.length
  await world.clock.advance(8 * day)
  await world.restart()
  await release()
  await world.work()
  const [own] = await world.open(did)
  assert.deepEqual([own?.evidence['cause'], own?.evidence['why']], ['unproven', 'before-log'])
  assert.ok(Number(own?.evidence['logFrom']) > Number(own?.evidence['sentAt']))
  assert.equal(world.north.logReads.length, read)
  await world.settleAll()
  assert.deepEqual([world.north.enabled('a'), world.writes('north')], [false, ['disable']])
})

test('a gap in what was looked through is never proven, however long our disable was ours', async () => {
  const { did, release, world } = await suspended()
  await using _ = world
  await pass(world, 5)
  assert.notEqual((await world.account('north', 'a')).examinedUntil, undefined)
  await world.clock.advance(6 * day)
  await world.restart()
  world.north.set('a', true, 'mallory')
  world.north.set('a', false, 'mallory')
  await world.clock.advance(4 * day)
  await world.restart()
  await release()
  await world.settleAll()
  assert.deepEqual([world.north.enabled('a'), await world.origins(did)], [false, ['adapter:north/a']])
})

test('while the log cannot be read nothing is concluded; it is read when it can be', async () => {
  const { release, world } = await suspended()
  await using _ = world
  world.north.logFaults.add({ mode: 'down' })
  await pass(world, 4)
  assert.equal((await world.account('north', 'a')).examinedUntil, undefined)
  world.north.logFaults.clear()
  await pass(world, 8)
  await release()
  await world.settleAll()
  assert.equal(world.north.enabled('a'), true)
})

test('a pause of all writes keeps no claim from being proven', async () => {
  const { release, world } = await suspended()
  await using _ = world
  await world.bridge.pause(true, 'maintenance', alice)
  await pass(world, 10)
  await world.bridge.pause(false, 'done', alice)
  await release()
  await world.settleAll()
  assert.equal(world.north.enabled('a'), true)
})

test('the log is behind: the account waits and says so', async () => {
  const { did, release, world } = await suspended()
  await using _ = world
  world.north.logLagMs = 2 * hour
  await release()
  await world.run(minute)
  const agent = await world.bridge.agent(did, alice)
  assert.equal(agent.principals[0]?.account.lastError, 'E_LOG_LATE')
  const [status] = (await world.bridge.status()).adapters
  assert.ok(status?.log !== undefined && (status.log.completeUntil ?? 0) <= world.clock.now() - 2 * hour)
  world.north.logLagMs = 0
  await world.settleAll()
  assert.equal(world.north.enabled('a'), true)
  assert.equal((await world.bridge.agent(did, alice)).principals[0]?.account.lastError, undefined)
})

for (const way of ['override', 'enable'] as const) {
  test(`an unproven hold is settled by people (${way}), and nothing is left open`, async () => {
    const { did, release, world } = await suspended({ adapters: { north: { logless: true } } })
    await using _ = world
    await world.restart()
    await world.store.write(async (tx) => {
      const row = await tx.principal({ adapter: 'north', id: 'a' })
      if (row !== undefined) await tx.saveAccount(row, { ...row.account, mark: 'claimed' }, row.schedule)
    })
    await release()
    await world.settleAll()
    const [own] = await world.open(did)
    assert.deepEqual([own?.evidence['cause'], own?.evidence['why']], ['unproven', 'no-log'])
    assert.match(own?.reason ?? '', /nothing proves/)
    const mend = String(own?.evidence['mend'])
    assert.match(mend, new RegExp(`POST /v1/agents/did%3Amesh%3Aa/holds/${own?.id}/release`))
    if (way === 'override') {
      await world.releaseByTwo(did, own?.id ?? '', alice, bob)
      await world.settleAll()
      // The bridge may not enable what it cannot prove to be its own: a person does.
      assert.deepEqual([world.north.enabled('a'), await world.origins(did)], [false, []])
      world.north.set('a', true)
    } else {
      world.north.set('a', true)
      await world.settleAll()
      await world.releaseByTwo(did, own?.id ?? '', carol, dave)
    }
    await world.settleAll()
    const account = await world.account('north', 'a')
    assert.deepEqual([world.north.enabled('a'), await world.origins(did)], [true, []])
    assert.deepEqual([account.mark, account.overriddenAt], ['none', undefined])
    // And from then on as any account.
    world.north.set('a', false)
    await world.settleAll()
    assert.deepEqual(await world.origins(did), ['adapter:north/a'])
  })
}
