import type { Answer } from '../faults.ts'
import { oktaId } from './ids.ts'

/** Codes of the management API with their status and words, from the vendor's error table (2026-11). */
const table = {
  E0000001: [400, 'Api validation failed: {0}'],
  E0000003: [400, 'The request body was not well-formed.'],
  E0000006: [403, 'You do not have permission to perform the requested action'],
  E0000007: [404, 'Not found: Resource not found: {0}'],
  E0000008: [404, 'The requested path was not found'],
  E0000009: [500, 'Internal Server Error'],
  E0000010: [503, 'Service is in read only mode'],
  E0000011: [401, 'Invalid token provided'],
  E0000016: [403, 'Activation failed because the user is already active'],
  E0000021: [400, 'Bad request.  Accept and/or Content-Type headers likely do not match supported values.'],
  E0000022: [405, 'The endpoint does not support the provided HTTP method'],
  E0000029: [400, 'Invalid paging request.'],
  E0000030: [
    400,
    "Bad request. Invalid date. Dates must be of the form yyyy-MM-dd'T'HH:mm:ss.SSSZZ, e.g. 2013-01-01T12:00:00.000-07:00.",
  ],
  E0000031: [400, 'Invalid search criteria.'],
  E0000032: [403, 'Unlock is not allowed for this user.'],
  E0000033: [400, "Bad request. Can't specify a search query and filter in the same request."],
  E0000038: [403, "This operation is not allowed in the user's current status."],
  E0000047: [429, 'API call exceeded rate limit due to too many requests.'],
  E0000094: [400, 'The provided filter is unsupported.'],
  E0000111: [403, 'Cannot modify the {0} object because it is read-only.'],
  E0000112: [409, 'Cannot update this user because they are still being activated. Please try again in a few minutes.'],
} as const satisfies Readonly<Record<string, readonly [number, string]>>

export type ErrorCode = keyof typeof table

/** A refusal on its way to the caller as the API's error document. */
export class Refusal extends Error {
  readonly status: number
  readonly code: string
  readonly causes: readonly string[]
  readonly headers: Readonly<Record<string, string>>

  constructor(
    code: ErrorCode,
    {
      about = '',
      causes = [],
      headers = {},
    }: { about?: string; causes?: readonly string[]; headers?: Readonly<Record<string, string>> } = {},
  ) {
    const [status, summary] = table[code]
    super(summary.replace('{0}', about))
    this.status = status
    this.code = code
    this.causes = causes
    this.headers = headers
  }
}

/** `about` names the call or field, `cause` says what is wrong with it. */
export function invalid(about: string, cause: string): Refusal {
  return new Refusal('E0000001', { about, causes: [cause] })
}

export function notFound(id: string, type: string): Refusal {
  return new Refusal('E0000007', { about: `${id} (${type})` })
}

export function errorBody(code: string, summary: string, causes: readonly string[]): Record<string, unknown> {
  return {
    errorCode: code,
    errorSummary: summary,
    errorLink: code,
    errorId: oktaId('oae', undefined, 22),
    errorCauses: causes.map((errorSummary) => ({ errorSummary })),
  }
}

export function refusalAnswer({ status, code, message, causes, headers }: Refusal): Answer {
  return { status, headers, body: errorBody(code, message, causes) }
}

/** What the service says when it fails by itself, by status; for faults on the wire. */
export function codeOf(status: number): ErrorCode | undefined {
  if (status === 429) return 'E0000047'
  if (status === 503) return 'E0000010'
  if (status === 500) return 'E0000009'
  const found = Object.entries(table).find(([, [own]]) => own === status)?.[0]
  return found !== undefined && isCode(found) ? found : undefined
}

function isCode(text: string): text is ErrorCode {
  return Object.hasOwn(table, text)
}
