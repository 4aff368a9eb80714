import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OktaOrg } from '../../sandbox/okta/index.ts'
import { HOOK_SECRET } from '../adapters/org.ts'
import { audience, logoutClient, startAcme } from './acme.ts'
import { assertAllowed, assertDenied, isAllowed, kill, path, principal, register } from './agents.ts'
import { at, textAt } from './json.ts'
import { until } from './until.ts'
import { type Daemon, type Overrides, startWorld, type World } from './world.ts'

const did = 'did:agentmesh:okta:1b2c3d4e5f607182'
const never = '0 0 1 1 *'
const noPolling = { sync: { accounts: never, groups: never } }

interface Both extends AsyncDisposable {
  readonly world: World
  readonly org: OktaOrg
  readonly daemon: Daemon
  /** The agent's account in the org. */
  readonly user: string
}

/** One agent with an account in each of two directories, both read once. */
async function both(more: Overrides = {}): Promise<Both> {
  await using stack = new AsyncDisposableStack()
  const { org, acme } = await startAcme(more)
  stack.use(org)
  const user = org.addUser({ email: 'agent@contoso.example' })
  const world = stack.use(await startWorld({ adapters: { acme } }))
  const daemon = stack.use(await world.daemon())
  const principals = [{ adapter: 'acme', id: user, kind: 'user' }, principal(world.contoso.agents.scout)]
  await register(daemon.as('registrar'), { did, name: 'okta-agent', principals })
  await until('allowed', () => isAllowed(daemon, { did }))
  const held = stack.move()
  return { world, org, daemon, user, [Symbol.asyncDispose]: () => held.disposeAsync() }
}

const suspendedEverywhere = async ({ daemon, world, user }: Both): Promise<void> => {
  await until('denied', async () => !(await isAllowed(daemon, { did })))
  await assertDenied(daemon, { did })
  const { body } = await daemon.as('alice').get(path(did))
  assert.equal(at(body, 'holds', 0, 'origin'), `adapter:acme/${user}`)
  await until('off in the other directory', () => world.tenant.get(world.contoso.agents.scout)?.enabled === false)
}

test('a user suspended in the org is heard of by the event hook, and is off in the other directory', async () => {
  await using it = await both(noPolling)
  const { daemon, org } = it
  const events = ['user.lifecycle.suspend', 'user.lifecycle.unsuspend']
  const url = `${daemon.origin}/hooks/acme`
  await assert.rejects(org.registerHook({ url, events, secret: 'not-the-secret-of-the-hook' }), /401/)
  await org.registerHook({ url, events, secret: HOOK_SECRET })
  org.setEnabled(it.user, false)
  await suspendedEverywhere(it)
  assert.ok(org.deliveries.every(({ status }) => status === 200))
  assert.ok(org.requests.every(({ method, path: asked }) => method === 'GET' || asked.startsWith('/oauth2/')))
})

test('without a hook the System Log tells, and an app of another kind of account is no business of ours', async () => {
  await using it = await both({ hooks: {} })
  const other = it.org.addUser({})
  it.org.setEnabled(other, false)
  await it.org.waitForRequest(({ path: asked, status }) => asked.startsWith('/api/v1/logs') && status === 200)
  await assertAllowed(it.daemon, { did })
  it.org.setEnabled(it.user, false)
  await suspendedEverywhere(it)
})

test('universal logout of the user makes the bridge look at once', async () => {
  await using it = await both(noPolling)
  const order = { url: `${it.daemon.origin}/hooks/acme`, clientId: logoutClient, userId: it.user }
  it.org.setEnabled(it.user, false)
  assert.equal(await it.org.sendLogout({ ...order, format: 'email' }), 401, 'the address of the org is another')
  await assertAllowed(it.daemon, { did })
  assert.equal(await it.org.sendLogout({ ...order, format: 'email', claims: { aud: audience } }), 204)
  await suspendedEverywhere(it)
})

test('what a kill suspended in the org is given back, because the log says that it was ours', async () => {
  await using it = await both()
  const { daemon, org, user } = it
  const holdId = await kill(daemon, did)
  await until('suspended in the org', () => org.get(user)?.status === 'SUSPENDED')
  const release = await daemon.as('alice').post(path(did, `/holds/${holdId}/release`), { reason: 'a false alarm' })
  assert.equal(release.status, 202, release.text)
  const releaseId = textAt(release.body, 'releaseId')
  const approved = await daemon.as('bob').post(`/v1/releases/${releaseId}/approve`, {})
  assert.equal(approved.status, 200, approved.text)
  await until('active in the org', () => org.get(user)?.status === 'ACTIVE', 60_000)
  await until('allowed again', () => isAllowed(daemon, { did }), 60_000)
  assert.ok(org.requests.some(({ path: asked }) => asked.includes('filter=eventType') && !asked.includes('unlock')))
})
