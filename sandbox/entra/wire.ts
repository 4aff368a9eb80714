import type { Answer } from '../faults.ts'

export type { Answer } from '../faults.ts'

/** One Graph request as the routes see it: from the socket or out of a `$batch`. */
export interface Call {
  readonly method: string
  /** Below the version root, starting with a slash, query included, as sent. */
  readonly path: string
  readonly segments: readonly string[]
  readonly search: URLSearchParams
  readonly header: (name: string) => string | undefined
  readonly body: unknown
  readonly caller: Caller
}

export interface Caller {
  readonly appId: string
  /** Object id of the caller's service principal. */
  readonly oid: string
  readonly roles: ReadonlySet<string>
}

/** A refusal on its way to the caller as an OData error document. */
export class Refusal extends Error {
  readonly status: number
  readonly code: string
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, code: string, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message)
    this.status = status
    this.code = code
    this.headers = headers
  }
}

export function badRequest(message: string): Refusal {
  return new Refusal(400, 'Request_BadRequest', message)
}

export function unsupported(message: string): Refusal {
  return new Refusal(400, 'Request_UnsupportedQuery', message)
}

export function notFound(id: string): Refusal {
  return new Refusal(
    404,
    'Request_ResourceNotFound',
    `Resource '${id}' does not exist or one of its queried reference-property objects are not present.`,
  )
}

export function denied(): Refusal {
  return new Refusal(403, 'Authorization_RequestDenied', 'Insufficient privileges to complete the operation.')
}

export function noSegment(segment: string | undefined): Refusal {
  return new Refusal(400, 'BadRequest', `Resource not found for the segment '${segment ?? ''}'.`)
}

export function ok(body: unknown, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status: 200, headers, body }
}

/** The error document of Graph, for a refusal. */
export function refusalAnswer(
  refusal: Refusal,
  ids: { requestId: string; clientRequestId: string },
  at: number,
): Answer {
  return {
    status: refusal.status,
    headers: refusal.headers,
    body: {
      error: {
        code: refusal.code,
        message: refusal.message,
        innerError: {
          date: new Date(at).toISOString().slice(0, 19),
          'request-id': ids.requestId,
          'client-request-id': ids.clientRequestId,
        },
      },
    },
  }
}
