import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { oktaConfig } from '../../adapters/okta/config.ts'
import { openHooks } from '../../adapters/okta/hooks.ts'
import { logoutIssuers, openLogout } from '../../adapters/okta/logout.ts'
import type { HookRequest } from '../../src/core/adapter.ts'
import { BridgeError, codeOf } from '../../src/core/errors.ts'
import { manualClock } from '../../src/lib/clock.ts'
import { createKeySource } from '../../src/lib/jwks.ts'
import { parseJwt } from '../../src/lib/jwt.ts'
import { forge, KeyServer, makeKey } from '../unit/issuer.ts'
import { mounted } from './mounted.ts'
import { bench } from './org.ts'

const ORG = 'https://contoso.okta.com'
const CUSTOM = 'https://login.contoso.com'
const SECRET = 'the-secret-of-the-event-hook'
const AUDIENCE = 'https://bridge.contoso.com/hooks/okta'
const CLIENT = '0oa000000000000000L1'
const user = '00u000000000000000A1'
const twin = '00u000000000000000A2'
const key = makeKey('id-token-key')
const stranger = makeKey('id-token-key')
const TYPE = 'global-token-revocation+jwt'

async function rig({ hook = true } = {}) {
  const server = await KeyServer.start(key)
  const clock = manualClock()
  const { hooks: config } = oktaConfig.parse({
    kind: 'okta',
    orgUrl: ORG,
    credential: { type: 'apiToken', token: 'an-api-token-of-the-bridge' },
    hooks: {
      universalLogout: { audience: AUDIENCE, clientIds: [CLIENT, 'exk-of-the-saml-app'] },
      ...(hook ? { eventHook: { secret: SECRET } } : {}),
    },
  })
  assert.ok(config.universalLogout)
  const emails = new Map([['agent@contoso.com', [user, twin]]])
  const state = { asked: [] as string[], down: false }
  const issuers = logoutIssuers([ORG, CUSTOM], ORG, AUDIENCE, server.fetch).map((each) => ({
    ...each,
    jwksUri: server.uri,
  }))
  const source = createKeySource({ uri: server.uri, fetch: server.fetch, clock, random: () => 0 })
  const logout = openLogout({
    config: config.universalLogout,
    issuers,
    keys: () => source,
    clock,
    async usersByEmail(email) {
      state.asked.push(email)
      if (state.down) throw new BridgeError('E_DIRECTORY_DOWN', 'down')
      return emails.get(email) ?? []
    },
  })
  const hooks = openHooks({ config: config.eventHook, origins: [ORG, CUSTOM], logout })

  const seconds = () => Math.floor(clock.now() / 1000)
  let count = 0
  const claims = (over: object = {}) => {
    const now = seconds()
    count += 1
    const usual = { iss: ORG, sub: CLIENT, aud: AUDIENCE, jti: `j${count}`, iat: now, nbf: now - 300, exp: now + 300 }
    return { ...usual, ...over }
  }
  const token = (over: object = {}, header: object = {}, by = key) =>
    forge({ alg: 'RS256', kid: key.kid, typ: TYPE, ...header }, claims(over), by)
  const request = (body: unknown, bearer = token()): HookRequest => ({
    method: 'POST',
    headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
    query: {},
    body: new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body)),
  })
  const receive = (sent: HookRequest) => hooks.receive(sent, AbortSignal.timeout(60_000))
  return {
    server,
    clock,
    state,
    token,
    request,
    receive,
    logout,
    seconds,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

const subject = { sub_id: { format: 'iss_sub', iss: ORG, sub: user } }
const unverified = { code: 'E_HOOK_UNVERIFIED' }

describe('universal logout', () => {
  it('is a signed hint about the user it names', async () => {
    await using r = await rig()
    const cases = [
      [subject, [user]],
      [{ sub_id: { format: 'iss_sub', iss: CUSTOM, sub: user } }, [user]],
      [{ sub_id: { format: 'opaque', id: user } }, [user]],
      [{ sub_id: { format: 'email', email: 'agent@contoso.com' }, more: 1 }, [user, twin]],
    ] as const
    for (const [body, users] of cases) {
      const answer = await r.receive(r.request(body))
      assert.deepEqual([answer.status, answer.body], [204, undefined])
      assert.deepEqual(
        answer.hints.map(({ principal }) => principal),
        users,
      )
      for (const { delivery, principal } of answer.hints)
        assert.match(delivery, new RegExp(`^logout\\|j\\d+\\|${principal}$`))
    }
    assert.deepEqual(r.state.asked, ['agent@contoso.com'], 'only an address has to be looked up')
    const saml = r.token({ sub: 'exk-of-the-saml-app', iss: CUSTOM, iat: undefined })
    assert.equal((await r.receive(r.request(subject, saml))).status, 204)
  })

  it('works without an event hook, and an event hook without it', async () => {
    await using alone = await rig({ hook: false })
    assert.equal((await alone.receive(alone.request(subject))).status, 204)
    await assert.rejects(alone.receive(alone.request(subject, SECRET)), unverified)
    const { hooks } = oktaConfig.parse({
      kind: 'okta',
      orgUrl: ORG,
      credential: { type: 'apiToken', token: 'an-api-token-of-the-bridge' },
      hooks: { eventHook: { secret: SECRET } },
    })
    const bare = openHooks({ config: hooks.eventHook, origins: [ORG], logout: undefined })
    await assert.rejects(bare.receive(alone.request(subject), AbortSignal.timeout(60_000)), unverified)
  })

  it('a token that does not hold is refused, and the secret of the event hook does not stand in for one', async () => {
    await using r = await rig()
    const now = r.seconds()
    const forged = {
      'another key': r.token({}, {}, stranger),
      'no signature': r.token().replace(/[^.]*$/, ''),
      'algorithm none': r.token({}, { alg: 'none' }).replace(/[^.]*$/, ''),
      'a shared-secret algorithm': r.token({}, { alg: 'HS256' }),
      'another org': r.token({ iss: 'https://fabrikam.okta.com' }),
      'a custom server of the org': r.token({ iss: `${ORG}/oauth2/default` }),
      'another endpoint': r.token({ aud: 'https://other.contoso.com/hooks/okta' }),
      'the endpoint with a query': r.token({ aud: `${AUDIENCE}?x=1` }),
      'no audience': r.token({ aud: undefined }),
      expired: r.token({ exp: now - 61, nbf: now - 700, iat: now - 400 }),
      'no end': r.token({ exp: undefined }),
      'no beginning': r.token({ nbf: undefined }),
      'no id': r.token({ jti: undefined }),
      'an empty id': r.token({ jti: '' }),
      'no subject': r.token({ sub: undefined }),
      'a header to be understood': r.token({}, { crit: ['exp'] }),
    }
    for (const [what, token] of Object.entries(forged))
      await assert.rejects(r.receive(r.request(subject, token)), unverified, what)
    assert.deepEqual(r.state.asked, [])
    const other = parseJwt(r.token({}, { typ: 'JWT' }))
    assert.ok('claims' in other)
    await assert.rejects(r.logout(other, r.request(subject), AbortSignal.timeout(60_000)), unverified)
    // Told by its type, a token of another kind is a delivery of the event hook with a wrong secret.
    for (const header of [{ typ: 'JWT' }, { typ: undefined }, { typ: 'at+jwt' }])
      await assert.rejects(r.receive(r.request(subject, r.token({}, header))), unverified)
    await assert.rejects(r.receive(r.request(subject, SECRET)), { code: 'E_HOOK_BODY' })
  })

  it('is not taken from another app of the org', async () => {
    await using r = await rig()
    const answer = await r.receive(r.request(subject, r.token({ sub: '0oa000000000000000X9' })))
    assert.deepEqual([answer.status, answer.hints], [403, []])
  })

  it('what cannot be judged now is no refusal', async () => {
    await using r = await rig()
    const early = r.token({ nbf: r.seconds() + 120, iat: r.seconds() + 120, exp: r.seconds() + 600 })
    await assert.rejects(r.receive(r.request(subject, early)), { code: 'E_HOOK_CANNOT_CHECK' })
    r.state.down = true
    const body = { sub_id: { format: 'email', email: 'agent@contoso.com' } }
    await assert.rejects(r.receive(r.request(body)), { code: 'E_HOOK_CANNOT_CHECK' })
    await using down = await rig()
    down.server.down()
    await assert.rejects(down.receive(down.request(subject)), { code: 'E_HOOK_CANNOT_CHECK' })
  })

  it('a repeated request is the same one, a token used for another is refused', async () => {
    await using r = await rig()
    const token = r.token()
    const first = await r.receive(r.request(subject, token))
    assert.deepEqual(await r.receive(r.request(subject, token)), first)
    const other = { sub_id: { format: 'opaque', id: twin } }
    await assert.rejects(r.receive(r.request(other, token)), unverified)
    await assert.rejects(r.receive(r.request(`${JSON.stringify(subject)} `, token)), unverified)
    const refused = r.token()
    await assert.rejects(r.receive(r.request('{', refused)), { code: 'E_HOOK_BODY' })
    await assert.rejects(r.receive(r.request(subject, refused)), unverified, 'not even after a body that was nothing')
  })

  it('nobody here is not found, and a way of naming that is not known is a fault of the request', async () => {
    await using r = await rig()
    const nobody = [
      { format: 'iss_sub', iss: 'https://fabrikam.okta.com', sub: user },
      { format: 'iss_sub', iss: ORG, sub: 'agent@contoso.com' },
      { format: 'iss_sub', iss: ORG, sub: `${user}/../x` },
      { format: 'opaque', id: '0oa000000000000000A1' },
      { format: 'email', email: 'stranger@contoso.com' },
    ]
    for (const sub_id of nobody) {
      const answer = await r.receive(r.request({ sub_id }))
      assert.deepEqual([answer.status, answer.hints], [404, []], JSON.stringify(sub_id))
    }
    const faults = [
      '{',
      null,
      {},
      { sub_id: user },
      { sub_id: [] },
      { sub_id: { format: 'phone_number', phone_number: '+12065550100' } },
      { sub_id: { format: 'aliases', identifiers: [subject.sub_id] } },
      { sub_id: { format: 'email' } },
      { sub_id: { format: 'email', email: 'x'.repeat(300) } },
    ]
    for (const body of faults)
      await assert.rejects(r.receive(r.request(body)), { code: 'E_HOOK_BODY' }, JSON.stringify(body))
    await assert.rejects(r.receive({ ...r.request(subject), method: 'GET' }), { code: 'E_HOOK_BODY' })
  })

  it('property: whatever a signed body says, hints are ids of users', async () => {
    await using r = await rig()
    const anyText = fc.oneof(
      fc.constantFrom(user, twin, ORG, CUSTOM, 'agent@contoso.com', '00u'),
      fc.string(),
      fc.anything(),
    )
    const sub_id = fc.oneof(
      fc.anything(),
      fc.record(
        {
          format: fc.constantFrom('iss_sub', 'opaque', 'email', 'uri'),
          iss: anyText,
          sub: anyText,
          id: anyText,
          email: anyText,
        },
        { requiredKeys: ['format'] },
      ),
    )
    await fc.assert(
      fc.asyncProperty(sub_id, async (named) => {
        const body = JSON.stringify({ sub_id: named }, (_, value) =>
          typeof value === 'bigint' ? String(value) : value,
        )
        try {
          const { status, hints } = await r.receive(r.request(body))
          assert.ok(hints.length > 0 ? status === 204 : status === 404)
          for (const { principal } of hints) assert.match(String(principal), /^00u[0-9A-Za-z]{17}$/)
        } catch (error) {
          assert.equal(codeOf(error), 'E_HOOK_BODY')
        }
      }),
      { numRuns: 200 },
    )
  })
})

describe('universal logout of an org, over sockets', () => {
  const audience = 'https://bridge.contoso.com/hooks/contoso'
  const settings = { hooks: { universalLogout: { audience, clientIds: [CLIENT] } } }
  /** The org takes the address it sends to for the audience; behind a proxy that is another. */
  const claims = { aud: audience }

  it('is taken in both formats, refused from another org, and finds nobody under a strange address', async () => {
    await using it = await bench({ settings })
    await using hook = await mounted(it.adapter)
    const userId = it.org.addUser({ email: 'agent@contoso.example' })
    const order = { url: hook.url, clientId: CLIENT, userId, claims }
    for (const format of ['iss_sub', 'email'] as const) {
      assert.equal(await it.org.sendLogout({ ...order, format }), 204)
      assert.deepEqual(
        hook.answers.at(-1)?.hints.map(({ principal }) => principal),
        [userId],
      )
    }
    assert.equal(await it.org.sendLogout({ ...order, format: 'iss_sub', clientId: '0oa000000000000000X9' }), 403)
    assert.equal(await it.org.sendLogout({ ...order, format: 'iss_sub', claims: {} }), 401, 'for another endpoint')
    await using neighbour = await bench({ settings })
    const stranger = neighbour.org.addUser({ email: 'agent@contoso.example' })
    assert.equal(await neighbour.org.sendLogout({ ...order, format: 'email', userId: stranger }), 401)
    it.org.removeUser(userId)
    assert.equal(await it.org.sendLogout({ ...order, format: 'email', userId: it.org.addUser({}) }), 204)
    const token = it.org.logoutToken({ url: hook.url, clientId: CLIENT, format: 'email', claims })
    const body = { sub_id: { format: 'email', email: 'agent" or status eq "ACTIVE' } }
    const answer = await hook.ask(new URL(hook.url).pathname, { body, headers: { authorization: `Bearer ${token}` } })
    assert.deepEqual([answer.status, answer.text], [404, ''])
  })

  it('keys that were rotated are found, keys that cannot be read refuse nothing', async () => {
    await using it = await bench({ settings })
    await using hook = await mounted(it.adapter)
    const userId = it.org.addUser({})
    const order = { url: hook.url, clientId: CLIENT, userId, claims, format: 'iss_sub' as const }
    it.org.setJwksDown(true)
    assert.equal(await it.org.sendLogout(order), 503)
    it.org.setJwksDown(false)
    await using again = await mounted(it.open({}))
    assert.equal(await it.org.sendLogout({ ...order, url: again.url }), 204)
    it.org.fail(/^GET \/api\/v1\/users/, { status: 500, times: 20 })
    assert.equal(await it.org.sendLogout({ ...order, url: again.url, format: 'email' }), 503)
  })
})
