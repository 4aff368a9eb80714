import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import type { Role } from '../../src/core/roles.ts'
import { type Ask, hashOf, listen, roles } from './listen.ts'

const did = 'did:agentmesh:a'
const readers: readonly Role[] = ['reader', 'registrar', 'responder', 'approver', 'operator']
const registrars: readonly Role[] = ['registrar', 'operator']
const responders: readonly Role[] = ['responder', 'operator']
const approvers: readonly Role[] = ['approver', 'operator']

const form = { 'content-type': 'application/x-www-form-urlencoded' }
const evaluation = {
  subject: { type: 'agent', id: did },
  action: { name: 'read' },
  resource: { type: 'capability', id: 'reports' },
}

interface Row extends Ask {
  readonly path: string
  readonly challenges?: string
  readonly who: readonly Role[]
}

/** Every route that asks for a token, and who may call it (DESIGN §7). */
const table: readonly Row[] = [
  { path: '/v1/agents', body: { did, name: 'a' }, who: registrars },
  { path: '/v1/agents', who: readers },
  { path: `/v1/agents/${did}`, who: readers },
  { path: `/v1/agents/${did}`, method: 'PUT', body: { name: 'a' }, who: registrars },
  { path: `/v1/agents/${did}`, method: 'PATCH', body: { name: 'a' }, who: registrars },
  { path: `/v1/agents/${did}`, method: 'DELETE', who: registrars },
  { path: `/v1/agents/${did}/validate`, who: readers },
  { path: `/v1/agents/${did}/delegation`, who: readers },
  { path: `/v1/agents/${did}/passport`, method: 'POST', who: [...registrars, 'runtime'] },
  { path: `/v1/principals?adapter=contoso&id=${did}`, who: readers },
  { path: '/v1/toolservers', who: readers },
  { path: '/v1/toolservers/lasting', who: readers },
  { path: '/v1/toolservers/lasting', method: 'PUT', body: {}, who: registrars },
  { path: '/v1/toolservers/lasting', method: 'DELETE', who: registrars },
  { path: '/v1/blueprints', who: readers },
  { path: '/v1/blueprints/lasting', who: readers },
  { path: '/v1/blueprints/lasting', method: 'PUT', body: {}, who: registrars },
  { path: '/v1/blueprints/lasting', method: 'DELETE', who: registrars },
  { path: `/v1/agents/${did}/holds`, body: { severity: 'suspend', reason: 'r' }, who: [...responders, 'runtime'] },
  { path: `/v1/agents/${did}/holds`, who: readers },
  { path: `/v1/agents/${did}/receipts/hold-1`, who: readers },
  {
    path: `/v1/agents/${did}/holds/hold-1/release`,
    body: { reason: 'r' },
    who: ['responder', 'approver', 'operator', 'runtime'],
  },
  { path: '/v1/releases/release-hold-1/approve', method: 'POST', who: approvers },
  { path: '/v1/kill', body: { agentId: did, reason: 'r' }, who: [...responders, 'runtime'] },
  { path: '/v1/trust', body: { did, score: 500, scale: '0-1000' }, who: ['runtime'] },
  { path: '/v1/kills/kill-1', who: [...readers, 'runtime'] },
  { path: '/v1/signals/1/ack', method: 'POST', who: ['runtime'] },
  { path: '/v1/decisions', body: { did }, who: ['gateway'] },
  { path: '/v1/replica', who: ['gateway'] },
  { path: '/v1/replica', body: { dids: [did] }, who: ['gateway'] },
  { path: '/v1/tokens/verify', body: { token: 'good' }, who: ['gateway'] },
  {
    path: '/oauth2/introspect',
    body: 'token=t',
    headers: form,
    challenges: 'Basic realm="idp-bridge", Bearer',
    who: ['gateway'],
  },
  { path: '/access/v1/evaluation', body: evaluation, who: ['gateway'] },
  { path: '/access/v1/evaluations', body: evaluation, who: ['gateway'] },
  { path: '/v1/data/agentmesh/allow', body: { input: { did } }, who: ['gateway'] },
  { path: '/v1/data/agentgovernance/allow', body: { input: { did } }, who: ['gateway'] },
  { path: '/annotate', body: { input: did }, who: ['gateway'] },
  { path: '/v1/imports', body: {}, who: registrars },
  { path: '/v1/imports', who: registrars },
  { path: '/v1/imports/lasting', who: registrars },
  {
    path: '/v1/imports/lasting/rows',
    method: 'PUT',
    body: { rows: [{ line: 1, agent: { did, name: 'a' } }] },
    who: registrars,
  },
  { path: '/v1/imports/lasting/check', method: 'POST', who: registrars },
  { path: '/v1/imports/lasting/faults', who: registrars },
  { path: '/v1/imports/lasting/apply', method: 'POST', who: registrars },
  { path: '/v1/imports/lasting', method: 'DELETE', who: registrars },
  { path: '/v1/webhooks', who: readers },
  { path: '/v1/webhooks/payments/deadletters', who: readers },
  { path: '/v1/webhooks/payments/redeliver', body: {}, who: ['operator'] },
  { path: '/v1/webhooks/payments/enable', method: 'POST', who: ['operator'] },
  { path: '/v1/audit', who: readers },
  { path: '/v1/audit/export', who: readers },
  { path: '/v1/audit/verify', who: readers },
  { path: '/v1/status', who: readers },
  { path: '/v1/plan', who: readers },
  { path: '/v1/doctor', who: readers },
  { path: '/v1/guard/contoso', who: readers },
  { path: '/v1/discover/contoso', who: readers },
  { path: '/v1/guard/contoso/approve', body: { hash: 'f'.repeat(64) }, who: approvers },
  { path: '/v1/whoami', who: roles },
  { path: '/v1/pause', body: { paused: true, reason: 'r' }, who: ['operator'] },
]

test('each route is for its roles and nobody else', async () => {
  await using server = await listen()
  await server.ask('/v1/agents', { as: 'registrar', body: { did, name: 'a' } })
  await server.ask(`/v1/agents/${did}/holds`, { as: 'responder', body: { severity: 'suspend', reason: 'r' } })
  await server.ask('/v1/kill', { as: 'responder', body: { agentIds: [did], reason: 'r' } })
  for (const { path, who, challenges = 'Bearer', ...ask } of table) {
    const label = `${ask.method ?? (ask.body === undefined ? 'GET' : 'POST')} ${path}`
    const none = await server.ask(path, ask)
    assert.equal(none.status, 401, label)
    assert.equal(none.headers['www-authenticate'], challenges, label)
    assert.equal(none.json?.code, 'E_UNAUTHENTICATED', label)
    for (const as of roles) {
      const { status, text } = await server.ask(path, { ...ask, as })
      if (who.includes(as)) assert.ok(status < 400, `${label} as ${as}: ${status} ${text}`)
      else assert.equal(status, 403, `${label} as ${as}: ${status} ${text}`)
    }
  }
})

test('the table of roles names every route of the API', async () => {
  await using server = await listen()
  const { json } = await server.ask('/openapi.json')
  const operation = z.object({ security: z.array(z.unknown()) })
  const paths = z.record(z.string(), z.record(z.string(), operation)).parse(json?.paths)
  const known = table.map(({ path, method, body }) => {
    const template = path
      .replace(/\?.*/, '')
      .replace(did, '{did}')
      .replace('release-hold-1', '{releaseId}')
      .replace('hold-1', '{holdId}')
      .replace('contoso', '{adapter}')
      .replace('kill-1', '{killId}')
      .replace('imports/lasting', 'imports/{importId}')
      .replace(/lasting|payments/, '{name}')
      .replace('/1/', '/{seq}/')
    return `${(method ?? (body === undefined ? 'GET' : 'POST')).toLowerCase()} ${template}`
  })
  const asked = Object.entries(paths)
    .filter(([, item]) => Object.values(item).some(({ security }) => security.length > 0))
    .filter(([path]) => path !== '/v1/signals')
    .flatMap(([path, item]) => Object.keys(item).map((method) => `${method} ${path}`))
  assert.deepEqual(asked.sort(), known.sort())
})

test('the signal stream is for runtimes only', async () => {
  await using server = await listen()
  for (const as of roles) {
    if (as !== 'runtime') assert.equal((await server.ask('/v1/signals', { as })).status, 403, as)
    if (as !== 'gateway') assert.equal((await server.ask('/v1/signals?replica=true', { as })).status, 403, as)
  }
  assert.equal((await server.ask('/v1/signals')).status, 401)
})

test('no token is asked for health, metrics, hooks and documentation', async () => {
  await using server = await listen()
  for (const path of ['/healthz', '/readyz', '/metrics', '/hooks/contoso', '/openapi.json', '/docs', '/errors/E_BUG']) {
    assert.equal((await server.ask(path)).status, 200, path)
  }
})

test('a token is known by its hash: every one listed, none other, in whatever case the scheme is written', async () => {
  await using server = await listen()
  const old = {
    name: 'soc',
    roles: ['operator' as const],
    tokenSha256: [hashOf('new'), hashOf('old')],
    labels: undefined,
  }
  server.clients.push(old)
  const ask = async (authorization: string) => (await server.ask('/v1/status', { headers: { authorization } })).status
  assert.equal(await ask('Bearer new'), 200)
  assert.equal(await ask('bearer old'), 200)
  assert.equal(await ask('Bearer  new '), 200)
  for (const wrong of [
    'Bearer',
    'Bearer ',
    'Bearer newer',
    'Basic bmV3',
    'new',
    `Bearer ${hashOf('new')}`,
    'Bearer a b',
  ]) {
    assert.equal(await ask(wrong), 401, wrong)
  }
})

test('clients are looked up for each request', async () => {
  await using server = await listen()
  assert.equal((await server.ask('/v1/status', { as: 'reader' })).status, 200)
  server.clients.splice(0)
  assert.equal((await server.ask('/v1/status', { as: 'reader' })).status, 401)
})

test('the engine is told who calls: name, roles with those implied, label bounds and request id', async () => {
  await using server = await listen()
  await server.ask('/v1/kill', { as: 'runtime', body: { agentId: did }, headers: { 'x-request-id': 'req-1' } })
  assert.deepEqual(server.bridge.calls.callers.at(-1), {
    name: 'runtime',
    roles: ['runtime'],
    labels: { unit: 'payments' },
    requestId: 'req-1',
  })
  await server.ask('/v1/agents', { as: 'operator' })
  const caller = server.bridge.calls.callers.at(-1)
  assert.deepEqual(caller?.roles, ['operator', 'registrar', 'responder', 'approver'])
  assert.equal(caller?.labels, undefined)
})

test('a body is not read before the caller is known', async () => {
  await using server = await listen()
  assert.equal((await server.ask('/v1/agents', { body: '{' })).status, 401)
  assert.equal((await server.ask('/v1/agents', { body: '{', as: 'reader' })).status, 403)
})

test('a runtime suspends by a hold, and kills by a kill only', async () => {
  await using server = await listen()
  for (const severity of ['kill', 'disable']) {
    const body = { severity, reason: 'r' }
    assert.equal((await server.ask(`/v1/agents/${did}/holds`, { as: 'runtime', body })).status, 403)
    assert.equal((await server.ask(`/v1/agents/${did}/holds`, { as: 'responder', body })).status, 201)
  }
})
