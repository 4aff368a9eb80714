import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listen } from './listen.ts'

const agent = { did: 'did:agentmesh:a', name: 'a', capabilities: ['read:reports'] }

test('registering is 201, repeating it 200, with the revision as ETag', async () => {
  await using server = await listen()
  const first = await server.ask('/v1/agents', { as: 'registrar', body: agent })
  assert.equal(first.status, 201)
  assert.equal(first.headers.etag, '"1"')
  assert.equal(first.json?.did, agent.did)
  const second = await server.ask('/v1/agents', { as: 'registrar', body: agent })
  assert.equal(second.status, 200)
  assert.deepEqual(second.json, first.json)
})

test('an agent is answered with every member of the contract, times in RFC 3339 with milliseconds', async () => {
  await using server = await listen()
  const body = { ...agent, sponsor: { email: 'alice@contoso.com' }, labels: { unit: 'payments' } }
  const { json } = await server.ask('/v1/agents', { as: 'registrar', body })
  assert.deepEqual(json, {
    did: agent.did,
    name: 'a',
    status: 'active',
    severity: null,
    sponsor: { email: 'alice@contoso.com' },
    blueprint: null,
    parentDid: null,
    delegation: null,
    depth: 0,
    labels: { unit: 'payments' },
    capabilities: [{ name: 'read:reports', sources: [{ source: 'manual', confirmedAt: '2026-11-21T10:00:00.000Z' }] }],
    effective: ['read:reports'],
    principals: [],
    keys: [],
    aliases: [],
    holds: [],
    trust: null,
    lastActivity: null,
    createdAt: '2026-11-21T10:00:00.000Z',
    updatedAt: '2026-11-21T10:00:00.001Z',
    revision: 1,
  })
})

test('a DID in a path is taken raw and percent-encoded, decoded once', async () => {
  await using server = await listen()
  const rows = [
    ['did:agentmesh:a:b', 'did:agentmesh:a:b'],
    ['did%3Aagentmesh%3Aa%3Ab', 'did:agentmesh:a:b'],
    ['did:agentmesh:a%2Fb', 'did:agentmesh:a/b'],
    ['did%3aagentmesh%3ac%2F%C3%A9', 'did:agentmesh:c/é'],
    ['did:agentmesh:100%25', 'did:agentmesh:100%'],
    ['did:agentmesh:a%252Fb', 'did:agentmesh:a%2Fb'],
    ['did:mesh:sponsor:alice@contoso.com', 'did:mesh:sponsor:alice@contoso.com'],
    ['did:agentmesh:a;b,c(d)!*$&=+~', 'did:agentmesh:a;b,c(d)!*$&=+~'],
    ['did:agentmesh:a%3Fb%23c', 'did:agentmesh:a?b#c'],
    ['did:agentmesh:..%2F..%2Fstatus', 'did:agentmesh:../../status'],
    [`did:agentmesh:${'%E2%82%AC'.repeat(498)}`, `did:agentmesh:${'€'.repeat(498)}`],
  ] as const
  for (const [path, did] of rows) {
    await server.ask(`/v1/agents/${path}`, { as: 'reader' })
    assert.equal(server.bridge.calls.dids.at(-1), did)
  }
  const odd = 'did:agentmesh:x/holds:é'
  assert.equal((await server.ask('/v1/agents', { as: 'registrar', body: { ...agent, did: odd } })).status, 201)
  const { status, json } = await server.ask(`/v1/agents/${encodeURIComponent(odd)}/holds`, { as: 'reader' })
  assert.equal(status, 200)
  assert.deepEqual(json, { items: [], nextCursor: null })
})

test('If-Match is honoured by PUT, PATCH and DELETE', async () => {
  await using server = await listen()
  await server.ask('/v1/agents', { as: 'registrar', body: agent })
  const change = (method: string, match: string) =>
    server.ask(`/v1/agents/${agent.did}`, {
      as: 'registrar',
      method,
      headers: { 'if-match': match },
      ...(method === 'DELETE' ? {} : { body: { name: 'b' } }),
    })
  for (const method of ['PUT', 'PATCH', 'DELETE']) {
    const stale = await change(method, '"99"')
    assert.equal(stale.status, 412, method)
    assert.equal(stale.json?.code, 'E_REVISION')
    assert.equal((await change(method, 'garbage')).status, 400, method)
    assert.equal((await change(method, 'W/"1"')).status, 400, method)
  }
  assert.equal((await change('PATCH', '"1"')).headers.etag, '"2"')
  assert.equal((await change('PUT', '"2"')).headers.etag, '"3"')
  assert.equal((await change('PUT', '*')).headers.etag, '"4"')
  assert.equal((await change('DELETE', '"4"')).json?.status, 'decommissioned')
})

test('PUT registers what is new, never under If-Match: *, and refuses a body about another agent', async () => {
  await using server = await listen()
  const put = (body: object, headers = {}) =>
    server.ask(`/v1/agents/${agent.did}`, { as: 'registrar', method: 'PUT', body, headers })
  assert.equal((await put({ name: 'a' }, { 'if-match': '*' })).status, 404)
  const other = await put({ name: 'a', did: 'did:agentmesh:other' })
  assert.deepEqual(other.json?.errors, [{ pointer: '/did', code: 'conflict' }])
  assert.equal((await put({ name: 'a', did: agent.did })).status, 201)
  assert.equal((await put({ name: 'a' })).status, 200)
})

test('PATCH takes a merge patch under either content type', async () => {
  await using server = await listen()
  await server.ask('/v1/agents', { as: 'registrar', body: agent })
  for (const type of ['application/merge-patch+json', 'application/json; charset=utf-8']) {
    const { status, json } = await server.ask(`/v1/agents/${agent.did}`, {
      as: 'registrar',
      method: 'PATCH',
      body: { name: type, blueprint: null, labels: { unit: null } },
      headers: { 'content-type': type },
    })
    assert.equal(status, 200)
    assert.equal(json?.name, type)
  }
})

test('a list passes its filters on, and a limit of 100 unless told', async () => {
  await using server = await listen()
  const { status, json } = await server.ask('/v1/agents?status=active&label=unit%3Dpay&q=a&cursor=c&limit=5', {
    as: 'reader',
  })
  assert.equal(status, 200)
  assert.deepEqual(json, { items: [], nextCursor: 'next' })
  assert.deepEqual(server.bridge.calls.filters.at(-1), {
    status: 'active',
    label: 'unit=pay',
    q: 'a',
    cursor: 'c',
    limit: 5,
  })
  await server.ask('/v1/agents', { as: 'reader' })
  assert.deepEqual(server.bridge.calls.filters.at(-1), { limit: 100 })
})

test('the agent behind an account is found, and validation answers issues', async () => {
  await using server = await listen()
  await server.ask('/v1/agents', { as: 'registrar', body: agent })
  const found = await server.ask(`/v1/principals?adapter=contoso&id=${agent.did}`, { as: 'reader' })
  assert.equal(found.json?.did, agent.did)
  assert.equal((await server.ask('/v1/principals?adapter=contoso', { as: 'reader' })).status, 400)
  const shared = await server.ask(`/v1/principals?adapter=contoso&id=shared:${agent.did}`, { as: 'reader' })
  const { agents, ...rest } = shared.json ?? {}
  assert.deepEqual(rest, { adapter: 'contoso', id: `shared:${agent.did}`, shared: true })
  assert.deepEqual(agents, [found.json])
  assert.equal(shared.headers.etag, undefined)
  const { json } = await server.ask(`/v1/agents/${agent.did}/validate`, { as: 'reader' })
  assert.deepEqual(json, {
    ok: false,
    issues: [{ code: 'V_SPONSOR', text: 'No sponsor.', mend: null }],
    unproven: [{ code: 'V_UNPROVEN', text: 'Who knows.', mend: 'Try.' }],
  })
})
