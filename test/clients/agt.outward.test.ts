import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { after, test } from 'node:test'
import { AgentMeshClient, KillSwitch } from '@microsoft/agent-governance-sdk'
import { at, listAt, textAt } from '../e2e/json.ts'
import { startProcess } from '../e2e/process.ts'
import { until } from '../e2e/until.ts'
import { liftKill, type Rig, runtimeLeg, startBridge, startRig } from './rig.ts'
import { startWire } from './wire.ts'

const program = resolve(import.meta.dirname, 'runtime.ts')
const queued = (folder: string) => readdirSync(join(folder, 'kills')).filter((name) => name.endsWith('.json'))
const openKills = async ({ holds }: Rig) => (await holds()).filter((hold) => at(hold, 'severity') === 'kill')

const shared = await startBridge()
after(() => shared[Symbol.asyncDispose]())

test('a local kill is recorded before its handlers run, disables the account, and comes back to nobody: one kill, one hold', async () => {
  await using rig = await startRig(shared)
  const { did, killSwitch, identity, world, account } = rig
  const seen: unknown[] = []
  killSwitch.registerHandler(did, async () => {
    seen.push(...(await rig.holds()))
  })
  const bridge = rig.attach()
  await bridge.ready()
  const result = await killSwitch.kill(did, { reason: 'policy violation', action: 'exfiltrate' })
  assert.partialDeepStrictEqual(result, { agentId: did, reason: 'policy violation', callbacksExecuted: 1 })
  assert.equal(seen.length, 1, 'the handler found the hold in place')
  assert.partialDeepStrictEqual(seen[0], { severity: 'kill', origin: 'runtime:runtime', reason: 'policy violation' })
  assert.deepEqual(at(seen[0], 'evidence', 'action'), 'exfiltrate')
  await until('the account is off', () => world.tenant.get(account)?.enabled === false)

  await until('its own signal came', () => bridge.gate.check(did).holds.length === 1)
  const [holdId = ''] = bridge.gate.check(did).holds
  await until('acknowledged', async () => at(await runtimeLeg(rig, holdId), 'state') === 'closed')
  assert.equal(
    killSwitch.getHistory().filter(({ agentId }) => agentId === did).length,
    1,
    'its own signal fires nothing',
  )
  assert.equal(identity.status, 'suspended')
  assert.equal((await rig.holds()).length, 1)
  assert.equal(bridge.pending, 0)
  assert.deepEqual(bridge.gate.check(did).codes, ['R_SUSPENDED'])

  await liftKill(rig, holdId)
  await until('open', () => bridge.gate.check(did).open)
  assert.equal(identity.status, 'active')
  assert.deepEqual(rig.errors, [])
})

test('a kill of AgentMeshClient itself, on a ring breach, is recorded too', async () => {
  await using rig = await startRig(shared)
  const client = AgentMeshClient.create('analyst', {
    execution: { actionRings: { 'system.*': 0 }, killOnBreach: true },
  })
  const { did } = client.identity
  await rig.register(did)
  const { ready } = rig.attach({ clients: [client] })
  await ready()
  const result = await client.executeWithGovernance('system.shutdown')
  assert.equal(result.decision, 'deny')
  assert.equal(result.killSwitchResult?.agentId, did)
  const holds = await rig.holds(did)
  assert.equal(holds.length, 1)
  assert.partialDeepStrictEqual(holds[0], { severity: 'kill', evidence: { action: 'system.shutdown' } })
})

test('with the bridge away a kill acts here at once, waits on disk through SIGKILL, and is delivered once', async () => {
  await using rig = await startRig(shared)
  const { did } = rig
  const folder = rig.folder()
  await using wire = await startWire(rig.daemon.origin)
  wire.down()
  await using first = startProcess([wire.origin, folder, did, 'kill'], { program })
  await first.line('handlers ran', (line) => line === 'handler')
  await first.line('it waits', (line) => line === 'killed, 1 pending')
  assert.equal(queued(folder).length, 1)
  first.signal('SIGKILL')
  await first.ended()
  assert.deepEqual(await rig.holds(), [])

  await using second = startProcess([wire.origin, folder, did, 'wait'], { program })
  assert.equal(await second.line('the gate', (line) => line.startsWith('gate')), 'gate R_NOT_CURRENT R_KILLED')
  wire.up()
  await until('delivered', async () => (await openKills(rig)).length === 1)
  await until('the file is gone', () => queued(folder).length === 0)
  await second.line('current', (line) => line.startsWith('ready'))
  await using third = startProcess([wire.origin, folder, did, 'wait'], { program })
  await third.line('current', (line) => line === 'ready, 0 pending')
  assert.equal((await rig.holds()).length, 1)
  assert.partialDeepStrictEqual((await rig.holds())[0], { reason: 'policy violation', origin: 'runtime:runtime' })
})

test('a kill whose answer was lost with the process is sent again and has no second effect', async () => {
  await using rig = await startRig(shared)
  const { did } = rig
  const folder = rig.folder()
  await using wire = await startWire(rig.daemon.origin)
  wire.mute()
  await using first = startProcess([wire.origin, folder, did, 'kill'], { program })
  await until('the bridge has it', async () => (await openKills(rig)).length === 1)
  await first.line('handlers waited for no longer than told', (line) => line === 'handler')
  first.signal('SIGKILL')
  await first.ended()
  assert.equal(queued(folder).length, 1)
  wire.up()
  wire.cut()
  await using second = startProcess([wire.origin, folder, did, 'wait'], { program })
  await second.line('current', (line) => line.startsWith('ready'))
  await until('acknowledged', () => queued(folder).length === 0)
  assert.equal((await rig.holds()).length, 1)
})

test('a daemon that was killed and started again gets what waits, by itself', async () => {
  await using own = await startBridge()
  await using rig = await startRig(own)
  const { did, killSwitch, world } = rig
  await using wire = await startWire(rig.daemon.origin)
  const bridge = rig.attach({ url: wire.origin, folder: rig.folder() })
  await bridge.ready()
  rig.daemon.process.signal('SIGKILL')
  await rig.daemon.process.ended()
  await killSwitch.kill(did, { reason: 'policy violation' })
  assert.equal(bridge.pending, 1)
  assert.deepEqual(bridge.gate.check(did).codes, ['R_KILLED'])
  await using again = await world.daemon()
  wire.lead(again.origin)
  await until('delivered', () => bridge.pending === 0)
  await until('its signal came', () => bridge.gate.check(did).holds.length === 1)
  const { body } = await again.as('alice').get(`/v1/agents/${encodeURIComponent(did)}/holds`)
  assert.equal(listAt(body, 'items').length, 1)
  assert.equal(killSwitch.getHistory().filter(({ agentId }) => agentId === did).length, 1)
})

test('handlers that kill in turn answer the hold: no kill of theirs is reported while its agent is held', async () => {
  await using rig = await startRig(shared)
  const { did, killSwitch } = rig
  let nested = 0
  killSwitch.registerHandler(did, async (id, { reason }) => {
    nested += 1
    if (nested < 3) await killSwitch.kill(id, { reason })
  })
  const { ready } = rig.attach()
  await ready()
  const { status } = await rig.daemon.as('alice').post('/v1/kill', { agentId: did, reason: 'case 4711' })
  assert.equal(status, 202)
  const hold = (await rig.holds())[0]
  await until('acknowledged', async () => at(await runtimeLeg(rig, String(at(hold, 'id'))), 'state') === 'closed')
  assert.equal(nested, 3)
  assert.equal((await rig.holds()).length, 1)
})

test('what handlers left running kills for reasons of its own: that is recorded', async () => {
  await using rig = await startRig(shared)
  const { did, killSwitch } = rig
  const later = Promise.withResolvers<void>()
  let left: Promise<unknown> | undefined
  killSwitch.registerHandler(did, () => {
    left ??= later.promise.then(() => killSwitch.kill(did, { reason: 'found out later' }))
  })
  await rig.attach().ready()
  const placed = await rig.daemon.as('alice').post('/v1/kill', { agentId: did, reason: 'case 4711' })
  const holdId = textAt(placed.body, 'holdId')
  await until('acknowledged', async () => at(await runtimeLeg(rig, holdId), 'state') === 'closed')
  later.resolve()
  await left
  const reasons = (await rig.holds()).map((hold) => at(hold, 'reason'))
  assert.deepEqual(reasons.sort(), ['case 4711', 'found out later'])
})

test('a kill that the bridge refuses for good acts here, is kept aside, and closes the gate after a restart too', async () => {
  await using rig = await startRig(shared)
  const { killSwitch, errors } = rig
  const folder = rig.folder()
  const first = rig.attach({ folder })
  await first.ready()
  let ran = false
  killSwitch.registerHandler('scout-1', () => {
    ran = true
  })
  await killSwitch.kill('scout-1', { reason: 'r' })
  assert.ok(ran)
  assert.equal(first.pending, 0)
  assert.equal(first.refused, 1)
  assert.deepEqual(
    errors.map(({ code, bridgeCode }) => [code, bridgeCode]),
    [['E_KILL_REFUSED', 'E_DID']],
  )
  await first.stop()
  const second = rig.attach({ folder, killSwitch: new KillSwitch() })
  await second.ready()
  assert.deepEqual(second.gate.check('scout-1').codes, ['R_KILLED'])
})

test('a queued kill that cannot be read is set aside and told of; the others go on', async () => {
  await using rig = await startRig(shared)
  const { did, killSwitch, errors } = rig
  const folder = rig.folder()
  await rig.attach({ folder }).stop()
  writeFileSync(join(folder, 'kills', '000-torn.json'), '{"id":"000-to')
  writeFileSync(join(folder, 'state.json'), 'torn')
  const bridge = rig.attach({ folder })
  assert.deepEqual(
    errors.map(({ code }) => code),
    ['E_QUEUE', 'E_STATE'],
  )
  assert.deepEqual(readdirSync(join(folder, 'kills')), ['000-torn.json.damaged'])
  await bridge.ready()
  await killSwitch.kill(did, { reason: 'r' })
  assert.equal((await rig.holds()).length, 1)
  await bridge.stop()
  assert.match(readFileSync(join(folder, 'state.json'), 'utf8'), /"version":1/)
})

test('a kill switch that is off records nothing and refuses, as the SDK does', async () => {
  await using rig = await startRig(shared)
  const killSwitch = new KillSwitch({ enabled: false })
  await rig.attach({ killSwitch }).ready()
  await assert.rejects(killSwitch.kill(rig.did, { reason: 'r' }), /disabled/)
  assert.deepEqual(await rig.holds(), [])
})

test('a process with nothing else to do ends, attached or not', async () => {
  await using rig = await startRig(shared)
  await using child = startProcess([rig.daemon.origin, rig.folder(), rig.did, 'leave'], { program })
  assert.equal((await child.ended()).code, 0)
})
