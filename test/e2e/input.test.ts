import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { analystDid, path, principal, registerAll, scoutDid } from './agents.ts'
import type { Answer, Ask } from './client.ts'
import { at, listAt, textAt } from './json.ts'
import { until } from './until.ts'
import { hookKey, startWorld, type World } from './world.ts'

type Case = readonly [name: string, who: string | undefined, path: string, ask: Ask, status: number, code: string]

const agent = (over: object) => ({ body: { did: `did:mesh:${randomUUID()}`, name: 'new', ...over } })
const mapped = (...principals: object[]) => agent({ principals })

const cases = ({ contoso }: World): readonly Case[] => {
  const { reconciler, scout } = contoso.agents
  const holds = path(scoutDid, '/holds')
  const suspend = { severity: 'suspend', reason: 'x' }
  return [
    ['a malformed DID', 'alice', '/v1/agents', agent({ did: 'did:web:example.com' }), 400, 'E_DID'],
    ['a DID with a space', 'alice', '/v1/agents', agent({ did: 'did:mesh:a b' }), 400, 'E_DID'],
    ['a kill of a malformed DID', 'runtime', '/v1/kill', { body: { agentId: 'nobody' } }, 400, 'E_DID'],
    ['a decision on a malformed DID', 'gateway', '/v1/decisions', { body: { did: 'nobody' } }, 400, 'E_DID'],
    ['a malformed DID in a path', 'alice', '/v1/agents/nobody', {}, 400, 'E_DID'],
    ['an unknown DID', 'alice', '/v1/agents/did:mesh:unknown', {}, 404, 'E_AGENT_UNKNOWN'],
    [
      'an unknown adapter',
      'alice',
      '/v1/agents',
      mapped({ ...principal(reconciler), adapter: 'fabrikam' }),
      422,
      'E_ADAPTER_UNKNOWN',
    ],
    ['an account of another agent', 'alice', '/v1/agents', mapped(principal(scout)), 409, 'E_PRINCIPAL_TAKEN'],
    ['an account that is not there', 'alice', '/v1/agents', mapped(principal(randomUUID())), 422, 'E_PRINCIPAL_ABSENT'],
    ['an id of no known form', 'alice', '/v1/agents', mapped(principal('agent-1')), 422, 'E_PRINCIPAL_ID'],
    [
      'a kind that is not managed',
      'alice',
      '/v1/agents',
      mapped(principal(contoso.sponsors.alice, 'user')),
      422,
      'E_KIND_REFUSED',
    ],
    [
      'the bridge itself',
      'alice',
      '/v1/agents',
      mapped(principal(contoso.bridge.servicePrincipalId, 'servicePrincipal')),
      422,
      'E_NEVER',
    ],
    ['a capability of no form', 'alice', '/v1/agents', agent({ capabilities: ['read reports'] }), 422, 'E_CAPABILITY'],
    ['a parent that is not registered', 'alice', '/v1/agents', agent({ parentDid: 'did:mesh:gone' }), 422, 'E_PARENT'],
    [
      'an agent as its own ancestor',
      'alice',
      path(analystDid),
      { method: 'PATCH', body: { parentDid: analystDid } },
      422,
      'E_CYCLE',
    ],
    ['another registration under the same DID', 'alice', '/v1/agents', agent({ did: scoutDid }), 409, 'E_EXISTS'],
    ['a member that does not exist', 'alice', '/v1/agents', agent({ colour: 'red' }), 400, 'E_VALIDATION'],
    ['a wrong type', 'alice', '/v1/agents', agent({ name: 7 }), 400, 'E_VALIDATION'],
    ['no DID', 'alice', '/v1/agents', { body: { name: 'x' } }, 400, 'E_VALIDATION'],
    ['a kill of nobody', 'runtime', '/v1/kill', { body: { reason: 'x' } }, 400, 'E_VALIDATION'],
    ['a list for an object', 'runtime', '/v1/kill', { body: [] }, 400, 'E_VALIDATION'],
    ['a question about nobody', 'gateway', '/v1/decisions', { body: {} }, 400, 'E_VALIDATION'],
    ['a page of a million', 'alice', '/v1/agents?limit=1000000', {}, 400, 'E_VALIDATION'],
    ['no JSON', 'runtime', '/v1/kill', { body: '{"agentId": "did:mesh:x"' }, 400, 'E_JSON'],
    ['random bytes', 'runtime', '/v1/kill', { body: new Uint8Array([0, 255, 254, 1, 128]) }, 400, 'E_JSON'],
    ['an empty body', 'runtime', '/v1/kill', { method: 'POST', body: '' }, 400, 'E_VALIDATION'],
    [
      'a prototype in disguise',
      'runtime',
      '/v1/kill',
      { body: '{"agentId":"did:mesh:x","__proto__":{"admin":true}}' },
      400,
      'E_JSON',
    ],
    [
      'another content type',
      'runtime',
      '/v1/kill',
      { body: '<kill/>', headers: { 'content-type': 'application/xml' } },
      415,
      'E_MEDIA_TYPE',
    ],
    [
      'two megabytes',
      'runtime',
      '/v1/kill',
      { body: { agentId: scoutDid, reason: 'x'.repeat(2_000_000) } },
      413,
      'E_TOO_LARGE',
    ],
    ['another method', 'alice', '/v1/kill', { method: 'DELETE' }, 405, 'E_METHOD'],
    ['another path', 'alice', '/v1/nothing', {}, 404, 'E_NOT_FOUND'],
    ['no token', undefined, '/v1/kill', { body: { agentId: scoutDid, reason: 'x' } }, 401, 'E_UNAUTHENTICATED'],
    ['a wrong token', 'mallory', '/v1/kill', { body: { agentId: scoutDid, reason: 'x' } }, 401, 'E_UNAUTHENTICATED'],
    ['a wrong role', 'gateway', '/v1/kill', { body: { agentId: scoutDid, reason: 'x' } }, 403, 'E_FORBIDDEN'],
    [
      'a gravity that runtimes have not',
      'runtime',
      holds,
      { body: { ...suspend, severity: 'kill' } },
      403,
      'E_FORBIDDEN',
    ],
    ['a hold on nobody', 'alice', path('did:mesh:gone', '/holds'), { body: suspend }, 404, 'E_AGENT_UNKNOWN'],
    ['a release of nothing', 'alice', `${holds}/none/release`, { body: { reason: 'x' } }, 404, 'E_HOLD_UNKNOWN'],
    ['an approval of nothing', 'alice', '/v1/releases/none/approve', { body: {} }, 404, 'E_RELEASE_UNKNOWN'],
    ['an account nobody has', 'alice', '/v1/principals?adapter=contoso&id=none', {}, 404, 'E_NOT_FOUND'],
    [
      'a stale revision',
      'alice',
      path(analystDid),
      { method: 'PATCH', body: { name: 'y' }, headers: { 'if-match': '"99"' } },
      412,
      'E_REVISION',
    ],
    [
      'a body other than the path',
      'alice',
      path(analystDid),
      { method: 'PUT', body: agent({}).body },
      400,
      'E_VALIDATION',
    ],
    [
      'a plan nobody made',
      'alice',
      '/v1/guard/contoso/approve',
      { body: { hash: 'a'.repeat(64) } },
      409,
      'E_GUARD_PLAN',
    ],
    ['a webhook without a key', undefined, '/hooks/contoso', { body: [] }, 401, 'E_HOOK_UNVERIFIED'],
    [
      'a webhook with a wrong key',
      undefined,
      '/hooks/contoso',
      { body: [{ id: '1' }], headers: { 'x-bridge-key': `${hookKey}x` } },
      401,
      'E_HOOK_UNVERIFIED',
    ],
    ['a wrong key in the query', undefined, '/hooks/contoso?key=wrong', { body: [{}] }, 401, 'E_HOOK_UNVERIFIED'],
    [
      'a webhook that is no JSON',
      undefined,
      '/hooks/contoso',
      { body: '\u0000garbage', headers: { 'x-bridge-key': hookKey } },
      400,
      'E_HOOK_BODY',
    ],
    [
      'a webhook of two megabytes',
      undefined,
      '/hooks/contoso',
      { body: `["${'x'.repeat(2_100_000)}"]`, headers: { 'x-bridge-key': hookKey } },
      413,
      'E_TOO_LARGE',
    ],
    ['a webhook of no adapter', undefined, '/hooks/fabrikam', { body: [] }, 404, 'E_NOT_FOUND'],
    [
      'the same account twice',
      'alice',
      '/v1/agents',
      mapped(principal(reconciler), principal(reconciler)),
      400,
      'E_VALIDATION',
    ],
  ]
}

const isProblem = (answer: Answer, status: number, code: string): string | undefined => {
  if (answer.status !== status || at(answer.body, 'code') !== code)
    return `${answer.status} ${answer.text.slice(0, 300)}`
  if (!String(answer.headers['content-type']).startsWith('application/problem+json')) return 'not a problem document'
  for (const member of ['type', 'title', 'requestId']) {
    if (typeof at(answer.body, member) !== 'string') return `no ${member}: ${answer.text}`
  }
  return at(answer.body, 'status') === status ? undefined : 'another status inside'
}

test('bad input of every sort is answered with its code, and nothing changes', async () => {
  await using world = await startWorld()
  await using daemon = await world.daemon()
  await registerAll(daemon, world)
  const registeredAt = Date.now()
  const state = async () => {
    const agents = await daemon.as('alice').get('/v1/agents')
    const audit = await daemon.as('alice').get('/v1/audit/verify')
    assert.equal(at(audit.body, 'ok'), true)
    const shown = listAt(agents.body, 'items').map((one) => [at(one, 'did'), at(one, 'revision'), at(one, 'holds')])
    return { shown, head: textAt(audit.body, 'head') }
  }
  // Group sources are taken in once; when a whole pass began after the registrations nothing is left to change by itself.
  const passed = async (after: string) => {
    const lastOkAt = at((await daemon.as('alice').get('/v1/status')).body, 'adapters', 0, 'groups', 'lastOkAt')
    return typeof lastOkAt === 'string' && lastOkAt > after && lastOkAt
  }
  const first = await until('a pass over the groups', () => passed(new Date(registeredAt).toISOString()))
  await until('a whole pass over the groups', () => passed(first))
  const before = await state()
  const wrong: string[] = []
  for (const [name, who, target, ask, status, code] of cases(world)) {
    const answer = await (who === undefined ? daemon.nobody : daemon.as(who)).ask(target, ask)
    const fault = isProblem(answer, status, code)
    if (fault !== undefined) wrong.push(`${name}: wanted ${status} ${code}, got ${fault}`)
  }
  assert.deepEqual(wrong, [])
  assert.deepEqual(await state(), before)
  assert.deepEqual(
    world.tenant.requests.filter(({ method }) => method !== 'GET' && method !== 'POST'),
    [],
  )
  const log = daemon.process.lines.join('\n')
  assert.ok(!log.includes(hookKey) && !log.includes('token-of-'), 'a secret is in the log')
})
