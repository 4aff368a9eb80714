import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { startEntraTenant } from '../../sandbox/entra/index.ts'
import { at, type Delivered, startReceiver, text } from './client.ts'

const key = { type: 'key', key: 'sandbox-key', header: 'X-Bridge-Key' } as const
const scaled = { eventGridRetryScale: 0.0005 }

/** A well-behaved receiver: both handshakes, then the status given. */
function accepting(status: (request: Delivered) => number = () => 200) {
  return (request: Delivered) => {
    if (request.method === 'OPTIONS') {
      const origin = String(request.headers['webhook-request-origin'])
      return { status: 200, headers: { 'WebHook-Allowed-Origin': origin, 'WebHook-Allowed-Rate': '*' } }
    }
    if (request.headers['aeg-event-type'] === 'SubscriptionValidation') {
      return { status: 200, body: { validationResponse: at(request.body, 0, 'data', 'validationCode') } }
    }
    return { status: status(request) }
  }
}

describe('event grid handshakes', () => {
  it('EventGridSchema: exactly 200 with the code', async () => {
    await using tenant = await startEntraTenant(scaled)
    await using good = await startReceiver(accepting())
    const name = await tenant.subscribeEventGrid({
      url: good.url,
      schema: 'eventgrid',
      auth: key,
      subscriptionName: 'bridge',
    })
    assert.equal(name, 'bridge')
    const [handshake] = good.received
    assert.equal(handshake?.method, 'POST')
    assert.equal(handshake?.headers['aeg-event-type'], 'SubscriptionValidation')
    assert.equal(handshake?.headers['aeg-subscription-name'], 'BRIDGE')
    assert.equal(handshake?.headers['x-bridge-key'], 'sandbox-key')
    assert.equal(at(handshake?.body, 0, 'eventType'), 'Microsoft.EventGrid.SubscriptionValidationEvent')
    for (const answer of [{ status: 202 }, { status: 200, body: {} }, { status: 401 }]) {
      await using bad = await startReceiver((request) => {
        const validationResponse = at(request.body, 0, 'data', 'validationCode')
        return answer.status === 202 ? { ...answer, body: { validationResponse } } : answer
      })
      await assert.rejects(
        tenant.subscribeEventGrid({ url: bad.url, schema: 'eventgrid', auth: key }),
        /did not answer the validation event/,
      )
    }
  })

  it('CloudEvents: consent by header, on a request without a token, query included', async () => {
    await using tenant = await startEntraTenant(scaled)
    await using good = await startReceiver(accepting())
    const auth = { type: 'entra', audience: 'api://hooks' } as const
    await tenant.subscribeEventGrid({ url: `${good.url}?code=1`, schema: 'cloudevents', auth })
    const [handshake] = good.received
    assert.equal(handshake?.method, 'OPTIONS')
    assert.equal(handshake?.headers['webhook-request-origin'], 'eventgrid.azure.net')
    assert.equal(handshake?.headers.authorization, undefined)
    assert.equal(handshake?.path, '/hooks/contoso?code=1')
    await using bad = await startReceiver(() => ({ status: 200 }))
    await assert.rejects(tenant.subscribeEventGrid({ url: bad.url, schema: 'cloudevents', auth }), /did not consent/)
  })

  it('refuses foreign hosts and reserved headers', async () => {
    await using tenant = await startEntraTenant(scaled)
    const schema = 'eventgrid'
    await assert.rejects(tenant.subscribeEventGrid({ url: 'https://example.com/', schema, auth: key }), /loopback/)
    const url = 'http://127.0.0.1:9/'
    const reserved = { ...key, header: 'aeg-key' }
    await assert.rejects(tenant.subscribeEventGrid({ url, schema, auth: reserved }), /reserved/)
    await assert.rejects(tenant.subscribeEventGrid({ url, schema, auth: key }), /status none/)
  })
})

describe('event grid deliveries', () => {
  it('EventGridSchema comes as an array with the aeg headers', async () => {
    await using tenant = await startEntraTenant(scaled)
    await using hook = await startReceiver(accepting())
    await tenant.subscribeEventGrid({
      url: hook.url,
      schema: 'eventgrid',
      auth: { type: 'key', key: 'k', query: 'key' },
      clientState: 's',
    })
    const user = tenant.addUser()
    await tenant.waitForDelivery((each) => each.outcome === 'delivered')
    const got = hook.received.at(-1)
    assert.equal(got?.headers['content-type'], 'application/json; charset=utf-8')
    assert.equal(got?.headers['aeg-event-type'], 'Notification')
    assert.equal(got?.headers['aeg-delivery-count'], '0')
    assert.equal(got?.headers['aeg-metadata-version'], '1')
    assert.equal(got?.headers['aeg-data-version'], '')
    assert.equal(got?.path, '/hooks/contoso?key=k')
    assert.equal(at(got?.body, 0, 'eventType'), 'Microsoft.Graph.UserUpdated')
    assert.equal(at(got?.body, 0, 'data', 'resourceData', 'id'), user)
    assert.equal(at(got?.body, 0, 'data', 'clientState'), 's')
    assert.equal(at(got?.body, 0, 'data', 'accountEnabled'), undefined)
  })

  it('a CloudEvent comes as an object, with a token of Event Grid that verifies', async () => {
    await using tenant = await startEntraTenant(scaled)
    await using hook = await startReceiver(accepting())
    const auth = { type: 'entra', audience: 'api://hooks' } as const
    await tenant.subscribeEventGrid({ url: hook.url, schema: 'cloudevents', auth })
    const group = tenant.addGroup()
    await tenant.waitForDelivery((each) => each.outcome === 'delivered')
    const got = hook.received.at(-1)
    assert.equal(got?.headers['content-type'], 'application/cloudevents+json; charset=utf-8')
    assert.equal(got?.headers['aeg-data-version'], undefined)
    assert.equal(at(got?.body, 'specversion'), '1.0')
    assert.equal(at(got?.body, 'type'), 'Microsoft.Graph.GroupUpdated')
    assert.equal(at(got?.body, 'subject'), `Groups/${group}`)
    assert.equal(at(got?.body, 'data', 'tenantId'), tenant.tenantId)
    const keys = createRemoteJWKSet(new URL(`${tenant.origin}/${tenant.tenantId}/discovery/v2.0/keys`))
    const token = text(got?.headers.authorization).replace('Bearer ', '')
    const { payload } = await jwtVerify(token, keys, { audience: 'api://hooks' })
    assert.equal(payload.appid, '4962773b-9cdb-44cf-a8bf-237846a00ab7')
    assert.deepEqual(payload.roles, ['AzureEventGridSecureWebhookSubscriber'])
    assert.equal(payload.ver, '1.0')
  })

  it('tells of users and groups, never of service principals', async () => {
    await using tenant = await startEntraTenant(scaled)
    await using hook = await startReceiver(accepting())
    await tenant.subscribeEventGrid({ url: hook.url, schema: 'cloudevents', auth: key })
    const agent = tenant.addAgentIdentity({ displayName: 'agent', blueprintAppId: crypto.randomUUID() })
    tenant.setEnabled(agent, false)
    const user = tenant.addUser()
    const group = tenant.addGroup()
    tenant.addMember(group, agent)
    tenant.setEnabled(user, false)
    tenant.setEnabled(user, false)
    tenant.remove(user)
    tenant.purge(user)
    const last = await tenant.waitForDelivery((each) => each.eventType.endsWith('UserDeleted'))
    await tenant.waitForDelivery((each) => each === last && each.outcome === 'delivered')
    const types = tenant.deliveries.map((each) => `${each.eventType.slice(16)} ${each.subject}`)
    assert.deepEqual(types, [
      `UserUpdated Users/${user}`,
      `GroupUpdated Groups/${group}`,
      `GroupUpdated Groups/${group}`,
      `UserUpdated Users/${user}`,
      `UserUpdated Users/${user}`,
      `UserDeleted Users/${user}`,
    ])
  })

  it('drops on 400, 401, 403 and 413', async () => {
    await using tenant = await startEntraTenant(scaled)
    let status = 400
    await using hook = await startReceiver(accepting(() => status))
    await tenant.subscribeEventGrid({ url: hook.url, schema: 'cloudevents', auth: key })
    for (status of [400, 401, 403, 413]) {
      const id = tenant.publishCustomEvent({ type: 'Test', subject: 'x', data: {} })
      const delivery = await tenant.waitForDelivery((each) => each.eventId === id && each.outcome !== 'pending')
      assert.deepEqual([delivery.outcome, delivery.status, delivery.attempt], ['dropped', status, 0])
    }
  })

  it('retries everything else with the same id until it is taken', async () => {
    await using tenant = await startEntraTenant(scaled)
    const answers = [503, 500, 429, 404, 302, 202]
    await using hook = await startReceiver(accepting(() => answers.shift() ?? 200))
    await tenant.subscribeEventGrid({ url: hook.url, schema: 'cloudevents', auth: key })
    const id = tenant.publishCustomEvent({ type: 'Test', subject: 'x', data: {} })
    await tenant.waitForDelivery((each) => each.eventId === id && each.outcome === 'delivered')
    const attempts = tenant.deliveries.filter((each) => each.eventId === id)
    assert.deepEqual(
      attempts.map((each) => [each.attempt, each.status, each.outcome]),
      [
        [0, 503, 'retrying'],
        [1, 500, 'retrying'],
        [2, 429, 'retrying'],
        [3, 404, 'retrying'],
        [4, 302, 'retrying'],
        [5, 202, 'delivered'],
      ],
    )
    const counts = hook.received
      .filter((each) => each.method === 'POST')
      .map((each) => each.headers['aeg-delivery-count'])
    assert.deepEqual(counts, ['0', '1', '2', '3', '4', '5'])
  })

  it('keeps trying an endpoint that is not there', async () => {
    await using tenant = await startEntraTenant(scaled)
    await using hook = await startReceiver(accepting())
    await tenant.subscribeEventGrid({ url: hook.url, schema: 'cloudevents', auth: key })
    await hook[Symbol.asyncDispose]()
    tenant.addUser()
    const second = await tenant.waitForDelivery((each) => each.attempt === 2)
    assert.equal(tenant.deliveries[0]?.status, undefined)
    assert.equal(second.eventType, 'Microsoft.Graph.UserUpdated')
  })

  it('carries forwarded audit records, and delivers again when asked', async () => {
    await using tenant = await startEntraTenant(scaled)
    await using hook = await startReceiver(accepting())
    await tenant.subscribeEventGrid({ url: hook.url, schema: 'eventgrid', auth: key })
    const data = { objectId: crypto.randomUUID(), activityDisplayName: 'Update service principal' }
    const id = tenant.publishCustomEvent({ type: 'Contoso.DirectoryAudit', subject: data.objectId, data })
    const first = await tenant.waitForDelivery((each) => each.eventId === id && each.outcome === 'delivered')
    tenant.redeliver(id)
    await tenant.waitForDelivery((each) => each !== first && each.eventId === id && each.outcome === 'delivered')
    const sent = hook.received.slice(1).map((each) => at(each.body, 0))
    assert.deepEqual(
      sent.map((each) => [at(each, 'id'), at(each, 'eventType'), at(each, 'data')]),
      [
        [id, 'Contoso.DirectoryAudit', data],
        [id, 'Contoso.DirectoryAudit', data],
      ],
    )
  })
})
