import assert from 'node:assert/strict'
import { test } from 'node:test'
import { linkFinding } from '../../src/engine/following.ts'
import { alice, bob, carol, dave, minute, policyOf, second, soc } from './harness.ts'
import { type Follower, followers, Linked, service, withinMs } from './linking.ts'

const did = 'did:mesh:a'
const kinds: readonly Follower[] = ['okta', 'identity-center']

const suspend = async ({ world }: Linked) => {
  const hold = await world.bridge.place(did, { severity: 'suspend', reason: 'r' }, soc)
  return () => world.bridge.release(did, hold.id, 'r', soc)
}

const suspendOnce = async ({ world }: Linked, name: 'north' | 'south') => {
  await world.runner(name).mirror.suspendOnce(world.signal)
  await world.runner(name).mirror.drained()
}

for (const follower of kinds) {
  test(`${follower}: killed, provisioned before we write: an echo, nothing to write, on again with the account it follows`, async () => {
    await using linked = await Linked.open({ follower })
    const { world } = linked
    const release = await suspend(linked)
    await suspendOnce(linked, 'north')
    linked.provision()
    await world.settleAll()
    assert.deepEqual([linked.on(), world.writes('south'), await linked.ownHolds()], [[false, false], [], []])
    assert.equal((await world.account('south', 'a')).mark, 'none')
    await release()
    await world.settleAll(5 * minute)
    assert.deepEqual([linked.on(), await linked.origins()], [[true, false], []])
    await linked.rest()
    await linked.assertFree()
    assert.deepEqual([world.writes('south'), await linked.ownHolds(), world.alerts], [[], [], []])
  })

  test(`${follower}: killed, provisioned after we wrote: ours, and switched on by us`, async () => {
    await using linked = await Linked.open({ follower })
    const { world } = linked
    const release = await suspend(linked)
    await world.run(minute)
    linked.provision()
    await world.settleAll()
    await release()
    await world.settleAll(5 * minute)
    assert.deepEqual(linked.on(), [true, true])
    await linked.rest()
    await linked.assertFree()
    assert.deepEqual([world.writes('south'), await linked.ownHolds()], [['disable', 'enable'], []])
  })

  test(`${follower}: provisioned between our read and our write: no deadlock, no hold`, async () => {
    await using linked = await Linked.open({ follower })
    const { world } = linked
    const release = await suspend(linked)
    world.south.between = () => linked.provision()
    await world.run(minute)
    world.south.between = undefined
    await world.settleAll()
    await release()
    await linked.rest()
    await linked.assertFree()
    assert.deepEqual(await linked.ownHolds(), [])
  })

  test(`${follower}: a cycle that read before the release writes after it: waits for the next cycle`, async () => {
    await using linked = await Linked.open({ follower })
    const { world } = linked
    const release = await suspend(linked)
    await world.settleAll()
    const stale = linked.scim.read()
    assert.equal(stale.length, 1)
    await release()
    await world.settleAll(5 * minute)
    assert.deepEqual(linked.on(), [true, true])
    linked.scim.write(stale)
    await world.settleAll(10 * minute)
    assert.deepEqual([linked.on(), await linked.origins()], [[true, false], []])
    await linked.rest()
    await linked.assertFree()
    assert.deepEqual(await linked.ownHolds(), [])
  })

  for (const first of ['north', 'south'] as const) {
    test(`${follower}: an administrator flips the account it follows and back, seen in ${first} first`, async () => {
      await using linked = await Linked.open({ follower })
      const { world } = linked
      world.north.set('a', false)
      linked.provision()
      await world.runner(first).sync.changes(world.signal)
      assert.deepEqual(await world.codes(did), ['R_SUSPENDED'])
      await world.work()
      await world.settleAll()
      assert.deepEqual(await linked.origins(), ['adapter:north/a'])
      assert.deepEqual(await world.codes(did), ['R_SUSPENDED'])
      world.north.set('a', true)
      await world.settleAll(10 * minute)
      assert.deepEqual([linked.on(), await linked.origins()], [[true, false], []])
      await linked.rest()
      await linked.assertFree()
      assert.deepEqual([world.writes('north'), world.writes('south'), world.alerts], [[], [], []])
    })
  }

  test(`${follower}: an administrator flips the account it follows, and we write before provisioning does`, async () => {
    await using linked = await Linked.open({ follower })
    const { world } = linked
    world.north.set('a', false)
    await world.settleAll()
    linked.provision()
    await world.settleAll()
    assert.deepEqual([linked.on(), await linked.origins()], [[false, false], ['adapter:north/a']])
    world.north.set('a', true)
    await linked.rest()
    await linked.assertFree()
    assert.deepEqual(world.writes('south'), ['disable', 'enable'])
  })

  test(`${follower}: an administrator flips the follower and back`, async () => {
    await using linked = await Linked.open({ follower })
    const { world } = linked
    world.south.set('a', false)
    await world.settleAll()
    linked.provision()
    await world.settleAll()
    assert.deepEqual([linked.on(), await linked.origins()], [[false, false], ['adapter:south/a']])
    world.south.set('a', true)
    await world.settleAll(5 * minute)
    await linked.rest()
    await linked.assertFree()
    assert.deepEqual(world.writes('north'), ['disable', 'enable'])
  })

  test(`${follower}: provisioning stopped: the agent is held when the time is over, an alert says so, an override frees it`, async () => {
    await using linked = await Linked.open({ follower })
    const { world } = linked
    world.north.set('a', false)
    linked.provision()
    await world.settleAll()
    linked.scim.paused = true
    world.north.set('a', true)
    await world.settleAll(withinMs - 5 * minute)
    assert.deepEqual([linked.on(), await linked.origins()], [[true, false], []])
    await world.settleAll(30 * minute)
    assert.deepEqual(await linked.origins(), ['adapter:south/a'])
    assert.deepEqual(
      world.alerts.map(({ code }) => code),
      ['copy-overdue'],
    )
    const [held] = await world.open(did)
    await world.releaseByTwo(did, held?.id ?? '', alice, bob)
    await world.settleAll()
    assert.deepEqual([linked.on(), await linked.origins()], [[true, false], []])
    linked.scim.paused = false
    linked.provision()
    await linked.rest()
    assert.deepEqual([await linked.origins(), world.north.enabled('a')], [[], true])
  })

  test(`${follower}: a person switches the follower off while it looks like a copy: not lost`, async () => {
    await using linked = await Linked.open({ follower })
    const { world } = linked
    world.north.set('a', false)
    world.south.set('a', false, 'mallory')
    await world.settleAll()
    world.north.set('a', true)
    await world.settleAll(5 * minute)
    if (!followers[follower]) assert.deepEqual(await linked.origins(), ['adapter:south/a'])
    await linked.rest()
    const [own] = await world.open(did)
    assert.deepEqual([await linked.origins(), linked.on()], [['adapter:south/a'], [false, false]])
    if (!followers[follower]) assert.equal(own?.evidence['by'], 'mallory')
    world.south.set('a', true)
    await linked.rest()
    await linked.assertFree()
  })

  for (const point of ['disable.recorded', 'disable.answered', 'enable.recorded', 'enable.answered'] as const) {
    test(`${follower}: the process dies at ${point} while provisioning runs`, async () => {
      await using linked = await Linked.open({ follower })
      const { world } = linked
      const release = await suspend(linked)
      if (point.startsWith('enable')) {
        await world.settleAll()
        linked.provision()
        await release()
      }
      world.dieAt = point
      await world.work()
      assert.equal(world.dead, true)
      linked.provision()
      await world.restart()
      linked.provision()
      await world.settleAll()
      if (point.startsWith('disable')) await release()
      await linked.rest()
      await linked.assertFree()
      assert.deepEqual(await linked.ownHolds(), [])
    })
  }

  test(`${follower}: a chain of three is killed and freed, whoever writes first, and held for one flip of its head`, async () => {
    for (const order of [
      ['north', 'south', 'east'],
      ['east', 'south', 'north'],
    ] as const) {
      await using linked = await Linked.open({ follower, chain: true })
      const { world } = linked
      const release = await suspend(linked)
      for (const name of order) {
        await world.runner(name).mirror.suspendOnce(world.signal)
        await world.runner(name).mirror.drained()
        linked.provision()
      }
      await world.settleAll()
      assert.deepEqual([linked.on(), await linked.origins()], [[false, false, false], ['operator:soc']])
      await release()
      await linked.rest()
      await linked.assertFree()
      world.north.set('a', false)
      linked.provision()
      for (const name of order) await world.runner(name).sync.changes(world.signal)
      await world.settleAll()
      assert.deepEqual(await linked.origins(), ['adapter:north/a'])
      world.north.set('a', true)
      await linked.rest()
      await linked.assertFree()
    }
  })

  test(`${follower}: approvers do not wait for provisioning that switched the follower off again`, async () => {
    await using linked = await Linked.open({ follower, resume: 'approval' })
    const { world } = linked
    world.south.set('a', false)
    await world.settleAll()
    world.south.set('a', true)
    await world.settleAll()
    const [held] = await world.open(did)
    assert.notEqual(held?.releasableAt, undefined)
    linked.provision()
    await world.settleAll()
    assert.deepEqual(linked.on(), [false, false])
    await world.releaseByTwo(did, held?.id ?? '', carol, dave)
    await linked.rest()
    await linked.assertFree()
  })
}

test("the guard's plan of resumes takes a copy for what it is: the follower's hold ends, and all come on again", async () => {
  const agents = ['a', 'b', 'c']
  await using linked = await Linked.open({ resume: 'automatic', agents })
  const { world } = linked
  world.policy = policyOf({
    resume: 'automatic',
    guard: { ...world.policy.guard, resume: { max: 1, percent: 100 }, minAgents: 1_000 },
  })
  for (const id of agents) world.south.set(id, false)
  await world.settleAll(5 * minute)
  for (const id of agents) world.south.set(id, true)
  await world.settleAll(10 * minute)
  // Provisioning copies the accounts that the holds keep off.
  linked.provision()
  await world.settleAll(10 * minute)
  const { plan } = (await world.bridge.guard('south')).resume
  assert.equal(plan?.rows.length, 2)
  for (const { did } of plan?.rows ?? []) assert.equal(world.south.enabled(did.slice('did:mesh:'.length)), false)
  await world.bridge.approveGuard('south', plan?.hash ?? '', carol)
  const { applied, dropped } = await world.bridge.approveGuard('south', plan?.hash ?? '', dave)
  assert.deepEqual([applied, dropped], [2, 0])
  await linked.rest()
  for (const id of agents) await linked.assertFree(id)
})

test('a follower with a log and without trusted writers is warned of; its log says nothing of copies', async () => {
  await using linked = await Linked.open()
  const { world } = linked
  assert.equal(linkFinding(world.runner('north').mount), undefined)
  assert.equal(linkFinding(world.runner('south').mount), undefined)
  world.settings.south = { ...world.settings.south, trustedWriters: [] }
  assert.match(linkFinding(world.runner('south').mount)?.mend ?? '', /adapters\.south\.trustedWriters/)
  const release = await suspend(linked)
  await suspendOnce(linked, 'north')
  linked.provision()
  await world.settleAll()
  await release()
  await linked.rest()
  await linked.assertFree()
  assert.deepEqual(await linked.ownHolds(), [])
})

test('a switch of somebody else is never a copy', async () => {
  await using linked = await Linked.open()
  const { world } = linked
  await suspend(linked)
  await world.settleAll()
  world.south.setVendor('a', 'off')
  await world.settleAll()
  assert.deepEqual(await linked.origins(), ['adapter:south/a', 'operator:soc'])
})

test('a trusted writer neither vetoes our enable nor takes a switch-off back', async () => {
  await using linked = await Linked.open()
  const { world } = linked
  const release = await suspend(linked)
  await world.run(minute)
  // Unseen in between: off by us, on and off again by the service.
  world.south.set('a', true, service)
  world.south.set('a', false, service)
  await world.run(10 * minute)
  await release()
  await world.settleAll(5 * minute)
  assert.deepEqual([linked.on(), await linked.ownHolds()], [[true, true], []])
  const again = await suspend(linked)
  await world.run(minute)
  world.south.addLog({ id: 'a', at: world.clock.now(), action: 'disable', ours: false, actor: 'mallory' })
  world.south.addLog({ id: 'a', at: world.clock.now() + 1, action: 'enable', ours: false, actor: service })
  await world.run(10 * minute + second)
  await again()
  await world.settleAll(5 * minute)
  assert.deepEqual(await linked.ownHolds(), ['adapter:south/a'])
})
