import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { TrustManager } from '@microsoft/agent-governance-sdk'
import { path } from '../e2e/agents.ts'
import { at, listAt } from '../e2e/json.ts'
import { until } from '../e2e/until.ts'
import { tokenOf } from '../e2e/world.ts'
import { placeSuspension, startBridge, startRig } from './rig.ts'
import { startWire } from './wire.ts'

const shared = await startBridge(['other-runtime'], { trust: { suspendBelow: 300, liftAbove: 500 } })
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

test("what the SDK's trust manager thinks of an agent suspends it, and lets it go", async () => {
  await using rig = await startRig(shared)
  const { did, world, account, daemon } = rig
  const attachment = rig.attach({ aliases: { scout: did } })
  await attachment.ready()
  const trust = new TrustManager({ decayFactor: 1 })
  const start = await attachment.reportTrust(trust, [did, 'did:mesh:nobody'])
  assert.deepEqual(start, [
    { id: did, status: 'ok', score: 500, hold: undefined },
    { id: 'did:mesh:nobody', status: 'unknown', score: undefined, hold: undefined },
  ])
  trust.recordFailure('scout', 0.25)
  const [low] = await attachment.reportTrust(trust, ['scout'])
  assert.deepEqual([low?.score, typeof low?.hold], [250, 'string'])
  await until('closed', () => !attachment.gate.check(did).open)
  await until('the account is off', () => world.tenant.get(account)?.enabled === false)
  const { body } = await daemon.as('alice').get(path(did))
  assert.deepEqual(
    listAt(body, 'holds').map((hold) => at(hold, 'origin')),
    ['policy:trust'],
  )
  assert.equal(at(at(body, 'trust'), 'score'), 250)

  trust.recordSuccess('scout', 0.2)
  const [between] = await attachment.reportTrust(trust, ['scout'])
  assert.equal(between?.hold, low?.hold)
  trust.recordSuccess('scout', 0.2)
  const [high] = await attachment.reportTrust(trust, ['scout'])
  assert.deepEqual([high?.score, high?.hold], [650, undefined])
  await until('open', () => attachment.gate.check(did).open)
  assert.equal(await attachment.lift(did, 'nothing is left'), 0)
})

test('a batch larger than one request is reported whole, and a score off the scale is refused', async () => {
  await using rig = await startRig(shared)
  const attachment = rig.attach()
  const ids = Array.from({ length: 450 }, (_, n) => `did:mesh:nobody-${n}`)
  const answers = await attachment.reportTrust({ getTrustScore: () => ({ overall: 0.1 }) }, ids)
  assert.deepEqual(
    answers.map(({ id, status }) => [id, status]),
    ids.map((id) => [id, 'unknown']),
  )
  for (const overall of [500, -1, Number.NaN]) {
    const sent = attachment.reportTrust({ getTrustScore: () => ({ overall }) }, [rig.did])
    await assert.rejects(sent, { code: 'E_REQUEST', bridgeCode: 'E_VALIDATION' })
  }
})
