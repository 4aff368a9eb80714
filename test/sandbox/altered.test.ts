import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type EntraTenant, startEntraTenant } from '../../sandbox/entra/index.ts'
import { at, GraphClient, ids, rows, text } from './client.ts'

const roles = ['User.ReadWrite.All', 'GroupMember.Read.All', 'AuditLog.Read.All']

async function start(options: Parameters<typeof startEntraTenant>[0] = {}) {
  const tenant = await startEntraTenant({ emptyPages: false, ...options })
  const users = Array.from({ length: 5 }, () => tenant.addUser())
  return { tenant, users, client: await GraphClient.signIn(tenant, ...roles) }
}

/** Follows next links below the version root; the ids of each page. */
async function pages(client: GraphClient, tenant: EntraTenant, path: string): Promise<string[][]> {
  const found: string[][] = []
  for (let next: string | undefined = path; next !== undefined && found.length < 20; ) {
    const page = await client.get(next)
    found.push(ids(page))
    const link = at(page.body, '@odata.nextLink')
    next = typeof link === 'string' ? link.replace(`${tenant.origin}/v1.0`, '') : undefined
  }
  return found
}

describe('successes that mislead', () => {
  it('an empty list: no rows, and no further page', async () => {
    const { tenant, client } = await start({ pageSize: 2 })
    await using _ = tenant
    tenant.fail('/users', { altered: 'empty' })
    const empty = await client.get('/users')
    assert.deepEqual([rows(empty), at(empty.body, '@odata.nextLink')], [[], undefined])
    tenant.fail('/users/delta', { altered: 'empty' })
    const round = await client.get('/users/delta')
    assert.deepEqual(rows(round), [])
    assert.equal(typeof at(round.body, '@odata.nextLink'), 'string', 'a delta round must still come to an end')
  })

  it('a repeated page comes twice under two links, and nothing is missing', async () => {
    const { tenant, client } = await start({ pageSize: 2 })
    await using _ = tenant
    const whole = (await pages(client, tenant, '/users')).flat()
    tenant.fail(/skiptoken/, { altered: 'repeated' })
    const repeated = await pages(client, tenant, '/users')
    assert.deepEqual(repeated[1], repeated[2])
    assert.deepEqual([...new Set(repeated.flat())], whole)
    tenant.fail('/users', { altered: 'repeated' })
    const first = await pages(client, tenant, '/users')
    assert.deepEqual(first[0], first[1])
  })

  it('a looping page names itself', async () => {
    const { tenant, client } = await start({ pageSize: 2 })
    await using _ = tenant
    const second = text(at((await client.get('/users')).body, '@odata.nextLink'))
    tenant.fail(/skiptoken/, { altered: 'looping' })
    assert.equal(at((await client.get(second)).body, '@odata.nextLink'), second)
  })

  it('a stale read tells what was so a while ago, and only the reads it takes, in batches too', async () => {
    let now = Date.now()
    const { tenant, client, users } = await start({ now: () => now })
    await using _ = tenant
    const [user = ''] = users
    now += 10_000
    tenant.setEnabled(user, false)
    const isOn = async () => at((await client.get(`/users/${user}?$select=accountEnabled`)).body, 'accountEnabled')
    now += 2000
    tenant.fail(/^GET \/users\//, { altered: 'stale', byMs: 5000, times: 2 })
    assert.equal(await isOn(), true)
    const batch = await client.batch([{ id: '1', method: 'GET', url: `/users/${user}?$select=accountEnabled` }])
    assert.equal(at(batch.get('1')?.body, 'accountEnabled'), true)
    assert.equal(await isOn(), false)
    now += 5000
    tenant.fail(/^GET \/users\//, { altered: 'stale', byMs: 5000 })
    assert.equal(await isOn(), false, 'the replica has caught up')
  })
})

describe('outages and delays', () => {
  it('connections are refused until it comes back, on the same port, with what it knew', async () => {
    const { tenant, client, users } = await start()
    await using _ = tenant
    await tenant.goAway()
    await assert.rejects(client.get('/users'))
    await tenant.comeBack()
    assert.equal((await client.get(`/users/${users[0]}`)).status, 200)
  })

  it('a late write is refused at once and lands later, alone and in a batch', async () => {
    const { tenant, client, users } = await start()
    await using _ = tenant
    const [one = '', other = ''] = users
    const lands = (id: string) => tenant.waitForRequest(({ path }) => path.includes(id) && !tenant.get(id)?.enabled)
    tenant.fail(/^PATCH /, { status: 504, appliedAfterMs: 30, times: 2 })
    assert.equal((await client.patch(`/users/${one}`, { accountEnabled: false })).status, 504)
    const item = { method: 'PATCH', body: { accountEnabled: false }, headers: { 'Content-Type': 'application/json' } }
    const batch = await client.batch([{ id: '1', url: `/users/${other}`, ...item }])
    assert.equal(batch.get('1')?.status, 504)
    for (const id of [one, other]) {
      while (tenant.get(id)?.enabled === true) await client.get('/groups')
      await lands(id)
    }
  })

  it('a fault with a share takes that part of the requests, the same part for the same seed', async () => {
    const play = async (faultSeed: number) => {
      const { tenant, client } = await start({ faultSeed })
      await using _ = tenant
      tenant.fail('/users', { status: 503, share: 0.5, times: Number.POSITIVE_INFINITY })
      const statuses: number[] = []
      for (let count = 0; count < 40; count++) statuses.push((await client.get('/users')).status)
      return statuses
    }
    const [first, again, other] = [await play(7), await play(7), await play(8)]
    assert.deepEqual(first, again)
    assert.notDeepEqual(first, other)
    const failed = first.filter((status) => status === 503).length
    assert.ok(failed > 8 && failed < 32, `${failed} of 40`)
  })

  it('a clock that is off shows in dates, records and tokens, and delays nothing', async () => {
    const { tenant, client: early, users } = await start()
    await using _ = tenant
    const [user = ''] = users
    tenant.setClockOff(-600_000)
    assert.equal((await early.get('/users')).status, 401, 'its token is not valid yet')
    const client = await GraphClient.signIn(tenant, ...roles)
    tenant.setEnabled(user, false)
    const read = await client.get(`/users/${user}?$select=accountEnabled`)
    assert.equal(at(read.body, 'accountEnabled'), false)
    const off = Date.now() - Date.parse(read.headers.get('date') ?? '')
    assert.ok(off > 590_000 && off < 660_000, `the Date is ${off} ms behind`)
    const [record] = rows(await client.get('/auditLogs/directoryAudits?$top=1'))
    assert.ok(Date.now() - Date.parse(text(at(record, 'activityDateTime'))) > 590_000)
    const token = tenant.issueToken({ kind: 'human', id: user, audience: 'api://x' }).split('.')[1] ?? ''
    const iat = Number(at(JSON.parse(Buffer.from(token, 'base64url').toString()), 'iat'))
    assert.ok(Date.now() / 1000 - iat > 590)
    tenant.setClockOff(0)
    tenant.setEnabled(user, true)
    assert.equal(at((await client.get(`/users/${user}?$select=accountEnabled`)).body, 'accountEnabled'), true)
  })
})
