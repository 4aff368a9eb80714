import { type KeyObject, verify as nodeVerify } from 'node:crypto'
import { promisify } from 'node:util'
import { JwtVerifier } from 'aws-jwt-verify'
import { type Algorithm, createVerifier } from 'fast-jwt'
import { compactVerify, importJWK, type JWTHeaderParameters, jwtVerify } from 'jose'
import jsonwebtoken from 'jsonwebtoken'
import type { KeySource } from '../../src/lib/jwks.ts'
import { parseJwt, verifyJwt } from '../../src/lib/jwt.ts'
import { soon } from '../../src/lib/soon.ts'
import { AUDIENCE, ISSUER, type KeyServer, type TestKey } from '../unit/issuer.ts'

export interface Contender {
  readonly name: string
  /** Throws when the token is refused. */
  readonly verify: (token: string) => unknown
}

export const algorithms = ['RS256', 'ES256', 'EdDSA'] as const
export type Alg = (typeof algorithms)[number]

const toleranceS = 60
const must = (ok: boolean): void => {
  if (!ok) throw new Error('a good token was refused')
}

/** Of a token's header; the peers that take one fixed key are told which one so, as we look ours up by `kid`. */
const kidOf = (token: string): string => {
  const header: unknown = JSON.parse(Buffer.from(token.slice(0, token.indexOf('.')), 'base64url').toString())
  if (typeof header !== 'object' || header === null || !('kid' in header)) throw new Error('a token without kid')
  return String(header.kid)
}

const byKid = <T>(entries: readonly (readonly [TestKey, T])[]) => {
  const map = new Map(entries.map(([{ kid }, one]) => [kid, one]))
  return (kid: string | undefined): T => {
    const found = map.get(kid ?? '')
    if (found === undefined) throw new Error('no such key')
    return found
  }
}

/** The same signature, issuer, audience, dates with 60 s of skew, and key by `kid`, by each at its fastest. */
export const ours = (server: KeyServer, alg: Alg, keys: KeySource): Contender => {
  const issuer = server.issuer({ algorithms: [alg] })
  return {
    name: 'ours',
    verify: (token) => soon(verifyJwt(token, issuer, keys, Date.now()), (told) => must(!('refused' in told))),
  }
}

export const jose = async (alg: Alg, list: readonly TestKey[]): Promise<Contender[]> => {
  const imported = await Promise.all(list.map(async (key) => [key, await importJWK(key.jwk, alg)] as const))
  const keyOf = byKid(imported)
  const [, [, only] = [undefined, new Uint8Array()]] = imported
  const options = {
    algorithms: [alg],
    issuer: ISSUER,
    audience: AUDIENCE,
    clockTolerance: toleranceS,
    requiredClaims: ['exp', 'iat'],
  }
  return [
    { name: 'jose compactVerify, the signature alone', verify: (token) => compactVerify(token, only, options) },
    {
      name: 'jose jwtVerify',
      verify: (token) => jwtVerify(token, ({ kid }: JWTHeaderParameters) => keyOf(kid), options),
    },
  ]
}

const pemOf = (key: KeyObject): string => String(key.export({ type: 'spki', format: 'pem' }))

export const fastJwt = (alg: Alg, list: readonly TestKey[], cache: boolean): Contender => {
  const known: readonly Algorithm[] = [alg]
  const verifierOf = byKid(
    list.map((key) => [
      key,
      createVerifier({
        key: pemOf(key.publicKey),
        algorithms: [...known],
        allowedIss: ISSUER,
        allowedAud: AUDIENCE,
        clockTolerance: toleranceS * 1000,
        requiredClaims: ['exp', 'iat'],
        cache: cache ? 10_000 : false,
      }),
    ]),
  )
  return { name: cache ? 'fast-jwt, its cache on' : 'fast-jwt', verify: (token) => verifierOf(kidOf(token))(token) }
}

/** It knows no EdDSA. */
export const jsonWebToken = (alg: Exclude<Alg, 'EdDSA'>, list: readonly TestKey[]): Contender => {
  const keyOf = byKid(list.map((key) => [key, key.publicKey]))
  const options = { algorithms: [alg], issuer: ISSUER, audience: AUDIENCE, clockTolerance: toleranceS }
  return { name: 'jsonwebtoken', verify: (token) => jsonwebtoken.verify(token, keyOf(kidOf(token)), options) }
}

export const awsJwtVerify = (alg: Alg, list: readonly TestKey[], jwksUri: string): Contender => {
  const verifier = JwtVerifier.create({ issuer: ISSUER, audience: AUDIENCE, jwksUri, graceSeconds: toleranceS })
  verifier.cacheJwks({
    keys: list.map(({ jwk, kid }) => ({ ...jwk, kid, alg, use: 'sig' as const, kty: jwk.kty ?? '' })),
  })
  return { name: 'aws-jwt-verify', verify: (token) => verifier.verifySync(token) }
}

/**
 * The peer with the checks that none of them makes: canonical base64url, no member named twice, the type, size and depth.
 * Whoever wants those of it takes the token apart beforehand.
 */
export const asStrict = ({ name, verify }: Contender): Contender => ({
  name: `${name} with our further checks`,
  verify: (token) => {
    const parsed = parseJwt(token)
    must(!('refused' in parsed) && (parsed.header.typ === undefined || typeof parsed.header.typ === 'string'))
    return verify(token)
  },
})

/** Neither reads the token: the limit of the machine. */
export const bare = (alg: Alg, list: readonly TestKey[]): Contender[] => {
  const [, only = list[0]] = list
  if (only === undefined) throw new Error('no key')
  const hash = alg === 'EdDSA' ? null : 'sha256'
  const key = alg === 'ES256' ? { key: only.publicKey, dsaEncoding: 'ieee-p1363' as const } : only.publicKey
  const pooled = promisify<string | null, Buffer, typeof key, Buffer, boolean>(nodeVerify)
  const taken = new Map<string, readonly [Buffer, Buffer]>()
  const apart = (token: string) => {
    const known = taken.get(token)
    if (known !== undefined) return known
    const dot = token.lastIndexOf('.')
    const both = [Buffer.from(token.slice(0, dot)), Buffer.from(token.slice(dot + 1), 'base64url')] as const
    taken.set(token, both)
    return both
  }
  return [
    {
      name: 'crypto.verify, sync',
      verify: (token) => {
        const [data, signature] = apart(token)
        must(nodeVerify(hash, data, key, signature))
      },
    },
    {
      name: 'crypto.verify, async',
      verify: async (token) => {
        const [data, signature] = apart(token)
        must(await pooled(hash, data, key, signature))
      },
    },
  ]
}
