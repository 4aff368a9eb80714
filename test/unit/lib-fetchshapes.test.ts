import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { describe, it, type TestContext } from 'node:test'
import type { ClientSecretCredentialOptions } from '@azure/identity'
import { ClientSecretCredential } from '@azure/identity'
import { createRemoteJWKSet, customFetch, exportJWK, generateKeyPair, jwtVerify, SignJWT } from 'jose'
import type { Issuer } from '../../src/core/adapter.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { asFetch, pipelineClient } from '../../src/lib/fetchshapes.ts'
import { createOutbound } from '../../src/lib/outbound.ts'

const limits = { timeoutMs: 5000, maxBytes: 100_000 }
const never = new AbortController().signal
const TENANT = '11111111-2222-3333-4444-555555555555'

async function pinnedTo(t: TestContext, listener: RequestListener) {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const outbound = createOutbound({ userAgent: 'bridge-test', clock: systemClock })
  t.after(async () => {
    await outbound.close()
    server.closeAllConnections()
    server.close()
  })
  const host = `127.0.0.1:${address.port}`
  return { host, pinned: outbound.origin([`http://${host}`], limits) }
}

describe('a pinned fetch for libraries', () => {
  it('serves jose as customFetch, and refuses key URLs elsewhere', async (t) => {
    const { publicKey, privateKey } = await generateKeyPair('RS256')
    const jwk = { ...(await exportJWK(publicKey)), kid: '1', alg: 'RS256' }
    const { host, pinned } = await pinnedTo(t, (_, response) => {
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: [jwk] }))
    })
    const fetch: Issuer['fetch'] = asFetch(pinned, never)
    const token = await new SignJWT({ a: 1 }).setProtectedHeader({ alg: 'RS256', kid: '1' }).sign(privateKey)
    const keys = createRemoteJWKSet(new URL(`http://${host}/keys`), { [customFetch]: fetch })
    assert.equal((await jwtVerify(token, keys)).payload.a, 1)
    const elsewhere = createRemoteJWKSet(new URL('https://evil.example/keys'), { [customFetch]: fetch })
    await assert.rejects(jwtVerify(token, elsewhere), { code: 'E_OUTBOUND_ORIGIN' })
  })

  it('ends with its own signal as well as with the one of the call', async (t) => {
    const { host, pinned } = await pinnedTo(t, () => {})
    const fetch = asFetch(pinned, AbortSignal.abort())
    await assert.rejects(fetch(`http://${host}`), { code: 'E_ABORTED' })
    await assert.rejects(asFetch(pinned, never)(`http://${host}`, { signal: AbortSignal.abort() }), {
      code: 'E_ABORTED',
    })
  })

  it('serves @azure/identity against an authority on loopback that it insists is https', async (t) => {
    const asked: string[] = []
    const { host, pinned } = await pinnedTo(t, async (request, response) => {
      asked.push(`${request.method} ${request.url?.split('?')[0]} ${request.headers['x-sandbox-authority']}`)
      const authority = `https://${host}/${TENANT}`
      const metadata = {
        issuer: `${authority}/v2.0`,
        token_endpoint: `${authority}/oauth2/v2.0/token`,
        authorization_endpoint: `${authority}/oauth2/v2.0/authorize`,
        jwks_uri: `${authority}/discovery/v2.0/keys`,
      }
      const token = { token_type: 'Bearer', expires_in: 3599, access_token: 'token-for-tests' }
      const body = request.method === 'POST' ? token : metadata
      response.setHeader('content-type', 'application/json').end(JSON.stringify(body))
    })
    const httpClient: NonNullable<ClientSecretCredentialOptions['httpClient']> = pipelineClient(pinned, never)
    const credential = new ClientSecretCredential(TENANT, TENANT, 'not-a-secret', {
      authorityHost: `https://${host}`,
      disableInstanceDiscovery: true,
      httpClient,
    })
    const { token } = await credential.getToken('https://graph.example/.default')
    assert.equal(token, 'token-for-tests')
    assert.ok(asked.includes(`POST /${TENANT}/oauth2/v2.0/token https`), asked.join())
  })

  it('changes the scheme of no other request', async (t) => {
    const { host, pinned } = await pinnedTo(t, (request, response) => {
      response.setHeader('x-seen', String(request.headers['x-sandbox-authority'])).end('ok')
    })
    const client = pipelineClient(pinned, never)
    const ask = (url: string) => client.sendRequest({ url, method: 'GET', headers: [], timeout: 0 })
    const plain = await ask(`http://${host}/x`)
    assert.equal(plain.headers.get('x-seen'), 'undefined')
    assert.equal(plain.bodyAsText, 'ok')
    assert.equal((await ask(`https://${host}/x`)).headers.get('X-Seen'), 'https')
    await assert.rejects(ask('https://evil.example/'), { code: 'E_OUTBOUND_ORIGIN' })
    await assert.rejects(ask('https://127.0.0.1:1/'), { code: 'E_OUTBOUND_ORIGIN' })
  })
})
