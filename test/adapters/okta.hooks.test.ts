import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { oktaConfig } from '../../adapters/okta/config.ts'
import { openHooks } from '../../adapters/okta/hooks.ts'
import type { HookAnswer, HookRequest, Hooks } from '../../src/core/adapter.ts'
import { codeOf } from '../../src/core/errors.ts'
import { SecretRef } from '../../src/lib/secret.ts'
import { mounted } from './mounted.ts'
import { bench, HOOK_SECRET } from './org.ts'

const ORG = 'https://contoso.okta.com'
const SECRET = 'the-secret-of-the-event-hook'
const user = '00u000000000000000A1'
const app = '0oa000000000000000A1'
const agent = 'wlp000000000000000A1'
const group = '00g000000000000000A1'

function hooksOf(eventHook: Record<string, unknown> | null = { secret: SECRET }, origins = [ORG]): Hooks {
  const config = oktaConfig.parse({
    kind: 'okta',
    orgUrl: ORG,
    credential: { type: 'apiToken', token: 'an-api-token-of-the-bridge' },
    hooks: eventHook === null ? {} : { eventHook },
  })
  return openHooks({ config: config.hooks.eventHook, origins, logout: undefined })
}

const event = (over: Record<string, unknown> = {}) => ({
  uuid: 'f1d0b993-cc19-11ed-a688-db22c99ef6c4',
  published: '2026-11-21T10:00:00.123Z',
  eventType: 'user.lifecycle.suspend',
  version: '0',
  severity: 'INFO',
  actor: { id: '00u000000000000000Z9', type: 'User', alternateId: 'admin@contoso.com' },
  outcome: { result: 'SUCCESS', reason: null },
  target: [{ id: user, type: 'User', alternateId: 'agent@contoso.com', detailEntry: null }],
  transaction: { type: 'WEB', id: 'ZCCz', detail: {} },
  ...over,
})
const envelope = (events: unknown, over: Record<string, unknown> = {}) => ({
  eventType: 'com.okta.event_hook',
  eventTypeVersion: '1.0',
  cloudEventsVersion: '0.1',
  source: `${ORG}/api/v1/eventHooks/who7hphp39JoHLni81d7`,
  eventId: '85b60edb-4263-4e13-993b-818e26201052',
  eventTime: '2026-11-21T10:00:01.000Z',
  contentType: 'application/json',
  data: { events },
  ...over,
})
function post(body: unknown, headers: HookRequest['headers'] = { authorization: `Bearer ${SECRET}` }): HookRequest {
  const bytes =
    body instanceof Uint8Array ? body : new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body))
  return { method: 'POST', headers, query: {}, body: bytes }
}
const get = (headers: HookRequest['headers']): HookRequest => ({ ...post('', headers), method: 'GET' })
const { signal: never } = new AbortController()
const receive = (hooks: Hooks, request: HookRequest) => hooks.receive(request, never)
const targets = (answer: HookAnswer) => answer.hints.map((hint) => hint.principal ?? `group ${hint.group}`)
const CHALLENGE = 'x-okta-verification-challenge'

describe('okta event hooks', () => {
  it('rings for the accounts and groups that a change is about, and for nobody else', async () => {
    const hooks = hooksOf()
    const events = [
      event(),
      event({ uuid: 'b', eventType: 'workload_principal.ai_agent.deactivate', target: [{ id: agent, type: 'Other' }] }),
      event({
        uuid: 'c',
        target: [
          { id: group, type: 'UserGroup' },
          { id: app, type: 'AppInstance' },
        ],
      }),
      event({ uuid: 'd', target: [{ id: '0ua000000000000000A1', type: 'AppUser' }, { id: 'agent@contoso.com' }] }),
      event({ uuid: 'e', target: null }),
    ]
    const answer = await receive(hooks, post(envelope(events)))
    assert.deepEqual([answer.status, answer.body, answer.alert], [200, undefined, undefined])
    assert.deepEqual(targets(answer), [user, agent, app, `group ${group}`])
    assert.equal(answer.hints[0]?.delivery, `${event().uuid}|${user}`)
    assert.deepEqual(await receive(hooks, post(envelope(events, { eventId: 'again' }))), answer, 'keyed by event')
  })

  it('what was only tried changes nothing', async () => {
    const outcomes = [{ result: 'FAILURE' }, { result: 'DENY' }, { result: 'success' }, {}, null, undefined, 'SUCCESS']
    const answer = await receive(hooksOf(), post(envelope(outcomes.map((outcome) => event({ outcome })))))
    assert.deepEqual(answer.hints, [])
  })

  it('one account is rung for once a delivery, however many events name it', async () => {
    const events = Array.from({ length: 1000 }, (_, at) => event({ uuid: `e${at}` }))
    assert.deepEqual(targets(await receive(hooksOf(), post(envelope(events)))), [user])
    const many = Array.from({ length: 5000 }, (_, at) =>
      event({ uuid: `e${at}`, target: [{ id: `00u${String(at).padStart(17, '0')}` }] }),
    )
    assert.equal((await receive(hooksOf(), post(envelope(many)))).hints.length, 5000)
    await assert.rejects(receive(hooksOf(), post(envelope([...many, event()]))), { code: 'E_HOOK_BODY' })
  })

  it('a change that comes together with one that was told before still rings', async () => {
    const hooks = hooksOf()
    const keys = async (...uuids: string[]) =>
      (await receive(hooks, post(envelope(uuids.map((uuid) => event({ uuid })))))).hints.map(({ delivery }) => delivery)
    const [known] = await keys('a')
    assert.equal(known, `a|${user}`)
    for (const uuids of [
      ['a', 'b'],
      ['b', 'a'],
    ]) {
      const told = await keys(...uuids)
      assert.equal(told.length, 1)
      assert.ok(!told.includes(String(known)))
    }
    assert.deepEqual(await keys('a', 'b'), await keys('b', 'a', 'b'), 'whatever their order')
    assert.deepEqual(await keys('a', 'a'), [known])
  })

  it('takes the secret alone or after Bearer, any of several, in the header that was agreed', async () => {
    const body = envelope([event()])
    const secrets = [SECRET, 'the-next-secret-of-the-hook']
    const rotating = hooksOf({ secret: secrets })
    for (const secret of secrets)
      for (const authorization of [secret, `Bearer ${secret}`, `bearer  ${secret}`])
        assert.deepEqual(targets(await receive(rotating, post(body, { authorization }))), [user])
    const named = hooksOf({ secret: SECRET, header: 'X-Bridge-Secret' })
    assert.deepEqual(targets(await receive(named, post(body, { 'x-bridge-secret': SECRET }))), [user])
    await assert.rejects(receive(named, post(body)), { code: 'E_HOOK_UNVERIFIED' })
  })

  it('a secret in a file is replaced without a restart', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'okta-hooks-'))
    try {
      const file = join(dir, 'secret')
      writeFileSync(file, `${SECRET}\n`)
      const hooks = hooksOf({ secret: SecretRef.file(file) })
      await receive(hooks, post(envelope([event()])))
      writeFileSync(file, 'another-secret-entirely\n')
      await assert.rejects(receive(hooks, post(envelope([event()]))), { code: 'E_HOOK_UNVERIFIED' })
      await receive(hooks, post(envelope([event()]), { authorization: 'another-secret-entirely' }))
    } finally {
      rmSync(dir, { recursive: true })
    }
  })

  it('without the secret nothing of a delivery is read', async () => {
    const forged: HookRequest['headers'][] = [
      {},
      { authorization: '' },
      { authorization: 'Bearer ' },
      { authorization: `Bearer ${SECRET}x` },
      { authorization: `Bearer ${SECRET.slice(1)}` },
      { authorization: SECRET.toUpperCase() },
      { authorization: `Basic ${SECRET}` },
      { authorization: `${SECRET}, ${SECRET}` },
      { 'x-bridge-key': SECRET },
    ]
    for (const headers of forged)
      for (const body of [envelope([event()]), 'not even JSON'])
        await assert.rejects(
          receive(hooksOf(), post(body, headers)),
          { code: 'E_HOOK_UNVERIFIED' },
          JSON.stringify(headers),
        )
    const inQuery = { ...post(envelope([event()]), {}), query: { key: SECRET, authorization: SECRET } }
    await assert.rejects(receive(hooksOf(), inQuery), { code: 'E_HOOK_UNVERIFIED' })
    await assert.rejects(receive(hooksOf(null), post(envelope([event()]))), { code: 'E_HOOK_UNVERIFIED' })
  })

  it('a delivery about another org is refused, secret or not', async () => {
    for (const source of [
      'https://fabrikam.okta.com/api/v1/eventHooks/who1',
      'http://contoso.okta.com/api/v1/eventHooks/who1',
      'https://contoso.okta.com.evil.example/api/v1/eventHooks/who1',
      'https://contoso.okta.com@evil.example/',
      'https://contoso.okta.com:8443/api',
    ])
      await assert.rejects(
        receive(hooksOf(), post(envelope([event()], { source }))),
        { code: 'E_HOOK_UNVERIFIED' },
        source,
      )
    const custom = hooksOf({ secret: SECRET }, [ORG, 'https://login.contoso.com'])
    const source = 'https://login.contoso.com/api/v1/eventHooks/who1'
    assert.deepEqual(targets(await receive(custom, post(envelope([event()], { source })))), [user])
  })

  it('one bad event does not cost the others, and is told', async () => {
    const bad = [7, null, [], {}, event({ uuid: '' }), event({ published: 'yesterday' }), event({ eventType: 1 })]
    const odd = [
      event({ uuid: 'odd-1', target: [null, 7, { id: 7 }, { id: { $ne: 1 } }, { id: app }] }),
      event({ uuid: 'odd-2', actor: 'nobody', transaction: 7, target: [{ id: agent }] }),
    ]
    const answer = await receive(hooksOf(), post(envelope([...bad, ...odd])))
    assert.deepEqual(targets(answer), [app, agent])
    assert.equal(answer.alert?.code, 'hook-skipped')
    assert.match(String(answer.alert?.text), /^7 of 9 /)
  })

  it('what is no delivery is a fault of the sender', async () => {
    const bodies: unknown[] = [
      '',
      '{',
      'null',
      '[]',
      {},
      envelope('events'),
      envelope([event()], { eventType: 'com.okta.inline_hook' }),
      envelope([event()], { source: 'not an address' }),
      envelope([event()], { data: null }),
      '['.repeat(600_000),
      new Uint8Array([0xff, 0xfe, 0x7b]),
      new TextEncoder().encode(`\ufeff${JSON.stringify(envelope([event()]))}x`),
    ]
    for (const body of bodies) await assert.rejects(receive(hooksOf(), post(body)), { code: 'E_HOOK_BODY' })
    const deep = `{"eventType":"com.okta.event_hook","source":"${ORG}/","data":{"events":[${'['.repeat(50_000)}${']'.repeat(50_000)}]}}`
    assert.deepEqual((await receive(hooksOf(), post(deep))).hints, [])
    const polluted = JSON.stringify(envelope([event()])).replace('"uuid"', '"__proto__":{"polluted":1},"uuid"')
    assert.deepEqual(targets(await receive(hooksOf(), post(polluted))), [user])
    assert.equal(Object.hasOwn(Object.prototype, 'polluted'), false)
    await assert.rejects(receive(hooksOf(), { ...post(envelope([event()])), method: 'PUT' }), { code: 'E_HOOK_BODY' })
  })

  it('property: whatever the body, only well-formed ids of successes are rung for', async () => {
    const hooks = hooksOf()
    const id = fc.oneof(
      fc.constantFrom(user, app, agent, group, '00u', `${user}x`, ` ${user}`, `../${user}`, user.toUpperCase()),
      fc.string(),
      fc.anything(),
    )
    const one = fc.oneof(
      fc.anything(),
      fc.record(
        {
          uuid: fc.oneof(fc.uuid(), fc.anything()),
          published: fc.oneof(fc.constant('2026-11-21T10:00:00Z'), fc.anything()),
          eventType: fc.oneof(fc.constant('user.lifecycle.suspend'), fc.anything()),
          outcome: fc.oneof(fc.record({ result: fc.constantFrom('SUCCESS', 'FAILURE', 'SKIPPED') }), fc.anything()),
          target: fc.oneof(fc.array(fc.record({ id })), fc.anything()),
        },
        { requiredKeys: [] },
      ),
    )
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.array(one), fc.anything()), async (events) => {
        const body = JSON.stringify(envelope(events), (_, value) => (typeof value === 'bigint' ? String(value) : value))
        try {
          const answer = await receive(hooks, post(body))
          const sent: unknown[] = JSON.parse(body).data.events
          const names = JSON.stringify(sent)
          for (const { principal, group: named, delivery } of answer.hints) {
            const target = principal ?? named ?? ''
            assert.match(target, /^(00u|0oa|wlp|00g)[0-9A-Za-z]{17}$/)
            assert.ok(names.includes(target) && names.includes('SUCCESS'))
            assert.ok(delivery.endsWith(`|${target}`))
          }
        } catch (error) {
          assert.equal(codeOf(error), 'E_HOOK_BODY')
        }
      }),
      { numRuns: 300 },
    )
  })
})

describe('the verification of an okta event hook', () => {
  it('echoes the challenge of whoever knows the secret', async () => {
    const answer = await receive(hooksOf(), get({ [CHALLENGE]: 'd2VsY29tZQ', authorization: SECRET }))
    assert.deepEqual(answer, { status: 200, headers: {}, body: { verification: 'd2VsY29tZQ' }, hints: [] })
  })

  it('echoes it to anyone only while that is expected, and never beside a wrong secret', async () => {
    const bare = get({ [CHALLENGE]: 'd2VsY29tZQ' })
    const wrong = get({ [CHALLENGE]: 'd2VsY29tZQ', authorization: 'Bearer nonsense' })
    await assert.rejects(receive(hooksOf(), bare), { code: 'E_HOOK_UNVERIFIED', hint: /hooks\.eventHook\.verify/ })
    const expecting = hooksOf({ secret: SECRET, verify: true })
    const answer = await receive(expecting, bare)
    assert.deepEqual([answer.status, answer.alert?.code], [200, 'hook-verified'])
    for (const hooks of [hooksOf(), expecting])
      await assert.rejects(receive(hooks, wrong), { code: 'E_HOOK_UNVERIFIED' })
    await assert.rejects(receive(hooksOf(null), bare), { code: 'E_HOOK_UNVERIFIED' })
  })

  it('is no mirror for whatever comes', async () => {
    const hooks = hooksOf({ secret: SECRET, verify: true })
    for (const challenge of [undefined, '', 'a b', 'a\r\nset-cookie: x', '<script>\u2028', 'x'.repeat(513)])
      await assert.rejects(receive(hooks, get({ [CHALLENGE]: challenge })), { code: 'E_HOOK_BODY' })
  })
})

const events = ['user.lifecycle.suspend', 'user.lifecycle.unsuspend', 'application.lifecycle.deactivate'] as const
/** A loaded machine may take longer than the org waits. */
const patient = { hookTimeoutMs: 20_000 }
const WAIT_MS = 30_000

describe('event hooks of an org, over sockets', () => {
  it('are verified, deliver, and are harmless when delivered again', async () => {
    await using it = await bench(patient)
    await using hook = await mounted(it.adapter)
    const { org } = it
    const url = hook.url
    await assert.rejects(org.registerHook({ url, events, secret: 'another-secret-than-ours' }), /401/)
    await org.registerHook({ url, events, secret: HOOK_SECRET })
    assert.deepEqual(
      hook.answers.map(({ body }) => Object.keys(Object(body))),
      [['verification']],
    )
    const [one] = it.users(1)
    const [service] = it.apps(1)
    assert.ok(one && service)
    org.setEnabled(one.id, false)
    org.setEnabled(one.id, true)
    org.setEnabled(service.id, false)
    const rung = () => new Set(hook.answers.flatMap(targets))
    const sent = await org.waitForDelivery(({ outcome }) => outcome === 'delivered' && rung().size === 2, WAIT_MS)
    assert.equal(sent.status, 200)
    assert.deepEqual(rung(), new Set([one.id, service.id]))
    const delivered = () =>
      org.deliveries.filter(({ eventId, outcome }) => eventId === sent.eventId && outcome === 'delivered').length
    org.redeliver(sent.eventId)
    await org.waitForDelivery(() => delivered() === 2, WAIT_MS)
    const said = hook.answers.map(({ hints }) => JSON.stringify(hints))
    assert.ok(new Set(said).size < said.length, 'the same hints with the same keys')
  })

  it('a hook that does not send the secret along with the challenge is verified while that is expected', async () => {
    await using it = await bench(patient)
    await using closed = await mounted(it.adapter)
    await assert.rejects(it.org.registerHook({ url: closed.url, events }), /401/)
    await using open = await mounted(it.open({ hooks: { eventHook: { secret: HOOK_SECRET, verify: true } } }))
    await it.org.registerHook({ url: open.url, events })
    const [one] = it.users(1)
    assert.ok(one)
    it.org.setEnabled(one.id, false)
    const sent = await it.org.waitForDelivery(({ outcome }) => outcome !== 'pending', WAIT_MS)
    assert.deepEqual([sent.status, sent.outcome], [401, 'dropped'], 'its deliveries are refused all the same')
    assert.equal(open.answers.length, 1)
  })

  it('a hook of another org that knows the secret is refused', async () => {
    await using it = await bench(patient)
    await using neighbour = await bench(patient)
    await using hook = await mounted(it.adapter)
    await neighbour.org.registerHook({ url: hook.url, events, secret: HOOK_SECRET })
    const [one] = neighbour.users(1)
    assert.ok(one)
    neighbour.org.setEnabled(one.id, false)
    assert.equal((await neighbour.org.waitForDelivery(({ outcome }) => outcome === 'dropped', WAIT_MS)).status, 401)
  })

  it('nothing is asked of anyone before the answer', async () => {
    await using it = await bench(patient)
    await using hook = await mounted(it.adapter)
    await it.org.registerHook({ url: hook.url, events, secret: HOOK_SECRET })
    const [one] = it.users(1)
    assert.ok(one)
    it.org.clearRequests()
    it.org.setEnabled(one.id, false)
    await it.org.waitForDelivery(({ outcome }) => outcome === 'delivered', WAIT_MS)
    assert.deepEqual(it.org.requests, [])
    const body = JSON.stringify(envelope([event()], { source: `${it.org.origin}/api/v1/eventHooks/who1` }))
    const path = new URL(hook.url).pathname
    const refused = await hook.ask(path, { body, headers: { authorization: 'Bearer guess' } })
    assert.deepEqual([refused.status, refused.json?.code], [401, 'E_HOOK_UNVERIFIED'])
    assert.doesNotMatch(refused.text, /guess|secret-of/)
    const taken = await hook.ask(path, { body, headers: { authorization: HOOK_SECRET } })
    assert.deepEqual([taken.status, taken.text], [200, ''])
    assert.deepEqual(it.org.requests, [])
  })
})
