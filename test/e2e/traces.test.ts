import assert from 'node:assert/strict'
import { test } from 'node:test'
import { analystDid, assertDenied, path, registerAll } from './agents.ts'
import { type Collector, collectorHeaders, type SeenSpan, startCollector } from './collector.ts'
import { at } from './json.ts'
import { until } from './until.ts'
import { type Daemon, hookKey, isMessage, startWorld, tokenOf } from './world.ts'

const never = { accounts: '0 0 1 1 *', groups: '0 0 1 1 *' }

const configured = (collector: Collector) => ({
  telemetry: { traces: { endpoint: collector.endpoint, headers: collectorHeaders } },
  adapters: { contoso: { sync: never } },
})

const firstPass = (daemon: Daemon) =>
  until('the first pass is over', async () => {
    const { body } = await daemon.as('alice').get('/v1/status')
    return typeof at(body, 'adapters', 0, 'groups', 'lastOkAt') === 'string'
  })

const childOf = (spans: readonly SeenSpan[], parent: SeenSpan, name: string): SeenSpan | undefined =>
  spans.find((span) => span.parent === parent.id && span.traceId === parent.traceId && span.name === name)

test('one trace tells of a hint, the read it caused, the hold, and the write in the other account', async () => {
  await using collector = await startCollector()
  await using world = await startWorld(configured(collector))
  await using daemon = await world.daemon()
  await registerAll(daemon, world)
  await firstPass(daemon)
  const { tenant, contoso } = world
  await tenant.subscribeEventGrid({
    url: `${daemon.origin}/hooks/contoso`,
    schema: 'cloudevents',
    auth: { type: 'key', header: 'X-Bridge-Key', key: hookKey },
  })
  tenant.setEnabled(contoso.agentUser, false)
  await until('the agent’s other account is off', () => tenant.get(contoso.agents.analyst)?.enabled === false)
  await assertDenied(daemon, { did: analystDid })

  const { spans } = collector
  const chain = await until('the spans have arrived', () => {
    for (const request of spans.filter(({ name }) => name === 'POST /hooks/:adapter')) {
      const hook = childOf(spans, request, 'hook')
      const read = hook && childOf(spans, hook, 'read')
      const hold = read && childOf(spans, read, 'hold')
      const write = hold && childOf(spans, hold, 'disable')
      const call = write && childOf(spans, write, 'POST')
      if (call !== undefined) return { hook, read, hold, write, call }
    }
    return undefined
  })
  assert.equal(chain.read?.attributes.get('bridge.adapter'), 'contoso')
  assert.equal(chain.hold?.attributes.get('bridge.did'), analystDid)
  assert.equal(chain.hold?.attributes.get('bridge.origin'), `adapter:contoso/${contoso.agentUser}`)
  const ids: unknown = chain.write?.attributes.get('bridge.ids')
  assert.ok(Array.isArray(ids) && ids.includes(contoso.agents.analyst))
  assert.equal(chain.call.attributes.get('server.address'), '127.0.0.1')
})

test('a kill is a span of its caller’s trace, and its release one of its own; nothing secret is in any of them', async () => {
  await using collector = await startCollector()
  await using world = await startWorld(configured(collector))
  await using daemon = await world.daemon()
  await registerAll(daemon, world)
  await firstPass(daemon)
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
  const reason = 'a reason that is nobody’s business'
  const kill = await daemon
    .as('runtime')
    .post('/v1/kill', { agentId: analystDid, reason }, { traceparent: `00-${traceId}-00f067aa0ba902b7-01` })
  assert.ok(kill.status < 300, kill.text)
  const { tenant, contoso } = world
  await until('off', () => tenant.get(contoso.agents.analyst)?.enabled === false)
  const { spans } = collector
  const write = await until('the write has arrived', () =>
    spans.find((one) => one.traceId === traceId && one.name === 'disable'),
  )
  const hold = spans.find(({ id }) => id === write.parent)
  assert.equal(hold?.name, 'hold')
  const request = spans.find(({ id }) => id === hold?.parent)
  assert.deepEqual([request?.name, request?.parent], ['POST /v1/kill', '00f067aa0ba902b7'])
  assert.equal(request?.attributes.get('http.response.status_code'), kill.status)
  const names = new Set(spans.map(({ name }) => name))
  assert.ok(!names.has('POST /v1/decisions') && !names.has('GET /v1/status'), 'questions and readings are no spans')
  const all = collector.raw.join('')
  for (const secret of [reason, tokenOf('runtime'), contoso.bridge.secret, hookKey, 'Bearer']) {
    assert.ok(!all.includes(secret), secret)
  }
})

test('a collector that is down delays and stops nothing; what was lost is counted, and its stop waits for no collector', async () => {
  await using collector = await startCollector()
  collector.fault = 'down'
  await using world = await startWorld(configured(collector))
  await using daemon = await world.daemon()
  await registerAll(daemon, world)
  const kill = await daemon.as('runtime').post('/v1/kill', { agentId: analystDid, reason: 'r' })
  assert.ok(kill.status < 300, kill.text)
  await assertDenied(daemon, { did: analystDid })
  await until('spans were offered and lost', async () => {
    const { text } = await daemon.nobody.get('/metrics')
    return /idp_bridge_trace_spans_total\{outcome="lost"\} [1-9]/.test(text)
  })
  await daemon.process.line('it is told', isMessage('traces not delivered'))
  assert.equal(daemon.log('traces not delivered').length, 1)
  assert.ok(collector.refused.length > 0)
  await daemon.as('alice').get(path(analystDid))
  collector.fault = 'hangs'
  await daemon.as('runtime').post('/v1/kill', { agentId: analystDid, reason: 'r' })
  daemon.process.signal('SIGTERM')
  assert.equal((await daemon.process.ended()).code, 0)
})
