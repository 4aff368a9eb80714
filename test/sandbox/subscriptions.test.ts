import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type EntraTenant, startEntraTenant } from '../../sandbox/entra/index.ts'
import { at, clock, code, type Delivered, GraphClient, list, rows, startHook, text } from './client.ts'

const minute = 60_000
const soon = (tenantNow: number, minutes: number) => new Date(tenantNow + minutes * minute).toISOString()
const echo = ({ path }: Delivered) => ({
  status: 200,
  text: new URL(path, 'http://hook').searchParams.get('validationToken') ?? '',
})
const asked = (url: string, more: Record<string, unknown> = {}) => ({
  changeType: 'updated,deleted',
  notificationUrl: url,
  lifecycleNotificationUrl: `${url}?lifecycle=1`,
  resource: '/users',
  expirationDateTime: soon(Date.now(), 600),
  clientState: 'state',
  ...more,
})
const signIn = (tenant: EntraTenant) => GraphClient.signIn(tenant, 'User.Read.All', 'Group.Read.All')

describe('graph subscriptions', () => {
  it('are made after both addresses gave the token back, and never show their client state', async () => {
    await using tenant = await startEntraTenant()
    await using hook = await startHook(echo)
    const client = await signIn(tenant)
    const made = await client.post('/subscriptions', asked(hook.url))
    assert.equal(made.status, 201, JSON.stringify(made.body))
    assert.equal(at(made.body, 'clientState'), null)
    assert.deepEqual(hook.received.map(({ method, path }) => [method, /lifecycle=1/.test(path)]).sort(), [
      ['POST', false],
      ['POST', true],
    ])
    for (const { path, headers } of hook.received) {
      assert.match(path, /validationToken=Validation/)
      assert.equal(headers['content-type'], 'text/plain; charset=utf-8')
    }
    const [one] = rows(await client.get('/subscriptions'))
    assert.equal(at(one, 'id'), at(made.body, 'id'))
    const other = await signIn(tenant)
    assert.deepEqual(rows(await other.get('/subscriptions')), [])
    const path = `/subscriptions/${text(at(one, 'id'))}`
    assert.equal((await other.call('DELETE', path)).status, 404)
    assert.equal((await client.call('DELETE', path)).status, 204)
    assert.deepEqual(code(await client.get(path)), [404, 'Request_ResourceNotFound'])
  })

  it('are refused where the address gives nothing back, or something else', async () => {
    await using tenant = await startEntraTenant()
    const client = await signIn(tenant)
    const answers = [
      { status: 200, text: 'no' },
      { status: 202, text: '' },
      { status: 401, text: '' },
    ]
    for (const answer of answers) {
      await using hook = await startHook(() => answer)
      assert.deepEqual(code(await client.post('/subscriptions', asked(hook.url))), [400, 'ValidationError'])
    }
    await using json = await startHook((request) => ({ ...echo(request), type: 'application/json' }))
    assert.deepEqual(code(await client.post('/subscriptions', asked(json.url))), [400, 'ValidationError'])
    assert.deepEqual(tenant.subscriptions.list, [])
  })

  it('are refused as Graph refuses them, and nobody is asked then', async () => {
    await using tenant = await startEntraTenant()
    await using hook = await startHook(echo)
    const client = await signIn(tenant)
    const now = Date.now()
    for (const more of [
      { resource: '/servicePrincipals' },
      { resource: '/me/messages' },
      { changeType: 'created' },
      { expirationDateTime: soon(now, 41_770) },
      { expirationDateTime: soon(now, -1) },
      { expirationDateTime: 'tomorrow' },
      { expirationDateTime: undefined },
      { clientState: 'x'.repeat(129) },
      { notificationUrl: 'http://bridge.example.com/hooks' },
      { notificationUrl: 'nonsense' },
      { lifecycleNotificationUrl: 'ftp://bridge.example.com/' },
    ]) {
      const reply = await client.post('/subscriptions', asked(hook.url, more))
      assert.deepEqual(code(reply), [400, 'Request_BadRequest'], JSON.stringify(more))
    }
    const lacking = await GraphClient.signIn(tenant, 'GroupMember.Read.All')
    for (const resource of ['/users', '/groups'])
      assert.equal((await lacking.post('/subscriptions', asked(hook.url, { resource }))).status, 403)
    assert.deepEqual(hook.received, [])
    const short = await client.post('/subscriptions', asked(hook.url, { expirationDateTime: soon(now, 5) }))
    assert.ok(Date.parse(text(at(short.body, 'expirationDateTime'))) >= now + 45 * minute)
    const path = `/subscriptions/${text(at(short.body, 'id'))}`
    assert.equal((await client.patch(path, { expirationDateTime: soon(now, 41_770) })).status, 400)
    assert.equal((await client.patch(path, { resource: '/groups' })).status, 400)
    const longer = await client.patch(path, { expirationDateTime: soon(now, 41_000) })
    assert.equal(longer.status, 200)
    assert.equal((await client.post(`${path}/reauthorize`)).status, 204)
  })

  it('tell of changes, repeat what is not taken, and end', async () => {
    const time = clock()
    await using tenant = await startEntraTenant({ now: time.now, eventGridRetryScale: 0.0005 })
    let failures = 1
    await using hook = await startHook((request) => {
      if (request.path.includes('validationToken')) return echo(request)
      return { status: failures-- > 0 ? 401 : 202, text: '' }
    })
    const client = await signIn(tenant)
    const expirationDateTime = soon(time.now(), 60)
    await client.batch([
      {
        id: '1',
        method: 'POST',
        url: '/subscriptions',
        headers: { 'Content-Type': 'application/json' },
        body: asked(hook.url, { expirationDateTime }),
      },
    ])
    const [subscription] = tenant.subscriptions.list
    assert.ok(subscription)
    const user = tenant.addUser()
    await tenant.subscriptions.wait(({ what, outcome }) => what === `updated Users/${user}` && outcome === 'delivered')
    const told = hook.received.filter(({ path }) => !path.includes('validationToken'))
    assert.equal(told.length, 2)
    assert.deepEqual(told[0]?.body, told[1]?.body)
    const [one] = list(at(told[0]?.body, 'value'))
    assert.deepEqual(
      ['clientState', 'subscriptionId', 'tenantId', 'resource', 'changeType'].map((name) => at(one, name)),
      ['state', subscription.id, tenant.tenantId, `Users/${user}`, 'updated'],
    )
    tenant.subscriptions.tell(subscription.id, 'reauthorizationRequired')
    await tenant.subscriptions.wait(({ what, outcome }) => what.startsWith('reauth') && outcome === 'delivered')
    const [event] = list(at(hook.received.at(-1)?.body, 'value'))
    assert.deepEqual([at(event, 'lifecycleEvent'), at(event, 'clientState')], ['reauthorizationRequired', 'state'])
    assert.match(hook.received.at(-1)?.path ?? '', /lifecycle=1/)
    time.advance(61 * minute)
    assert.deepEqual(tenant.subscriptions.list, [])
    const count = tenant.subscriptions.deliveries.length
    tenant.setEnabled(user, false)
    assert.equal(tenant.subscriptions.deliveries.length, count)
  })
})
