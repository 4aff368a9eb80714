import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Adapter } from '../../src/core/adapter.ts'
import { BridgeError, codeOf } from '../../src/core/errors.ts'
import type { HookQueue } from '../../src/core/hookqueue.ts'
import { parseJwt } from '../../src/lib/jwt.ts'
import { account, accountKey, StorageQueue, type StorageQueueOptions } from './storagequeue.ts'
import { type Bench, bench, signal } from './tenant.ts'

const storage = 'https://storage.azure.com'
const sas = { sig: 'c2lnbmF0dXJlLW9mLXRoZS1xdWV1ZQ==', sp: 'rp' }
const query = `sv=2026-04-06&se=2030-01-01T00%3A00%3A00Z&sp=${sas.sp}&sig=${encodeURIComponent(sas.sig)}`
const user = 'aaaaaaaa-1111-4222-8333-444444444444'
const group = 'cccccccc-1111-4222-8333-444444444444'
const bySas = { auth: 'sas', sas: query }

const event = (tenantId: string, id: string, more: Readonly<Record<string, unknown>> = {}) => ({
  specversion: '1.0',
  id: `event of ${id}`,
  source: `/tenants/${tenantId}/applications/a`,
  type: 'Microsoft.Graph.UserUpdated',
  subject: `Users/${id}`,
  time: '2026-11-21T10:00:00.1234567Z',
  data: { tenantId, subscriptionId: group, resourceData: { id, organizationId: tenantId } },
  ...more,
})

interface Rig extends AsyncDisposable {
  readonly it: Bench
  readonly stand: StorageQueue
  readonly adapter: Adapter
  readonly queue: HookQueue
}

const rigOf = async (
  access: Readonly<Record<string, unknown>>,
  { queue: more = {}, ...options }: StorageQueueOptions & { readonly queue?: Readonly<Record<string, unknown>> } = {},
): Promise<Rig> => {
  await using stack = new AsyncDisposableStack()
  const it = stack.use(await bench())
  const stand = stack.use(await StorageQueue.open({ sas, ...options }))
  const adapter = it.open({ hooks: { queue: { url: stand.url, access, ...more } } })
  assert.ok(adapter.queue)
  const held = stack.move()
  return { it, stand, adapter, queue: adapter.queue, [Symbol.asyncDispose]: () => held.disposeAsync() }
}

const told = async (queue: HookQueue) => {
  const messages = await queue.take(signal())
  return messages.map(({ news }) => news?.hints.map((hint) => hint.principal ?? `group ${hint.group}`))
}

const failure = async (work: Promise<unknown>): Promise<BridgeError> => {
  try {
    await work
  } catch (error) {
    assert.ok(error instanceof BridgeError)
    return error
  }
  return assert.fail('it went well')
}

describe('entra queue', () => {
  it('an identity asks for a token of storage and takes what waits; what is removed does not come again', async () => {
    const tokens: string[] = []
    await using rig = await rigOf(
      { auth: 'entra' },
      {
        mayProcess: (token) => {
          tokens.push(token)
          return true
        },
      },
    )
    const { tenant } = rig.it
    tenant.registerApp({ name: 'storage', identifierUris: [storage], roles: [] })
    rig.stand.send(event(tenant.tenantId, user))
    const [message, ...rest] = await rig.queue.take(signal())
    assert.deepEqual(
      [message?.news?.hints, message?.times, rest.length],
      [[{ delivery: `/tenants/${tenant.tenantId}/applications/a|event of ${user}|${user}`, principal: user }], 1, 0],
    )
    const jwt = parseJwt(tokens[0] ?? '')
    assert.ok('claims' in jwt)
    assert.equal(jwt.claims.aud, storage)
    assert.deepEqual(await told(rig.queue), [], 'it is hidden while it is being taken in')
    rig.stand.nowMs += 61_000
    assert.deepEqual(await told(rig.queue), [[user]], 'what is not removed comes again')
    rig.stand.nowMs += 61_000
    const [again] = await rig.queue.take(signal())
    assert.equal(again?.times, 3)
    await again?.remove(signal())
    assert.equal(rig.stand.messages.length, 0)
    await again?.remove(signal())
    assert.ok(rig.stand.requests.every(({ header }) => header('user-agent') === 'idp-bridge/test'))
    assert.ok(rig.stand.requests.every(({ path }) => path.startsWith(`/${account}/bells/messages`)))
  })

  it('base64 and plain JSON, both schemas, one event or a list', async () => {
    await using rig = await rigOf(bySas)
    const { tenantId } = rig.it.tenant
    const grid = { id: 'g1', eventType: 'x', subject: 's', eventTime: '2026-11-21T10:00:00Z', data: { objectId: user } }
    const both = [event(tenantId, user), event(tenantId, group, { id: '2', type: 'Microsoft.Graph.GroupUpdated' })]
    rig.stand.send(event(tenantId, user))
    rig.stand.put(JSON.stringify(event(tenantId, user)))
    rig.stand.put(`\uFEFF ${JSON.stringify(grid)}\n`)
    rig.stand.send([grid])
    rig.stand.send(both)
    assert.deepEqual(await told(rig.queue), [[user], [user], [user], [user], [user, `group ${group}`]])
  })

  it('what says nothing of this tenant rings nobody; what is no event is told apart', async () => {
    await using rig = await rigOf(bySas, { queue: { subscriptions: [group] } })
    const { tenantId } = rig.it.tenant
    const other = '99999999-2222-4333-8444-555555555555'
    rig.stand.send(event(tenantId, user))
    rig.stand.send(event(other, user))
    rig.stand.send(event(tenantId, user, { data: { ...event(tenantId, user).data, subscriptionId: other } }))
    rig.stand.send({ ...event(tenantId, user), type: 'Microsoft.Storage.BlobCreated', data: { url: 'https://x' } })
    for (const text of ['', 'hello', 'aGVsbG8=', '{"a":1}', '[]', '[1]', '{', 'null', '\u00ff\u00fe'])
      rig.stand.put(text)
    const messages = await rig.queue.take(signal())
    const [good, foreign, unnamed, blob, ...strange] = messages.map(({ news }) => news)
    assert.equal(good?.hints.length, 1)
    for (const each of [foreign, unnamed, blob])
      assert.deepEqual([each?.hints, each?.alert?.code], [[], 'hook-skipped'])
    assert.deepEqual([...new Set(strange)], [undefined])
    assert.equal(strange.length, 9)
  })

  it('a batch is 32 at most, however many wait', async () => {
    await using rig = await rigOf(bySas)
    for (let n = 0; n < 40; n++) rig.stand.put('{"a":1}')
    assert.equal((await rig.queue.take(signal())).length, 32)
    assert.equal((await rig.queue.take(signal())).length, 8)
    assert.equal(rig.queue.most, 32)
  })

  it('the key of a connection string signs each request, whatever address the string names', async () => {
    await using stand = await StorageQueue.open()
    await using it = await bench()
    for (const connectionString of [
      stand.connectionString,
      `AccountName=${account};AccountKey=${accountKey};EndpointSuffix=core.windows.net`,
    ]) {
      const access = { auth: 'connectionString', connectionString }
      const { queue } = it.open({ hooks: { queue: { url: stand.url, access } } })
      assert.ok(queue)
      stand.send(event(it.tenant.tenantId, user))
      const [message] = await queue.take(signal())
      assert.equal(message?.news?.hints[0]?.principal, user)
      await message?.remove(signal())
      assert.equal(stand.messages.length, 0)
    }
    const sasString = `QueueEndpoint=https://x.example;SharedAccessSignature=?${query}`
    await using other = await StorageQueue.open({ sas })
    const access = { auth: 'connectionString', connectionString: sasString }
    const { queue } = it.open({ hooks: { queue: { url: other.url, access } } })
    assert.deepEqual(await queue?.take(signal()), [])
  })

  it('each refusal is a code with what mends it, asked once, and none tells a secret', async () => {
    const cases = [
      [{ status: 403, code: 'AuthorizationPermissionMismatch' }, 'E_DIRECTORY_FORBIDDEN', /Message Processor/],
      [{ status: 403, code: 'AuthorizationFailure' }, 'E_DIRECTORY_FORBIDDEN', /network/],
      [{ status: 403, code: 'KeyBasedAuthenticationNotPermitted' }, 'E_DIRECTORY_FORBIDDEN', /auth: entra/],
      [{ status: 403, code: 'AuthenticationFailed' }, 'E_DIRECTORY_AUTH', /expired/],
      [{ status: 401, code: 'InvalidAuthenticationInfo' }, 'E_DIRECTORY_AUTH', /credential/],
      [{ status: 404, code: 'QueueNotFound' }, 'E_DIRECTORY_REFUSED', /create the queue/],
      [{ status: 503, code: 'ServerBusy', headers: { 'retry-after': '7' } }, 'E_DIRECTORY_THROTTLED', undefined],
      [{ status: 500, code: 'InternalError' }, 'E_DIRECTORY_DOWN', undefined],
      [{ status: 502, body: '<html>' }, 'E_DIRECTORY_DOWN', undefined],
      [{ status: 200, body: 'not XML <' }, 'E_DIRECTORY_ANSWER', undefined],
      [{ status: 302, headers: { location: 'http://127.0.0.1:1/' } }, 'E_DIRECTORY_ANSWER', undefined],
      [{ mode: 'reset' }, 'E_DIRECTORY_DOWN', undefined],
    ] as const
    await using rig = await rigOf(bySas)
    for (const [fault, code, mend] of cases) {
      rig.stand.faults.add(() => true, fault)
      const before = rig.stand.requests.length
      const error = await failure(rig.queue.take(signal()))
      assert.equal(codeOf(error), code, JSON.stringify(fault))
      if (mend) assert.match(error.hint ?? '', mend)
      assert.equal(rig.stand.requests.length, before + 1, 'the library repeats nothing')
      if (code === 'E_DIRECTORY_THROTTLED') assert.equal(error.retryAfterMs, 7000)
      const everything = JSON.stringify([error, error.cause, error.message, error.stack, String(error.cause)])
      assert.ok(!everything.includes('c2lnbmF0dXJl') && !everything.includes('sig='), everything)
    }
    await rig.stand.down()
    assert.equal(codeOf(await failure(rig.queue.take(signal()))), 'E_DIRECTORY_DOWN')
    await rig.stand.up()
    assert.equal(codeOf(await failure(rig.queue.take(AbortSignal.abort()))), 'E_ABORTED')
    assert.ok(!rig.it.logged().includes('sig='))
  })

  it('a wrong key, a signature that permits too little and an identity without the role are refused as such', async () => {
    const wrong = `AccountName=${account};AccountKey=${Buffer.from('another key').toString('base64')}`
    await using key = await rigOf({ auth: 'connectionString', connectionString: wrong })
    assert.equal(codeOf(await failure(key.queue.take(signal()))), 'E_DIRECTORY_AUTH')
    await using little = await rigOf({ auth: 'sas', sas: query.replace('sp=rp', 'sp=r') }, { sas: { ...sas, sp: 'r' } })
    assert.match((await failure(little.queue.take(signal()))).hint ?? '', /Message Processor/)
    await using role = await rigOf({ auth: 'entra' }, { mayProcess: () => false })
    role.it.tenant.registerApp({ name: 'storage', identifierUris: [storage], roles: [] })
    assert.equal(codeOf(await failure(role.queue.take(signal()))), 'E_DIRECTORY_FORBIDDEN')
  })

  it('a token that the queue does not accept is asked for anew; that there is none is told as signing in', async () => {
    const accepted = new Set<string>()
    await using rig = await rigOf({ auth: 'entra' }, { mayProcess: (token) => accepted.has(token) })
    assert.equal(codeOf(await failure(rig.queue.take(signal()))), 'E_DIRECTORY_AUTH')
    assert.equal(rig.stand.requests.length, 0, 'without a token nothing is sent')
    rig.it.tenant.registerApp({ name: 'storage', identifierUris: [storage], roles: [] })
    rig.stand.faults.add(() => true, { status: 401, code: 'InvalidAuthenticationInfo' })
    assert.equal(codeOf(await failure(rig.queue.take(signal()))), 'E_DIRECTORY_AUTH')
    await failure(rig.queue.take(signal()))
    const [first, second] = rig.stand.requests.map(({ header }) => header('authorization'))
    assert.ok(first?.startsWith('Bearer ') && second?.startsWith('Bearer '))
    assert.notEqual(first, second)
  })

  it('a check looks into the queue without taking anything, and says what mends it', async () => {
    await using rig = await rigOf(bySas)
    rig.stand.send(event(rig.it.tenant.tenantId, user))
    const found = async () => (await rig.adapter.check(signal())).find(({ text }) => text.includes('queue'))
    assert.equal((await found())?.level, 'ok')
    assert.equal(rig.stand.messages[0]?.times, 0)
    rig.it.tenant.fail(/^POST .*token/, { status: 503, times: Number.POSITIVE_INFINITY })
    const apart = await rig.it.open({ hooks: { queue: { url: rig.stand.url, access: bySas } } }).check(signal())
    assert.deepEqual(
      apart.map(({ level }) => level),
      ['ok', 'error'],
      'it needs nobody to sign in',
    )
    rig.stand.name = 'another'
    const missing = await found()
    assert.deepEqual([missing?.level, missing?.code], ['error', 'E_DIRECTORY_REFUSED'])
    assert.match(missing?.mend ?? '', /create the queue/)
  })
})
