import { randomUUID } from 'node:crypto'
import { SignJWT } from 'jose'
import { z } from 'zod'
import { BridgeError, codeOf } from '../../src/core/errors.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { PinnedFetch } from '../../src/lib/outbound.ts'
import { live, orAbort } from '../aborts.ts'
import type { ServerTime } from '../servertime.ts'
import type { OktaConfig } from './config.ts'
import { Prover } from './dpop.ts'
import { laterError, malformed, retryAfterOf, transportError, wordOf } from './errors.ts'
import { readKey } from './keys.ts'

/** What signs one request in. */
export interface Signed {
  readonly headers: Readonly<Record<string, string>>
  /** To be named when the org refuses it. */
  readonly token: string
}

export interface Credential {
  /**
   * Headers for one request, made for it alone: never for its repetition.
   * @throws BridgeError E_DIRECTORY_AUTH, E_DIRECTORY_DOWN, E_DIRECTORY_THROTTLED, E_SECRET, E_ABORTED
   */
  sign(request: { method: string; url: string }, signal: AbortSignal): Promise<Signed>
  /** The org does not accept this token: it is not used again. */
  refused(token: string): void
  /** The scopes of the present token; undefined where tokens have none, or before the first. */
  scopes(): readonly string[] | undefined
  /** Client id of the app; undefined for a token of a user. */
  readonly clientId: string | undefined
  close(): void
}

export interface CredentialParts {
  readonly config: Pick<OktaConfig, 'credential' | 'orgUrl'>
  /** What to ask for. Those not granted are left out: the others must go on working. */
  readonly scopes: readonly string[]
  /** Pinned to the org. */
  readonly fetch: PinnedFetch
  readonly clock: Pick<Clock, 'mono'>
  readonly time: ServerTime
}

/** Opens no connection and reads no file. */
export function openCredential(parts: CredentialParts): Credential {
  const { credential } = parts.config
  if (credential.type === 'privateKey') return openPrivateKey(parts, credential)
  return {
    async sign(_request, signal) {
      live(signal)
      const token = credential.token.read()
      return { token, headers: { authorization: `SSWS ${token}` } }
    },
    refused: () => undefined,
    scopes: () => undefined,
    clientId: undefined,
    close: () => undefined,
  }
}

type PrivateKey = Extract<OktaConfig['credential'], { type: 'privateKey' }>

interface Token {
  readonly value: string
  readonly bound: boolean
  readonly scopes: readonly string[]
  /** Monotonic. */
  readonly refreshAt: number
  readonly endsAt: number
}

/** A token is renewed this long before it expires. */
const MARGIN_MS = 5 * 60_000
/** Nothing is signed with a token that may end on the way. */
const LAST_MS = 30_000
/** Okta takes an hour at most; a clock that is minutes off still fits. */
const ASSERTION_S = 300
const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
/** Assertions are made anew when the org's clock turns out to be this far from ours. */
const MAX_SKEW_MS = 60_000
const MAX_STEPS = 6
const purpose = { what: 'signing in' }

/** A scope that is not known, or none that was granted. */
const ungranted = new Set(['invalid_scope', 'consent_required'])

const issued = z.object({
  access_token: z.string().min(1),
  token_type: z
    .string()
    .toLowerCase()
    .pipe(z.enum(['bearer', 'dpop'])),
  expires_in: z.number().positive(),
  scope: z.string().optional(),
})

function openPrivateKey(parts: CredentialParts, credential: PrivateKey): Credential {
  const { clock, time, fetch } = parts
  const { clientId } = credential
  const url = `${parts.config.orgUrl}/oauth2/v1/token`
  const closed = new AbortController()
  const prover = new Prover(time)
  let bound = credential.dpop === 'always'
  let nonce: string | undefined
  let token: Token | undefined
  let inFlight: Promise<Token> | undefined
  /** The org named a time before which asking again is only one more that is too many. */
  let throttledUntil = Number.NEGATIVE_INFINITY

  const assertion = async (): Promise<string> => {
    const key = readKey(credential.key.read())
    if (!key) throw authError('the private key of the bridge cannot be read', 'give a private JWK or a PKCS#8 PEM')
    const kid = credential.keyId ?? key.keyId
    const now = Math.floor(time.now() / 1000)
    return new SignJWT({ jti: randomUUID() })
      .setProtectedHeader({ alg: key.algorithm, ...(kid === undefined ? {} : { kid }) })
      .setIssuer(clientId)
      .setSubject(clientId)
      .setAudience(url)
      .setIssuedAt(now)
      .setExpirationTime(now + ASSERTION_S)
      .sign(key.key)
  }

  const post = async (scopes: readonly string[]): Promise<Response> => {
    const body = new URLSearchParams({
      grant_type: 'client_credentials',
      scope: scopes.join(' '),
      client_assertion_type: ASSERTION_TYPE,
      client_assertion: await assertion(),
    })
    const proof: Record<string, string> = bound ? { dpop: await prover.proof({ method: 'POST', url, nonce }) } : {}
    const headers = { accept: 'application/json', ...proof }
    try {
      const response = await fetch(url, { method: 'POST', headers, body, signal: closed.signal })
      time.note(response.headers)
      nonce = response.headers.get('dpop-nonce') ?? nonce
      return response
    } catch (error) {
      throw codeOf(error) === 'E_ABORTED' ? error : transportError(error, purpose)
    }
  }

  /** One token, through what the org may ask for on the way: a proof, its nonce, the right time. */
  const ask = async (scopes: readonly string[]): Promise<Token | { readonly refused: BridgeError; word?: string }> => {
    for (let step = 0; ; step++) {
      const before = { bound, nonce, skewMs: time.skewMs() ?? 0 }
      const response = await post(scopes)
      const body = await jsonOf(response)
      if (response.ok) return taken(body)
      const word = wordOf(body)
      const again = step < MAX_STEPS && moved(word, before)
      if (again) continue
      const error = signInError(response, word, credential.dpop, time.now())
      return word === undefined ? { refused: error } : { refused: error, word }
    }
  }

  /** Whether the refusal told something that makes the next request another one. */
  const moved = (word: string | undefined, before: { bound: boolean; nonce?: string | undefined; skewMs: number }) => {
    const wantsProof = word === 'use_dpop_nonce' || word === 'invalid_dpop_proof'
    if (wantsProof && !bound && credential.dpop === 'auto') {
      bound = true
      return true
    }
    if (wantsProof && nonce !== before.nonce) return true
    return word === 'invalid_client' && Math.abs((time.skewMs() ?? 0) - before.skewMs) > MAX_SKEW_MS
  }

  const taken = (body: unknown): Token => {
    const parsed = issued.safeParse(body)
    if (!parsed.success) throw malformed(purpose)
    const { access_token: value, token_type: type, expires_in: seconds, scope } = parsed.data
    if (bound && type !== 'dpop') {
      throw authError('the org gave a token that is not bound to the key of the bridge', 'set credential.dpop to never')
    }
    const lifetimeMs = seconds * 1000
    return {
      value,
      bound: type === 'dpop',
      scopes: scope?.split(' ').filter(Boolean) ?? [],
      refreshAt: clock.mono() + Math.max(lifetimeMs / 2, lifetimeMs - MARGIN_MS),
      endsAt: clock.mono() + lifetimeMs - LAST_MS,
    }
  }

  /** One scope that is not granted refuses them all, so then each is asked for alone, and those granted together. */
  const renew = async (): Promise<Token> => {
    const all = await ask(parts.scopes)
    if (!('refused' in all)) return all
    if (!ungranted.has(all.word ?? '')) throw all.refused
    const granted: string[] = []
    for (const scope of parts.scopes) {
      const one = await ask([scope])
      if (!('refused' in one)) granted.push(scope)
      else if (!ungranted.has(one.word ?? '')) throw one.refused
    }
    if (granted.length === 0) throw all.refused
    const some = await ask(granted)
    if ('refused' in some) throw some.refused
    return some
  }

  const renewed = async (): Promise<Token> => {
    const waitMs = throttledUntil - clock.mono()
    if (waitMs > 0) throw laterError('signing in', waitMs)
    try {
      token = await renew()
      return token
    } catch (error) {
      const told = error instanceof BridgeError && error.code === 'E_DIRECTORY_THROTTLED' ? error.retryAfterMs : 0
      throttledUntil = clock.mono() + (told ?? 0)
      throw error
    }
  }

  const fresh = (signal: AbortSignal): Promise<Token> => {
    inFlight ??= renewed().finally(() => {
      inFlight = undefined
    })
    // Shared: one caller giving up must not end it for the others.
    return orAbort(inFlight, signal)
  }

  /** The present token, renewed when it is time; where that fails, the one that still holds. */
  const usable = async (signal: AbortSignal): Promise<Token> => {
    if (token && clock.mono() < token.refreshAt) return token
    try {
      return await fresh(signal)
    } catch (error) {
      live(signal)
      if (token && clock.mono() < token.endsAt) return token
      throw error
    }
  }

  return {
    clientId,
    async sign({ method, url: target }, signal) {
      live(signal)
      const { value, bound: isBound } = await usable(signal)
      if (!isBound) return { token: value, headers: { authorization: `Bearer ${value}` } }
      const dpop = await prover.proof({ method, url: target, token: value })
      return { token: value, headers: { authorization: `DPoP ${value}`, dpop } }
    },
    refused(value) {
      if (token?.value === value) token = undefined
    },
    scopes: () => token?.scopes,
    close: () => closed.abort(),
  }
}

export async function jsonOf(response: Response): Promise<unknown> {
  const text = await response.text()
  try {
    return text === '' ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}

const authError = (text: string, hint: string): BridgeError => new BridgeError('E_DIRECTORY_AUTH', text, { hint })

const hints: Readonly<Record<string, string>> = {
  invalid_client:
    'check clientId, that the public key is registered with the app under this keyId, and that the app is active',
  invalid_scope: 'a super administrator must grant the scopes to the app: docs/adapters/okta.md lists them',
  consent_required: 'a super administrator must grant the scopes to the app: docs/adapters/okta.md lists them',
  unauthorized_client: 'the app must be of type API Services, with client authentication by public key',
  access_denied: 'assign an admin role to the app: docs/adapters/okta.md describes one',
}

function signInError(
  response: Response,
  word: string | undefined,
  dpop: PrivateKey['dpop'],
  nowMs: number,
): BridgeError {
  const { status, headers } = response
  if (status === 429) {
    const retryAfterMs = retryAfterOf({ headers }, nowMs)
    return new BridgeError('E_DIRECTORY_THROTTLED', 'Okta answered 429 to signing in', { retryAfterMs })
  }
  if (status >= 500) return new BridgeError('E_DIRECTORY_DOWN', `Okta answered ${status} to signing in`)
  const named = word === undefined ? `${status}` : `${status}, ${word}`
  const demands = word === 'invalid_dpop_proof' || word === 'use_dpop_nonce'
  const hint =
    demands && dpop === 'never'
      ? 'the app demands bound tokens (DPoP): set credential.dpop to auto'
      : (hints[word ?? ''] ?? 'check the credential of this adapter and the app of the bridge in the org')
  return authError(`the bridge could not sign in to the org (${named})`, hint)
}
