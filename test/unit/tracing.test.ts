import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InMemorySpanExporter } from '@opentelemetry/sdk-trace-base'
import { BridgeError } from '../../src/core/errors.ts'
import { createTracing, type Tracing } from '../../src/lib/tracing.ts'

const rig = (sampleRatio = 1) => {
  const exporter = new InMemorySpanExporter()
  const clock = { at: 0, mono: () => clock.at }
  const tracing = createTracing({ exporter, sampleRatio, serviceName: 'idp-bridge', version: '0', clock })
  /** Everything recorded so far; what is shut down cannot be asked again. */
  const spans = async () => {
    const [kept] = [exporter.getFinishedSpans.bind(exporter)]
    exporter.shutdown = async () => undefined
    await tracing.close()
    return kept().map((span) => ({
      name: span.name,
      id: span.spanContext().spanId,
      trace: span.spanContext().traceId,
      parent: span.parentSpanContext?.spanId,
      links: span.links.map(({ context }) => context.spanId),
      attributes: span.attributes,
      failed: span.status.code === 2,
    }))
  }
  return { tracing, clock, spans }
}

const nothing = async () => undefined

test('what is done about an account follows from what was left there, once for each cause', async () => {
  const { tracing, spans } = rig()
  tracing.mark('hold', { n: 1 }, ['a', 'b'])
  tracing.mark('hold', { n: 2 }, ['c'])
  await tracing.span('disable', { about: ['a', 'b', 'c', 'd'], outward: true }, async () => {
    await tracing.within('POST', {}, nothing)
  })
  await tracing.within('GET', {}, nothing)
  const [one, two, call, write, ...rest] = await spans()
  assert.deepEqual(rest, [], 'within nothing there is no span')
  assert.deepEqual([write?.parent, write?.links, write?.trace], [one?.id, [two?.id], one?.trace])
  assert.deepEqual([call?.name, call?.parent], ['POST', write?.id])
})

test('ten minutes later it is nobody’s consequence any more, and of many trails the oldest go', async () => {
  const { tracing, clock, spans } = rig()
  tracing.mark('hold', {}, ['old'])
  tracing.mark('hold', {}, ['first'])
  clock.at = 600_001
  await tracing.span('late', { about: ['old'] }, nothing)
  tracing.mark('hold', {}, ['kept'])
  const many = Array.from({ length: 9_999 }, (_, n) => `n${n}`)
  await tracing.span('many', {}, async () => tracing.leave(many))
  await tracing.span('after', { about: ['kept'] }, nothing)
  const all = await spans()
  const named = (name: string) => all.find((span) => span.name === name)
  assert.equal(named('late')?.parent, undefined)
  assert.equal(named('after')?.parent, all.filter(({ name }) => name === 'hold').at(-1)?.id)
})

test('a failure is told by its code alone', async () => {
  const { tracing, spans } = rig()
  const fail = async () => {
    throw new BridgeError('E_DIRECTORY_DOWN', 'the secret text')
  }
  await assert.rejects(tracing.span('read', {}, fail), { code: 'E_DIRECTORY_DOWN' })
  const [span] = await spans()
  assert.deepEqual([span?.failed, span?.attributes], [true, { 'error.type': 'E_DIRECTORY_DOWN' }])
})

const serve = (tracing: Tracing, traceparent: unknown) =>
  tracing.serve('POST /x', traceparent, {}, () => undefined)(200)
const trace = '4bf92f3577b34da6a3ce929d0e0e4736'

test('a caller’s trace is gone on with, whether it was recorded there or not; what is no traceparent begins another', async () => {
  const { tracing, spans } = rig()
  for (const flags of ['00', '01']) serve(tracing, `00-${trace}-00f067aa0ba902b7-${flags}`)
  const wrong = [
    `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
    `00-${trace}-${'0'.repeat(16)}-01`,
    'x',
    '',
    7,
    undefined,
    [trace],
  ]
  for (const one of wrong) serve(tracing, one)
  const all = await spans()
  assert.deepEqual(
    all.slice(0, 2).map((one) => [one.trace, one.parent]),
    Array(2).fill([trace, '00f067aa0ba902b7']),
  )
  assert.equal(all.length, 2 + wrong.length)
  assert.ok(all.slice(2).every((one) => one.trace !== trace && one.parent === undefined))
})

test('how much is recorded is ours to say: none of it at 0, whatever callers ask for', async () => {
  const { tracing, spans } = rig(0)
  serve(tracing, `00-${trace}-00f067aa0ba902b7-01`)
  assert.equal(await tracing.span('read', {}, async () => 7), 7)
  assert.deepEqual(await spans(), [])
})
