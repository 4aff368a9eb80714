import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { JWK } from 'jose'
import type { Issuer, PinnedFetch } from '../../src/core/adapter.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { asFetch } from '../../src/lib/fetchshapes.ts'
import { createOutbound } from '../../src/lib/outbound.ts'

export const ISSUER = 'https://login.example.com/11111111-2222-3333-4444-555555555555/v2.0'
export const AUDIENCE = 'api://agents'

export interface TestKey {
  readonly kid: string
  readonly alg: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  readonly jwk: JWK
}

const pair = (alg: string, bits: number) => {
  if (alg.startsWith('ES')) {
    return generateKeyPairSync('ec', { namedCurve: { ES256: 'P-256', ES384: 'P-384' }[alg] ?? 'P-521' })
  }
  return alg === 'EdDSA' ? generateKeyPairSync('ed25519') : generateKeyPairSync('rsa', { modulusLength: bits })
}

export function makeKey(kid: string, alg = 'RS256', { bits = 2048 } = {}): TestKey {
  const { privateKey, publicKey } = pair(alg, bits)
  return { kid, alg, privateKey, publicKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid, use: 'sig' } }
}

export const b64 = (value: string | Uint8Array): string => Buffer.from(value).toString('base64url')
const part = (value: object | string | Uint8Array): string =>
  b64(typeof value === 'string' || value instanceof Uint8Array ? value : JSON.stringify(value))

/** A signature by the key over whatever is given: objects are serialised, text and bytes are taken as they are. */
export function forge(
  header: object | string | Uint8Array,
  claims: object | string | Uint8Array,
  key: TestKey,
): string {
  const input = `${part(header)}.${part(claims)}`
  return `${input}.${b64(signature(input, key))}`
}

export function signature(input: string, { alg, privateKey }: TestKey): Buffer {
  const data = Buffer.from(input)
  if (alg === 'EdDSA') return sign(null, data, privateKey)
  const hash = `sha${alg.slice(2)}`
  if (alg.startsWith('PS'))
    return sign(hash, data, { key: privateKey, padding: 6, saltLength: Number(alg.slice(2)) / 8 })
  return sign(hash, data, { key: privateKey, dsaEncoding: 'ieee-p1363' })
}

/** A good token but for what is overridden; a member set to undefined is left out. */
export function token(key: TestKey, now: number, claims: object = {}, header: object = {}): string {
  const iat = Math.floor(now / 1000)
  return forge(
    { alg: key.alg, typ: 'JWT', kid: key.kid, ...header },
    { iss: ISSUER, aud: AUDIENCE, iat, nbf: iat, exp: iat + 3600, oid: 'account-1', ...claims },
    key,
  )
}

const LIMITS = { timeoutMs: 5000, maxBytes: 512 * 1024 }

/** A key endpoint on a real socket. */
export class KeyServer implements AsyncDisposable {
  hits = 0
  keys: readonly object[] = []
  /** Answers in place of the key set while set. */
  answer: ((response: ServerResponse) => void) | undefined
  readonly uri: string
  /** Through the one outbound client. */
  readonly fetch: PinnedFetch
  readonly #server: Server
  readonly #close: () => Promise<void>

  private constructor(server: Server, port: number) {
    const outbound = createOutbound({ userAgent: 'test', clock: systemClock })
    const origin = `http://127.0.0.1:${port}`
    this.#server = server
    this.#close = () => outbound.close()
    this.uri = `${origin}/keys`
    this.fetch = asFetch(outbound.origin([origin], LIMITS), new AbortController().signal)
  }

  static async start(...keys: readonly TestKey[]): Promise<KeyServer> {
    const answer: RequestListener = (_request, response) => self.#serve(response)
    const server = createServer(answer).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const self = new KeyServer(server, typeof address === 'object' && address ? address.port : 0)
    self.publish(...keys)
    return self
  }

  publish(...keys: readonly TestKey[]): void {
    this.keys = keys.map((key) => key.jwk)
  }

  down(status = 503): void {
    this.answer = (response) => response.writeHead(status).end()
  }

  issuer(over: Partial<Issuer> = {}): Issuer {
    const { uri, fetch } = this
    return { issuer: ISSUER, audiences: [AUDIENCE], algorithms: ['RS256'], jwksUri: uri, fetch, ...over }
  }

  #serve(response: ServerResponse): void {
    this.hits += 1
    if (this.answer) this.answer(response)
    else response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: this.keys }))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close()
    this.#server.closeAllConnections()
    this.#server.close()
  }
}
