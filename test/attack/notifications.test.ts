import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, it } from 'node:test'
import { STATE, type Watching, watching } from '../adapters/watching.ts'

const victim = 'aaaaaaaa-1111-4222-8333-444444444444'

const queryOf = (it: Watching) => new URL(it.tenant.subscriptions.list[0]?.notificationUrl ?? '').search

/** A notification as Graph sends it, of the first subscription. */
const notification = (it: Watching, more: Record<string, unknown> = {}) => ({
  id: randomUUID(),
  subscriptionId: it.ids()[0],
  subscriptionExpirationDateTime: '2026-12-15T11:00:00Z',
  clientState: STATE,
  changeType: 'updated',
  resource: `Users/${victim}`,
  tenantId: it.tenant.tenantId,
  resourceData: { '@odata.type': '#Microsoft.Graph.User', id: victim, organizationId: it.tenant.tenantId },
  ...more,
})

const hintsOf = (it: Watching) => {
  const answer = it.answers.at(-1)
  assert.ok(answer !== undefined && typeof answer !== 'string')
  return answer.hints
}

describe('change notifications, forged and abused', () => {
  it('echoes nothing while no subscription is being made', async () => {
    await using it = await watching()
    const asked = (query: string) => it.post('', query)
    assert.equal((await asked('?validationToken=hello')).status, 401)
    assert.equal((await asked('?v=0123456789ab&validationToken=hello')).status, 401)
    await it.tend()
    const query = queryOf(it)
    const late = await asked(`${query}&validationToken=%3Cscript%3E`)
    assert.equal(late.status, 401)
    assert.ok(!late.text.includes('<script'))
  })

  it('echoes text alone, to the address of the one being made alone, and not for ever', async () => {
    await using it = await watching({}, { resources: ['users'] })
    await it.tend()
    const query = queryOf(it)
    const { promise: until, resolve: go } = Promise.withResolvers<void>()
    it.tenant.subscriptions.lose(it.ids()[0] ?? '')
    await it.clock.sleep(3_600_000)
    it.tenant.fail(/^POST \/\$batch/, { mode: 'wait', until })
    const tending = it.tend()
    const asked = (more: string) => it.post('', `${query}&${more}`)
    let first = await asked('validationToken=Validation%3A+a%26b')
    // Until its request is on the way, it is not being made.
    while (first.status === 401) first = await asked('validationToken=Validation%3A+a%26b')
    assert.deepEqual(
      [first.status, first.text, first.type, first.nosniff],
      [200, 'Validation: a&b', 'text/plain; charset=utf-8', 'nosniff'],
    )
    assert.equal((await it.post('', '?v=0123456789ab&validationToken=a')).status, 401)
    assert.equal((await asked(`validationToken=${'x'.repeat(1025)}`)).status, 400)
    assert.equal((await asked('validationToken=a%0d%0ab')).status, 400)
    assert.equal((await asked('validationToken=')).status, 400)
    const many = await Promise.all(Array.from({ length: 30 }, () => asked('validationToken=again')))
    assert.ok(many.filter(({ status }) => status === 200).length < 16)
    assert.ok(many.some(({ status }) => status === 401))
    go()
    await tending
  })

  it('a forged client state proves nothing, alone or beside a true one', async () => {
    await using it = await watching()
    await it.tend()
    const query = queryOf(it)
    const near = `${STATE.slice(0, -1)}x`
    for (const clientState of [near, '', undefined, null, 7, [STATE], { toString: STATE }, STATE.toUpperCase()]) {
      const forged = await it.post({ value: [notification(it, { clientState })] }, query)
      assert.equal(forged.status, 401, JSON.stringify(clientState))
      assert.equal(it.answers.at(-1), 'E_HOOK_UNVERIFIED')
    }
    const other = randomUUID()
    const forged = notification(it, { clientState: near, resource: `Users/${other}`, resourceData: { id: other } })
    assert.equal((await it.post({ value: [forged, notification(it)] }, query)).status, 202)
    assert.deepEqual(
      hintsOf(it).map(({ principal }) => principal),
      [victim],
    )
    assert.equal((await it.post({ value: [notification(it)] })).status, 401)
    assert.equal((await it.post({ value: [notification(it)] }, '?v=0123456789ab')).status, 401)
  })

  it('a lifecycle event without the client state moves nothing', async () => {
    await using it = await watching()
    await it.tend()
    const before = it.ids()
    for (const lifecycleEvent of ['subscriptionRemoved', 'missed', 'reauthorizationRequired']) {
      const forged = notification(it, { lifecycleEvent, clientState: 'guessed-client-state' })
      assert.equal((await it.post({ value: [forged] }, queryOf(it))).status, 401)
    }
    assert.deepEqual((await it.tend()).done, [])
    assert.deepEqual(it.ids(), before)
  })

  it('another tenant, an unknown subscription and an unknown event are left out', async () => {
    await using it = await watching()
    await it.tend()
    const strange = [
      { tenantId: randomUUID() },
      { resourceData: { id: victim, organizationId: randomUUID() } },
      { subscriptionId: randomUUID() },
      { subscriptionId: 'nonsense' },
      { resource: 'Messages/1', resourceData: { id: victim } },
      { resource: `Users/${victim}/../x`, resourceData: undefined },
      { lifecycleEvent: 'selfDestruct' },
      { lifecycleEvent: 'subscriptionRemoved', subscriptionId: randomUUID() },
    ]
    for (const more of strange) {
      assert.equal((await it.post({ value: [notification(it, more)] }, queryOf(it))).status, 202)
      const answer = it.answers.at(-1)
      assert.ok(answer !== undefined && typeof answer !== 'string', JSON.stringify(more))
      assert.deepEqual([answer.hints.length, answer.tend, answer.missed], [0, false, false], JSON.stringify(more))
      assert.equal(answer.alert?.code, 'hook-skipped')
      assert.ok(!answer.alert.text.includes(STATE))
    }
  })

  it('huge and broken batches are refused whole', async () => {
    await using it = await watching()
    await it.tend()
    const query = queryOf(it)
    const one = notification(it)
    const full = Array.from({ length: 1000 }, () => ({ ...one, id: randomUUID() }))
    assert.equal((await it.post({ value: full }, query)).status, 202)
    assert.equal(hintsOf(it).length, 1000)
    const broken = ['', '{', '7', 'null', '[]', '{}', '{"value":[]}', '{"value":{}}', `${'['.repeat(90_000)}`]
    for (const body of [{ value: [...full, one] }, ...broken])
      assert.equal((await it.post(body, query)).status, 400, JSON.stringify(body).slice(0, 30))
    assert.equal((await it.post({ value: [one], padding: 'x'.repeat(1_400_000) }, query)).status, 413)
    for (const method of ['GET', 'OPTIONS']) {
      const { status } = await fetch(`${it.hook}${query}&validationToken=a`, { method })
      assert.equal(status, 400, method)
    }
  })

  it('a replay is the same delivery, and old news of a subscription that was replaced moves nothing', async () => {
    await using it = await watching({}, { resources: ['users'] })
    await it.tend()
    const query = queryOf(it)
    const one = notification(it)
    const keys = new Set<string>()
    for (const sent of [one, one, notification(it)]) {
      await it.post({ value: [sent] }, query)
      for (const { delivery } of hintsOf(it)) keys.add(delivery)
    }
    assert.equal(keys.size, 2)
    // Where nothing tells two apart, both are taken: one of them may be news.
    const bare = notification(it, { id: undefined })
    for (const sent of [bare, bare]) {
      await it.clock.sleep(1)
      await it.post({ value: [sent] }, query)
      for (const { delivery } of hintsOf(it)) keys.add(delivery)
    }
    assert.equal(keys.size, 4)
    const removed = notification(it, { lifecycleEvent: 'subscriptionRemoved' })
    await it.post({ value: [removed] }, query)
    await it.tend()
    const before = it.ids()
    assert.equal((await it.post({ value: [removed] }, query)).status, 202)
    assert.deepEqual((await it.tend()).done, [])
    assert.deepEqual(it.ids(), before)
  })

  it('the directory decides: what a notification says of an account is not looked at', async () => {
    await using it = await watching()
    await it.tend()
    const told = { id: victim, accountEnabled: false, '@removed': { reason: 'deleted' } }
    await it.post({ value: [notification(it, { changeType: 'deleted', resourceData: told })] }, queryOf(it))
    const [hint] = hintsOf(it)
    assert.deepEqual(Object.keys(hint ?? {}).sort(), ['delivery', 'principal'])
    assert.ok(!it.bench.logged().includes(STATE))
  })
})
