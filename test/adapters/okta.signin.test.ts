import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import type { Target } from '../../sandbox/okta/index.ts'
import type { Adapter } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'
import { SecretRef } from '../../src/lib/secret.ts'
import { bench, newKeyPair, type Org, pair, permissions, scopes } from './org.ts'
import { leaping, signal } from './tenant.ts'

const always = Number.POSITIVE_INFINITY

function folder() {
  const path = mkdtempSync(join(tmpdir(), 'okta-'))
  return { path, file: (name: string) => join(path, name), [Symbol.dispose]: () => rmSync(path, { recursive: true }) }
}

const look = (adapter: Adapter, id: string) => adapter.lookup([{ id, kind: 'user' }], signal())

async function works(adapter: Adapter, id: string): Promise<void> {
  assert.equal((await look(adapter, id)).get(id)?.state, 'enabled')
}
async function failure(run: Promise<unknown>): Promise<BridgeError> {
  const error = await run.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  assert.ok(error instanceof BridgeError, String(error))
  return error
}
const tokensAsked = ({ org }: Org) => org.requests.filter(({ surface }) => surface === 'oauth').length
const apiCalls = ({ org }: Org) => org.requests.filter(({ surface }) => surface === 'api').length

/** One header of every request from now on, as it came over the socket. */
function watched({ org }: Org, name: string, where = /^/): string[] {
  const seen: string[] = []
  org.fail(
    (target: Target) => {
      if (where.test(target.path)) seen.push(target.header(name) ?? '')
      return false
    },
    { status: 500 },
  )
  return seen
}

describe('okta sign-in', () => {
  for (const type of ['rsa', 'P-256', 'P-384', 'P-521'] as const) {
    it(`with a private key (${type}), as JWK and as PEM`, async () => {
      const keys = await newKeyPair(type, `of-${type}`)
      await using it = await bench()
      it.org.addKey(it.bridge, keys.publicJwk)
      const [user] = it.users(1)
      const base = { type: 'privateKey', clientId: it.bridge }
      await works(it.open({ credential: { ...base, key: JSON.stringify(keys.privateJwk) } }), user?.id ?? '')
      await works(it.open({ credential: { ...base, key: keys.pem, keyId: `of-${type}` } }), user?.id ?? '')
    })
  }

  it('once for many calls, and not before it is asked something', async () => {
    await using it = await bench()
    const [user] = it.users(1)
    assert.equal(it.org.requests.length, 0)
    await Promise.all(Array.from({ length: 12 }, () => works(it.adapter, user?.id ?? '')))
    assert.equal(tokensAsked(it), 1)
  })

  it('again before the token expires, never with one that has', async () => {
    const clock = leaping()
    await using it = await bench({ clock })
    const [user] = it.users(1)
    const after = async (minutes: number) => {
      await clock.sleep(minutes * 60_000)
      it.org.setClockOff(clock.now() - Date.now())
      await works(it.adapter, user?.id ?? '')
      return tokensAsked(it)
    }
    assert.deepEqual([await after(0), await after(54), await after(2), await after(50)], [1, 1, 2, 2])
    assert.ok(it.org.requests.every(({ status }) => status === 200))
  })

  it('a refused sign-in is reported with its reason; nothing is sent without a token', async () => {
    await using it = await bench()
    const [user] = it.users(1)
    it.org.setEnabled(it.bridge, false)
    const error = await failure(look(it.adapter, user?.id ?? ''))
    assert.equal(error.code, 'E_DIRECTORY_AUTH')
    assert.match(error.message, /401, invalid_client/)
    assert.match(String(error.hint), /app is active/)
    const [result] = (await it.adapter.accounts?.disable([{ id: user?.id ?? '', kind: 'user' }], signal())) ?? []
    assert.deepEqual([result?.outcome, result?.error?.code], ['unsent', 'E_DIRECTORY_AUTH'])
    assert.equal(apiCalls(it), 0)
    it.org.setEnabled(it.bridge, true)
    await works(it.adapter, user?.id ?? '')
  })

  it('an answer without a token is no token', async () => {
    await using it = await bench()
    const [user] = it.users(1)
    for (const body of [{ error: 'invalid_client' }, { token_type: 'Bearer', expires_in: 3600 }, '<html>']) {
      it.org.fail('/oauth2/v1/token', { status: 200, body })
      assert.equal((await failure(look(it.adapter, user?.id ?? ''))).code, 'E_DIRECTORY_ANSWER')
    }
    assert.equal(apiCalls(it), 0)
  })

  it('shows no key, assertion or token when it fails', async () => {
    await using it = await bench()
    it.org.fail('/oauth2/v1/token', { status: 400, body: { error: 'eyJsecret', error_description: 'eyJsecret' } })
    const error = await failure(look(it.adapter, it.org.admin))
    const said = `${error.message}${error.hint}${error.stack}${String(error.cause)}${it.logged()}`
    for (const secret of [String(pair.privateJwk.d), 'eyJ']) assert.ok(!said.includes(secret) || secret === 'eyJ')
    assert.ok(!/eyJ[\w-]{12}/.test(said))
  })

  it('a token that the org refuses is not used again, and the call is repeated once with a new one', async () => {
    await using it = await bench()
    const [user] = it.users(1)
    await works(it.adapter, user?.id ?? '')
    it.org.fail(/^GET \/api\/v1\/users\//, { status: 401 })
    await works(it.adapter, user?.id ?? '')
    assert.equal(tokensAsked(it), 2)
    it.org.fail(/^GET \/api\/v1\/users\//, { status: 401, times: always })
    assert.equal((await failure(look(it.adapter, user?.id ?? ''))).code, 'E_DIRECTORY_AUTH')
  })

  it('a clock that is hours off signs in by the time of the org', async () => {
    for (const hours of [2, -2]) {
      await using it = await bench()
      const [user] = it.users(1)
      it.org.setClockOff(hours * 3_600_000)
      await works(it.adapter, user?.id ?? '')
      assert.equal(tokensAsked(it), 2)
      const findings = await it.adapter.check(signal())
      assert.ok(findings.some(({ code, text }) => code === 'clock' && text.includes(hours > 0 ? 'behind' : 'ahead')))
    }
  })

  it('a key that was exchanged in its file is used from the next sign-in on', async () => {
    using files = folder()
    await using it = await bench()
    const [user] = it.users(1)
    const next = await newKeyPair('P-256', 'next')
    writeFileSync(files.file('key'), JSON.stringify(pair.privateJwk))
    const key = SecretRef.file(files.file('key'))
    const adapter = it.open({ credential: { type: 'privateKey', clientId: it.bridge, key } })
    await works(adapter, user?.id ?? '')
    it.org.addKey(it.bridge, next.publicJwk)
    writeFileSync(files.file('key'), JSON.stringify(next.privateJwk))
    it.org.fail(/^GET \/api\/v1\/users\//, { status: 401 })
    await works(adapter, user?.id ?? '')
    writeFileSync(files.file('key'), 'not a key at all')
    it.org.fail(/^GET \/api\/v1\/users\//, { status: 401 })
    const error = await failure(look(adapter, user?.id ?? ''))
    assert.deepEqual([error.code, error.message.includes('cannot be read')], ['E_DIRECTORY_AUTH', true])
  })

  it('scopes that are not granted take nothing from those that are', async () => {
    const some = scopes.filter((scope) => scope !== 'okta.logs.read')
    for (const strict of [false, true]) {
      await using it = await bench({ scopes: some })
      const [user] = it.users(1)
      // An org that refuses them all for one that is missing is asked for each.
      if (strict) it.org.fail('/oauth2/v1/token', { status: 400, body: { error: 'invalid_scope' } })
      await works(it.adapter, user?.id ?? '')
      const missing = (await it.adapter.check(signal())).filter(({ code }) => code === 'permission')
      assert.deepEqual(
        missing.map(({ text }) => /the scope (\S+)/.exec(text)?.[1]),
        ['okta.logs.read'],
      )
      assert.equal(tokensAsked(it), strict ? 8 : 1)
    }
    await using it = await bench({ scopes: [] })
    const error = await failure(look(it.adapter, it.org.admin))
    assert.match(error.message, /consent_required/)
    assert.match(String(error.hint), /grant the scopes/)
  })

  it('throttled or down at the token endpoint is that, and no refusal', async () => {
    await using it = await bench()
    it.org.fail('/oauth2/v1/token', { status: 429 })
    const throttled = await failure(look(it.adapter, it.org.admin))
    assert.equal(throttled.code, 'E_DIRECTORY_THROTTLED')
    assert.ok((throttled.retryAfterMs ?? 0) >= 1000)
    it.org.setTokenEndpointDown(true)
    assert.equal((await failure(look(it.open({}), it.org.admin))).code, 'E_DIRECTORY_DOWN')
  })

  it('throttled at the token endpoint, it is not asked again before the time it names', async () => {
    const clock = leaping()
    await using it = await bench({ clock })
    const reset = Math.ceil(clock.now() / 1000) + 60
    const headers = { 'x-rate-limit-limit': '100', 'x-rate-limit-remaining': '0', 'x-rate-limit-reset': `${reset}` }
    it.org.fail('/oauth2/v1/token', { status: 429, headers })
    const { retryAfterMs = 0 } = await failure(look(it.adapter, it.org.admin))
    assert.equal((await failure(look(it.adapter, it.org.admin))).code, 'E_DIRECTORY_THROTTLED')
    const [unsent] = (await it.adapter.accounts?.disable(it.users(1), signal())) ?? []
    assert.deepEqual([unsent?.outcome, unsent?.error?.code], ['unsent', 'E_DIRECTORY_THROTTLED'])
    assert.ok((unsent?.error?.retryAfterMs ?? 0) > 1000)
    assert.equal(tokensAsked(it), 1)
    await clock.sleep(retryAfterMs)
    await works(it.adapter, it.org.admin)
    assert.equal(tokensAsked(it), 2)
  })

  it('a renewal that fails leaves the token that still holds in use, and no longer than that', async () => {
    const clock = leaping()
    await using it = await bench({ clock })
    await works(it.adapter, it.org.admin)
    it.org.setTokenEndpointDown(true)
    await clock.sleep(56 * 60_000)
    await works(it.adapter, it.org.admin)
    await clock.sleep(4 * 60_000)
    assert.equal((await failure(look(it.adapter, it.org.admin))).code, 'E_DIRECTORY_DOWN')
  })
})

describe('okta sign-in with proofs of possession (DPoP)', () => {
  it('when the org demands it: the proof, its nonce, and a proof of its own for every request', async () => {
    await using it = await bench({ dpopBound: true })
    const [user] = it.users(1)
    const proofs = watched(it, 'dpop')
    const authorizations = watched(it, 'authorization', /^\/api\//)
    await works(it.adapter, user?.id ?? '')
    // Without, then with a proof, then with a nonce too.
    assert.equal(tokensAsked(it), 3)
    // A call that is repeated proves itself anew: the sandbox refuses a proof it has seen.
    it.org.fail(/^GET \/api\/v1\/users\//, { status: 503 })
    await works(it.adapter, user?.id ?? '')
    const claims = proofs.filter((proof) => proof !== '').map((proof) => decodeJwt(proof))
    assert.equal(new Set(claims.map(({ jti }) => jti)).size, claims.length)
    const calls = claims.filter(({ htu }) => String(htu).includes('/api/v1/'))
    assert.equal(calls.length, 3)
    assert.match(authorizations[0] ?? '', /^DPoP /)
    const token = authorizations[0]?.split(' ')[1] ?? ''
    for (const { ath, htm, htu } of calls) {
      assert.equal(ath, createHash('sha256').update(token).digest('base64url'))
      assert.equal(htm, 'GET')
      assert.ok(!String(htu).includes('?'))
    }
    assert.equal(decodeProtectedHeader(proofs.at(-1) ?? '').typ, 'dpop+jwt')
  })

  it('keeps what it learned: a renewal is one request, until the nonce changes', async () => {
    await using it = await bench({ dpopBound: true })
    const [user] = it.users(1)
    await works(it.adapter, user?.id ?? '')
    const before = tokensAsked(it)
    it.org.fail(/^GET \/api\/v1\/users\//, { status: 401 })
    await works(it.adapter, user?.id ?? '')
    assert.equal(tokensAsked(it), before + 1)
    it.org.forgetNonces()
    it.org.fail(/^GET \/api\/v1\/users\//, { status: 401 })
    await works(it.adapter, user?.id ?? '')
    assert.equal(tokensAsked(it), before + 3)
  })

  it('always: also where it is not demanded; never: says what is wrong', async () => {
    await using it = await bench()
    const [user] = it.users(1)
    const credential = { type: 'privateKey', clientId: it.bridge, key: pair.pem }
    const authorizations = watched(it, 'authorization', /^\/api\//)
    await works(it.open({ credential: { ...credential, dpop: 'always' } }), user?.id ?? '')
    assert.match(authorizations[0] ?? '', /^DPoP /)
    await using bound = await bench({ dpopBound: true })
    const own = { ...credential, clientId: bound.bridge, dpop: 'never' }
    const error = await failure(look(bound.open({ credential: own }), bound.org.admin))
    assert.deepEqual([error.code, /dpop to auto/.test(String(error.hint))], ['E_DIRECTORY_AUTH', true])
  })

  it('a token that was to be bound and is not is not taken', async () => {
    await using it = await bench()
    const credential = { type: 'privateKey', clientId: it.bridge, key: pair.pem, dpop: 'always' }
    const body = { token_type: 'Bearer', expires_in: 3600, access_token: 'unbound' }
    it.org.fail('/oauth2/v1/token', { status: 200, body })
    assert.equal((await failure(look(it.open({ credential }), it.org.admin))).code, 'E_DIRECTORY_AUTH')
    assert.equal(apiCalls(it), 0)
  })
})

describe('okta sign-in with an API token', () => {
  const owned = async (it: Org, token: string) => {
    const owner = it.org.addUser({ login: 'bridge@contoso.example' })
    it.org.setRights(owner, { permissions: [...permissions], roles: ['REPORT_ADMIN'] })
    it.org.addApiToken(owner, token)
    return owner
  }

  it('from a file, read again when it changes; a revoked one is said to be', async () => {
    using files = folder()
    await using it = await bench()
    const [user] = it.users(1)
    await owned(it, '00first-token-of-the-owner')
    await owned(it, '00other-token-of-the-owner')
    writeFileSync(files.file('token'), '00first-token-of-the-owner\n')
    const adapter = it.open({ credential: { type: 'apiToken', token: SecretRef.file(files.file('token')) } })
    const authorizations = watched(it, 'authorization', /^\/api\//)
    await works(adapter, user?.id ?? '')
    it.org.revokeApiToken('00first-token-of-the-owner')
    const error = await failure(look(adapter, user?.id ?? ''))
    assert.equal(error.code, 'E_DIRECTORY_AUTH')
    assert.ok(!`${error.stack}${error.hint}${it.logged()}`.includes('00first-token'))
    writeFileSync(files.file('token'), '00other-token-of-the-owner')
    await works(adapter, user?.id ?? '')
    assert.equal(authorizations.at(-1), 'SSWS 00other-token-of-the-owner')
    assert.equal(tokensAsked(it), 0)
  })

  it('is not mapped as an agent once it was read, and is somebody else with the token of another user', async () => {
    using files = folder()
    await using it = await bench()
    const tokens = ['00first-token-of-the-owner', '00other-token-of-the-owner']
    const owners = tokens.map((token) => {
      const owner = it.org.addUser({})
      it.org.setRights(owner, { permissions: [...permissions], roles: ['REPORT_ADMIN'] })
      it.org.addApiToken(owner, token)
      return owner
    })
    const path = files.file('token')
    writeFileSync(path, `${tokens[0]}\n`)
    const adapter = it.open({ credential: { type: 'apiToken', token: SecretRef.file(path) } })
    for (const [at, self] of owners.entries()) {
      writeFileSync(path, `${tokens[at]}\n`)
      await works(adapter, self)
      const refused = owners.map((id) => adapter.vet({ id, kind: 'user' })?.code)
      assert.deepEqual(
        refused,
        owners.map((id) => (id === self ? 'E_NEVER' : undefined)),
      )
    }
  })

  it('never writes the user whose token it is, and warns of such a token', async () => {
    await using it = await bench()
    const owner = await owned(it, '00first-token-of-the-owner')
    const adapter = it.open({ credential: { type: 'apiToken', token: '00first-token-of-the-owner' } })
    const [result] = (await adapter.accounts?.disable([{ id: owner, kind: 'user' }], signal())) ?? []
    assert.deepEqual([result?.outcome, result?.error?.code], ['unsent', 'E_NEVER'])
    assert.equal(it.org.get(owner)?.enabled, true)
    const findings = await adapter.check(signal())
    assert.deepEqual(
      findings.filter(({ level }) => level !== 'ok' && level !== 'unknown').map(({ code }) => code),
      ['api-token'],
    )
  })
})

describe('okta check', () => {
  it('names every missing scope with the command that grants it, and the role that is missing', async () => {
    await using it = await bench({
      scopes: ['okta.users.read', 'okta.logs.read'],
      roles: [],
      settings: { groups: { '00g00000000000000000': ['read:x'] } },
    })
    const findings = await it.adapter.check(signal())
    const missing = findings
      .filter(({ code }) => code === 'permission')
      .map(({ text }) => /the scope (\S+)/.exec(text)?.[1])
    assert.deepEqual(missing.sort(), ['okta.apps.manage', 'okta.apps.read', 'okta.groups.read', 'okta.users.manage'])
    for (const { mend } of findings.filter(({ code }) => code === 'permission'))
      assert.match(
        String(mend),
        new RegExp(`^curl -X POST ${it.org.origin}/api/v1/apps/${it.bridge}/grants .*"scopeId"`),
      )
    const log = findings.find(({ text }) => text.startsWith('reading the System Log'))
    assert.deepEqual([log?.code, /"REPORT_ADMIN"/.test(String(log?.mend))], ['E_DIRECTORY_FORBIDDEN', true])
    assert.ok(findings.some(({ level, text }) => level === 'error' && text.includes('reading the group')))
  })

  it('is content with what the page tells to grant, and asks for nothing to write where it only reads', async () => {
    await using it = await bench()
    const levels = (await it.adapter.check(signal())).map(({ level }) => level)
    assert.deepEqual([...new Set(levels)].sort(), ['ok', 'unknown'], 'what only a write proves is never ok')
    const read = { scopes: scopes.filter((scope) => !scope.endsWith('manage')), permissions: permissions.slice(0, 1) }
    const settings = { mirror: 'inbound', manage: { kinds: ['user'] } }
    await using poor = await bench({ ...read, settings })
    assert.ok((await poor.adapter.check(signal())).every(({ level }) => level === 'ok'))
    const asked = watched(poor, 'content-type', /token/)
    await poor.open({}).check(signal())
    assert.equal(asked.length, 1)
  })

  it('says that it could not sign in, and no more', async () => {
    await using it = await bench()
    it.org.removeApp(it.bridge)
    const findings = await it.adapter.check(signal())
    assert.deepEqual(
      findings.map(({ code, level }) => [code, level]),
      [['E_DIRECTORY_AUTH', 'error']],
    )
  })
})
