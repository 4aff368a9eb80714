import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLimits, networkOf, type Rates } from '../../src/http/limits.ts'
import { clientOf, listen } from './listen.ts'

const did = 'did:agentmesh:a'
const small: Rates = {
  questions: { perSecond: 1, burst: 3 },
  stops: { perSecond: 1, burst: 2 },
  unauthenticated: { perSecond: 1, burst: 2 },
}

const limited = async (more: Partial<Rates> = {}) => {
  const clock = { at: 0, mono: () => clock.at }
  const rates = { ...small, ...more }
  return { clock, server: await listen({ limits: createLimits(() => rates, clock) }) }
}

test('a client has so many requests, and is told when there are more', async () => {
  const { clock, server } = await limited()
  await using _ = server
  const ask = async (as: 'reader' | 'gateway') => server.ask('/v1/whoami', { as })
  for (let at = 0; at < 3; at += 1) assert.equal((await ask('reader')).status, 200)
  const over = await ask('reader')
  assert.equal(over.status, 429)
  assert.equal(over.json?.code, 'E_RATE')
  assert.equal(over.headers['retry-after'], '1')
  assert.match(String(over.headers['content-type']), /problem\+json/)
  assert.equal((await ask('gateway')).status, 200, 'another client has its own')
  clock.at += 1000
  assert.equal((await ask('reader')).status, 200)
  assert.equal((await ask('reader')).status, 429)
})

test('questions never spend what kills and holds need', async () => {
  const { server } = await limited({ questions: { perSecond: 1, burst: 1 } })
  await using _ = server
  const asked = async () => (await server.ask('/v1/whoami', { as: 'runtime' })).status
  assert.deepEqual([await asked(), await asked()], [200, 429])
  const kill = () => server.ask('/v1/kill', { as: 'runtime', body: { agentId: did, reason: 'r' } })
  assert.equal((await kill()).status, 202)
  const body = { severity: 'suspend', reason: 'r' }
  assert.equal((await server.ask(`/v1/agents/${did}/holds`, { as: 'runtime', body })).status, 201)
  assert.equal((await kill()).status, 429, 'they have a limit of their own')
})

test('whoever proves nothing is counted by address; a valid credential is not', async () => {
  const { server } = await limited()
  await using _ = server
  const wrong = () => server.ask('/v1/status', { headers: { authorization: 'Bearer wrong' } })
  assert.deepEqual([(await wrong()).status, (await wrong()).status], [401, 401])
  const over = await wrong()
  assert.deepEqual([over.status, over.json?.code], [429, 'E_RATE'])
  assert.equal((await server.ask('/errors/E_BUG')).status, 429)
  assert.equal((await server.ask('/v1/status', { as: 'reader' })).status, 200)
  for (const path of ['/healthz', '/readyz', '/metrics', '/hooks/contoso']) {
    assert.equal((await server.ask(path)).status, 200, path)
  }
})

test('an IPv6 network counts as one, in whatever spelling', () => {
  const one = networkOf('2001:db8:0:1::1')
  for (const same of ['2001:0DB8:0000:0001:ffff:1:2:3', '2001:db8::1:0:0:0:9', '2001:db8:0:1:a::%eth0']) {
    assert.equal(networkOf(same), one, same)
  }
  assert.notEqual(networkOf('2001:db8:0:2::1'), one)
  assert.notEqual(networkOf('2001:db8::1'), one)
  assert.equal(networkOf('::ffff:192.0.2.1'), '192.0.2.1')
  assert.equal(networkOf('::1'), networkOf('0:0:0:0:0:0:0:2'))
})

test('other limits count from the reload on, and what is kept is bounded', () => {
  let rates = small
  const limits = createLimits(() => rates, { mono: () => 0 })
  const take = (name: string) => {
    try {
      limits.stranger(name)
      return true
    } catch {
      return false
    }
  }
  assert.deepEqual([take('a'), take('a'), take('a')], [true, true, false])
  rates = { ...small, unauthenticated: { perSecond: 1, burst: 1 } }
  assert.deepEqual([take('a'), take('a')], [true, false])
  for (let at = 0; at < 10_000; at += 1) take(`other ${at}`)
  assert.equal(take('a'), true, 'pushed out by 10,000 others')
})

test('a client with a rate of its own is told what is left of it, and others are not', async () => {
  const { clock, server } = await limited()
  await using _ = server
  const at = server.clients.findIndex(({ name }) => name === 'runtime')
  const own = { questions: { perSecond: 2, burst: 5 } }
  const change = (rates: object) => {
    server.clients[at] = { ...clientOf('runtime'), rates }
  }
  change(own)
  const asked = async () => {
    const { status, headers } = await server.ask('/v1/whoami', { as: 'runtime' })
    assert.equal(headers['ratelimit-policy'], '"questions";q=5;w=3')
    return [status, headers.ratelimit, headers['retry-after']]
  }
  assert.deepEqual(await asked(), [200, '"questions";r=4;t=1', undefined])
  for (let more = 0; more < 3; more += 1) await asked()
  assert.deepEqual(await asked(), [200, '"questions";r=0;t=3', undefined])
  assert.deepEqual(await asked(), [429, '"questions";r=0;t=3', '1'])
  clock.at += 1000
  assert.deepEqual(await asked(), [200, '"questions";r=1;t=2', undefined])
  // The other lane is as everybody has it, and so is everybody else.
  const kill = await server.ask('/v1/kill', { as: 'runtime', body: { agentId: did, reason: 'r' } })
  assert.deepEqual([kill.status, kill.headers.ratelimit], [202, undefined])
  const reader = await server.ask('/v1/whoami', { as: 'reader' })
  assert.deepEqual(
    [reader.status, reader.headers.ratelimit, reader.headers['ratelimit-policy']],
    [200, undefined, undefined],
  )
  change({ questions: { ...own.questions } })
  assert.deepEqual(await asked(), [200, '"questions";r=4;t=1', undefined], 'after a reload it begins anew')
})

test('a rate of its own may be above what all have, also for what it may not do', async () => {
  const { server } = await limited()
  await using _ = server
  const at = server.clients.findIndex(({ name }) => name === 'gateway')
  server.clients[at] = { ...clientOf('gateway'), rates: { questions: { perSecond: 1, burst: 20 } } }
  for (let asked = 0; asked < 20; asked += 1) {
    const { status, headers } = await server.ask('/v1/agents', { as: 'gateway' })
    assert.deepEqual([status, headers.ratelimit], [403, `"questions";r=${19 - asked};t=${asked + 1}`])
  }
  assert.equal((await server.ask('/v1/agents', { as: 'gateway' })).status, 429)
})
