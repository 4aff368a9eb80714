import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { test } from 'node:test'
import { Provider } from 'oidc-provider'
import type { Issuer } from '../../src/core/adapter.ts'
import { manualClock } from '../../src/lib/clock.ts'
import { asFetch } from '../../src/lib/fetchshapes.ts'
import { createKeySource } from '../../src/lib/jwks.ts'
import { verifyJwt } from '../../src/lib/jwt.ts'
import { createOutbound } from '../../src/lib/outbound.ts'

const audience = 'api://agents'
const privateJwk = (kid: string) => ({
  ...generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }),
  kid,
  use: 'sig',
  alg: 'RS256',
})
type PrivateJwk = ReturnType<typeof privateJwk>

const provider = (issuer: string, keys: readonly PrivateJwk[]) =>
  new Provider(issuer, {
    jwks: { keys: [...keys] },
    clients: [
      {
        client_id: 'agent',
        client_secret: 'only-in-this-test',
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
      },
    ],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audience,
        getResourceServerInfo: () => ({
          scope: 'read',
          audience,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
  })

/** One HTTP server whose provider, and so whose keys, can be replaced. */
const serve = async (keys: readonly PrivateJwk[]) => {
  let callback: RequestListener = (_request, response) => response.writeHead(503).end()
  const server = createServer((request, response) => callback(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  const issuer = `http://127.0.0.1:${address.port}`
  const use = (next: readonly PrivateJwk[]) => {
    callback = provider(issuer, next).callback()
  }
  use(keys)
  return {
    issuer,
    use,
    token: async (): Promise<string> => {
      const response = await fetch(`${issuer}/token`, {
        method: 'POST',
        headers: { authorization: `Basic ${Buffer.from('agent:only-in-this-test').toString('base64')}` },
        body: new URLSearchParams({ grant_type: 'client_credentials', resource: audience }),
      })
      const { access_token: token } = JSON.parse(await response.text())
      assert.equal(typeof token, 'string')
      return token
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

test('tokens of a certified OpenID provider verify, also after it rotated its keys, and not after a key was withdrawn', async () => {
  const [first, second] = [privateJwk('first'), privateJwk('second')]
  await using oidc = await serve([first])
  const clock = manualClock(Date.now())
  const outbound = createOutbound({ userAgent: 'test', clock })
  const pinned = outbound.origin([oidc.issuer], { timeoutMs: 5000, maxBytes: 512 * 1024 })
  const uri = `${oidc.issuer}/jwks`
  const issuer: Issuer = {
    issuer: oidc.issuer,
    audiences: [audience],
    algorithms: ['RS256'],
    jwksUri: uri,
    fetch: asFetch(pinned, AbortSignal.timeout(60_000)),
  }
  const keys = createKeySource({ uri, fetch: issuer.fetch, clock })
  try {
    const old = await oidc.token()
    const good = await verifyJwt(old, issuer, keys, Date.now())
    assert.ok(!('refused' in good))
    assert.equal(good.claims['client_id'], 'agent')

    oidc.use([second, first])
    await clock.advance(301_000)
    const rotated = await verifyJwt(await oidc.token(), issuer, keys, Date.now())
    assert.ok(!('refused' in rotated))
    assert.equal(rotated.header.kid, 'second')
    assert.ok(!('refused' in (await verifyJwt(old, issuer, keys, Date.now()))))

    oidc.use([second])
    await keys.refresh()
    assert.deepEqual(await verifyJwt(old, issuer, keys, Date.now()), { refused: 'R_KEY' })
    const other = await verifyJwt(await oidc.token(), { ...issuer, audiences: ['api://other'] }, keys, Date.now())
    assert.deepEqual(other, { refused: 'R_AUDIENCE' })
  } finally {
    keys.close()
    await outbound.close()
  }
})
