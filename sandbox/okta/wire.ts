import type { Answer } from '../faults.ts'
import { type Actor, type Origin, throughOf } from './actors.ts'
import type { Rights } from './rights.ts'

/** An answer with its `Link` headers, each of which is a header line of its own. */
export interface LinkedAnswer extends Answer {
  readonly links?: readonly Link[]
}

export interface Link {
  readonly rel: 'self' | 'next'
  readonly url: string
}

/** One call of the management API whose caller is known. */
export interface Call {
  readonly method: string
  /** With query, as sent. */
  readonly path: string
  readonly segments: readonly string[]
  readonly search: URLSearchParams
  readonly header: (name: string) => string | undefined
  readonly text: string
  readonly body: unknown
  readonly requestId: string
  readonly caller: Caller
}

export interface Caller {
  readonly actor: Actor
  /** Client id or token id: what quotas are counted by. */
  readonly principal: string
  /** Undefined for an API token, which has all that its owner may do. */
  readonly scopes: ReadonlySet<string> | undefined
  readonly rights: Rights
  /** Id of the API token, where one was used. */
  readonly token: string | undefined
}

export function ok(body?: unknown): LinkedAnswer {
  return { status: 200, headers: {}, ...(body === undefined ? {} : { body }) }
}

export const noContent: LinkedAnswer = { status: 204, headers: {} }

export function iso(ms: number): string {
  return new Date(ms).toISOString()
}

export function isoOrNull(ms: number | undefined): string | null {
  return ms === undefined ? null : iso(ms)
}

/** Path and query of a request; undefined when its escapes are broken. */
export function split(path: string): { segments: string[]; search: URLSearchParams } | undefined {
  const mark = path.indexOf('?')
  const pathname = mark < 0 ? path : path.slice(0, mark)
  try {
    const segments = pathname.split('/').filter((part) => part !== '')
    return {
      segments: segments.map((part) => decodeURIComponent(part)),
      search: new URLSearchParams(mark < 0 ? '' : path.slice(mark + 1)),
    }
  } catch {
    return undefined
  }
}

/** Who made the call, and through what, for the log. */
export function originOf(call: Call): Origin {
  const { actor, principal, token } = call.caller
  const clientId = actor.type === 'PublicClientApp' ? principal : undefined
  return { actor, through: throughOf(call, call.requestId, { clientId, apiTokenId: token }) }
}
