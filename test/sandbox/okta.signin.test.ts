import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createLocalJWKSet, decodeJwt, errors, jwtVerify, SignJWT, UnsecuredJWT } from 'jose'
import { type NewApp, type OktaOrg, startOktaOrg } from '../../sandbox/okta/index.ts'
import { at, type Reply, send, text } from './client.ts'
import {
  assertion,
  newSigningKey,
  OktaClient,
  postForm,
  proof,
  refusal,
  requestToken,
  type SigningKey,
} from './oktaclient.ts'

const oauth = (reply: Reply) => [reply.status, at(reply.body, 'error'), at(reply.body, 'error_description')]
const scope = 'okta.users.read'
const rsa = await newSigningKey('RS256')
const ec = await newSigningKey('ES256')

async function withApp(app: NewApp = {}, key: SigningKey = ec) {
  const org = await startOktaOrg({ limits: false })
  const clientId = org.addApp({ keys: [key.publicJwk], scopes: [scope], roles: ['SUPER_ADMIN'], ...app })
  return {
    org,
    clientId,
    token: (options: Parameters<typeof requestToken>[4] = {}) => requestToken(org, clientId, key, scope, options),
    [Symbol.asyncDispose]: () => org.close(),
  }
}

describe('the token endpoint of the org', () => {
  it('takes assertions by RSA and EC keys and gives an hour', async () => {
    for (const alg of ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512']) {
      const key = await newSigningKey(alg)
      await using it = await withApp({}, key)
      const reply = await it.token()
      assert.equal(reply.status, 200, `${alg} ${JSON.stringify(reply.body)}`)
      const { expires_in, scope: given, token_type } = Object(reply.body)
      assert.deepEqual([token_type, expires_in, given], ['Bearer', 3600, scope])
      const client = new OktaClient(it.org, it.clientId, `Bearer ${text(at(reply.body, 'access_token'))}`)
      assert.equal((await client.get('/api/v1/users')).status, 200)
    }
  })

  it('refuses assertions that are not as they must be', async () => {
    await using it = await withApp()
    const now = Math.floor(Date.now() / 1000)
    const audience = 'The audience claim for client_assertion must be the endpoint invoked for the request.'
    const cases: [Parameters<typeof requestToken>[4], string][] = [
      [{ claims: { aud: it.org.origin } }, audience],
      [{ claims: { aud: `${it.org.origin}/oauth2/v1/token/` } }, audience],
      [{ claims: { aud: undefined } }, audience],
      [{ claims: { exp: undefined } }, "The client_assertion has no 'exp' claim."],
      [{ claims: { exp: now - 1 } }, 'The client_assertion token is expired.'],
      [{ claims: { exp: now + 3700 } }, 'The client_assertion token has an expiration too far into the future.'],
      [{ claims: { iat: now + 900 } }, 'The client_assertion token was issued in the future.'],
      [{ claims: { sub: 'another' } }, "The 'iss' and 'sub' claims of client_assertion must both be the client_id."],
      [{ header: { kid: 'unknown' } }, 'The client_assertion JWT kid is invalid.'],
    ]
    for (const [options, wanted] of cases) {
      assert.deepEqual(oauth(await it.token(options)), [401, 'invalid_client', wanted])
    }
    const forged = await requestToken(it.org, it.clientId, await newSigningKey(), scope, {
      header: { kid: ec.publicJwk.kid },
    })
    assert.deepEqual(oauth(forged), [401, 'invalid_client', 'The client_assertion signature is invalid.'])
    const unknown = await requestToken(it.org, '0oaAAAAAAAAAAAAAAAAA', ec, scope)
    assert.deepEqual(oauth(unknown).slice(0, 2), [401, 'invalid_client'])
    const url = `${it.org.origin}/oauth2/v1/token`
    const raw = (client_assertion: string) =>
      postForm(url, {
        grant_type: 'client_credentials',
        scope,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion,
      })
    assert.deepEqual(oauth(await raw('garbage')), [401, 'invalid_client', 'The client_assertion is not a valid JWT.'])
    const unsigned = new UnsecuredJWT({ iss: it.clientId, sub: it.clientId, aud: url, exp: now + 60 }).encode()
    const unsupported = 'The client_assertion signing algorithm is not supported.'
    assert.deepEqual(oauth(await raw(unsigned)), [401, 'invalid_client', unsupported])
    const shared = await new SignJWT({ iss: it.clientId, sub: it.clientId, aud: url, exp: now + 60 })
      .setProtectedHeader({ alg: 'HS256', kid: ec.publicJwk.kid })
      .sign(new TextEncoder().encode('x'.repeat(32)))
    assert.deepEqual(oauth(await raw(shared)), [401, 'invalid_client', unsupported])
  })

  it('takes an assertion once, and one without kid where there is a single key', async () => {
    await using it = await withApp()
    assert.equal((await it.token({ claims: { jti: 'one' } })).status, 200)
    assert.deepEqual(oauth(await it.token({ claims: { jti: 'one' } })), [
      401,
      'invalid_client',
      'The client_assertion token was already used.',
    ])
    assert.equal((await it.token({ claims: { jti: undefined } })).status, 200)
    assert.equal((await it.token({ header: { kid: undefined } })).status, 200)
    it.org.addKey(it.clientId, rsa.publicJwk)
    assert.deepEqual(oauth(await it.token({ header: { kid: undefined } })).slice(2), [
      'The client_assertion JWT kid is invalid.',
    ])
    assert.equal((await requestToken(it.org, it.clientId, rsa, scope)).status, 200)
  })

  it('gives the scopes that were granted, and nothing where none was', async () => {
    await using it = await withApp()
    const ask = (wanted: string) => requestToken(it.org, it.clientId, ec, wanted)
    assert.equal(at((await ask(`${scope} okta.logs.read`)).body, 'scope'), scope)
    assert.deepEqual(oauth(await ask('okta.logs.read')), [
      400,
      'consent_required',
      'You are not allowed any of the requested scopes.',
    ])
    assert.deepEqual(oauth(await ask('okta.made.up')).slice(0, 2), [400, 'invalid_scope'])
    assert.deepEqual(oauth(await ask('')).slice(0, 2), [400, 'invalid_scope'])
    it.org.setScopes(it.clientId, ['okta.logs.read'])
    assert.equal((await ask('okta.logs.read')).status, 200)
  })

  it('refuses secrets, other grants, other clients and inactive ones', async () => {
    const secret = 'a-secret-of-the-app'
    await using it = await withApp({ authMethod: 'client_secret_post', secret })
    const url = `${it.org.origin}/oauth2/v1/token`
    const form = { grant_type: 'client_credentials', scope, client_id: it.clientId, client_secret: secret }
    assert.deepEqual(oauth(await postForm(url, form)), [
      401,
      'invalid_client',
      'Client Credentials requests to the Org Authorization Server must use the private_key_jwt token_endpoint_auth_method.',
    ])
    assert.deepEqual(oauth(await postForm(url, { ...form, client_secret: 'x' })).slice(0, 2), [401, 'invalid_client'])
    assert.deepEqual(oauth(await postForm(url, {})).slice(0, 2), [400, 'invalid_request'])
    const json = await send(url, { method: 'POST', body: '{}', headers: { 'Content-Type': 'application/json' } })
    assert.deepEqual(oauth(json).slice(0, 2), [400, 'invalid_request'])
    assert.equal((await send(url)).status, 405)
    assert.deepEqual(oauth(await it.token()).slice(0, 2), [401, 'invalid_client'])
    const other = it.org.addApp({ keys: [ec.publicJwk], scopes: [scope], applicationType: 'web' })
    assert.deepEqual(oauth(await requestToken(it.org, other, ec, scope)).slice(0, 2), [400, 'unsupported_grant_type'])
    const off = it.org.addApp({ keys: [ec.publicJwk], scopes: [scope], status: 'INACTIVE' })
    assert.deepEqual(oauth(await requestToken(it.org, off, ec, scope)).slice(0, 2), [401, 'invalid_client'])
  })

  it('is 503 while it is down', async () => {
    await using it = await withApp()
    it.org.setTokenEndpointDown(true)
    assert.equal((await it.token()).status, 503)
    it.org.setTokenEndpointDown(false)
    assert.equal((await it.token()).status, 200)
  })
})

describe('proofs of possession', () => {
  const url = (org: OktaOrg) => `${org.origin}/oauth2/v1/token`

  it('are demanded, with a nonce, and bind the token', async () => {
    await using it = await withApp({ dpopBound: true })
    assert.deepEqual(oauth(await it.token()), [400, 'invalid_dpop_proof', 'The DPoP proof JWT header is missing.'])
    const first = await it.token({
      headers: { DPoP: await proof('POST', url(it.org), rsa, { claims: { jti: 'one' } }) },
    })
    assert.deepEqual(oauth(first), [400, 'use_dpop_nonce', 'Authorization server requires nonce in DPoP proof.'])
    const nonce = text(first.headers.get('dpop-nonce'))
    const same = await proof('POST', url(it.org), rsa, { nonce, claims: { jti: 'one' } })
    assert.deepEqual(oauth(await it.token({ headers: { DPoP: same } })).slice(0, 2), [400, 'invalid_dpop_proof'])
    const again = await it.token({ headers: { DPoP: await proof('POST', url(it.org), rsa, { nonce }) } })
    assert.equal(at(again.body, 'token_type'), 'DPoP')
    const accessToken = text(at(again.body, 'access_token'))
    const users = `${it.org.origin}/api/v1/users`
    const call = async (scheme: string, dpop?: string) =>
      send(`${users}?limit=5`, {
        headers: { Authorization: `${scheme} ${accessToken}`, ...(dpop === undefined ? {} : { DPoP: dpop }) },
      })
    const good = await proof('GET', users, rsa, { accessToken })
    assert.equal((await call('DPoP', good)).status, 200)
    const wrong = {
      'a proof used before': good,
      'no proof': undefined,
      'another key': await proof('GET', users, ec, { accessToken }),
      'another method': await proof('POST', users, rsa, { accessToken }),
      'another url': await proof('GET', `${users}/me`, rsa, { accessToken }),
      'a query in htu': await proof('GET', users, rsa, { accessToken, claims: { htu: `${users}?limit=5` } }),
      'no hash of the token': await proof('GET', users, rsa),
      'another hash': await proof('GET', users, rsa, { accessToken: 'other' }),
      'an old one': await proof('GET', users, rsa, { accessToken, claims: { iat: Date.now() / 1000 - 900 } }),
      'another type': await proof('GET', users, rsa, { accessToken, header: { typ: 'JWT' } }),
    }
    for (const [name, dpop] of Object.entries(wrong)) {
      const reply = await call('DPoP', dpop)
      assert.deepEqual(refusal(reply), [401, 'E0000011'], name)
      assert.match(reply.headers.get('www-authenticate') ?? '', /error="invalid_dpop_proof"/, name)
    }
    assert.deepEqual(refusal(await call('Bearer')), [401, 'E0000011'])
  })

  it('are refused for a token when they are stale, replayed or of an old nonce', async () => {
    await using it = await withApp({ dpopBound: true })
    const nonce = text(
      (await it.token({ headers: { DPoP: await proof('POST', url(it.org), ec) } })).headers.get('dpop-nonce'),
    )
    const good = await proof('POST', url(it.org), ec, { nonce })
    assert.equal((await it.token({ headers: { DPoP: good } })).status, 200)
    assert.deepEqual(oauth(await it.token({ headers: { DPoP: good } })).slice(0, 2), [400, 'invalid_dpop_proof'])
    it.org.forgetNonces()
    const late = await it.token({ headers: { DPoP: await proof('POST', url(it.org), ec, { nonce }) } })
    assert.deepEqual(oauth(late).slice(0, 2), [400, 'use_dpop_nonce'])
    assert.notEqual(late.headers.get('dpop-nonce'), nonce)
  })

  it('a plain token is refused under the DPoP scheme', async () => {
    await using it = await withApp()
    const accessToken = text(at((await it.token()).body, 'access_token'))
    const users = `${it.org.origin}/api/v1/users`
    const reply = await send(users, {
      headers: { Authorization: `DPoP ${accessToken}`, DPoP: await proof('GET', users, ec, { accessToken }) },
    })
    assert.deepEqual(refusal(reply), [401, 'E0000011'])
  })
})

describe('what a caller may do', () => {
  const suspend = (id: string) => `/api/v1/users/${id}/lifecycle/suspend`

  it('needs the scope and the right', async () => {
    await using org = await startOktaOrg({ limits: false })
    const id = org.addUser()
    const denied = [403, 'E0000006']
    const noScope = await OktaClient.signIn(org, ['okta.users.read'])
    const reply = await noScope.post(suspend(id))
    assert.deepEqual(refusal(reply), denied)
    assert.match(reply.headers.get('www-authenticate') ?? '', /insufficient_scope/)
    const noRole = await OktaClient.signIn(org, ['okta.users.read', 'okta.users.manage'], { permissions: [] })
    assert.deepEqual(refusal(await noRole.post(suspend(id))), denied)
    assert.deepEqual(refusal(await noRole.get('/api/v1/users')), denied)
    const scopes = ['okta.users.read', 'okta.users.manage', 'okta.logs.read']
    const least = await OktaClient.signIn(org, scopes, {
      permissions: ['okta.users.read', 'okta.users.lifecycle.suspend'],
    })
    assert.equal((await least.post(suspend(id))).status, 200)
    for (const verb of ['unsuspend', 'deactivate', 'activate']) {
      assert.deepEqual(refusal(await least.post(`/api/v1/users/${id}/lifecycle/${verb}`)), denied, verb)
    }
    assert.deepEqual(refusal(await least.call('DELETE', `/api/v1/users/${id}/sessions`)), denied)
    assert.deepEqual(refusal(await least.get('/api/v1/logs')), denied)
    // Roles count at once, scopes with the next token.
    org.setRights(least.clientId, { roles: ['REPORT_ADMIN'] })
    assert.equal((await least.get('/api/v1/logs')).status, 200)
    assert.deepEqual(refusal(await least.get('/api/v1/users')), denied)
  })

  it('a manage scope does not read', async () => {
    await using org = await startOktaOrg({ limits: false })
    const client = await OktaClient.signIn(org, ['okta.users.manage', 'okta.groups.manage'])
    for (const path of ['/api/v1/users', '/api/v1/groups']) {
      assert.deepEqual(refusal(await client.get(path)), [403, 'E0000006'])
    }
  })

  it('ends with the token, the app and another server', async () => {
    let now = Date.now()
    await using org = await startOktaOrg({ limits: false, now: () => now })
    const client = await OktaClient.signIn(org, [scope])
    const refused = [401, 'E0000011']
    for (const authorization of ['', 'Bearer', 'Bearer undefined', 'SSWS wrong', 'Basic eDp5']) {
      const reply = await new OktaClient(org, '', authorization).get('/api/v1/users')
      assert.deepEqual(refusal(reply), refused, authorization)
    }
    const foreign = org.issueToken({ server: 'default', clientId: client.clientId, scopes: [scope] })
    assert.deepEqual(refusal(await new OktaClient(org, '', `Bearer ${foreign}`).get('/api/v1/users')), refused)
    org.setEnabled(client.clientId, false)
    assert.deepEqual(refusal(await client.get('/api/v1/users')), refused)
    org.setEnabled(client.clientId, true)
    assert.equal((await client.get('/api/v1/users')).status, 200)
    now += 3_600_001
    assert.deepEqual(refusal(await client.get('/api/v1/users')), refused)
  })
})

describe('authorization servers', () => {
  const keysOf = async (org: OktaOrg, server: string) => {
    const reply = await send(`${org.origin}/oauth2${server}/v1/keys`)
    assert.match(reply.headers.get('cache-control') ?? '', /max-age=3832304/)
    return Object(reply.body)
  }

  it('custom ones sign tokens that their keys verify', async () => {
    await using org = await startOktaOrg({ limits: false })
    const id = org.addServer({ audience: 'api://agents', scopes: ['act'] })
    const issuer = `${org.origin}/oauth2/${id}`
    for (const path of [
      `/oauth2/${id}/.well-known/openid-configuration`,
      `/oauth2/${id}/.well-known/oauth-authorization-server`,
      `/.well-known/oauth-authorization-server/oauth2/${id}`,
    ]) {
      const { body } = await send(`${org.origin}${path}`)
      assert.deepEqual([at(body, 'issuer'), at(body, 'jwks_uri')], [issuer, `${issuer}/v1/keys`], path)
    }
    const clientId = org.addApp({ keys: [ec.publicJwk] })
    const reply = await requestToken(org, clientId, ec, 'act', { server: id })
    const token = text(at(reply.body, 'access_token'))
    const { payload } = await jwtVerify(token, createLocalJWKSet(await keysOf(org, `/${id}`)), {
      issuer,
      audience: 'api://agents',
    })
    assert.deepEqual([payload.cid, payload.sub, payload.scp, payload.uid], [clientId, clientId, ['act'], undefined])
    const user = org.addUser({ login: 'joe@contoso.example' })
    const forUser = decodeJwt(
      org.issueToken({ server: id, clientId, userId: user, jkt: 'x', claims: { groups: ['a'] } }),
    )
    assert.deepEqual(
      [forUser.uid, forUser.sub, forUser.cnf, forUser.groups],
      [user, 'joe@contoso.example', { jkt: 'x' }, ['a']],
    )
    assert.equal((await send(`${org.origin}/oauth2/ausnone/v1/keys`)).status, 404)
  })

  it('the keys of the org verify none of its access tokens', async () => {
    await using it = await withApp()
    const token = text(at((await it.token()).body, 'access_token'))
    assert.equal(decodeJwt(token).iss, it.org.origin)
    const keys = createLocalJWKSet(await keysOf(it.org, ''))
    await assert.rejects(jwtVerify(token, keys), errors.JWKSNoMatchingKey)
  })

  it('publish the next key before it signs; an emergency does not', async () => {
    await using org = await startOktaOrg({ limits: false })
    const token = () => org.issueToken({ server: 'default', clientId: 'x' })
    const before = createLocalJWKSet(await keysOf(org, '/default'))
    const old = token()
    org.rotateKeys({ server: 'default' })
    await jwtVerify(token(), before)
    await jwtVerify(old, createLocalJWKSet(await keysOf(org, '/default')))
    org.rotateKeys({ server: 'default', emergency: true })
    await assert.rejects(jwtVerify(token(), before), errors.JWKSNoMatchingKey)
    await assert.rejects(jwtVerify(old, createLocalJWKSet(await keysOf(org, '/default'))), errors.JWKSNoMatchingKey)
    org.setJwksDown(true)
    assert.equal((await send(`${org.origin}/oauth2/default/v1/keys`)).status, 503)
  })

  it('tell by introspection what is active, each of its own tokens', async () => {
    await using org = await startOktaOrg({ limits: false })
    const clientId = org.addApp({ keys: [ec.publicJwk] })
    const token = org.issueToken({ server: 'default', clientId, scopes: ['a', 'b'] })
    const ask = async (path: string, form: Record<string, string>) => {
      const url = `${org.origin}${path}`
      return postForm(url, {
        ...form,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: await assertion(clientId, url, ec),
      })
    }
    const active = await ask('/oauth2/default/v1/introspect', { token })
    assert.deepEqual(
      [at(active.body, 'active'), at(active.body, 'scope'), at(active.body, 'client_id')],
      [true, 'a b', clientId],
    )
    assert.deepEqual((await ask('/oauth2/v1/introspect', { token })).body, { active: false })
    assert.equal((await postForm(`${org.origin}/oauth2/default/v1/introspect`, { token })).status, 401)
    const other = org.issueToken({ server: 'default', clientId: org.addApp() })
    assert.equal((await ask('/oauth2/default/v1/revoke', { token: other })).status, 200)
    assert.equal(org.isActiveToken(other), true)
    assert.equal((await ask('/oauth2/default/v1/revoke', { token })).status, 200)
    assert.deepEqual((await ask('/oauth2/default/v1/introspect', { token })).body, { active: false })
  })
})
