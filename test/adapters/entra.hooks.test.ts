import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Adapter, HookAnswer, HookRequest } from '../../src/core/adapter.ts'
import { mounted } from './mounted.ts'
import { type Bench, bench, HOOK_KEY, signal } from './tenant.ts'

const HOOK_AUDIENCE = 'api://idp-bridge-hooks'
const EVENT_GRID = '4962773b-9cdb-44cf-a8bf-237846a00ab7'
const ROLE = 'AzureEventGridSecureWebhookSubscriber'
const user = 'aaaaaaaa-1111-4222-8333-444444444444'
const agent = 'bbbbbbbb-1111-4222-8333-444444444444'

const entraHooks = { hooks: { eventGrid: { auth: 'entra', audience: HOOK_AUDIENCE } } }

function request(body: unknown, more: Partial<HookRequest> = {}): HookRequest {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return {
    method: 'POST',
    headers: { 'x-bridge-key': HOOK_KEY },
    query: {},
    body: new TextEncoder().encode(text),
    ...more,
  }
}
function cloud(type: string, data: unknown, id = 'e1') {
  return { specversion: '1.0', id, source: '/tenants/t', type, time: '2026-11-21T10:00:00.1234567Z', data }
}
const notice = (tenantId: string, id: string) => ({ tenantId, resourceData: { id, organizationId: tenantId } })
const receive = (adapter: Adapter, sent: HookRequest): Promise<HookAnswer> => {
  assert.ok(adapter.hooks)
  return adapter.hooks.receive(sent, signal())
}
const targets = (answer: HookAnswer) => answer.hints.map((hint) => hint.principal ?? `group ${hint.group}`)

const bearer = (it: Bench, claims: Record<string, unknown> = {}, version: 'v1' | 'v2' = 'v1') => {
  const token = it.tenant.issueToken({
    kind: 'app',
    id: it.blueprint.id,
    audience: HOOK_AUDIENCE,
    roles: [ROLE],
    version,
    claims: { ...(version === 'v1' ? { appid: EVENT_GRID } : { azp: EVENT_GRID }), ...claims },
  })
  return { headers: { authorization: `Bearer ${token}` } }
}

describe('entra hooks', () => {
  for (const schema of ['cloudevents', 'eventgrid'] as const) {
    for (const auth of [
      { type: 'entra', audience: HOOK_AUDIENCE, version: 'v1' },
      { type: 'entra', audience: HOOK_AUDIENCE, version: 'v2' },
      { type: 'key', key: HOOK_KEY, header: 'X-Bridge-Key' },
      { type: 'key', key: HOOK_KEY, query: 'key' },
    ] as const) {
      it(`${schema} with ${JSON.stringify(auth)}: handshake, then deliveries`, async () => {
        await using it = await bench()
        const adapter = auth.type === 'entra' ? it.open(entraHooks) : it.adapter
        await using hook = await mounted(adapter)
        await it.tenant.subscribeEventGrid({ url: hook.url, schema, auth })
        const id = it.tenant.addUser({ displayName: 'u' })
        it.tenant.setEnabled(id, false)
        await it.tenant.waitForDelivery((each) => each.subject === `Users/${id}` && each.outcome === 'delivered')
        assert.ok(hook.answers.some((answer) => targets(answer).includes(id)))
        const group = it.tenant.addGroup({ displayName: 'g' })
        await it.tenant.waitForDelivery((each) => each.subject === `Groups/${group}` && each.outcome === 'delivered')
        assert.ok(hook.answers.some((answer) => targets(answer).includes(`group ${group}`)))
      })
    }
  }

  it('forged tokens are proven wrong', async () => {
    await using it = await bench()
    await using neighbour = await bench()
    const adapter = it.open(entraHooks)
    const body = cloud('Microsoft.Graph.UserUpdated', notice(it.tenant.tenantId, user))
    assert.deepEqual(targets(await receive(adapter, request(body, bearer(it, {}, 'v2')))), [user])
    const { tenantId } = neighbour.tenant
    const forged = [
      { headers: {} },
      { headers: { authorization: 'Bearer nonsense' } },
      { headers: { authorization: 'Basic abc' } },
      bearer(it, { appid: it.bridge.appId }),
      bearer(it, { roles: [] }),
      bearer(it, { aud: 'api://agents' }),
      bearer(it, { tid: tenantId }),
      bearer(it, { exp: 1_700_000_000 }),
      bearer(neighbour),
      { headers: { 'x-bridge-key': HOOK_KEY }, query: { key: HOOK_KEY } },
    ]
    for (const more of forged)
      await assert.rejects(receive(adapter, request(body, more)), { code: 'E_HOOK_UNVERIFIED' }, JSON.stringify(more))
    const { headers } = bearer(it)
    const broken = { headers: { authorization: `${headers.authorization.slice(0, -8)}AAAAAAAA` } }
    await assert.rejects(receive(adapter, request(body, broken)), { code: 'E_HOOK_UNVERIFIED' })
  })

  it('what cannot be checked now is no refusal', async () => {
    await using it = await bench()
    const body = cloud('Microsoft.Graph.UserUpdated', notice(it.tenant.tenantId, user))
    const adapter = it.open(entraHooks)
    it.tenant.setJwksDown(true)
    await assert.rejects(receive(adapter, request(body, bearer(it))), { code: 'E_HOOK_CANNOT_CHECK' })
    it.tenant.setJwksDown(false)
    const ahead = Math.floor(Date.now() / 1000) + 600
    const early = bearer(it, { nbf: ahead, iat: ahead })
    await assert.rejects(receive(it.open(entraHooks), request(body, early)), { code: 'E_HOOK_CANNOT_CHECK' })
  })

  it('takes any of several keys, from the header or the query', async () => {
    await using it = await bench()
    const keys = ['the-old-key-of-the-hooks', 'the-new-key-of-the-hooks']
    const adapter = it.open({ hooks: { eventGrid: { auth: 'key', key: keys } } })
    const body = cloud('x', { objectId: agent })
    for (const key of keys) {
      await receive(adapter, request(body, { headers: { 'x-bridge-key': key } }))
      await receive(adapter, request(body, { headers: {}, query: { key } }))
    }
    for (const more of [{ headers: {} }, { headers: { 'x-bridge-key': '' } }, { headers: {}, query: { key: 'no' } }])
      await assert.rejects(receive(adapter, request(body, more)), { code: 'E_HOOK_UNVERIFIED' })
  })

  it('consents to Event Grid only, and not to a wrong key in the query', async () => {
    await using it = await bench()
    const ask = (origin: string, query: Record<string, string> = {}) =>
      receive(it.adapter, request('', { method: 'OPTIONS', headers: { 'webhook-request-origin': origin }, query }))
    const answer = await ask('eventgrid.azure.net', { key: HOOK_KEY })
    assert.equal(answer.headers['webhook-allowed-origin'], 'eventgrid.azure.net')
    await ask('eventgrid.azure.net')
    await assert.rejects(ask('eventgrid.azure.net', { key: 'wrong' }), { code: 'E_HOOK_UNVERIFIED' })
    await assert.rejects(ask('evil.example'), { code: 'E_HOOK_UNVERIFIED' })
    await assert.rejects(receive(it.adapter, request('', { method: 'GET' })), { code: 'E_HOOK_BODY' })
  })

  it('echoes a validation code for configured subscriptions only', async () => {
    await using it = await bench()
    const azure = '5b4b650e-28b9-4790-b3ab-ddbd88d727c4'
    const event = {
      id: '1',
      topic: `/subscriptions/${azure}/resourceGroups/rg/providers/Microsoft.EventGrid/partnerTopics/p`,
      subject: '',
      eventType: 'Microsoft.EventGrid.SubscriptionValidationEvent',
      eventTime: '2026-11-21T10:00:00.1234567Z',
      data: { validationCode: 'CODE', validationUrl: 'http://169.254.169.254/' },
      dataVersion: '1',
      metadataVersion: '1',
    }
    const answer = await receive(it.adapter, request([event]))
    assert.deepEqual([answer.status, answer.body], [200, { validationResponse: 'CODE' }])
    const only = (subscriptions: string[]) =>
      it.open({ hooks: { eventGrid: { auth: 'key', key: HOOK_KEY, subscriptions } } })
    await receive(only([azure]), request([event]))
    await assert.rejects(receive(only([user]), request([event])), { code: 'E_HOOK_UNVERIFIED' })
    const headers = { 'x-bridge-key': HOOK_KEY, 'aeg-subscription-name': 'BRIDGE-USERS' }
    await receive(only(['Bridge-Users']), { ...request([event]), headers })
    const notification = cloud('Microsoft.Graph.UserUpdated', notice(it.tenant.tenantId, user))
    const named = await receive(only(['Bridge-Users']), { ...request(notification), headers })
    assert.deepEqual(targets(named), [user])
    assert.deepEqual(targets(await receive(only(['other']), { ...request(notification), headers })), [])
    assert.equal(it.tenant.requests.length, 0)
  })

  it('one bad element does not cost the others', async () => {
    await using it = await bench()
    const { tenantId } = it.tenant
    const good = cloud('Microsoft.Graph.UserUpdated', notice(tenantId, user), 'good')
    const bad = [7, null, { id: 'x' }, cloud('Microsoft.Graph.UserUpdated', {}), cloud('x', { id: 'Directory_1' })]
    const foreign = cloud('Microsoft.Graph.UserUpdated', notice(agent, user), 'foreign')
    const answer = await receive(it.adapter, request([...bad, good, foreign]))
    assert.deepEqual(targets(answer), [user])
    assert.equal(answer.alert?.code, 'hook-skipped')
    assert.match(String(answer.alert?.text), /^6 of 7 /)
    for (const body of ['', '{', [], 'x'.repeat(10)])
      await assert.rejects(receive(it.adapter, request(body)), { code: 'E_HOOK_BODY' })
  })

  it('takes an event without topic, and object ids wherever custom events carry them', async () => {
    await using it = await bench()
    const plain = {
      id: '1',
      subject: 's',
      eventType: 'Audit',
      eventTime: '2026-11-21T10:00:00Z',
      data: { objectId: user },
    }
    assert.deepEqual(targets(await receive(it.adapter, request(plain))), [user])
    const record = { properties: { targetResources: [{ id: agent.toUpperCase() }, { id: user }, { id: null }] } }
    const answer = await receive(it.adapter, request(cloud('Audit', record)))
    assert.deepEqual(targets(answer), [agent, user])
    assert.equal(new Set(answer.hints.map((hint) => hint.delivery)).size, 2)
    assert.deepEqual(targets(await receive(it.adapter, request(cloud('A', { targetResources: [{ id: agent }] })))), [
      agent,
    ])
    assert.deepEqual(targets(await receive(it.adapter, request(cloud('A', { objectId: agent, tenantId: user })))), [])
  })

  it('tells an operator when notifications stop', async () => {
    await using it = await bench()
    const gone = cloud('Microsoft.EventGrid.SubscriptionDeletedEvent', { eventSubscriptionId: '/x' })
    assert.equal((await receive(it.adapter, request(gone))).alert?.code, 'hook-deleted')
    const renew = cloud('Microsoft.Graph.SubscriptionReauthorizationRequired', { tenantId: it.tenant.tenantId })
    assert.equal((await receive(it.adapter, request(renew))).alert?.code, 'hook-renewal')
  })
})
