import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { AgentIdentity, IdentityRegistry, KillSwitch } from '@microsoft/agent-governance-sdk'
import { type AgtClientError, type AttachOptions, attach } from '../../clients/agt/index.ts'
import { type ManualClock, manualClock } from '../../src/lib/clock.ts'
import { at } from '../e2e/json.ts'
import { until } from '../e2e/until.ts'
import { type Double, resumed, snapshot, startDouble, suspended } from './double.ts'

const did = 'did:mesh:a'

const follow = (double: Double, options: Partial<AttachOptions> = {}, clock?: ManualClock) => {
  const killSwitch = new KillSwitch()
  const killed: string[] = []
  killSwitch.registerHandler(did, (id) => {
    killed.push(id)
  })
  const errors: AgtClientError[] = []
  const bridge = attach(
    { url: double.origin, token: 't', killSwitch, onError: (error) => errors.push(error), ...options },
    clock && { clock, random: () => 0 },
  )
  return {
    bridge,
    gate: bridge.gate,
    killSwitch,
    killed,
    errors,
    codes: () => errors.map(({ code }) => code),
    [Symbol.asyncDispose]: bridge.stop,
  }
}
const acks = ({ posts }: Double) => posts.filter(({ path }) => path.endsWith('/ack')).map(({ path }) => path)
const holdsOf = (holds: readonly string[], ...wanted: string[]) => holds.join() === wanted.join()

test('an event that comes twice, or late, has one effect', async () => {
  await using double = await startDouble()
  await using agent = follow(double)
  await agent.bridge.ready()
  const kill = suspended('g-2', did, 'h1', 'kill')
  double.say(kill + kill + suspended('g-1', did, 'h0', 'kill') + kill)
  await until('acknowledged', () => acks(double).length > 0)
  double.say(resumed('g-3', did) + kill + suspended('g-4', 'did:mesh:b', 'h2'))
  await until('all was read', () => !agent.gate.check('did:mesh:b').open)
  assert.equal(agent.gate.check(did).open, true, 'a kill that was lifted since')
  assert.deepEqual(agent.killed, [did])
  await until('the other was acknowledged', () => acks(double).length > 1)
  assert.deepEqual(acks(double), ['/v1/signals/2/ack', '/v1/signals/4/ack'])
})

test('a snapshot replaces what was known; its holds are acknowledged by name', async () => {
  await using double = await startDouble()
  double.greeting = snapshot('g-7', [did, 'h1'], ['did:mesh:b', 'h2', 'kill'])
  await using agent = follow(double)
  await agent.bridge.ready()
  assert.deepEqual(agent.gate.check(did).holds, ['h1'])
  await until('acknowledged', () => double.posts.length === 2)
  const named = double.posts.map(({ path, body }) => [path, at(body, 'agentId'), at(body, 'inResponseTo')])
  assert.deepEqual(named.sort(), [
    ['/v1/kill', did, 'h1'],
    ['/v1/kill', 'did:mesh:b', 'h2'],
  ])
  // Another generation: the bridge was restored from a copy.
  double.greeting = snapshot('k-3', ['did:mesh:b', 'h2', 'kill'], ['did:mesh:c', 'h3'])
  double.cut()
  await until('replaced', () => !agent.gate.check('did:mesh:c').open)
  assert.equal(agent.gate.check(did).open, true)
  assert.equal(agent.gate.check('did:mesh:b').open, false)
  await until('acknowledged', () => double.posts.length === 3)
  assert.equal(at(double.posts[2]?.body, 'inResponseTo'), 'h3', 'what was acknowledged is not said again')
  assert.deepEqual(double.positions, [undefined, 'g-7'])
})

test('a stream of another generation that does not begin with a snapshot is not believed', async () => {
  await using double = await startDouble()
  await using agent = follow(double)
  await agent.bridge.ready()
  double.say(suspended('g-2', did, 'h1'))
  await until('held', () => !agent.gate.check(did).open)
  double.greeting = resumed('k-9', did)
  double.cut()
  await until('refused', () => agent.codes().includes('E_FRAME'))
  assert.equal(agent.gate.check(did).open, false)
  double.greeting = snapshot('k-10')
  await until('open', () => agent.gate.check(did).open)
  assert.deepEqual(double.positions.slice(0, 2), [undefined, 'g-2'])
  assert.equal(double.positions.at(-1), undefined)
})

test('an event of a later bridge is passed over; a known one in an unknown shape opens nothing', async () => {
  await using double = await startDouble()
  await using agent = follow(double)
  await agent.bridge.ready()
  double.say(`id: g-2\nevent: weather\ndata: rain\n\n${suspended('g-3', did, 'h1')}`)
  await until('held', () => !agent.gate.check(did).open)
  for (const shape of ['{"held":[{"did":"did:mesh:a","holds":[{}]}]}', '{"held":{}}', '{', '[]', '{"held":[[]]}']) {
    const before = agent.codes().filter((code) => code === 'E_FRAME').length
    double.greeting = `id: g-9\nevent: snapshot\ndata: ${shape}\n\n`
    double.cut()
    await until('refused', () => agent.codes().filter((code) => code === 'E_FRAME').length > before)
    assert.equal(agent.gate.check(did).open, false)
  }
  assert.equal(double.positions.at(-1), 'g-3')
})

test('a hold that grows graver fires the kill switch then', async () => {
  await using double = await startDouble()
  await using agent = follow(double)
  await agent.bridge.ready()
  double.say(suspended('g-2', did, 'h1'))
  await until('acknowledged', () => acks(double).length === 1)
  assert.deepEqual(agent.killed, [])
  double.say(suspended('g-3', did, 'h1', 'disable'))
  await until('acknowledged anew', () => acks(double).length === 2)
  assert.deepEqual(agent.killed, [did])
})

test('a release does not revive what was killed here, until the bridge knows of that kill and tells its end', async () => {
  await using double = await startDouble()
  double.answer = ({ path }) => (path === '/v1/kill' ? { status: 503, code: 'E_STORE_FULL' } : { status: 204 })
  const identity = AgentIdentity.generate('a')
  const registry = new IdentityRegistry()
  registry.register(identity)
  await using agent = follow(double, { registry })
  await agent.bridge.ready()
  double.say(suspended('g-2', identity.did, 'h1'))
  await until('held', () => holdsOf(agent.gate.check(identity.did).holds, 'h1'))
  await agent.killSwitch.kill(identity.did, { reason: 'found out here' })
  double.say(resumed('g-3', identity.did))
  await until('released', () => agent.gate.check(identity.did).holds.length === 0)
  assert.deepEqual(agent.gate.check(identity.did).codes, ['R_KILLED'])
  assert.equal(identity.status, 'suspended')

  double.answer = () => ({ status: 202, body: { holdId: 'mine' } })
  double.say(suspended('g-4', 'did:mesh:b', 'h2'))
  await until('recorded', () => agent.bridge.pending === 0)
  // Another agent's event, and a release from before: the kill's own hold was not heard of yet.
  double.say(resumed('g-5', identity.did) + suspended('g-6', identity.did, 'mine', 'kill'))
  await until('its own signal', () => holdsOf(agent.gate.check(identity.did).holds, 'mine'))
  assert.deepEqual(agent.gate.check(identity.did).codes, ['R_SUSPENDED'])
  double.say(resumed('g-7', identity.did))
  await until('released', () => agent.gate.check(identity.did).open)
  assert.equal(identity.status, 'active')
  assert.ok(agent.codes().includes('E_KILL_UNSENT'))
})

test('a kill that was recorded and lifted while nobody listened ends with the next snapshot; an unrecorded one does not', async () => {
  await using double = await startDouble()
  double.answer = ({ body }) =>
    at(body, 'agentId') === did ? { status: 202, body: { holdId: 'mine' } } : { status: 503, code: 'E_STORE' }
  const standIn = {
    did,
    status: 'active',
    suspend: () => {
      standIn.status = 'suspended'
    },
    reactivate: () => {
      standIn.status = 'active'
    },
  }
  await using agent = follow(double, { registry: new Map([[did, standIn]]) })
  await agent.bridge.ready()
  await agent.killSwitch.kill(did, { reason: 'r' })
  assert.equal(standIn.status, 'suspended')
  await agent.killSwitch.kill('did:mesh:b', { reason: 'r' })
  assert.deepEqual(agent.gate.check(did).codes, ['R_KILLED'])
  double.say(snapshot('g-5'))
  double.say(suspended('g-6', 'did:mesh:c', 'h'))
  await until('it was read', () => !agent.gate.check('did:mesh:c').open)
  assert.deepEqual(agent.gate.check(did).codes, ['R_KILLED'], 'this snapshot may be older than the hold')
  double.greeting = snapshot('g-7')
  double.cut()
  await until('open', () => agent.gate.check(did).open)
  assert.equal(standIn.status, 'active')
  assert.deepEqual(agent.gate.check('did:mesh:b').codes, ['R_KILLED'])
})

test('the answers to a kill: what is waited out, what counts as delivered, what is refused', async () => {
  await using double = await startDouble()
  const answers = [
    { status: 500 },
    { status: 404 },
    { status: 400, body: { code: 'E_DID' } },
    { status: 429, code: 'E_BUDGET' },
    { status: 302 },
    { status: 409, code: 'E_IDEMPOTENCY_RELEASED' },
  ]
  double.answer = () => answers[Math.min(double.posts.length, answers.length) - 1]
  await using agent = follow(double)
  await agent.bridge.ready()
  await agent.killSwitch.kill('did:mesh:z', { reason: 'r', action: 'x' })
  await until('delivered', () => agent.bridge.pending === 0)
  assert.equal(double.posts.length, answers.length)
  assert.equal(new Set(double.posts.map(({ key }) => key)).size, 1)
  assert.equal(new Set(double.posts.map(({ body }) => JSON.stringify(body))).size, 1)
  assert.equal(agent.gate.check('did:mesh:z').open, true, 'two people lifted it meanwhile')
  assert.deepEqual(agent.codes(), ['E_KILL_UNSENT'], 'told once')
})

test('a kill that the bridge cannot take delays no other', async () => {
  await using double = await startDouble()
  const asked = (of: string) => double.posts.filter(({ body }) => at(body, 'agentId') === of).length
  double.answer = ({ body }) => {
    if (at(body, 'agentId') === did) return { status: 500, code: 'E_BUG' }
    return asked('did:mesh:b') < 3 ? { status: 500 } : { status: 202, body: { holdId: 'h' } }
  }
  await using agent = follow(double)
  await agent.bridge.ready()
  await agent.killSwitch.kill(did, { reason: 'r' })
  await agent.killSwitch.kill('did:mesh:b', { reason: 'r' })
  await until('the other is recorded', () => agent.bridge.pending === 1)
  assert.equal(asked('did:mesh:b'), 3)
  await until('the first is still tried', () => asked(did) > 3)
})

test('a bridge that takes the kill and says nothing delays the handlers no longer than told', async () => {
  await using double = await startDouble()
  double.answer = () => undefined
  await using agent = follow(double, { recordTimeoutMs: 50 })
  await agent.bridge.ready()
  const result = await agent.killSwitch.kill(did, { reason: 'r' })
  assert.equal(result.callbacksExecuted, 1)
  assert.equal(agent.bridge.pending, 1)
})

test('neither a token that never comes nor a disk that fails keeps a kill from happening', async () => {
  await using double = await startDouble()
  let hangs = false
  const folder = mkdtempSync(join(tmpdir(), 'idp-bridge-agt-'))
  try {
    const token = () => (hangs ? new Promise<string>(() => undefined) : 't')
    await using agent = follow(double, { folder, token, recordTimeoutMs: 100 })
    await agent.bridge.ready()
    rmSync(join(folder, 'kills'), { recursive: true })
    assert.equal((await agent.killSwitch.kill(did, { reason: 'r' })).callbacksExecuted, 1)
    assert.ok(agent.codes().includes('E_QUEUE'))
    await until('sent all the same', () => double.posts.length === 1)
    await until('recorded', () => agent.bridge.pending === 0)
    hangs = true
    assert.equal((await agent.killSwitch.kill(did, { reason: 'r' })).callbacksExecuted, 1)
    assert.equal(agent.bridge.pending, 1)
    hangs = false
    await until('delivered', () => agent.bridge.pending === 0)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('handlers that never settle are told of, and the hold is not acknowledged', async () => {
  await using double = await startDouble()
  await using agent = follow(double, { handlerTimeoutMs: 20 })
  agent.killSwitch.registerHandler(did, () => new Promise(() => undefined))
  await agent.bridge.ready()
  double.say(suspended('g-2', did, 'h1', 'kill') + suspended('g-3', 'did:mesh:b', 'h2'))
  await until('told', () => agent.codes().includes('E_HANDLER_SLOW'))
  await until('the other is not kept waiting', () => acks(double).length > 0)
  assert.deepEqual(acks(double), ['/v1/signals/3/ack'])
})

test('silence, on a clock that is moved: a heartbeat puts it off, and past it the old stream opens nothing', async () => {
  await using double = await startDouble()
  const clock = manualClock()
  const registry = new Map<string, AgentIdentity>()
  await using agent = follow(double, { silenceMs: 45_000, registry }, clock)
  await agent.bridge.ready()
  const late = AgentIdentity.generate('late')
  double.say(suspended('g-2', late.did, 'h0'))
  await until('held', () => holdsOf(agent.gate.check(late.did).holds, 'h0'))
  await clock.advance(44_000)
  assert.equal(agent.bridge.state, 'current')
  registry.set(late.did, late)
  double.say(':\n\n')
  await until('an identity that came later is suspended at a heartbeat', () => late.status === 'suspended')
  await clock.advance(44_000)
  assert.equal(agent.bridge.state, 'current')
  double.greeting = ''
  await clock.advance(46_000)
  assert.deepEqual(agent.gate.check(did).codes, ['R_SILENT'])
  double.say(`:\n\n${suspended('g-3', did, 'h1')}`)
  await until('a new stream', async () => {
    await clock.advance(1_000)
    return double.positions.length > 1
  })
  assert.deepEqual(agent.gate.check('did:mesh:b').codes, ['R_SILENT'], 'open, but not caught up')
  double.say('id: g-3\nevent: current\ndata: {}\n\n')
  await until('open', () => agent.gate.check('did:mesh:b').open)
})

test('errors of the host do not come back to it: a listener that throws, an identity that refuses', async () => {
  await using double = await startDouble()
  const heard: string[] = []
  const refusing = {
    did,
    status: 'active',
    suspend: () => {
      throw new Error('no')
    },
    reactivate: () => undefined,
  }
  await using agent = follow(double, {
    registry: new Map([[did, refusing]]),
    onError: ({ code }) => {
      heard.push(code)
      throw new Error('a listener that throws')
    },
  })
  await agent.bridge.ready()
  double.say(suspended('g-2', did, 'h1') + suspended('g-3', 'did:mesh:b', 'h2'))
  await until('the other was acknowledged', () => acks(double).length > 0)
  assert.deepEqual(acks(double), ['/v1/signals/3/ack'], 'what is not suspended is not acknowledged')
  assert.equal(agent.gate.check(did).open, false)
  assert.ok(heard.includes('E_TARGET'))
})

test('one client a kill switch; after it stopped another takes its place, not a place before it', async () => {
  await using double = await startDouble()
  const first = follow(double)
  const { killSwitch } = first
  const again = () => attach({ url: double.origin, token: 't', killSwitch, onError: () => undefined })
  assert.throws(again, { code: 'E_ATTACHED' })
  await first.bridge.stop()
  await assert.rejects(first.bridge.ready(), { code: 'E_STOPPED' })
  const second = again()
  await second.ready()
  await killSwitch.kill(did, { reason: 'r' })
  assert.equal(double.posts.filter(({ path }) => path === '/v1/kill').length, 1)
  await second.stop()
})

test('an abort signal stops it; aborted before, it never starts', async () => {
  await using double = await startDouble()
  const controller = new AbortController()
  await using agent = follow(double, { signal: controller.signal })
  await agent.bridge.ready()
  controller.abort()
  assert.equal(agent.bridge.state, 'stopped')
  await using never = follow(double, { signal: controller.signal })
  await assert.rejects(never.bridge.ready(), { code: 'E_STOPPED' })
  assert.equal(double.positions.length, 1)
})

test('options that cannot work are refused at once, and change nothing', () => {
  const killSwitch = new KillSwitch()
  const base = { url: 'https://bridge.example.com', token: 't', killSwitch }
  const faults: Partial<AttachOptions>[] = [
    { url: 'http://bridge.example.com' },
    { url: 'bridge' },
    { url: 'https://user:word@bridge.example.com' },
    { url: 'https://bridge.example.com/?x=1' },
    { token: '' },
    { silenceMs: 0 },
    { silenceMs: Number.NaN },
    { recordTimeoutMs: -1 },
    { aliases: { a: '' } },
    { aliases: { a: 'b', b: 'did:mesh:c' } },
  ]
  for (const fault of faults) assert.throws(() => attach({ ...base, ...fault }), { code: 'E_OPTIONS' })
  const frozen = Object.freeze(new KillSwitch())
  assert.throws(() => attach({ ...base, killSwitch: [killSwitch, frozen] }), { code: 'E_OPTIONS' })
  assert.equal(Object.hasOwn(killSwitch, 'kill'), false)
})
