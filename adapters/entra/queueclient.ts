import type { IHttpClient, QueueClient } from '@azure/storage-queue'
import { BridgeError } from '../../src/core/errors.ts'
import { parseRetryAfter } from '../../src/lib/backoff.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { pipelineClient } from '../../src/lib/fetchshapes.ts'
import type { PinnedFetch } from '../../src/lib/outbound.ts'
import { live } from '../aborts.ts'
import { answersOf, type Named } from '../answers.ts'
import type { EntraConfig } from './config.ts'
import type { Credential } from './credential.ts'
import { connectionOf, sasOf } from './queueconfig.ts'

export type QueueConfig = NonNullable<EntraConfig['hooks']['queue']>

export interface QueueCalls {
  /**
   * One request of the library. What it says of a failure is not kept: its errors carry the request, and so the key.
   *
   * @throws BridgeError E_DIRECTORY_AUTH, E_DIRECTORY_FORBIDDEN, E_DIRECTORY_REFUSED, E_DIRECTORY_THROTTLED,
   *   E_DIRECTORY_DOWN, E_DIRECTORY_ANSWER, E_SECRET, E_ABORTED
   */
  call<T>(purpose: Named, signal: AbortSignal, work: (client: QueueClient) => Promise<T>): Promise<T>
}

export interface QueueCallsParts {
  readonly config: Pick<QueueConfig, 'url' | 'access'>
  /** Pinned to the origin of the queue. */
  readonly fetch: PinnedFetch
  /** Undefined where no identity signs in. */
  readonly signIn: Credential | undefined
  readonly clock: Pick<Clock, 'now'>
}

const { malformed, transportError } = answersOf('the queue')

/** What the server may take for one request, in its query; ours ends no later. */
const tryTimeoutInMs = 15_000

/**
 * The library with what it would do by itself switched off: it repeats nothing (who drains waits and comes back), tells nobody
 * which machine this is, and lives for one request, so that a secret that was replaced is used at once.
 */
export function openQueueCalls({ config, fetch, signIn, clock }: QueueCallsParts): QueueCalls {
  const { url, access } = config

  return {
    async call(purpose, signal, work) {
      live(signal)
      let answered: Response | undefined
      let failed: { readonly error: unknown } | undefined
      let token: string | undefined
      const noted: PinnedFetch = Object.assign(
        async (...given: Parameters<PinnedFetch>) => {
          answered = undefined
          try {
            answered = await fetch(...given)
            return answered
          } catch (error) {
            failed = { error }
            throw error
          }
        },
        { origins: fetch.origins, limits: fetch.limits },
      )
      const options = { httpClient: httpClient(noted, signal), retryOptions: { maxTries: 1, tryTimeoutInMs } }
      const getToken = async () => {
        try {
          token = await signIn?.token(signal)
        } catch (error) {
          failed = { error }
          throw error
        }
        // Never kept by the library: the credential knows when one is due.
        return token === undefined ? null : { token, expiresOnTimestamp: 0 }
      }
      // Loaded only where there is a queue.
      const { AnonymousCredential, QueueClient, StorageSharedKeyCredential } = await import('@azure/storage-queue')
      const open = () => {
        // The library sends tokens to https only; for a loopback stand-in the client undoes this (lib/fetchshapes.ts).
        if (access.auth === 'entra') return new QueueClient(url.replace(/^http:/, 'https:'), { getToken }, options)
        const known =
          access.auth === 'sas'
            ? { kind: 'sas' as const, sas: sasOf(access.sas.read()) }
            : connectionOf(access.connectionString.read())
        if (known === undefined)
          throw new BridgeError('E_SECRET', 'the connection string of the queue is none any more')
        if (known.kind === 'sas') return new QueueClient(`${url}?${known.sas}`, new AnonymousCredential(), options)
        return new QueueClient(url, new StorageSharedKeyCredential(known.account, known.key), options)
      }
      const client = open()
      try {
        return await work(client)
      } catch {
        live(signal)
        if (failed !== undefined) throw transportError(failed.error, purpose)
        if (answered === undefined || answered.ok) throw malformed(purpose)
        if (answered.status === 401 && token !== undefined) signIn?.refused(token)
        throw refusal(answered, purpose, clock.now())
      }
    },
  }
}

/** The library's own kind of HTTP client, over the one outbound client. */
function httpClient(pinned: PinnedFetch, signal: AbortSignal): IHttpClient {
  const client = pipelineClient(pinned, signal)
  return {
    async sendRequest(request) {
      const { url, method, body, timeout, abortSignal } = request
      // What the library says of the machine stays here: the client names the bridge.
      const named = Object.entries(request.headers.rawHeaders()).filter(([name]) => name.toLowerCase() !== 'user-agent')
      const sent: unknown = body
      const answer = await client.sendRequest({ url, method, headers: named, body: sent, timeout, abortSignal })
      const headers = request.headers.clone()
      for (const name of headers.headerNames()) headers.remove(name)
      for (const [name, value] of answer.headers) headers.set(name, value)
      return { request, status: answer.status, headers, bodyAsText: answer.bodyAsText }
    },
  }
}

const role = 'grant the identity the role Storage Queue Data Message Processor on the queue (docs/adapters/entra.md)'

/** What mends a refusal, by the service's own word (storage and queue service error codes, read 2026-11). */
const mends: Readonly<Record<string, string>> = {
  AuthorizationPermissionMismatch: role,
  InsufficientAccountPermissions: role,
  AuthorizationFailure: 'let the network of the bridge in: networking of the storage account, or a private endpoint',
  AuthenticationFailed:
    'check that the signature or key is of this queue and has not expired, and that the clock here is right',
  InvalidAuthenticationInfo: 'check the credential, and access.audience outside the public cloud',
  NoAuthenticationInformation: 'check access: the queue saw no proof',
  KeyBasedAuthenticationNotPermitted: 'the storage account takes no keys: use access.auth: entra',
  QueueNotFound: 'create the queue, or correct hooks.queue.url',
  ResourceNotFound: 'correct hooks.queue.url',
  AccountIsDisabled: 'enable the storage account',
}

function refusal({ status, headers }: Response, { what }: Named, nowMs: number): BridgeError {
  const told = headers.get('x-ms-error-code') ?? ''
  const word = /^\w{1,80}$/.test(told) ? told : undefined
  const text = `the queue answered ${status}${word === undefined ? '' : ` (${word})`} to ${what}`
  const mend = word === undefined ? undefined : mends[word]
  const hint = mend === undefined ? {} : { hint: mend }
  const retryAfterMs = parseRetryAfter(headers.get('retry-after'), nowMs)
  const later = retryAfterMs === undefined ? {} : { retryAfterMs }
  if (status === 401 || word === 'AuthenticationFailed' || word === 'InvalidAuthenticationInfo')
    return new BridgeError('E_DIRECTORY_AUTH', text, hint)
  if (status === 403) return new BridgeError('E_DIRECTORY_FORBIDDEN', text, hint)
  if (status === 429 || word === 'ServerBusy') return new BridgeError('E_DIRECTORY_THROTTLED', text, later)
  if (status >= 500) return new BridgeError('E_DIRECTORY_DOWN', text, later)
  return new BridgeError('E_DIRECTORY_REFUSED', text, hint)
}
