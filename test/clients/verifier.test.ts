import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import {
  type BridgeError,
  createVerifier,
  type LocalAnswer,
  type VerifierOptions,
} from '../../clients/verifier/index.ts'
import { analystDid, isAllowed, registerAll, reporterDid, scoutDid } from '../e2e/agents.ts'
import { at } from '../e2e/json.ts'
import { run } from '../e2e/process.ts'
import { until as untilWithin } from '../e2e/until.ts'
import { audience, clientEntry, type Daemon, startWorld, tokenOf, type World } from '../e2e/world.ts'
import { startWire } from './wire.ts'

/** Daemons start again meanwhile. */
const until: typeof untilWithin = (what, probe) => untilWithin(what, probe, 60_000)

interface Rig extends AsyncDisposable {
  readonly world: World
  readonly daemon: Daemon
  readonly errors: BridgeError[]
  start(options?: Partial<VerifierOptions>): ReturnType<typeof createVerifier>
  /** A token of the scout. */
  token(): string
}

const startRig = async (): Promise<Rig> => {
  await using stack = new AsyncDisposableStack()
  const world = stack.use(await startWorld())
  const daemon = await world.daemon()
  await registerAll(daemon, world)
  // What groups give is on record: nothing in the background raises the epoch any more.
  for (const did of [analystDid, reporterDid])
    await until('the group was read', () => isAllowed(daemon, { did, capability: 'read:reports' }))
  const errors: BridgeError[] = []
  const held = stack.move()
  return {
    world,
    daemon,
    errors,
    start: (options = {}) => {
      const common = {
        url: daemon.origin,
        token: tokenOf('gateway'),
        onError: (error: BridgeError) => errors.push(error),
      }
      return held.use(createVerifier({ ...common, ...options }))
    },
    token: () => world.tenant.issueToken({ kind: 'agent', id: world.contoso.agents.scout, audience }),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

const kill = (daemon: Daemon, agentId: string) => daemon.as('runtime').post('/v1/kill', { agentId, reason: 'secret' })
const withoutStaleness = ({ staleness: _, ...answer }: LocalAnswer) => answer
const denied = ['R_REPLICA']

test('the library denies what was killed without asking, and says how old its answers are', async () => {
  await using rig = await startRig()
  const { daemon } = rig
  const verifier = rig.start()
  const first = await verifier.decide({ did: scoutDid })
  assert.deepEqual([first.allow, first.codes, first.staleness.ageMs], [false, denied, null])
  await verifier.ready()
  const token = rig.token()
  const asked = { token, capability: 'read:nothing' }
  const remote = await daemon.as('gateway').post('/v1/decisions', asked)
  const local = await verifier.decide(asked)
  assert.deepEqual(withoutStaleness(local), remote.body)
  assert.deepEqual(local.codes, ['R_CAPABILITY'])
  assert.equal((await verifier.decide({ token })).allow, true)
  const { ageMs, epoch, generation, connected } = verifier.staleness
  assert.ok(ageMs !== null && ageMs < 30_000)
  assert.deepEqual(
    { epoch, generation, connected },
    { epoch: local.epoch, generation: local.generation, connected: true },
  )
  await kill(daemon, scoutDid)
  const killed = await until('the kill is known', async () => {
    const answer = await verifier.decide({ token })
    return !answer.allow && answer.epoch > epoch && answer
  })
  assert.deepEqual(killed.codes, ['R_SUSPENDED'])
  assert.doesNotMatch(JSON.stringify(killed), /secret/)
  assert.equal((await verifier.decide({ did: analystDid })).allow, true)
  await assert.rejects(verifier.decide({}), { code: 'E_VALIDATION' })
  await assert.rejects(verifier.decide({ did: 'nonsense' }), { code: 'E_DID' })
  await verifier.close()
  assert.deepEqual((await verifier.decide({ did: analystDid })).codes, denied)
  await assert.rejects(verifier.ready(), { code: 'E_SHUTTING_DOWN' })
  assert.deepEqual(rig.errors, [])
})

test('a bridge that is gone is believed for maxAgeMs; back again, what changed meanwhile is known', async () => {
  await using rig = await startRig()
  await using wire = await startWire(rig.daemon.origin)
  const verifier = rig.start({ url: wire.origin, maxAgeMs: 4_000 })
  await verifier.ready()
  wire.cut()
  await until('the stream is open again', () => verifier.staleness.connected && wire.connections > 2)
  assert.equal((await verifier.decide({ did: scoutDid })).allow, true)
  wire.mute()
  await kill(rig.daemon, scoutDid)
  const { ageMs, codes } = await until('it is too old', async () => {
    const answer = await verifier.decide({ did: analystDid })
    return !answer.allow && { ...answer.staleness, codes: answer.codes }
  })
  assert.deepEqual(codes, denied)
  assert.ok(ageMs !== null && ageMs > 4_000)
  wire.down()
  rig.daemon.process.signal('SIGKILL')
  await rig.daemon.process.ended()
  await using daemon = await rig.world.daemon()
  wire.lead(daemon.origin)
  wire.up()
  await until('it is current again', async () => (await verifier.decide({ did: analystDid })).allow)
  assert.deepEqual((await verifier.decide({ did: scoutDid })).codes, ['R_SUSPENDED'])
  assert.ok(rig.errors.every(({ code }) => code === 'E_UNREACHABLE'))
})

test('after a restore nothing that was known counts, until everything was read anew', async () => {
  await using rig = await startRig()
  const { world } = rig
  await using wire = await startWire(rig.daemon.origin)
  const verifier = rig.start({ url: wire.origin, maxAgeMs: 3_600_000 })
  await verifier.ready()
  const { generation } = verifier.staleness
  const copy = join(world.folder, 'copy.db')
  assert.equal((await run(['backup', copy, '--config', world.configFile])).code, 0)
  await kill(rig.daemon, scoutDid)
  await until('the kill is known', async () => !(await verifier.decide({ did: scoutDid })).allow)
  wire.down()
  rig.daemon.process.signal('SIGTERM')
  await rig.daemon.process.ended()
  assert.equal((await verifier.decide({ did: analystDid })).allow, true)
  assert.equal((await run(['restore', copy, '--config', world.configFile])).code, 0)
  await using daemon = await world.daemon()
  wire.lead(daemon.origin)
  wire.up()
  await until('it is read anew', () => verifier.staleness.generation !== generation && verifier.staleness.connected)
  await verifier.ready()
  for (const did of [scoutDid, analystDid]) {
    // The account that the kill disabled is read, and holds the scout anew, at about this moment.
    await until('it says what the bridge says', async () => {
      const [{ body }, local] = [
        await daemon.as('gateway').post('/v1/decisions', { did }),
        await verifier.decide({ did }),
      ]
      return isDeepStrictEqual([local.codes, local.generation], [at(body, 'codes'), at(body, 'generation')])
    })
  }
})

test('a token that is not taken denies at once, and a limit is kept', async () => {
  await using rig = await startRig()
  const wrong = rig.start({ token: 'wrong' })
  await assert.rejects(wrong.ready(), { code: 'E_UNAUTHENTICATED' })
  const reader = rig.start({ token: tokenOf('runtime') })
  await assert.rejects(reader.ready(), { code: 'E_FORBIDDEN' })
  const small = rig.start({ maxAgents: 1 })
  await assert.rejects(small.ready(), { code: 'E_REPLICA_LARGE' })
  for (const one of [wrong, reader, small]) assert.deepEqual((await one.decide({ did: scoutDid })).codes, denied)
  assert.equal(rig.errors.filter(({ code }) => code === 'E_REPLICA_LARGE').length, 1)

  const stop = new AbortController()
  const verifier = rig.start({ signal: stop.signal })
  await verifier.ready()
  // The client is gone from the configuration: what it knew counts no more.
  rig.world.configure({ auth: { clients: [clientEntry('alice', ['operator'])] } })
  rig.daemon.process.signal('SIGHUP')
  await until('the bridge refuses', async () => !(await verifier.decide({ did: scoutDid })).allow)
  await assert.rejects(verifier.ready(), { code: 'E_UNAUTHENTICATED' })
  stop.abort()
  await assert.rejects(verifier.ready(), { code: 'E_SHUTTING_DOWN' })
})

test('options that cannot be taken are refused', () => {
  const good = { url: 'https://bridge.example.com', token: 't' }
  for (const bad of [
    { ...good, url: 'http://bridge.example.com' },
    { ...good, url: 'nonsense' },
    { ...good, token: '' },
    { ...good, maxAgeMs: 10 },
    { ...good, maxAgents: 0 },
  ]) {
    assert.throws(() => createVerifier(bad), { code: 'E_CONFIG' })
  }
})
