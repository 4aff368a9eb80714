import { X509Certificate } from 'node:crypto'
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, errors, type JSONWebKeySet, jwtVerify } from 'jose'
import { z } from 'zod'
import type { App, FederatedCredential } from './apps.ts'
import { LoginRefusal } from './loginerror.ts'
import type { World } from './world.ts'

/**
 * Checks a client assertion: one signed by a registered certificate (issuer and subject are the client itself), or a
 * federated token whose issuer, subject and audience match a registered credential exactly.
 */
export async function verifyAssertion(world: World, app: App, assertion: string): Promise<void> {
  const read = decoded(assertion)
  if (read.claims.iss === app.appId) return byCertificate(world, app, assertion, read.header)
  const { iss, sub, aud } = read.claims
  const sameIssuer = app.federated.filter((each) => each.issuer === iss)
  if (sameIssuer.length === 0) {
    throw invalid(700211, `No matching federated identity record found for presented assertion issuer '${iss ?? ''}'.`)
  }
  const credential = sameIssuer.find((each) => each.subject === sub)
  if (credential === undefined) {
    throw invalid(700213, `No matching federated identity record found for presented assertion subject '${sub ?? ''}'.`)
  }
  const wanted = credential.audience ?? 'api://AzureADTokenExchange'
  if (aud !== wanted && !(Array.isArray(aud) && aud.length === 1 && aud[0] === wanted)) {
    throw invalid(700212, 'No matching federated identity record found for presented assertion audience.')
  }
  if (!algorithms.includes(read.header.alg ?? '')) {
    const supported = `Supported signing algorithms are: '${algorithms.join(', ')}'.`
    const message = `Invalid JWT token. '${read.header.alg}' is not a supported signature algorithm. ${supported}`
    throw invalid(5002738, message, 'invalid_request')
  }
  const keys = createLocalJWKSet(await keysOf(credential))
  await verified(assertion, () =>
    jwtVerify(assertion, keys, {
      issuer: credential.issuer,
      subject: credential.subject,
      audience: wanted,
      algorithms: [...algorithms],
      requiredClaims: ['exp'],
      clockTolerance: 300,
      currentDate: new Date(world.now()),
    }),
  )
}

/** Of federated tokens: RSA only (AzureAD/microsoft-identity-web#3467, read 2026-11). */
const algorithms: readonly string[] = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']

function decoded(assertion: string) {
  try {
    return { header: decodeProtectedHeader(assertion), claims: decodeJwt(assertion) }
  } catch (cause) {
    throw Object.assign(invalid(50027, 'JWT token is invalid or malformed.', 'invalid_request'), { cause })
  }
}

async function byCertificate(
  world: World,
  app: App,
  assertion: string,
  header: Record<string, unknown>,
): Promise<void> {
  const certificate = app.certificates
    .map((pem) => new X509Certificate(pem))
    .find((each) => {
      const sha1 = Buffer.from(each.fingerprint.replaceAll(':', ''), 'hex').toString('base64url')
      const sha256 = Buffer.from(each.fingerprint256.replaceAll(':', ''), 'hex').toString('base64url')
      return header.x5t === sha1 || header['x5t#S256'] === sha256
    })
  if (certificate === undefined) {
    throw invalid(700027, `The certificate used to sign the client assertion is not registered on application.`)
  }
  const base = `${world.origin}/${world.tenantId}`
  const audiences = [`${base}/oauth2/v2.0/token`, `${base}/v2.0`]
  await verified(assertion, () =>
    jwtVerify(assertion, certificate.publicKey, {
      issuer: app.appId,
      subject: app.appId,
      audience: [...audiences, ...audiences.map((each) => each.replace(/^http:/, 'https:'))],
      algorithms: ['RS256', 'PS256'],
      requiredClaims: ['exp'],
      clockTolerance: 300,
      currentDate: new Date(world.now()),
    }),
  )
}

async function verified(assertion: string, verify: () => Promise<unknown>): Promise<void> {
  try {
    await verify()
  } catch (cause) {
    if (!(cause instanceof errors.JOSEError)) throw cause
    const late =
      cause instanceof errors.JWTExpired || (cause instanceof errors.JWTClaimValidationFailed && cause.claim === 'nbf')
    const { aud } = decodeJwt(assertion)
    const refusal = late
      ? invalid(700024, 'Client assertion is not within its valid time range.')
      : invalid(700027, `Client assertion failed validation (audience '${String(aud)}').`)
    throw Object.assign(refusal, { cause })
  }
}

const metadata = z.object({ issuer: z.string(), jwks_uri: z.url() })
const keySet = z.object({ keys: z.array(z.looseObject({ kty: z.string() })) })

async function keysOf(credential: FederatedCredential): Promise<JSONWebKeySet> {
  if (credential.jwks !== undefined) return credential.jwks
  try {
    const where = `${credential.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
    const found = metadata.parse(await json(where))
    if (found.issuer !== credential.issuer) throw new Error('the metadata names another issuer')
    return keySet.parse(await json(found.jwks_uri))
  } catch (cause) {
    const refusal = invalid(50166, `Request to External OIDC endpoint failed for issuer '${credential.issuer}'.`)
    throw Object.assign(refusal, { cause })
  }
}

async function json(url: string): Promise<unknown> {
  const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(5000) })
  if (!response.ok) throw new Error(`status ${response.status}`)
  return response.json()
}

function invalid(code: number, message: string, error = 'invalid_client'): LoginRefusal {
  return new LoginRefusal(code, error, message)
}
