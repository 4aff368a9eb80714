import assert from 'node:assert/strict'
import type { Issuer } from '../../src/core/adapter.ts'
import type { RefusalCode } from '../../src/core/decide.ts'
import { manualClock } from '../../src/lib/clock.ts'
import { createKeySource } from '../../src/lib/jwks.ts'
import { type Refused, type VerifiedJwt, verifyJwt } from '../../src/lib/jwt.ts'
import { AUDIENCE, ISSUER, KeyServer, makeKey, type TestKey } from '../unit/issuer.ts'

export const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA']

/** An issuer with a key of every algorithm, each named as its algorithm, and the way into it. */
export class Target implements AsyncDisposable {
  readonly clock = manualClock()
  readonly keys: ReadonlyMap<string, TestKey>
  readonly server: KeyServer
  readonly issuer: Issuer
  readonly source: ReturnType<typeof createKeySource>

  private constructor(server: KeyServer, keys: readonly TestKey[]) {
    this.server = server
    this.keys = new Map(keys.map((key) => [key.kid, key]))
    this.issuer = server.issuer({ algorithms })
    this.source = createKeySource({ uri: server.uri, fetch: server.fetch, clock: this.clock })
  }

  static async open(keys = algorithms.map((alg) => makeKey(alg, alg))): Promise<Target> {
    const target = new Target(await KeyServer.start(...keys), keys)
    await target.source.refresh()
    return target
  }

  get seconds(): number {
    return Math.floor(this.clock.now() / 1000)
  }

  /** The claims of a good token. */
  get claims() {
    const iat = this.seconds
    return { iss: ISSUER, aud: AUDIENCE, iat, nbf: iat, exp: iat + 3600, oid: 'account-1' }
  }

  key(kid: string): TestKey {
    const key = this.keys.get(kid)
    if (key === undefined) throw new Error(`there is no key ${kid}`)
    return key
  }

  async verify(token: string, over: Partial<Issuer> = {}): Promise<VerifiedJwt | Refused> {
    return verifyJwt(token, { ...this.issuer, ...over }, this.source, this.clock.now())
  }

  async refused(name: string, token: string, code: RefusalCode, over: Partial<Issuer> = {}): Promise<void> {
    const result = await this.verify(token, over)
    assert.deepEqual('refused' in result ? result : { accepted: result.claims }, { refused: code }, name)
  }

  async accepted(name: string, token: string, over: Partial<Issuer> = {}): Promise<VerifiedJwt> {
    const result = await this.verify(token, over)
    assert.ok(!('refused' in result), `${name}: ${JSON.stringify(result)}`)
    return result
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.source.close()
    await this.server[Symbol.asyncDispose]()
  }
}

/** `[what it is, the token, the code it must be refused with]`. */
export type Case = readonly [name: string, token: string, code: RefusalCode]

export const allRefused = async (target: Target, cases: readonly Case[]): Promise<void> => {
  for (const [name, token, code] of cases) await target.refused(name, token, code)
}
