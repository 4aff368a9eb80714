import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BridgeError } from '../../src/core/errors.ts'
import { createDouble } from './bridge.ts'
import { listen } from './listen.ts'

test('findings are told page by page, each as its kind', async () => {
  await using server = await listen()
  const first = await server.ask('/v1/discover/contoso', { as: 'reader' })
  assert.equal(first.status, 200, first.text)
  const item = { finding: 'unmapped', id: 'shadow', appId: null, suggested: null, replaces: [] }
  assert.partialDeepStrictEqual(first.json, { items: [item], nextCursor: 'second', passedOver: 2 })
  const rest = await server.ask('/v1/discover/contoso?cursor=second', { as: 'reader' })
  assert.partialDeepStrictEqual(rest.json, { items: [{ finding: 'gone', did: 'did:mesh:a' }], nextCursor: null })
  const all = await server.ask('/v1/discover/contoso?all=true&only=gone', { as: 'reader' })
  assert.partialDeepStrictEqual(all.json, { items: [{ finding: 'gone' }], passedOver: 0 })
  assert.equal((await server.ask('/v1/discover/nowhere', { as: 'reader' })).status, 404)
  for (const wrong of ['only=both', 'all=perhaps', 'cursor=', 'limit=1'])
    assert.equal((await server.ask(`/v1/discover/contoso?${wrong}`, { as: 'reader' })).status, 400, wrong)
})

test('a page is given up when the daemon stops, which need not wait for the directory', async () => {
  const bridge = createDouble()
  const given = Promise.withResolvers<AbortSignal>()
  bridge.discover = async (_adapter, _filter, signal) => {
    given.resolve(signal)
    const left = Promise.withResolvers<never>()
    signal.addEventListener('abort', () => left.reject(new BridgeError('E_ABORTED', 'It was given up.')))
    return left.promise
  }
  await using server = await listen({ bridge })
  const asked = server.ask('/v1/discover/contoso', { as: 'reader' })
  await given.promise
  await server.app.close()
  const { json, status } = await asked
  assert.deepEqual([status, json?.code], [503, 'E_ABORTED'])
})
