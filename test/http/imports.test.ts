import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listen } from './listen.ts'

const agent = { did: 'did:agentmesh:a7f3b2c1', name: 'data-analyst-agent' }

test('an import is opened once under its key, takes rows, is checked, applied and discarded', async () => {
  await using server = await listen()
  const ask = (path: string, method: string, body?: object, headers: Record<string, string> = {}) =>
    server.ask(`/v1/imports${path}`, { as: 'registrar', method, body, headers })
  const opened = await ask('', 'POST', { name: 'agents.csv' }, { 'idempotency-key': 'k' })
  assert.equal(opened.status, 201)
  assert.deepEqual(opened.json, {
    id: opened.json?.id,
    name: 'agents.csv',
    state: 'staging',
    createdAt: '2026-11-21T10:00:00.000Z',
    changedAt: '2026-11-21T10:00:00.000Z',
    actor: 'registrar',
    failure: null,
    rows: { total: 0, staged: 0, good: 0, bad: 0, registered: 0, unchanged: 0, failed: 0 },
  })
  const path = `/${opened.json?.id}`
  const staged = await ask(`${path}/rows`, 'PUT', { rows: [{ line: 2, agent }] })
  assert.deepEqual([staged.status, staged.json?.rows], [200, { ...Object(opened.json?.rows), total: 1, staged: 1 }])
  for (const [act, state] of [
    ['check', 'checking'],
    ['apply', 'applying'],
  ] as const) {
    const answer = await ask(`${path}/${act}`, 'POST', undefined, { 'idempotency-key': act })
    assert.deepEqual([answer.status, answer.json?.state], [202, state])
    assert.equal((await ask(`${path}/${act}`, 'POST', undefined, { 'idempotency-key': act })).status, 202)
  }
  assert.equal((await ask(path, 'GET')).json?.state, 'applying')
  assert.equal((await ask('?limit=5', 'GET')).status, 200)
  assert.equal((await ask(path, 'DELETE')).status, 204)
  const gone = await ask(path, 'GET')
  assert.deepEqual([gone.status, gone.json?.code], [404, 'E_NOT_FOUND'])
})

test('a row with the wrong shape is a fault of its line and does not refuse the others', async () => {
  await using server = await listen()
  const rows = [
    { line: 2, agent },
    { line: 3, agent: { did: 'did:agentmesh:b', nam: 'x' } },
    { line: 4, agent: 7 },
    { line: 5, agent: null },
  ]
  const put = await server.ask('/v1/imports/lasting/rows', { as: 'registrar', method: 'PUT', body: { rows } })
  assert.equal(put.status, 200, put.text)
  const ask = (query: string) => server.ask(`/v1/imports/lasting/faults${query}`, { as: 'registrar' })
  const first = await ask('?limit=1')
  assert.deepEqual(first.json, {
    items: [
      {
        line: 3,
        did: 'did:agentmesh:b',
        code: 'E_VALIDATION',
        detail: 'The row is not valid: /name is required, /nam is unknown.',
        hint: null,
        errors: [
          { pointer: '/name', code: 'required' },
          { pointer: '/nam', code: 'unknown_member' },
        ],
      },
    ],
    nextCursor: '3',
  })
  assert.match((await ask('?cursor=3')).text, /"line":4,"did":null.*"line":5,"did":null/)
})

test('what is no list of rows is refused, and so is whoever is no registrar', async () => {
  await using server = await listen()
  const put = (body: unknown, as: 'registrar' | 'reader' = 'registrar') =>
    server.ask('/v1/imports/lasting/rows', { as, method: 'PUT', body })
  for (const body of [
    {},
    { rows: [{ line: 5 }] },
    { rows: [] },
    { rows: [{ line: -1, agent }] },
    { rows: [{ line: 1, agent, more: 1 }] },
  ]) {
    assert.equal((await put(body)).status, 400, JSON.stringify(body))
  }
  assert.equal((await put({ rows: Array.from({ length: 501 }, (_, line) => ({ line, agent })) })).status, 400)
  assert.equal((await put({ rows: [{ line: 1, agent }] }, 'reader')).status, 403)
  assert.equal((await server.ask('/v1/imports', { as: 'responder' })).status, 403)
})
