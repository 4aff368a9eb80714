import assert from 'node:assert/strict'
import { test } from 'node:test'
import { carol, dave, minute, policyOf, soc, World, type WorldOptions } from './harness.ts'

const tight = (resume: 'approval' | 'automatic' = 'approval'): WorldOptions => ({
  policy: {
    resume,
    guard: { ...policyOf().guard, suspend: { max: 3, percent: 100 }, resume: { max: 3, percent: 100 } },
  },
})

const fleet = async (world: World, count: number): Promise<string[]> => {
  const dids: string[] = []
  for (let n = 0; n < count; n++) dids.push(await world.agent(`a${n}`))
  await world.poll()
  await world.clock.advance(1)
  return dids
}

const approve = async (world: World, direction: 'suspend' | 'resume') => {
  const plan = (await world.bridge.guard('north'))[direction].plan
  assert.ok(plan)
  assert.equal((await world.bridge.approveGuard('north', plan.hash, carol)).done, false)
  await assert.rejects(world.bridge.approveGuard('north', plan.hash, carol), { code: 'E_SAME_PERSON' })
  return world.bridge.approveGuard('north', plan.hash, dave)
}

test('an agent approves no plan that resumes one of its own family', async () => {
  await using world = await World.open(tight('automatic'))
  const dids = await fleet(world, 6)
  const [first = ''] = dids
  for (let n = 0; n < 6; n++) world.north.set(`a${n}`, false)
  await world.settleAll(minute)
  await approve(world, 'suspend')
  await world.settleAll(30 * minute)
  for (let n = 0; n < 6; n++) world.north.set(`a${n}`, true)
  await world.settleAll(30 * minute)
  const plan = (await world.bridge.guard('north')).resume.plan
  assert.ok(plan !== undefined && plan.rows.length > 0)
  const kin = { ...carol, dids: [plan.rows.at(-1)?.did ?? first] }
  await assert.rejects(world.bridge.approveGuard('north', plan.hash, kin), { code: 'E_FORBIDDEN' })
  assert.equal((await world.bridge.approveGuard('north', plan.hash, carol)).done, false)
  await assert.rejects(world.bridge.approveGuard('north', plan.hash, { ...dave, dids: kin.dids }), {
    code: 'E_FORBIDDEN',
  })
  assert.equal((await world.bridge.approveGuard('north', plan.hash, dave)).done, true)
})

test('too many suspensions seen at once: all deny, but what goes out waits for two people', async () => {
  await using world = await World.open(tight())
  const dids = await fleet(world, 6)
  for (let n = 0; n < 6; n++) world.north.set(`a${n}`, false)
  await world.settleAll(minute)
  for (const did of dids) assert.deepEqual(await world.codes(did), ['R_SUSPENDED'])
  const off = () => [0, 1, 2, 3, 4, 5].map((n) => world.south.enabled(`a${n}`))
  assert.deepEqual(off(), [false, false, false, true, true, true])
  assert.equal((await world.store.signalsAfter(0, 99)).length, 3)
  assert.deepEqual(
    world.alerts.map(({ code }) => code),
    ['guard-tripped'],
  )
  const view = await world.bridge.guard('north')
  assert.deepEqual([view.suspend.tripped, view.suspend.plan?.rows.length, view.resume.tripped], [true, 3, false])
  await assert.rejects(world.bridge.approveGuard('north', 'no such plan', carol), { code: 'E_GUARD_PLAN' })

  // Kills always pass.
  await world.kill(dids[4] ?? '', soc)
  await world.run(minute)
  assert.deepEqual(off(), [false, false, false, true, false, true])

  // A row that is no longer true is dropped.
  world.north.set('a5', true)
  assert.deepEqual(await approve(world, 'suspend'), { done: true, applied: 2, dropped: 1 })
  await world.run(minute)
  assert.deepEqual(off(), [false, false, false, false, false, true])
  assert.equal((await world.bridge.verifyAudit()).ok, true)
})

test('one seen after the plan was frozen waits for the next', async () => {
  await using world = await World.open(tight())
  const dids = await fleet(world, 6)
  for (let n = 0; n < 5; n++) world.north.set(`a${n}`, false)
  await world.settleAll(minute)
  const plan = (await world.bridge.guard('north')).suspend.plan
  assert.equal(plan?.rows.length, 2)
  await world.bridge.approveGuard('north', plan?.hash ?? '', carol)
  world.north.set('a5', false)
  await world.settleAll(minute)
  assert.deepEqual(await world.codes(dids[5] ?? ''), ['R_SUSPENDED'])
  assert.deepEqual(await world.bridge.approveGuard('north', plan?.hash ?? '', dave), {
    done: true,
    applied: 2,
    dropped: 0,
  })
  await world.run(minute)
  assert.deepEqual([world.south.enabled('a4'), world.south.enabled('a5')], [false, true])
  assert.equal((await approve(world, 'suspend')).applied, 1)
  await world.run(minute)
  assert.equal(world.south.enabled('a5'), false)
  assert.equal((await world.bridge.guard('north')).suspend.tripped, false)
})

test('descendants count; a first sighting does not', async () => {
  await using world = await World.open(tight())
  const parent = await world.agent('p')
  for (let n = 0; n < 3; n++) await world.agent(`child${n}`, { parentDid: parent })
  await world.poll()
  world.north.set('p', false)
  await world.settleAll(minute)
  assert.equal((await world.bridge.guard('north')).suspend.tripped, true)
  assert.deepEqual(await world.codes('did:mesh:child0'), ['R_SUSPENDED'])
  assert.equal(world.south.enabled('child0'), true)
  for (let n = 0; n < 5; n++) {
    world.north.add({ id: `off${n}`, enabled: false })
    await world.agent(`off${n}`)
  }
  await world.run(minute)
  assert.equal(world.south.enabled('off4'), false)
})

test('too many resumes at once wait for two people', async () => {
  await using world = await World.open(tight('automatic'))
  const dids = await fleet(world, 6)
  for (let n = 0; n < 6; n++) {
    world.north.set(`a${n}`, false)
    await world.settleAll(11 * minute)
  }
  for (let n = 0; n < 6; n++) world.north.set(`a${n}`, true)
  await world.settleAll(5 * minute)
  const held = async () =>
    (await Promise.all(dids.map((did) => world.open(did)))).filter((open) => open.length > 0).length
  assert.equal(await held(), 3)
  const view = await world.bridge.guard('north')
  assert.deepEqual([view.resume.tripped, view.resume.plan?.rows.length], [true, 3])
  world.north.set('a5', false)
  const { applied, dropped } = await approve(world, 'resume')
  assert.deepEqual([applied, dropped, await held()], [2, 1, 1])
  await world.settleAll(5 * minute)
  assert.deepEqual([world.south.enabled('a4'), world.south.enabled('a5')], [true, false])
})
