import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createEmulator } from 'emulate'
import { configs } from '../../adapters/index.ts'
import { BridgeError, codeOf } from '../../src/core/errors.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { opening } from '../adapters/opening.ts'
import { signal } from '../adapters/tenant.ts'

const apiToken = 'an-api-token-only-in-this-test'

/** The adapter on the third-party emulator `emulate`, with a few users of its own. */
const start = async () => {
  await using stack = new AsyncDisposableStack()
  const emulator = await createEmulator({ service: 'okta', port: 0 })
  stack.defer(() => emulator.close())
  const orgUrl = emulator.url
  const config = configs.okta.parse({
    kind: 'okta',
    orgUrl,
    credential: { type: 'apiToken', token: apiToken },
    tokens: { audiences: ['api://default'] },
  })
  const adapter = stack.use(opening(systemClock)).open(config)
  const ask = async (method: string, path: string, body?: unknown) => {
    const response = await fetch(`${orgUrl}${path}`, {
      method,
      headers: { authorization: `SSWS ${apiToken}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: signal(),
    })
    const text = await response.text()
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) }
  }
  const addUser = async (name: string, activate: boolean) => {
    const email = `${name}@contoso.example`
    const profile = { firstName: name, lastName: 'Agent', email, login: email }
    const { body, status } = await ask('POST', `/api/v1/users?activate=${activate}`, { profile })
    assert.ok(status < 300, `${status}`)
    return { id: String(body.id), kind: 'user' }
  }
  const kept = stack.move()
  return { adapter, ask, addUser, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

type World = Awaited<ReturnType<typeof start>>
const statusOf = async ({ ask }: World, id: string) => (await ask('GET', `/api/v1/users/${id}`)).body.status
const stateOf = async ({ adapter }: World, ref: { id: string; kind: string }) =>
  (await adapter.lookup([ref], signal())).get(ref.id)?.state

test('the emulator: users are read, suspended and unsuspended, and found again in a listing', async () => {
  await using world = await start()
  const { adapter, addUser } = world
  const [a, b] = [await addUser('a', true), await addUser('b', true)]
  assert.equal(await stateOf(world, a), 'enabled')
  const disabled = await adapter.accounts?.disable([a, b], signal())
  assert.deepEqual(
    disabled?.map(({ outcome }) => outcome),
    ['done', 'done'],
  )
  assert.deepEqual([await statusOf(world, a.id), await stateOf(world, a)], ['SUSPENDED', 'disabled'])
  const seen = new Map<string, string>()
  for await (const page of adapter.changes(undefined, signal()))
    for (const { id, state } of page.sightings) seen.set(id, state)
  assert.deepEqual([seen.get(a.id), seen.get(b.id)], ['disabled', 'disabled'])
  const enabled = await adapter.accounts?.enable([a], signal())
  assert.deepEqual([enabled?.[0]?.outcome, await statusOf(world, a.id)], ['done', 'ACTIVE'])
  const [missing] = [...(await adapter.lookup([{ id: '00uDoesNotExist00000', kind: 'user' }], signal())).values()]
  assert.equal(missing?.state, 'absent')
})

test('the emulator: an app is switched off and on', async () => {
  await using world = await start()
  const { adapter, ask } = world
  const { body } = await ask('POST', '/api/v1/apps', {
    name: 'oidc_client',
    label: 'an agent',
    signOnMode: 'OPENID_CONNECT',
    settings: { oauthClient: { application_type: 'service', grant_types: ['client_credentials'] } },
  })
  const ref = { id: String(body.id), kind: 'serviceApp' }
  const [off] = (await adapter.accounts?.disable([ref], signal())) ?? []
  assert.deepEqual([off?.outcome, off?.error?.code, await stateOf(world, ref)], ['done', undefined, 'disabled'])
  const [on] = (await adapter.accounts?.enable([ref], signal())) ?? []
  assert.deepEqual([on?.outcome, await stateOf(world, ref)], ['done', 'enabled'])
})

test('what the emulator lacks is an error, never an answer', async () => {
  await using world = await start()
  const { adapter, addUser } = world
  await addUser('a', true)
  // No System Log: attribution waits, and nothing is enabled on the strength of an empty one.
  const now = Date.now()
  await assert.rejects(
    async () => adapter.accounts?.log?.read({ from: now - 60_000, to: now }, signal()),
    (error) => error instanceof BridgeError && codeOf(error) !== 'E_BUG',
  )
  // No changes either: the feed fails, and the listing goes on.
  const feed = async () => {
    let checkpoint: string | undefined
    for await (const page of adapter.changes(undefined, signal())) checkpoint = page.checkpoint
    for await (const page of adapter.changes(checkpoint, signal())) checkpoint = page.checkpoint
  }
  await assert.rejects(feed, (error) => error instanceof BridgeError && codeOf(error) !== 'E_BUG')
  const findings = await adapter.check(signal())
  assert.ok(
    findings.some(({ level, text }) => level === 'error' && /log/i.test(text)),
    JSON.stringify(findings),
  )
})

/** Where it lets pass what Okta refuses: whatever is green here says nothing about these. `sandbox/okta` refuses them. */
test('the emulator is laxer than an org', async () => {
  await using world = await start()
  const { ask, addUser } = world
  const staged = await addUser('staged', false)
  const suspend = (id: string) => ask('POST', `/api/v1/users/${id}/lifecycle/suspend`)
  assert.equal(await statusOf(world, staged.id), 'STAGED')
  assert.deepEqual([(await suspend(staged.id)).status, await statusOf(world, staged.id)], [200, 'SUSPENDED'])
  assert.equal((await suspend(staged.id)).status, 200)
  assert.equal((await ask('POST', `/api/v1/users/${staged.id}/lifecycle/unsuspend`)).status, 200)
  assert.equal((await ask('POST', `/api/v1/users/${staged.id}/lifecycle/unsuspend`)).status, 200)
  assert.equal((await ask('GET', '/api/v1/logs')).status, 404)
})
