import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { AgentMeshClient, LifecycleManager } from '@microsoft/agent-governance-sdk'
import { at, textAt } from '../e2e/json.ts'
import { until } from '../e2e/until.ts'
import { tokenOf } from '../e2e/world.ts'
import { liftKill, placeSuspension, runtimeLeg, startBridge, startRig } from './rig.ts'
import { startWire } from './wire.ts'

const shared = await startBridge()
after(() => shared[Symbol.asyncDispose]())

test('an account disabled in Entra closes the gate, suspends the identity and, asked to, fires the kill switch', async () => {
  await using rig = await startRig(shared)
  const { did, identity, killSwitch, account, world } = rig
  const killed: object[] = []
  killSwitch.registerHandler(did, (_id, context) => {
    killed.push(context)
  })
  const lifecycle = new LifecycleManager(did)
  lifecycle.activate()
  const { gate, ready } = rig.attach({ killFrom: 'suspend', lifecycle: new Map([[did, lifecycle]]) })
  assert.deepEqual(gate.check(did), { open: false, codes: ['R_NOT_CURRENT'], holds: [] })
  await ready()
  assert.deepEqual(gate.check(did), { open: true, codes: [], holds: [] })

  world.tenant.setEnabled(account, false)
  await until('the kill switch fired', () => killed.length > 0)
  const [holdId] = gate.check(did).holds
  assert.deepEqual(gate.check(did).codes, ['R_SUSPENDED'])
  assert.throws(() => gate.assert(did), { code: 'E_GATE_CLOSED', gate: ['R_SUSPENDED'] })
  assert.equal(identity.status, 'suspended')
  assert.equal(lifecycle.state, 'suspended')
  assert.deepEqual(killed, [
    { action: 'idp-bridge.hold', reason: `held by the identity bridge (hold ${holdId})`, inResponseTo: holdId },
  ])
  assert.ok(holdId)
  const acknowledged = { state: 'closed', reason: 'acknowledged' }
  await until('the receipt says so', async () => at(await runtimeLeg(rig, holdId), 'reason') === 'acknowledged')
  assert.partialDeepStrictEqual(await runtimeLeg(rig, holdId), acknowledged)
  const origins = (await rig.holds()).map((hold) => at(hold, 'origin'))
  assert.deepEqual(origins, [`adapter:contoso/${account}`], 'the kill that was fired is no kill of its own')

  world.tenant.setEnabled(account, true)
  await until('the gate is open', () => gate.check(did).open)
  assert.equal(identity.status, 'active')
  assert.equal(lifecycle.state, 'active')
  assert.equal(killed.length, 1)
  assert.deepEqual(rig.errors, [])
})

test('by default a suspension fires nothing, and a kill does: once, however many holds say so', async () => {
  await using rig = await startRig(shared)
  const { did, killSwitch } = rig
  let killed = 0
  killSwitch.registerHandler(did, () => {
    killed += 1
  })
  const { gate, ready } = rig.attach()
  await ready()
  const suspension = await placeSuspension(rig)
  await until('acknowledged', async () => at(await runtimeLeg(rig, suspension.id), 'state') === 'closed')
  assert.equal(gate.check(did).open, false)
  assert.equal(killed, 0)

  const kill = await rig.daemon.as('bob').post('/v1/kill', { agentId: did, reason: 'exfiltration' })
  const holdId = textAt(kill.body, 'holdId')
  const again = await rig.daemon.as('bob').post('/v1/kill', { agentId: did, reason: 'exfiltration, again' })
  const second = textAt(again.body, 'holdId')
  for (const id of [holdId, second]) {
    await until('acknowledged', async () => at(await runtimeLeg(rig, id), 'state') === 'closed')
  }
  assert.equal(killed, 1)
  assert.doesNotMatch(JSON.stringify(killSwitch.getHistory()), /exfiltration/, 'the words of operators stay with them')
})

test('executeWithGovernance of a held agent denies, as the SDK denies, and allows again after the release', async () => {
  await using rig = await startRig(shared)
  const client = AgentMeshClient.create('analyst', { policyRules: [{ action: '*', effect: 'allow' }] })
  const { did } = client.identity
  await rig.register(did)
  const { ready, gate } = rig.attach({ clients: [client], registry: undefined })
  const closed = await client.executeWithGovernance('tool.read')
  assert.equal(closed.decision, 'deny')
  await ready()
  const before = await client.executeWithGovernance('tool.read')
  assert.equal(before.decision, 'allow')
  const scored = client.trust.getTrustScore(did)

  const hold = await placeSuspension(rig, did)
  await until('closed', () => !gate.check(did).open)
  const held = await client.executeWithGovernance('tool.read')
  assert.equal(held.decision, 'deny')
  assert.equal(held.lifecycleReason, 'The identity bridge holds the agent (R_SUSPENDED)')
  assert.equal(held.lifecycleState, 'suspended')
  assert.equal(held.auditEntry.decision, 'deny')
  assert.deepEqual(held.trustScore, scored, 'a hold is no failure of the agent')
  assert.ok(client.audit.verify())
  assert.equal(client.identity.status, 'suspended')

  await hold.release()
  await until('open', () => gate.check(did).open)
  assert.equal((await client.executeWithGovernance('tool.read')).decision, 'allow')
  assert.equal(client.lifecycle.state, 'active')
})

test('what the host suspended or killed itself stays so when the bridge releases', async () => {
  await using rig = await startRig(shared)
  const { did, identity } = rig
  identity.suspend('by the host')
  const { gate, ready } = rig.attach()
  await ready()
  const hold = await placeSuspension(rig)
  await until('closed', () => !gate.check(did).open)
  await hold.release()
  await until('open', () => gate.check(did).open)
  assert.equal(identity.status, 'suspended')
})

test('a stream cut in the middle is resumed: what was said meanwhile is heard, and heard once', async () => {
  await using rig = await startRig(shared)
  const { did, killSwitch } = rig
  await using wire = await startWire(rig.daemon.origin)
  let killed = 0
  killSwitch.registerHandler(did, () => {
    killed += 1
  })
  const { gate, ready } = rig.attach({ url: wire.origin })
  await ready()
  const other = await placeSuspension(rig)
  await until('closed', () => !gate.check(did).open)
  wire.down()
  await other.release()
  const kill = await rig.daemon.as('alice').post('/v1/kill', { agentId: did, reason: 'case 4712' })
  const holdId = textAt(kill.body, 'holdId')
  wire.up()
  await until('the kill was heard of', () => killed > 0)
  assert.deepEqual(gate.check(did).holds, [holdId])
  for (let cuts = 0; cuts < 3; cuts += 1) {
    const { connections } = wire
    wire.cut()
    await until('connected again', () => wire.connections > connections)
  }
  await until('acknowledged', async () => at(await runtimeLeg(rig, holdId), 'state') === 'closed')
  assert.equal(killed, 1)
  assert.ok(rig.errors.every(({ code }) => code === 'E_STREAM' || code === 'E_ACK'))
})

test('silence closes every gate; only a stream that has caught up opens it again', async () => {
  await using rig = await startRig(shared)
  const { did } = rig
  await using wire = await startWire(rig.daemon.origin)
  const bridge = rig.attach({ url: wire.origin, silenceMs: 2_000 })
  await bridge.ready()
  assert.equal(bridge.gate.check(did).open, true)
  wire.down()
  await until('silent', () => bridge.state === 'silent')
  assert.deepEqual(bridge.gate.check(did).codes, ['R_SILENT'])
  assert.deepEqual(bridge.gate.check('did:mesh:anyone').codes, ['R_SILENT'])
  assert.ok(rig.errors.some(({ code }) => code === 'E_SILENCE'))
  const hold = await placeSuspension(rig)
  wire.up()
  await until('current', () => bridge.state === 'current')
  assert.deepEqual(bridge.gate.check(did).codes, ['R_SUSPENDED'], 'what was missed is known before the gate opens')
  await hold.release()
  await until('open', () => bridge.gate.check(did).open)
})

test('a process that comes back resumes from where it stood, and knows who is held before anything may act', async () => {
  await using rig = await startRig(shared)
  const { did, identity } = rig
  const folder = rig.folder()
  const first = rig.attach({ folder })
  await first.ready()
  const hold = await placeSuspension(rig)
  await until('acknowledged', async () => at(await runtimeLeg(rig, hold.id), 'state') === 'closed')
  await first.stop()
  assert.deepEqual(first.gate.check(did).codes, ['R_STOPPED', 'R_SUSPENDED'])

  const second = rig.attach({ folder })
  assert.deepEqual(second.gate.check(did).codes, ['R_NOT_CURRENT', 'R_SUSPENDED'])
  await second.ready()
  assert.deepEqual(second.gate.check(did), { open: false, codes: ['R_SUSPENDED'], holds: [hold.id] })
  await second.stop()
  await hold.release()
  const third = rig.attach({ folder })
  await until('open', () => third.gate.check(did).open)
  assert.equal(identity.status, 'active', 'what was suspended before is ours to reactivate')
})

test('an in-memory delegate of a held agent is stopped, though the bridge has never heard of it', async () => {
  await using rig = await startRig(shared)
  const { did, identity, registry } = rig
  const child = identity.delegate('helper', ['read:notes'])
  const grandchild = child.delegate('helper-2', ['read:notes'])
  registry.register(child)
  registry.register(grandchild)
  const { gate, ready } = rig.attach()
  await ready()
  assert.equal(gate.check(grandchild.did).open, true)
  const hold = await placeSuspension(rig)
  await until('closed', () => !gate.check(did).open)
  assert.deepEqual(gate.check(grandchild.did).codes, ['R_ANCESTOR'])
  await hold.release()
  await until('open', () => gate.check(grandchild.did).open)
})

test('an alias that was declared is stopped; a spelling that was not is another agent', async () => {
  await using rig = await startRig(shared)
  const { did, killSwitch } = rig
  const killed: string[] = []
  for (const id of ['scout-1', did]) killSwitch.registerHandler(id, (of) => void killed.push(of))
  const { gate, ready } = rig.attach({ aliases: { 'scout-1': did } })
  await ready()
  await rig.daemon.as('alice').post('/v1/kill', { agentId: did, reason: 'r' })
  await until('both', () => killed.length === 2)
  assert.deepEqual(killed.sort(), [did, 'scout-1'].sort())
  assert.equal(gate.check('scout-1').open, false)
  assert.equal(gate.check(did.replace('did:agentmesh:', 'did:mesh:')).open, true)
})

test('a handler that throws is run again, and the hold acknowledged only then', async () => {
  await using rig = await startRig(shared)
  const { did, killSwitch } = rig
  let runs = 0
  killSwitch.registerHandler(did, () => {
    runs += 1
    if (runs === 1) throw new Error('not yet')
  })
  await rig.attach().ready()
  const kill = await rig.daemon.as('alice').post('/v1/kill', { agentId: did, reason: 'r' })
  const holdId = textAt(kill.body, 'holdId')
  await until('acknowledged', async () => at(await runtimeLeg(rig, holdId), 'state') === 'closed')
  assert.equal(runs, 2)
  assert.deepEqual(
    rig.errors.map(({ code }) => code),
    ['E_HANDLER'],
  )
})

test('a bad token keeps every gate closed and is told with the code of the bridge', async () => {
  await using rig = await startRig(shared)
  const { gate } = rig.attach({ token: tokenOf('nobody') })
  await until('told', () => rig.errors.length > 0)
  const [error] = rig.errors
  assert.equal(error?.code, 'E_STREAM')
  assert.equal(error?.status, 401)
  assert.equal(error?.bridgeCode, 'E_UNAUTHENTICATED')
  assert.deepEqual(gate.check(rig.did).codes, ['R_NOT_CURRENT'])
})

test('a kill lifted by two people lets the agent act again', async () => {
  await using rig = await startRig(shared)
  const { did, killSwitch, identity, daemon } = rig
  let killed = 0
  killSwitch.registerHandler(did, () => {
    killed += 1
  })
  const { gate, ready } = rig.attach()
  await ready()
  for (let round = 1; round <= 2; round += 1) {
    const kill = await daemon.as('runtime').post('/v1/kill', { agentId: did, reason: 'r' })
    const holdId = textAt(kill.body, 'holdId')
    await until('killed', () => killed === round)
    assert.equal(identity.status, 'suspended')
    await liftKill(rig, holdId)
    await until('open', () => gate.check(did).open)
    assert.equal(identity.status, 'active')
  }
})
