import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listen } from './listen.ts'

const path = '/v1/blueprints/Data%20Analyst%20Agent'
const definition = {
  description: 'reads',
  capabilities: ['read:x'],
  requireSponsor: true,
  maxDelegationDepth: 2,
  accessPolicy: { adapter: 'contoso', id: 'p1' },
}

test('a blueprint is defined, replaced, read, listed and removed, with its revision as ETag', async () => {
  await using server = await listen()
  const put = (body: object) => server.ask(path, { as: 'registrar', method: 'PUT', body })
  const first = await put(definition)
  assert.equal(first.status, 201)
  assert.equal(first.headers.etag, '"1"')
  assert.deepEqual(first.json, {
    name: 'Data Analyst Agent',
    origin: 'api',
    ...definition,
    accessPolicy: { adapter: 'contoso', id: 'p1', state: 'enforced', checkedAt: '2026-11-21T10:00:00.000Z' },
    applied: true,
    createdAt: '2026-11-21T10:00:00.000Z',
    updatedAt: '2026-11-21T10:00:00.000Z',
    revision: 1,
  })
  assert.deepEqual((await server.ask(path, { as: 'reader' })).json, first.json)
  const second = await put({ description: null, maxDelegationDepth: null, accessPolicy: null })
  assert.equal(second.status, 200)
  assert.deepEqual(
    [second.json?.description, second.json?.capabilities, second.json?.maxDelegationDepth, second.json?.accessPolicy],
    [null, [], null, null],
  )
  const list = await server.ask('/v1/blueprints?limit=1', { as: 'reader' })
  assert.deepEqual(list.json, { items: [second.json], nextCursor: null })
  const removed = await server.ask(path, { as: 'registrar', method: 'DELETE' })
  assert.deepEqual([removed.status, removed.json], [200, second.json])
  assert.equal((await server.ask(path, { as: 'reader' })).status, 404)
})

test('If-Match is honoured by PUT and DELETE', async () => {
  await using server = await listen()
  const change = (method: string, match: string) =>
    server.ask(path, {
      as: 'registrar',
      method,
      headers: { 'if-match': match },
      ...(method === 'DELETE' ? {} : { body: {} }),
    })
  assert.equal((await change('PUT', '*')).status, 404)
  assert.equal((await change('PUT', '"1"')).status, 412)
  await server.ask(path, { as: 'registrar', method: 'PUT', body: {} })
  for (const method of ['PUT', 'DELETE']) {
    assert.equal((await change(method, '"9"')).json?.code, 'E_REVISION', method)
    assert.equal((await change(method, 'garbage')).status, 400, method)
  }
  assert.equal((await change('PUT', '"1"')).headers.etag, '"2"')
  assert.equal((await change('DELETE', '"2"')).status, 200)
})

test('only registrars change blueprints, and those who may read see them', async () => {
  await using server = await listen()
  for (const as of ['reader', 'gateway', 'runtime', 'responder', 'approver'] as const) {
    assert.equal((await server.ask(path, { as, method: 'PUT', body: {} })).status, 403, as)
    assert.equal((await server.ask(path, { as, method: 'DELETE' })).status, 403, as)
  }
  assert.equal((await server.ask(path, { as: 'operator', method: 'PUT', body: {} })).status, 201)
  for (const as of ['gateway', 'runtime'] as const) assert.equal((await server.ask(path, { as })).status, 403, as)
  assert.equal((await server.ask(path)).status, 401)
  assert.equal(
    (await server.ask('/v1/blueprints/configured', { as: 'registrar', method: 'PUT', body: {} })).status,
    409,
  )
})

test('what is no definition is refused, with where', async () => {
  await using server = await listen()
  const rows: [object, string][] = [
    [{ ...definition, maxDelegationDepth: 11 }, '/maxDelegationDepth'],
    [{ ...definition, maxDelegationDepth: 1.5 }, '/maxDelegationDepth'],
    [{ ...definition, requireSponsor: 'yes' }, '/requireSponsor'],
    [{ ...definition, accessPolicy: { adapter: 'contoso' } }, '/accessPolicy/id'],
    [{ ...definition, sponsor: true }, '/sponsor'],
    [{ ...definition, capabilities: [''] }, '/capabilities/0'],
  ]
  for (const [body, pointer] of rows) {
    const { status, json } = await server.ask(path, { as: 'registrar', method: 'PUT', body })
    assert.equal(status, 400, pointer)
    assert.match(JSON.stringify(json?.errors), new RegExp(`"${pointer}"`))
  }
  for (const name of ['%20a', 'a%0Ab', 'x'.repeat(201)]) {
    const { status } = await server.ask(`/v1/blueprints/${name}`, { as: 'registrar', method: 'PUT', body: {} })
    assert.equal(status, 400, name)
  }
  assert.equal((await server.ask('/v1/blueprints/a%2Fb', { as: 'registrar', method: 'PUT', body: {} })).status, 201)
})
