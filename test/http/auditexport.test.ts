import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { World } from '../engine/harness.ts'
import { listen } from './listen.ts'

const event = z.strictObject({
  specversion: z.literal('1.0'),
  id: z.string(),
  source: z.string(),
  type: z.string(),
  time: z.string(),
  subject: z.string().optional(),
  datacontenttype: z.literal('application/json'),
  data: z.looseObject({ seq: z.int(), type: z.string(), hash: z.string() }),
})
const lines = (text: string): unknown[] => {
  assert.ok(text === '' || text.endsWith('\n'))
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))
}

test('the whole chain is exported, in lines that are the entries, from any of them on', async () => {
  await using world = await World.open()
  for (let n = 0; n < 700; n++)
    await world.kill(`did:mesh:${n}`, { name: `c${n}`, roles: ['runtime'], labels: undefined, requestId: 'r' })
  await using server = await listen({ bridge: world.bridge })
  const { items: last } = await world.bridge.audit({ after: 699, limit: 1000 })
  const whole = await server.ask('/v1/audit/export', { as: 'reader' })
  assert.equal(whole.status, 200, whole.text.slice(0, 300))
  assert.equal(whole.headers['content-type'], 'application/x-ndjson')
  const entries = lines(whole.text).map((line) =>
    z.looseObject({ seq: z.int(), prev: z.string(), hash: z.string() }).parse(line),
  )
  const { seq: head } = await world.store.auditHead()
  assert.deepEqual(
    entries.map(({ seq }) => seq),
    Array.from({ length: head }, (_, n) => n + 1),
  )
  for (const [at, { prev }] of entries.entries()) if (at > 0) assert.equal(prev, entries[at - 1]?.hash)

  const events = await server.ask('/v1/audit/export?format=cloudevents&after=699', { as: 'reader' })
  const parsed = lines(events.text).map((line) => event.parse(line))
  assert.deepEqual(
    parsed.map(({ data }) => data.hash),
    last.map(({ hash }) => hash),
  )
  assert.ok(parsed.every(({ type, data }) => type === `agentmesh.bridge.audit.${data.type}`))
  assert.equal(new Set(parsed.map(({ id }) => id)).size, parsed.length)
  assert.equal((await server.ask(`/v1/audit/export?after=${head}`, { as: 'reader' })).text, '')
  for (const as of ['runtime', 'gateway'] as const) {
    assert.equal((await server.ask('/v1/audit/export', { as })).status, 403)
  }
  assert.equal((await server.ask('/v1/audit/export?format=csv', { as: 'reader' })).status, 400)
})
