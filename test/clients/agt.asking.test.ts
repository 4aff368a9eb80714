import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { path } from '../e2e/agents.ts'
import { at, listAt } from '../e2e/json.ts'
import { until } from '../e2e/until.ts'
import { tokenOf } from '../e2e/world.ts'
import { placeSuspension, startBridge, startRig } from './rig.ts'
import { startWire } from './wire.ts'

const shared = await startBridge(['other-runtime'])
after(() => shared[Symbol.asyncDispose]())

test('a suspension of this process denies everywhere, and a process that was started anew lifts it', async () => {
  await using rig = await startRig(shared)
  const { did, daemon } = rig
  const first = rig.attach()
  await first.ready()
  const holdId = await first.suspend(did, 'odd behaviour')
  const decision = await daemon.as('gateway').post('/v1/decisions', { did })
  assert.equal(at(decision.body, 'allow'), false)
  await until('closed here', () => !first.gate.check(did).open)
  await first.stop()

  const other = await placeSuspension(rig)
  const second = rig.attach()
  await second.ready()
  assert.deepEqual(second.gate.check(did).holds.toSorted(), [holdId, other.id].toSorted())
  assert.equal(await second.lift(did, 'looked into'), 1, 'its own, and not that of Alice')
  const open = (await rig.holds()).filter((hold) => at(hold, 'releasedAt') === null)
  assert.deepEqual(
    open.map((hold) => at(hold, 'id')),
    [other.id],
  )
  assert.equal(await second.lift(did, 'again'), 0)
  await other.release()
  await until('open', () => second.gate.check(did).open)
})

test('what was placed a moment ago is lifted whether the stream told of it or not', async () => {
  await using rig = await startRig(shared)
  const { did } = rig
  const attachment = rig.attach()
  await attachment.ready()
  for (let round = 0; round < 5; round += 1) {
    await attachment.suspend(did, 'odd behaviour')
    assert.equal(await attachment.lift(did, 'looked into'), 1)
  }
  const open = (await rig.holds()).filter((hold) => at(hold, 'releasedAt') === null)
  assert.deepEqual(open, [])
})

test('nothing is lifted of another runtime, nor before it is known who is held, nor a kill', async () => {
  await using rig = await startRig(shared)
  const { did, killSwitch, daemon } = rig
  const early = rig.attach({ killSwitch: [] })
  await assert.rejects(early.lift(did, 'too early'), { code: 'E_REQUEST' })
  await early.ready()
  await early.suspend(did, 'odd behaviour')
  const stranger = rig.attach({ killSwitch: [], token: tokenOf('other-runtime') })
  await stranger.ready()
  assert.equal(await stranger.lift(did, 'not mine'), 0)
  const own = rig.attach()
  await own.ready()
  await killSwitch.kill(did, { reason: 'exfiltration' })
  assert.equal(await own.lift(did, 'looked into'), 1)
  const { body } = await daemon.as('alice').get(path(did))
  assert.deepEqual(
    listAt(body, 'holds').map((hold) => at(hold, 'severity')),
    ['kill'],
  )
})

test('what the bridge refuses or does not answer is told with its code', async () => {
  await using rig = await startRig(shared)
  await using wire = await startWire(rig.daemon.origin)
  const attachment = rig.attach({ url: wire.origin })
  await attachment.ready()
  const unknown = attachment.suspend('did:mesh:nobody', 'odd')
  await assert.rejects(unknown, { code: 'E_REQUEST', status: 404, bridgeCode: 'E_AGENT_UNKNOWN' })
  wire.down()
  await assert.rejects(attachment.suspend(rig.did, 'odd'), { code: 'E_REQUEST', status: undefined })
})
