import {
  AuthenticationError,
  ClientAssertionCredential,
  ClientCertificateCredential,
  ClientSecretCredential,
  ManagedIdentityCredential,
  WorkloadIdentityCredential,
} from '@azure/identity'
import { z } from 'zod'
import { BridgeError, codeOf } from '../../src/core/errors.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { type PipelineClient, pipelineClient } from '../../src/lib/fetchshapes.ts'
import { parseJwt } from '../../src/lib/jwt.ts'
import type { PinnedFetch } from '../../src/lib/outbound.ts'
import { SecretRef } from '../../src/lib/secret.ts'
import { live, orAbort } from '../aborts.ts'
import type { Cloud } from './clouds.ts'
import type { EntraConfig } from './config.ts'

/** What our own access token says of us. Decoded without trust: good for refusing to touch ourselves and for hints. */
export interface Self {
  readonly oid: string | undefined
  readonly appId: string | undefined
  readonly roles: readonly string[]
  readonly scopes: readonly string[]
  readonly isAgent: boolean
}

export interface Credential {
  /**
   * A bearer token for Graph. `claims` answers a claims challenge with a new one.
   * @throws BridgeError E_DIRECTORY_AUTH, E_DIRECTORY_DOWN, E_SECRET, E_ABORTED
   */
  token(signal: AbortSignal, claims?: string): Promise<string>
  /** The directory does not accept this token: it is not given out again. */
  refused(token: string): void
  /** Undefined before the first token, or when it cannot be read. */
  self(): Self | undefined
  close(): void
}

interface Fresh {
  readonly token: string
  readonly refreshAt: number
}
type Get = (signal: AbortSignal, claims: string | undefined) => Promise<Fresh>

/** A token is renewed this long before it expires. */
const MARGIN_MS = 5 * 60_000
const AGENT_IDENTITY_FACET = '11'

export interface CredentialOptions {
  readonly config: Pick<EntraConfig, 'credential' | 'tenantId'>
  /** `graph`: the resource that tokens are for. */
  readonly cloud: Pick<Cloud, 'authority' | 'graph'>
  /** Pinned to the authority and the metadata endpoints of managed identities. */
  readonly fetch: PinnedFetch
  readonly clock: Pick<Clock, 'now'>
}

/** Opens no connection; the library's credential is made on first use, for its constructors read files and environment. */
export function openCredential({ config, cloud, fetch, clock }: CredentialOptions): Credential {
  const closed = new AbortController()
  let get: Get | undefined
  let fresh: Fresh | undefined
  let self: Self | undefined
  let inFlight: Promise<Fresh> | undefined
  let last: Response | undefined
  const noted: PinnedFetch = Object.assign(
    async (...given: Parameters<PinnedFetch>) => {
      last = undefined
      last = await fetch(...given)
      return last
    },
    { origins: fetch.origins, limits: fetch.limits },
  )

  const renew = async (claims: string | undefined): Promise<Fresh> => {
    try {
      get ??= source(config, cloud, pipelineClient(noted, closed.signal), clock, closed.signal)
      const next = await get(closed.signal, claims)
      self = readSelf(next.token, config.tenantId)
      fresh = next
      return next
    } catch (error) {
      const isDown = last !== undefined && last.status >= 500
      // After a 5xx the library answers from memory for a minute. Who asks backs off already, and a suspension may wait.
      if (isDown && !last?.headers.has('retry-after')) get = undefined
      throw isDown ? downError(error) : authError(error)
    }
  }
  const renewOnce = (claims: string | undefined): Promise<Fresh> => {
    inFlight ??= renew(claims).finally(() => {
      inFlight = undefined
      last = undefined
    })
    return inFlight
  }

  return {
    async token(signal, claims) {
      live(signal)
      if (claims === undefined && fresh && clock.now() < fresh.refreshAt) return fresh.token
      // The renewal is shared, so one caller giving up must not end it for the others.
      return (await orAbort(renewOnce(claims), signal)).token
    },
    refused(token) {
      if (fresh?.token !== token) return
      fresh = undefined
      // The library keeps it as well.
      get = undefined
    },
    self: () => self,
    close: () => closed.abort(),
  }
}

function source(
  { credential, tenantId }: CredentialOptions['config'],
  cloud: CredentialOptions['cloud'],
  httpClient: PipelineClient,
  clock: Pick<Clock, 'now'>,
  closed: AbortSignal,
): Get {
  if (credential.type === 'tokenFile') {
    const file = SecretRef.file(credential.path)
    // Always due: reading the file again costs one stat, and whoever keeps it fresh is believed.
    return async () => ({ token: file.read(), refreshAt: 0 })
  }
  // The library accepts https authorities only; for a loopback stand-in the client undoes this (lib/fetchshapes.ts).
  const authorityHost = cloud.authority.replace(/^http:/, 'https:')
  const options = { authorityHost, httpClient, disableInstanceDiscovery: true, retryOptions: { maxRetries: 2 } }
  const make = () => {
    switch (credential.type) {
      case 'workloadIdentity': {
        const { clientId, tokenFile } = credential
        const named = { ...(clientId && { clientId }), ...(tokenFile && { tokenFilePath: tokenFile }) }
        return new WorkloadIdentityCredential({ ...options, tenantId, ...named })
      }
      case 'managedIdentity': {
        const { clientId, objectId, resourceId } = credential
        const common = { httpClient, retryOptions: options.retryOptions }
        if (objectId) return new ManagedIdentityCredential({ ...common, objectId })
        if (resourceId) return new ManagedIdentityCredential({ ...common, resourceId })
        return new ManagedIdentityCredential(clientId ? { ...common, clientId } : common)
      }
      case 'spiffe': {
        // Loaded only where it signs in: gRPC comes with it.
        const get = async () => (await import('./assertion.ts')).fetchAssertion(credential, closed)
        return new ClientAssertionCredential(tenantId, credential.clientId, get, options)
      }
      case 'clientSecret':
        return new ClientSecretCredential(tenantId, credential.clientId, credential.secret.read(), options)
      case 'clientCertificate': {
        const pem = { certificate: credential.certificate.read() }
        const sendCertificateChain = credential.sendChain
        return new ClientCertificateCredential(tenantId, credential.clientId, pem, { ...options, sendCertificateChain })
      }
    }
  }
  const secretOf = () =>
    credential.type === 'clientSecret'
      ? credential.secret.read()
      : credential.type === 'clientCertificate'
        ? credential.certificate.read()
        : ''
  let made: { credential: ReturnType<typeof make>; secret: string } | undefined
  const scope = `${cloud.graph}/.default`
  return async (abortSignal, claims) => {
    const secret = secretOf()
    if (made?.secret !== secret) made = { credential: make(), secret }
    const answer = await made.credential.getToken(scope, { enableCae: true, abortSignal, ...(claims && { claims }) })
    const expiresAt = answer.expiresOnTimestamp
    const early = Math.min(answer.refreshAfterTimestamp ?? expiresAt, expiresAt - MARGIN_MS)
    // A token that lives for less than the margin is used for half of what it has left.
    const now = clock.now()
    return { token: answer.token, refreshAt: early > now ? early : now + (expiresAt - now) / 2 }
  }
}

const own = z.object({
  tid: z.string().optional().catch(undefined),
  oid: z.string().toLowerCase().optional().catch(undefined),
  appid: z.string().toLowerCase().optional().catch(undefined),
  azp: z.string().toLowerCase().optional().catch(undefined),
  roles: z.array(z.string()).catch([]),
  scp: z.string().catch(''),
  xms_act_fct: z.string().catch(''),
})

function readSelf(token: string, tenantId: string): Self | undefined {
  const jwt = parseJwt(token)
  const parsed = 'claims' in jwt ? own.safeParse(jwt.claims) : undefined
  if (!parsed?.success) return undefined
  const { tid, oid, appid, azp, roles, scp, xms_act_fct: facets } = parsed.data
  if (tid !== undefined && tid.toLowerCase() !== tenantId) {
    throw new BridgeError('E_DIRECTORY_AUTH', "the bridge's own access token is of another tenant", {
      hint: `sign in to the tenant ${tenantId}, or correct tenantId`,
    })
  }
  const isAgent = facets.split(' ').includes(AGENT_IDENTITY_FACET)
  return { oid, appId: appid ?? azp, roles, scopes: scp.split(' ').filter(Boolean), isAgent }
}

const downError = (cause: unknown): BridgeError =>
  new BridgeError('E_DIRECTORY_DOWN', 'the sign-in endpoint of the directory did not answer', {
    // The library's own error may quote the request.
    ...(cause instanceof BridgeError ? { cause } : {}),
  })

const NO_FEDERATION =
  'no federated credential of the application fits: check that its issuer, subject and audience are those of the token'

/** AADSTS codes about ourselves and what mends them (identity platform error codes, read 2026-11). */
const signInHints: Readonly<Record<number, string>> = {
  7000112: "the bridge's own application is disabled in this tenant: enable its service principal",
  700016: 'the client id is not known in this tenant: check clientId and tenantId',
  7000215: 'the client secret is wrong: check the secret value, not its id',
  7000222: 'the client secret has expired: create a new one',
  700027: 'the certificate is not registered for this application: upload it',
  70021: NO_FEDERATION,
  700211: NO_FEDERATION,
  700212: NO_FEDERATION,
  700213: NO_FEDERATION,
  700024: 'the assertion has expired or is not valid yet: check the clocks, and who issues it',
  5002738: 'the directory takes federated tokens of RSA keys only: in SPIRE, set jwt_key_type = "rsa-2048"',
  50166: 'the directory could not read the metadata or the keys of the issuer: they must be public',
  90002: 'the tenant does not exist in this cloud: check tenantId and cloud',
}

/** Failures before the sign-in endpoint is asked, which say more than that it was not. */
const kept: ReadonlySet<string> = new Set([
  'E_ABORTED',
  'E_SECRET',
  'E_DIRECTORY_AUTH',
  'E_DIRECTORY_DOWN',
  'E_DIRECTORY_ANSWER',
])

/** Nothing of the library's error is kept but the AADSTS numbers: its text may quote the request. */
function authError(error: unknown): BridgeError {
  const inner = causes(error).find((each) => each instanceof BridgeError)
  const code = codeOf(inner)
  if (inner) return code !== undefined && kept.has(code) ? inner : downError(inner)
  const numbers = stsNumbers(error)
  const hint = numbers.map((number) => signInHints[number]).find((each) => each !== undefined)
  const named = numbers.length > 0 ? ` (${numbers.map((number) => `AADSTS${number}`).join(', ')})` : ''
  return new BridgeError('E_DIRECTORY_AUTH', `the bridge could not sign in to the directory${named}`, {
    hint: hint ?? 'check the credential of this adapter and what the log says of it at start',
  })
}

function causes(error: unknown): unknown[] {
  const chain: unknown[] = []
  for (let each = error; each !== undefined && chain.length < 8; each = each instanceof Error ? each.cause : undefined)
    chain.push(each)
  return chain
}

function stsNumbers(error: unknown): number[] {
  const codes: number[] = []
  for (const each of causes(error)) {
    if (each instanceof AuthenticationError) codes.push(...(each.errorResponse.errorCodes ?? []))
    // MSAL keeps the first of `error_codes` here, as a string.
    const number = z.object({ errorNo: z.coerce.number() }).safeParse(each)
    if (number.success) codes.push(number.data.errorNo)
  }
  return [...new Set(codes)]
}
