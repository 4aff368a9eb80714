import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openOutlet, outletConfigs } from '../../outlets/index.ts'
import type { Outlet, Push } from '../../src/core/outlet.ts'
import { lanesOf } from '../../src/engine/pushes.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { createLogger } from '../../src/lib/log.ts'
import { createOutbound } from '../../src/lib/outbound.ts'
import { World } from '../engine/harness.ts'
import { selfSigned } from '../unit/lib-certificate.ts'
import { Topic, type TopicOptions } from './topic.ts'

const key = 'key-of-the-topic-0123456789'
const { signal } = new AbortController()

const rigOf = async (options: TopicOptions, access: Readonly<Record<string, unknown>>, caFile?: string) => {
  await using stack = new AsyncDisposableStack()
  const topic = stack.use(await Topic.open(options))
  const lines: string[] = []
  const log = createLogger({ level: 'trace', destination: { write: (line) => void lines.push(line) } })
  const outbound = createOutbound({ userAgent: 'test', clock: systemClock, caFile })
  stack.defer(() => outbound.close())
  const config = outletConfigs.eventGrid.parse({ name: 'siem', endpoint: topic.endpoint, access })
  const outlet = await openOutlet(config, { outbound, clock: systemClock, log, source: 'https://bridge.contoso.com' })
  stack.defer(() => outlet.close?.())
  const held = stack.move()
  return { topic, outlet, lines, [Symbol.asyncDispose]: () => held.disposeAsync() }
}

const push = (seq: number, data: Readonly<Record<string, unknown>> = {}): Push => ({
  id: `generation-${seq}`,
  type: 'suspended',
  did: 'did:mesh:a',
  at: Date.UTC(2026, 10, 21, 10),
  data: { seq, type: 'suspended', did: 'did:mesh:a', ...data },
})

test('signals are published as CloudEvents, in one batch, with the key', async () => {
  await using rig = await rigOf({ key }, { auth: 'key', key })
  assert.deepEqual(await rig.outlet.push([push(1), push(2)], signal), { kind: 'taken' })
  assert.deepEqual(rig.topic.batches, [2])
  assert.deepEqual(rig.topic.events[0], {
    specversion: '1.0',
    id: 'generation-1',
    source: 'https://bridge.contoso.com',
    type: 'agentmesh.bridge.suspended',
    subject: 'did:mesh:a',
    time: '2026-11-21T10:00:00.000Z',
    datacontenttype: 'application/json',
    data: { seq: 1, type: 'suspended', did: 'did:mesh:a' },
  })
})

test('a wrong key fails for the topic as a whole, what is malformed or too large is refused for itself; no key is logged', async () => {
  await using wrong = await rigOf({ key: 'another-key-of-the-topic' }, { auth: 'key', key })
  const outcome = await wrong.outlet.push([push(1)], signal)
  assert.deepEqual(outcome, { kind: 'failed', error: 'HTTP 401', retryAfterMs: undefined, mayBeOwn: false })
  assert.equal(wrong.topic.requests.length, 1)
  assert.ok(!JSON.stringify([outcome, wrong.lines]).includes(key))

  await using rig = await rigOf({ key }, { auth: 'key', key })
  assert.deepEqual(await rig.outlet.push([{ ...push(1), id: '' }], signal), { kind: 'refused', error: 'HTTP 400' })
  const large = push(2, { reason: 'x'.repeat(1024 * 1024) })
  assert.deepEqual(await rig.outlet.push([large], signal), { kind: 'refused', error: 'HTTP 413' })
})

test('the library repeats nothing by itself: the answer tells the lanes when to come back', async () => {
  await using rig = await rigOf({ key }, { auth: 'key', key })
  rig.topic.busy = 1
  const outcome = await rig.outlet.push([push(1)], signal)
  assert.deepEqual(outcome, { kind: 'failed', error: 'HTTP 503', retryAfterMs: 7000, mayBeOwn: false })
  assert.equal(rig.topic.requests.length, 1)
})

test('a topic that is not there is no answer; an abort throws', async () => {
  await using rig = await rigOf({ key }, { auth: 'key', key })
  const aborted = AbortSignal.abort()
  await assert.rejects(() => rig.outlet.push([push(1)], aborted))
  await rig.topic[Symbol.asyncDispose]()
  assert.deepEqual(await rig.outlet.push([push(1)], signal), {
    kind: 'failed',
    error: 'E_OUTBOUND_NETWORK',
    retryAfterMs: undefined,
    mayBeOwn: false,
  })
})

test('over TLS with a token, which is read anew; no key is sent beside it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'idp-topic-'))
  try {
    const { cert, key: certKey } = selfSigned('localhost')
    const caFile = join(folder, 'ca.pem')
    const path = join(folder, 'token')
    writeFileSync(caFile, cert)
    writeFileSync(path, 'first-token')
    const tokens = new Set(['first-token'])
    const tenantId = '11111111-2222-3333-4444-555555555555'
    const access = { auth: 'entra', tenantId, credential: { type: 'tokenFile', path } }
    await using rig = await rigOf({ tls: { cert, key: certKey }, tokens }, access, caFile)
    assert.deepEqual(await rig.outlet.push([push(1)], signal), { kind: 'taken' })
    tokens.clear()
    tokens.add('second-token')
    assert.equal((await rig.outlet.push([push(2)], signal)).kind, 'failed')
    writeFileSync(path, 'the-second-token'.replace('the-', ''))
    assert.deepEqual(await rig.outlet.push([push(2)], signal), { kind: 'taken' })
    assert.ok(rig.topic.requests.every(({ headers }) => headers['aeg-sas-key'] === undefined))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

const run = async (world: World, outlet: Outlet, forMs: number): Promise<void> => {
  const { urgent, rest } = lanesOf(world.deps, outlet)
  for (const end = world.clock.mono() + forMs; world.clock.mono() < end; ) {
    const steps = [await urgent.step(signal), await rest.step(signal)]
    if (steps.every(({ inMs }) => inMs > 0)) await world.clock.advance(1000)
  }
}

test('a fleet is published in batches below the limit, held ones first; one that is refused is found in its batch', async () => {
  await using world = await World.open()
  await using rig = await rigOf({ key }, { auth: 'key', key })
  await world.kill('did:mesh:held')
  await run(world, rig.outlet, 2000)
  assert.deepEqual(
    rig.topic.events.map(({ type }) => type),
    ['agentmesh.bridge.snapshot'],
  )
  const reason = 'r'.repeat(1500)
  const by = { name: 'agt-1', roles: ['runtime'], labels: undefined, requestId: 'r' }
  const many = Array.from({ length: 90 }, (_, n) => `did:mesh:${n}`)
  await world.bridge.killMany({ targets: { dids: many }, reason }, 10, { ...by, roles: ['responder'] })
  await run(world, rig.outlet, 2000)
  const told = rig.topic.events.filter(({ type }) => type === 'agentmesh.bridge.suspended')
  assert.deepEqual(told.map(({ subject }) => subject).sort(), [...many].sort())
  assert.ok(rig.topic.batches.length < 10 && Math.max(...rig.topic.batches) > 50)
  assert.equal(rig.topic.refused.length, 0)
  // More than a request may have: the batch it is in is refused, then it alone.
  for (const did of ['before', 'after']) await world.kill(`did:mesh:${did}`)
  const { seq } = await world.store.write(async (tx) => ({
    seq: await tx.appendSignal({
      type: 'suspended',
      did: 'did:mesh:large',
      at: world.clock.now(),
      holdId: undefined,
      severity: 'kill',
      origin: 'runtime:agt-1',
      reason: 'x'.repeat(2 * 1024 * 1024),
      capabilities: undefined,
    }),
  }))
  await world.kill('did:mesh:last')
  await run(world, rig.outlet, 5000)
  const subjects = rig.topic.events.map(({ subject }) => subject)
  for (const did of ['before', 'after', 'last']) assert.ok(subjects.includes(`did:mesh:${did}`), did)
  assert.deepEqual(
    (await world.store.setAsideDue('siem', 'urgent', Number.MAX_SAFE_INTEGER, 10)).map((one) => one.seq),
    [seq],
  )
  const [receipt] = (await world.store.openHolds('did:mesh:3')).map(({ id }) => id)
  assert.deepEqual(await world.store.acksOf([receipt ?? '']), [], 'a topic acknowledges nothing')
})
