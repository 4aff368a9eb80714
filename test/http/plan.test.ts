import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BridgeError } from '../../src/core/errors.ts'
import { createDouble } from './bridge.ts'
import { listen } from './listen.ts'

test('a plan is told a part a directory, with its counts, hash and faults', async () => {
  await using server = await listen()
  const { status, json } = await server.ask('/v1/plan', { as: 'reader' })
  assert.equal(status, 200)
  assert.partialDeepStrictEqual(json, {
    at: '2026-11-21T10:00:00.000Z',
    paused: false,
    hash: null,
    adapters: [
      {
        adapter: 'contoso',
        complete: true,
        hash: 'a'.repeat(64),
        counts: { hold: 1, grant: 1 },
        left: 0,
        changes: [
          { change: 'hold', principal: 'p1', cause: 'disabled', capability: null, guarded: false },
          { change: 'grant', principal: null, cause: null, capability: 'read:x' },
        ],
        waiting: [{ wants: 'off', why: 'unsupported', detail: 'read-only' }],
        guard: [
          { state: 'tripped', frozen: { rows: 2, applying: false } },
          { state: 'trips', frozen: null },
        ],
        quarantine: ['empty'],
        faults: [],
      },
      { adapter: 'acme', complete: false, hash: null, counts: {}, faults: [{ code: 'E_DIRECTORY_DOWN', n: 1 }] },
    ],
  })
})

test('a plan of one directory; of none that is configured; and no other parameter', async () => {
  await using server = await listen()
  const one = await server.ask('/v1/plan?adapter=acme', { as: 'reader' })
  assert.partialDeepStrictEqual(one.json, { hash: 'b'.repeat(64), adapters: [{ adapter: 'acme' }] })
  assert.equal((await server.ask('/v1/plan?adapter=nowhere', { as: 'reader' })).json?.code, 'E_ADAPTER_UNKNOWN')
  assert.equal((await server.ask('/v1/plan?adaptor=acme', { as: 'reader' })).json?.code, 'E_VALIDATION')
})

test('rows past the bound are counted and not listed', async () => {
  const bridge = createDouble()
  const { plan } = bridge
  bridge.plan = async (adapter, signal) => {
    const found = await plan(adapter, signal)
    const [part] = found.adapters
    const [row] = part?.changes ?? []
    assert.ok(part && row)
    return { ...found, adapters: [{ ...part, changes: Array.from({ length: 10_003 }, () => row) }] }
  }
  await using server = await listen({ bridge })
  const { json } = await server.ask('/v1/plan', { as: 'reader' })
  assert.partialDeepStrictEqual(json, { adapters: [{ left: 3, counts: { hold: 10_003 } }] })
})

test('a second one meanwhile is told when to come back, and one whose client leaves is given up', async () => {
  const bridge = createDouble()
  const given = Promise.withResolvers<AbortSignal>()
  bridge.plan = async (adapter, signal) => {
    if (adapter !== undefined) throw new BridgeError('E_RATE', 'Another plan is being made.', { retryAfterMs: 5_000 })
    given.resolve(signal)
    const left = Promise.withResolvers<never>()
    signal.addEventListener('abort', () => left.reject(new BridgeError('E_ABORTED', 'It was given up.')))
    return left.promise
  }
  await using server = await listen({ bridge })
  const busy = await server.ask('/v1/plan?adapter=contoso', { as: 'reader' })
  assert.deepEqual([busy.status, busy.headers['retry-after']], [429, '5'])

  const leaving = new AbortController()
  const headers = { authorization: 'Bearer reader-token' }
  const asked = fetch(`http://127.0.0.1:${server.port}/v1/plan`, { headers, signal: leaving.signal })
  const signal = await given.promise
  assert.equal(signal.aborted, false)
  const over = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
  leaving.abort()
  await assert.rejects(asked)
  await over
})
