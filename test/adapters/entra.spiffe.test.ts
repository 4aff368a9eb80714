import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FederatedCredential } from '../../sandbox/entra/apps.ts'
import { bridgeRoles } from '../../sandbox/entra/seed.ts'
import { type SpireOptions, startSpire } from '../../sandbox/spire/index.ts'
import { BridgeError } from '../../src/core/errors.ts'
import { bench, signal } from './tenant.ts'

const BRIDGE = 'spiffe://example.org/identity-bridge'
const SELECTOR = 'unix:uid:500'

/** A tenant that federates with the issuer of a SPIRE, whose agent knows the bridge. */
async function federation(options: SpireOptions = {}, federated: Partial<FederatedCredential> = {}) {
  await using stack = new AsyncDisposableStack()
  const spire = stack.use(await startSpire({ jwtKeyType: 'rsa-2048', ...options }))
  const provider = await spire.discoveryProvider()
  const it = stack.use(await bench())
  const app = it.tenant.registerApp({ name: 'federated', roles: [...bridgeRoles] })
  it.tenant.addCredential(app.appId, { issuer: provider.issuer, subject: BRIDGE, ...federated })
  const account = it.tenant.addServicePrincipal({ displayName: 'an agent' })
  const socket = await spire.workload([SELECTOR])
  const parts = stack.move()
  return {
    spire,
    provider,
    tenant: it.tenant,
    logged: it.logged,
    addEntry: (spiffeId = BRIDGE) => spire.addEntry({ spiffeId, selectors: [SELECTOR] }),
    open: (more: Record<string, unknown> = {}) => {
      const adapter = it.open({ credential: { type: 'spiffe', clientId: app.appId, socket, ...more } })
      return async () => (await adapter.lookup([{ id: account, kind: 'servicePrincipal' }], signal())).get(account)
    },
    svids: () => spire.requests.filter(({ path }) => path.endsWith('/FetchJWTSVID')).length,
    signIns: () => it.tenant.requests.filter(({ method, surface }) => surface === 'login' && method === 'POST').length,
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}

async function refusal(look: () => Promise<unknown>): Promise<BridgeError> {
  const error = await look().then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  assert.ok(error instanceof BridgeError, 'it was let in')
  return error
}

test('the bridge signs in to Entra with its JWT-SVID, which is asked for anew for each sign-in and kept nowhere', async () => {
  await using it = await federation()
  // The agent makes a new one for each request, so that one that was kept here would be found out below.
  const more = { additional_attributes: { disable_x509_svid_prefetch: false, jwt_svid_include_jti: true } }
  it.spire.addEntry({ spiffeId: BRIDGE, selectors: [SELECTOR], more })
  const look = it.open()
  assert.equal(it.svids(), 0, 'nothing is asked before it is needed')
  assert.equal((await look())?.state, 'enabled')
  assert.equal((await look())?.state, 'enabled')
  assert.deepEqual([it.signIns(), it.provider.keyReads], [1, 1], 'the token for Graph serves on')

  const [old = ''] = it.spire.kids
  it.spire.rotateJwtKey()
  it.spire.revokeJwtKey(old)
  it.tenant.fail('/$batch', { status: 401 })
  assert.equal((await look())?.state, 'enabled')
  assert.equal(it.signIns(), 2)
})

test('an assertion that Entra does not take is told with what mends it, and the token is shown nowhere', async () => {
  await using it = await federation()
  it.addEntry()
  const said: string[] = []
  const tells = async (look: () => Promise<unknown>, number: number, hint: RegExp) => {
    const error = await refusal(look)
    assert.equal(error.code, 'E_DIRECTORY_AUTH')
    assert.match(error.message, new RegExp(`AADSTS${number}\\b`))
    assert.match(error.hint ?? '', hint)
    said.push(`${error.message}${error.hint}${error.stack}${String(error.cause)}`)
  }
  const fits = /issuer, subject and audience are those of the token/
  await tells(it.open({ audience: 'api://elsewhere' }), 700212, fits)
  it.tenant.setClockOff(3_600_000)
  await tells(it.open(), 700024, /expired/)
  it.tenant.setClockOff(0)

  it.addEntry('spiffe://example.org/other')
  await tells(it.open({ spiffeId: 'spiffe://example.org/other' }), 700213, fits)
  assert.equal((await it.open({ spiffeId: BRIDGE })())?.state, 'enabled')

  await it.spire.discoveryProvider()
  it.addEntry('spiffe://example.org/third')
  await tells(it.open({ spiffeId: 'spiffe://example.org/third' }), 700211, fits)
  assert.doesNotMatch(`${said.join()}${it.logged()}`, /eyJ/)
})

test('a signature by another trust domain is not taken, even one that names the same issuer', async () => {
  await using it = await federation()
  await using other = await startSpire({ jwtKeyType: 'rsa-2048', jwtIssuer: it.provider.issuer })
  other.addEntry({ spiffeId: BRIDGE, selectors: [SELECTOR] })
  const error = await refusal(it.open({ socket: await other.workload([SELECTOR]) }))
  assert.match(error.message, /AADSTS700027/)
  assert.equal(it.provider.keyReads, 1)
})

test('keys of elliptic curves, which SPIRE makes unless told otherwise, are refused by Entra: the mend names the setting', async () => {
  await using it = await federation({ jwtKeyType: 'ec-p256' })
  it.addEntry()
  const error = await refusal(it.open())
  assert.match(error.message, /AADSTS5002738/)
  assert.match(error.hint ?? '', /jwt_key_type = "rsa-2048"/)
})

test('an audience of its own is taken where the federated credential names the same', async () => {
  await using it = await federation({}, { audience: 'api://contoso-exchange' })
  it.addEntry()
  assert.match((await refusal(it.open())).message, /AADSTS700212/)
  assert.equal((await it.open({ audience: 'api://contoso-exchange' })())?.state, 'enabled')
})

test('without an identity, and without an agent, it says so; both mend themselves', async () => {
  await using it = await federation()
  const look = it.open()
  const none = await refusal(look)
  assert.deepEqual([none.code, it.signIns()], ['E_DIRECTORY_AUTH', 0])
  assert.match(none.hint ?? '', /registration entry for the bridge/)
  it.addEntry()
  assert.equal((await look())?.state, 'enabled')

  const missing = await refusal(it.open({ socket: 'unix:///nonexistent/agent.sock' }))
  assert.equal(missing.code, 'E_DIRECTORY_DOWN')
  assert.match(missing.message, /Workload API/)
  assert.match(missing.hint ?? '', /socket at the configured address/)

  const foreign = await refusal(it.open({ spiffeId: 'spiffe://example.org/other' }))
  assert.equal(foreign.code, 'E_DIRECTORY_AUTH', 'an identity that it does not have')
})
