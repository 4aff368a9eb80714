import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  ClientAssertionCredential,
  ClientCertificateCredential,
  ClientSecretCredential,
  ManagedIdentityCredential,
} from '@azure/identity'
import {
  createRemoteJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  exportJWK,
  generateKeyPair,
  jwtVerify,
  SignJWT,
} from 'jose'
import { selfSigned } from '../../sandbox/certificate.ts'
import { type EntraTenant, startEntraTenant } from '../../sandbox/entra/index.ts'
import { rewritingClient } from './azure.ts'
import { at, GraphClient, list, type Reply, requestToken, send, text } from './client.ts'

const scope = 'https://graph.microsoft.com/.default'
const jwtBearer = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

function aadsts(reply: Reply): [number, unknown, unknown] {
  return [reply.status, at(reply.body, 'error'), at(reply.body, 'error_codes', 0)]
}

function jwks(tenant: EntraTenant, path = 'discovery/v2.0/keys') {
  return createRemoteJWKSet(new URL(`${tenant.origin}/${tenant.tenantId}/${path}`), { cooldownDuration: 0 })
}

describe('login host', () => {
  it('publishes both metadata documents with the real issuers', async () => {
    await using tenant = await startEntraTenant()
    const base = `${tenant.origin}/${tenant.tenantId}`
    const v2 = await send(`${base}/v2.0/.well-known/openid-configuration`)
    assert.equal(at(v2.body, 'issuer'), `https://login.microsoftonline.com/${tenant.tenantId}/v2.0`)
    assert.equal(at(v2.body, 'jwks_uri'), `${base}/discovery/v2.0/keys`)
    assert.equal(at(v2.body, 'token_endpoint'), `${base}/oauth2/v2.0/token`)
    const v1 = await send(`${base}/.well-known/openid-configuration`)
    assert.equal(at(v1.body, 'issuer'), `https://sts.windows.net/${tenant.tenantId}/`)
    assert.equal(at(v1.body, 'jwks_uri'), `${base}/discovery/keys`)
    const https = await send(`${base}/v2.0/.well-known/openid-configuration`, {
      headers: { 'x-sandbox-authority': 'https' },
    })
    assert.match(text(at(https.body, 'token_endpoint')), /^https:\/\/127\.0\.0\.1:/)
  })

  it('knows one tenant only', async () => {
    await using tenant = await startEntraTenant()
    const other = await send(`${tenant.origin}/${crypto.randomUUID()}/v2.0/.well-known/openid-configuration`)
    assert.deepEqual(aadsts(other), [400, 'invalid_tenant', 90002])
    const url = `${tenant.origin}/${crypto.randomUUID()}/oauth2/v2.0/token`
    const body = new URLSearchParams({ grant_type: 'client_credentials' })
    assert.deepEqual(aadsts(await send(url, { method: 'POST', body })), [400, 'invalid_request', 90002])
  })

  it('serves several keys, with the issuer on the v2 endpoint', async () => {
    await using tenant = await startEntraTenant()
    const v2 = await send(`${tenant.origin}/${tenant.tenantId}/discovery/v2.0/keys`)
    assert.ok(list(at(v2.body, 'keys')).length >= 2)
    assert.equal(at(v2.body, 'keys', 0, 'issuer'), `https://login.microsoftonline.com/${tenant.tenantId}/v2.0`)
    const v1 = await send(`${tenant.origin}/${tenant.tenantId}/discovery/keys`)
    assert.equal(at(v1.body, 'keys', 0, 'issuer'), undefined)
  })

  it('answers 503 for keys and tokens while they are down', async () => {
    await using tenant = await startEntraTenant()
    tenant.setJwksDown(true)
    tenant.setTokenEndpointDown(true)
    assert.equal((await send(`${tenant.origin}/${tenant.tenantId}/discovery/v2.0/keys`)).status, 503)
    assert.equal((await requestToken(tenant, {})).status, 503)
    tenant.setJwksDown(false)
    assert.equal((await send(`${tenant.origin}/${tenant.tenantId}/discovery/v2.0/keys`)).status, 200)
  })
})

describe('token endpoint', () => {
  it('refuses in AADSTS words', async () => {
    await using tenant = await startEntraTenant()
    const { appId: client_id, secret: client_secret } = tenant.registerApp({ name: 'bridge', roles: [] })
    const good = { client_id, client_secret, scope }
    const cases: [Record<string, string>, [number, string, number]][] = [
      [{ ...good, client_secret: 'wrong' }, [401, 'invalid_client', 7000215]],
      [{ ...good, client_id: crypto.randomUUID() }, [400, 'unauthorized_client', 700016]],
      [{ client_id, scope }, [401, 'invalid_client', 7000218]],
      [{ client_id, client_secret }, [400, 'invalid_request', 900144]],
      [{ ...good, scope: 'https://graph.microsoft.com/User.Read' }, [400, 'invalid_scope', 1002012]],
      [{ ...good, scope: 'api://nowhere/.default' }, [400, 'invalid_resource', 500011]],
      [{ ...good, grant_type: 'password' }, [400, 'unsupported_grant_type', 70003]],
    ]
    for (const [form, wanted] of cases) assert.deepEqual(aadsts(await requestToken(tenant, form)), wanted)
    const bad = await requestToken(tenant, { ...good, client_secret: 'wrong' })
    assert.match(text(at(bad.body, 'error_description')), /^AADSTS7000215: .*Trace ID: .*Correlation ID: .*Timestamp: /)
  })

  it('issues nothing to a disabled, blocked or deleted app, and to a disabled resource', async () => {
    await using tenant = await startEntraTenant()
    const app = tenant.registerApp({ name: 'bridge', roles: [] })
    const api = tenant.registerApp({ name: 'api', roles: [] })
    const form = { client_id: app.appId, client_secret: app.secret, scope }
    const refused = async () => aadsts(await requestToken(tenant, form))
    tenant.setEnabled(app.servicePrincipalId, false)
    assert.deepEqual(await refused(), [400, 'unauthorized_client', 7000112])
    tenant.setEnabled(app.servicePrincipalId, true)
    assert.equal((await requestToken(tenant, form)).status, 200)
    tenant.setDisabledByMicrosoft(app.servicePrincipalId, true)
    assert.deepEqual(await refused(), [400, 'unauthorized_client', 7000112])
    tenant.setDisabledByMicrosoft(app.servicePrincipalId, false)
    tenant.setIsDisabled(app.servicePrincipalId, true)
    assert.deepEqual(await refused(), [400, 'unauthorized_client', 7000112])
    tenant.setIsDisabled(app.servicePrincipalId, false)
    tenant.setEnabled(api.servicePrincipalId, false)
    const other = await requestToken(tenant, { ...form, scope: `api://${api.appId}/.default` })
    assert.deepEqual(aadsts(other), [400, 'invalid_resource', 500014])
    tenant.remove(app.servicePrincipalId)
    assert.deepEqual(await refused(), [400, 'unauthorized_client', 7000229])
  })

  it('chooses the version by the resource, and verifies with jose against the served keys', async () => {
    await using tenant = await startEntraTenant()
    const v1 = tenant.registerApp({ name: 'v1 api', roles: [] })
    const v2 = tenant.registerApp({ name: 'v2 api', roles: [], tokenVersion: 'v2' })
    const app = tenant.registerApp({ name: 'bridge', roles: [], apiRoles: { [v2.appId]: ['Bridge.Operator'] } })
    const ask = async (resource: string) => {
      const form = { client_id: app.appId, client_secret: app.secret, scope: `${resource}/.default` }
      const reply = await requestToken(tenant, form)
      assert.equal(at(reply.body, 'token_type'), 'Bearer')
      const seconds = Number(at(reply.body, 'expires_in'))
      assert.ok(seconds >= 3599 && seconds <= 5400, `${seconds}`)
      return text(at(reply.body, 'access_token'))
    }
    const first = await jwtVerify(await ask(`api://${v1.appId}`), jwks(tenant, 'discovery/keys'), {
      issuer: `https://sts.windows.net/${tenant.tenantId}/`,
      audience: `api://${v1.appId}`,
    })
    assert.equal(first.payload.ver, '1.0')
    assert.equal(first.payload.appid, app.appId)
    assert.equal(first.payload.oid, app.servicePrincipalId)
    const second = await jwtVerify(await ask(`api://${v2.appId}`), jwks(tenant), {
      issuer: `https://login.microsoftonline.com/${tenant.tenantId}/v2.0`,
      audience: v2.appId,
    })
    assert.equal(second.payload.ver, '2.0')
    assert.equal(second.payload.azp, app.appId)
    assert.deepEqual(second.payload.roles, ['Bridge.Operator'])
  })

  it('issues tokens for Graph that nobody else can verify', async () => {
    await using tenant = await startEntraTenant()
    const client = await GraphClient.signIn(tenant, 'User.Read.All')
    assert.equal(typeof decodeProtectedHeader(client.token).nonce, 'string')
    assert.deepEqual(decodeJwt(client.token).roles, ['User.Read.All'])
    await assert.rejects(jwtVerify(client.token, jwks(tenant)), { code: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED' })
    assert.equal((await client.get('/users')).status, 200)
  })

  it('takes a federated token only from the registered issuer, subject and audience', async () => {
    await using tenant = await startEntraTenant()
    const { publicKey, privateKey } = await generateKeyPair('RS256')
    const issuer = 'https://oidc.example.com/cluster'
    const app = tenant.registerApp({
      name: 'bridge',
      roles: [],
      federatedIssuer: issuer,
      federatedSubject: 'system:serviceaccount:agents:bridge',
      federatedJwks: { keys: [{ ...(await exportJWK(publicKey)), kid: 'k1', alg: 'RS256' }] },
    })
    const assertion = (claims: Record<string, unknown>, exp = '5m') =>
      new SignJWT({
        iss: issuer,
        sub: 'system:serviceaccount:agents:bridge',
        aud: 'api://AzureADTokenExchange',
        ...claims,
      })
        .setProtectedHeader({ alg: 'RS256', kid: 'k1' })
        .setExpirationTime(exp)
        .sign(privateKey)
    const ask = async (client_assertion: string) =>
      requestToken(tenant, { client_id: app.appId, scope, client_assertion_type: jwtBearer, client_assertion })
    assert.equal((await ask(await assertion({}))).status, 200)
    assert.equal(aadsts(await ask(await assertion({ iss: 'https://evil.example' })))[2], 700211)
    assert.equal(aadsts(await ask(await assertion({ sub: 'system:serviceaccount:agents:other' })))[2], 700213)
    assert.equal(aadsts(await ask(await assertion({ aud: 'api://elsewhere' })))[2], 700212)
    assert.equal(aadsts(await ask(await assertion({}, '-10m')))[2], 700024)
    const forged = await new SignJWT({ iss: issuer, sub: 'system:serviceaccount:agents:bridge' })
      .setProtectedHeader({ alg: 'RS256', kid: 'k1' })
      .setAudience('api://AzureADTokenExchange')
      .setExpirationTime('5m')
      .sign((await generateKeyPair('RS256')).privateKey)
    assert.equal(aadsts(await ask(forged))[2], 700027)
    assert.equal(aadsts(await ask('nonsense'))[2], 50027)
    const curve = await new SignJWT({ iss: issuer, sub: 'system:serviceaccount:agents:bridge' })
      .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
      .setAudience('api://AzureADTokenExchange')
      .setExpirationTime('5m')
      .sign((await generateKeyPair('ES256')).privateKey)
    assert.deepEqual(aadsts(await ask(curve)), [400, 'invalid_request', 5002738])
  })
})

describe('@azure/identity', () => {
  const options = (tenant: EntraTenant) => ({
    authorityHost: tenant.origin.replace('http:', 'https:'),
    disableInstanceDiscovery: true,
    httpClient: rewritingClient(),
    retryOptions: { maxRetries: 0 },
  })

  it('ClientSecretCredential gets a token that Graph takes', async () => {
    await using tenant = await startEntraTenant()
    const app = tenant.registerApp({ name: 'bridge', roles: ['User.Read.All'] })
    const credential = new ClientSecretCredential(tenant.tenantId, app.appId, app.secret, options(tenant))
    const { token } = await credential.getToken(scope)
    const headers = { Authorization: `Bearer ${token}` }
    assert.equal((await send(`${tenant.origin}/v1.0/users`, { headers })).status, 200)
    const wrong = new ClientSecretCredential(tenant.tenantId, app.appId, 'wrong', options(tenant))
    await assert.rejects(wrong.getToken(scope), /AADSTS7000215/)
  })

  it('ClientAssertionCredential exchanges a workload token', async () => {
    await using tenant = await startEntraTenant()
    const app = tenant.registerApp({ name: 'bridge', roles: [], federatedSubject: 'bridge-pod' })
    const get = async () => tenant.workloadToken('bridge-pod')
    const credential = new ClientAssertionCredential(tenant.tenantId, app.appId, get, options(tenant))
    assert.equal(decodeJwt((await credential.getToken(scope)).token).appidacr, '2')
    const other = async () => tenant.workloadToken('other-pod')
    const wrong = new ClientAssertionCredential(tenant.tenantId, app.appId, other, options(tenant))
    await assert.rejects(wrong.getToken(scope), /AADSTS700213/)
  })

  it('ClientCertificateCredential signs with a registered certificate only', async () => {
    await using tenant = await startEntraTenant()
    const pair = selfSigned()
    const app = tenant.registerApp({ name: 'bridge', roles: [], certificate: pair.certificate })
    const pem = (each: typeof pair) => ({ certificate: `${each.privateKey}\n${each.certificate}` })
    const credential = new ClientCertificateCredential(tenant.tenantId, app.appId, pem(pair), options(tenant))
    assert.equal(decodeJwt((await credential.getToken(scope)).token).appid, app.appId)
    const stranger = new ClientCertificateCredential(tenant.tenantId, app.appId, pem(selfSigned()), options(tenant))
    await assert.rejects(stranger.getToken(scope), /AADSTS700027/)
  })

  it('ManagedIdentityCredential is served by the metadata service', async () => {
    await using tenant = await startEntraTenant()
    const app = tenant.registerApp({ name: 'vm', roles: ['User.Read.All'], managedIdentity: true })
    const before = process.env.AZURE_POD_IDENTITY_AUTHORITY_HOST
    process.env.AZURE_POD_IDENTITY_AUTHORITY_HOST = tenant.origin
    try {
      const credential = new ManagedIdentityCredential({ clientId: app.appId, retryOptions: { maxRetries: 0 } })
      const { token } = await credential.getToken(scope)
      assert.equal(decodeJwt(token).oid, app.servicePrincipalId)
    } finally {
      if (before === undefined) delete process.env.AZURE_POD_IDENTITY_AUTHORITY_HOST
      else process.env.AZURE_POD_IDENTITY_AUTHORITY_HOST = before
    }
  })

  it('the metadata service wants its header, and no forwarding', async () => {
    await using tenant = await startEntraTenant()
    const resource = 'https%3A%2F%2Fgraph.microsoft.com'
    const url = `${tenant.origin}/metadata/identity/oauth2/token?api-version=2018-02-01&resource=${resource}`
    const Metadata = 'true'
    assert.equal((await send(url)).status, 400)
    assert.equal((await send(url, { headers: { Metadata } })).status, 400)
    tenant.registerApp({ name: 'vm', roles: [], managedIdentity: true })
    assert.equal((await send(url, { headers: { Metadata, 'X-Forwarded-For': '10.0.0.1' } })).status, 400)
    const good = await send(url, { headers: { Metadata } })
    assert.equal(good.status, 200)
    assert.equal(typeof at(good.body, 'expires_on'), 'string')
    assert.equal((await send(url.replace('2018-02-01', '2017'), { headers: { Metadata } })).status, 400)
  })
})
