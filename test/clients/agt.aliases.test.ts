import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { AgentIdentity, IdentityRegistry, KillSwitch } from '@microsoft/agent-governance-sdk'
import { type AgtClientError, type AttachOptions, attach } from '../../clients/agt/index.ts'
import { at } from '../e2e/json.ts'
import { until } from '../e2e/until.ts'
import { type Double, framed, resumed, startDouble, suspended } from './double.ts'

const did = 'did:mesh:0123456789abcdef0123456789abcdef'
const acks = ({ posts }: Double) => posts.filter(({ path }) => path.endsWith('/ack')).map(({ path }) => path)

/** A process that knows its agent by another spelling than the bridge. */
const process = (double: Double, options: Partial<AttachOptions> = {}) => {
  const identity = AgentIdentity.generate('billing-bot', [])
  const registry = new IdentityRegistry()
  registry.register(identity)
  const killSwitch = new KillSwitch()
  const killed: string[] = []
  killSwitch.registerHandler(identity.did, (id) => {
    killed.push(id)
  })
  const errors: AgtClientError[] = []
  const bridge = attach({
    url: double.origin,
    token: 't',
    killSwitch,
    registry,
    onError: (error) => errors.push(error),
    ...options,
  })
  return { bridge, gate: bridge.gate, identity, killSwitch, killed, errors, [Symbol.asyncDispose]: bridge.stop }
}

test('a kill of the agent stops it under the spelling this process knows, once, and only then is acknowledged', async () => {
  await using double = await startDouble()
  await using agent = process(double)
  await agent.bridge.ready()
  const alias = agent.identity.did
  double.say(suspended('g-2', did, 'h1', 'kill', [alias, 'did:mesh:other']))
  await until('acknowledged', () => acks(double).length > 0)
  assert.deepEqual(agent.killed, [alias])
  assert.equal(agent.identity.status, 'suspended')
  for (const id of [did, alias, 'did:mesh:other']) assert.deepEqual(agent.gate.check(id).holds, ['h1'])
  double.say(resumed('g-3', did, [alias, 'did:mesh:other']))
  await until('let go on', () => agent.gate.check(alias).open)
  assert.equal(agent.identity.status, 'active')
  assert.deepEqual(acks(double), ['/v1/signals/2/ack'])
  assert.deepEqual(agent.errors, [])
})

test('a snapshot names the aliases too; the next one frees every spelling', async () => {
  await using double = await startDouble()
  const holds = [{ holdId: 'h1', severity: 'suspend' }]
  await using agent = process(double)
  await agent.bridge.ready()
  const alias = agent.identity.did
  double.greeting = framed('g-7', 'snapshot', { held: [{ did, holds, aliases: [alias] }] })
  double.cut()
  await until('suspended', () => agent.identity.status === 'suspended')
  assert.equal(agent.gate.check(alias).open, false)
  double.greeting = framed('g-9', 'snapshot', { held: [] })
  double.cut()
  await until('reactivated', () => agent.identity.status === 'active')
  assert.equal(agent.gate.check(alias).open, true)
})

test('a hold that came before the spelling was an alias is one hold, fired once, and ends with the DID', async () => {
  await using double = await startDouble()
  await using agent = process(double)
  await agent.bridge.ready()
  const alias = agent.identity.did
  double.say(suspended('g-2', alias, 'h1', 'kill'))
  await until('acknowledged', () => acks(double).length > 0)
  double.say(suspended('g-3', did, 'h1', 'kill', [alias]))
  await until('acknowledged again', () => acks(double).length > 1)
  assert.deepEqual(agent.killed, [alias])
  assert.deepEqual(agent.gate.check(alias).holds, ['h1'])
  double.say(resumed('g-4', did, [alias]))
  await until('let go on', () => agent.gate.check(alias).open && agent.identity.status === 'active')
  assert.equal(agent.gate.check(did).open, true)
})

test('a kill of this process under the alias is over when the agent is released under its DID', async () => {
  await using double = await startDouble()
  double.answer = ({ path }) => (path === '/v1/kill' ? { status: 202, body: { holdId: 'h5', did } } : { status: 204 })
  await using agent = process(double)
  await agent.bridge.ready()
  const alias = agent.identity.did
  await agent.killSwitch.kill(alias, { action: 'x', reason: 'y' })
  assert.deepEqual(agent.gate.check(alias).codes, ['R_KILLED'])
  double.say(suspended('g-2', did, 'h5', 'kill', [alias]))
  await until('told of', () => agent.gate.check(alias).codes.join() === 'R_SUSPENDED')
  assert.deepEqual(agent.killed, [alias])
  double.say(resumed('g-3', did, [alias]))
  await until('let go on', () => agent.gate.check(alias).open)
})

test('what is known of the names outlives the process with the holds', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'agt-names-'))
  try {
    await using double = await startDouble()
    let alias = ''
    {
      await using agent = process(double, { folder })
      await agent.bridge.ready()
      alias = agent.identity.did
      double.say(suspended('g-2', did, 'h1', 'suspend', [alias]))
      await until('acknowledged', () => acks(double).length > 0)
    }
    double.greeting = framed('g-2', 'current')
    await using again = process(double, { folder })
    await again.bridge.ready()
    assert.deepEqual(again.gate.check(alias).holds, ['h1'])
    assert.deepEqual(double.positions.at(-1), 'g-2')
    double.say(resumed('g-3', did, [alias]))
    await until('let go on', () => again.gate.check(alias).open)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('aliases of another shape are not understood: the stream is opened anew', async () => {
  await using double = await startDouble()
  await using agent = process(double)
  await agent.bridge.ready()
  double.say(framed('g-2', 'suspended', { did, holdId: 'h1', severity: 'kill', aliases: [7] }))
  await until('refused', () => agent.errors.some((error) => error.code === 'E_FRAME'))
  await until('opened anew', () => double.positions.length > 1)
  assert.equal(at(double.posts[0]?.body, 'agentId'), undefined)
})

test('an alias that became that of another agent stays held with that one, whatever is told of the first', async () => {
  await using double = await startDouble()
  await using agent = process(double)
  await agent.bridge.ready()
  const alias = agent.identity.did
  double.say(suspended('g-2', did, 'h1', 'suspend', [alias]))
  double.say(resumed('g-3', did, [alias]))
  double.say(suspended('g-4', 'did:mesh:heir', 'h2', 'suspend', [alias]))
  double.say(suspended('g-5', did, 'h3', 'suspend'))
  await until('told of', () => agent.gate.check(did).holds.includes('h3'))
  assert.deepEqual(agent.gate.check(alias).holds, ['h2'])
  double.say(resumed('g-6', did))
  await until('let go on', () => agent.gate.check(did).open)
  assert.equal(agent.gate.check(alias).open, false)
  assert.equal(agent.identity.status, 'suspended')
  double.say(resumed('g-7', 'did:mesh:heir', [alias]))
  await until('free', () => agent.gate.check(alias).open && agent.identity.status === 'active')
})

test('an alias that was removed while this process was away is free with the agent', async () => {
  await using double = await startDouble()
  await using agent = process(double)
  await agent.bridge.ready()
  const alias = agent.identity.did
  double.say(suspended('g-2', did, 'h1', 'suspend', [alias]))
  await until('suspended', () => agent.identity.status === 'suspended')
  double.say(resumed('g-3', did))
  await until('reactivated', () => agent.identity.status === 'active')
  assert.equal(agent.gate.check(alias).open, true)
  double.say(suspended('g-4', did, 'h2', 'suspend', [alias]))
  await until('suspended', () => agent.identity.status === 'suspended')
  double.greeting = framed('g-9', 'snapshot', {
    held: [{ did, holds: [{ holdId: 'h3', severity: 'suspend' }] }],
  })
  double.cut()
  await until('reactivated', () => agent.identity.status === 'active')
  assert.equal(agent.gate.check(did).open, false)
  assert.equal(agent.gate.check(alias).open, true)
})

test('a kill of what was an alias while the agent was held is not a kill of that agent', async () => {
  await using double = await startDouble()
  await using agent = process(double)
  await agent.bridge.ready()
  const alias = agent.identity.did
  double.say(suspended('g-2', did, 'h1', 'suspend', [alias]))
  await until('suspended', () => agent.identity.status === 'suspended')
  double.say(resumed('g-3', did, [alias]))
  await until('reactivated', () => agent.identity.status === 'active')
  double.answer = ({ path }) => (path === '/v1/kill' ? { status: 202, body: { holdId: 'h5' } } : { status: 204 })
  await agent.killSwitch.kill(alias, { action: 'x', reason: 'y' })
  const [kill] = double.posts.filter(({ path }) => path === '/v1/kill')
  assert.equal(at(kill?.body, 'agentId'), alias)
  assert.equal(agent.gate.check(did).open, true)
})
