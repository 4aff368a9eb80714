/**
 * Failures of the bridge: one class, one table. A *refusal* (`R_*`, a correct "no") is a value in a decision and never
 * an error; see `decide.ts`.
 *
 * `act` says who must mend it, `retry` whether the same call may succeed later, `status` is the HTTP answer and `exit`
 * the exit code of the command line (sysexits.h numbers, DESIGN §8).
 */
export const errorTable = {
  E_CONFIG: { act: 'operator', retry: false, status: 500, exit: 78 },
  E_SECRET: { act: 'operator', retry: false, status: 500, exit: 78 },
  E_SIGNING_KEY: { act: 'operator', retry: false, status: 500, exit: 78 },
  E_ADAPTER_MOVED: { act: 'operator', retry: false, status: 500, exit: 78 },
  E_STORE_NEWER: { act: 'operator', retry: false, status: 500, exit: 78 },
  E_STORE_URL: { act: 'operator', retry: false, status: 500, exit: 78 },
  E_STORE_NETWORK_FS: { act: 'operator', retry: false, status: 500, exit: 78 },
  E_STORE_LOCKED: { act: 'operator', retry: true, status: 503, exit: 75 },
  E_LEASE_LOST: { act: 'operator', retry: true, status: 503, exit: 75 },
  E_STORE: { act: 'operator', retry: true, status: 503, exit: 70 },
  E_STORE_FULL: { act: 'operator', retry: true, status: 503, exit: 75 },
  E_STORE_READONLY: { act: 'operator', retry: true, status: 503, exit: 78 },
  E_STORE_CORRUPT: { act: 'operator', retry: false, status: 503, exit: 70 },
  E_CHAIN_BROKEN: { act: 'operator', retry: false, status: 500, exit: 70 },
  E_BUG: { act: 'developer', retry: false, status: 500, exit: 70 },
  E_USAGE: { act: 'caller', retry: false, status: 400, exit: 64 },
  E_UNREACHABLE: { act: 'caller', retry: true, status: 503, exit: 69 },

  E_UNAUTHENTICATED: { act: 'caller', retry: false, status: 401, exit: 77 },
  E_FORBIDDEN: { act: 'caller', retry: false, status: 403, exit: 77 },
  E_SAME_PERSON: { act: 'caller', retry: false, status: 403, exit: 77 },
  E_VALIDATION: { act: 'caller', retry: false, status: 400, exit: 64 },
  E_JSON: { act: 'caller', retry: false, status: 400, exit: 64 },
  E_DID: { act: 'caller', retry: false, status: 400, exit: 64 },
  E_TOO_LARGE: { act: 'caller', retry: false, status: 413, exit: 64 },
  E_MEDIA_TYPE: { act: 'caller', retry: false, status: 415, exit: 64 },
  E_NOT_FOUND: { act: 'caller', retry: false, status: 404, exit: 64 },
  E_METHOD: { act: 'caller', retry: false, status: 405, exit: 64 },
  E_NO_PASSPORTS: { act: 'operator', retry: false, status: 410, exit: 78 },
  E_NOT_IMPLEMENTED: { act: 'caller', retry: false, status: 501, exit: 64 },
  E_AGENT_UNKNOWN: { act: 'caller', retry: false, status: 404, exit: 64 },
  E_HOLD_UNKNOWN: { act: 'caller', retry: false, status: 404, exit: 64 },
  E_RELEASE_UNKNOWN: { act: 'caller', retry: false, status: 404, exit: 64 },
  E_ADAPTER_UNKNOWN: { act: 'caller', retry: false, status: 422, exit: 64 },
  E_KIND_REFUSED: { act: 'caller', retry: false, status: 422, exit: 64 },
  E_NEVER: { act: 'caller', retry: false, status: 422, exit: 64 },
  E_PRINCIPAL_ID: { act: 'caller', retry: false, status: 422, exit: 64 },
  E_NOT_SWITCHABLE: { act: 'caller', retry: false, status: 422, exit: 64 },
  E_PRINCIPAL_ABSENT: { act: 'caller', retry: false, status: 422, exit: 64 },
  E_PRINCIPAL_TAKEN: { act: 'caller', retry: false, status: 409, exit: 64 },
  E_PARENT: { act: 'caller', retry: false, status: 422, exit: 64 },
  E_CYCLE: { act: 'caller', retry: false, status: 422, exit: 64 },
  E_BLUEPRINT_UNKNOWN: { act: 'caller', retry: false, status: 422, exit: 64 },
  E_BLUEPRINT_CONFIG: { act: 'caller', retry: false, status: 409, exit: 64 },
  E_BLUEPRINT_USED: { act: 'caller', retry: false, status: 409, exit: 64 },
  E_TOOLSERVER_CONFIG: { act: 'caller', retry: false, status: 409, exit: 64 },
  E_TOOLSERVER_RESOURCE: { act: 'caller', retry: false, status: 409, exit: 64 },
  E_SPONSOR: { act: 'caller', retry: false, status: 422, exit: 64 },
  E_ACCESS_POLICY: { act: 'caller', retry: false, status: 422, exit: 64 },
  E_WIDENING: { act: 'caller', retry: false, status: 422, exit: 64 },
  E_DEPTH: { act: 'caller', retry: false, status: 422, exit: 64 },
  E_DELEGATION_PROOF: { act: 'caller', retry: false, status: 422, exit: 64 },
  E_CAPABILITY: { act: 'caller', retry: false, status: 422, exit: 64 },
  E_KEY: { act: 'caller', retry: false, status: 422, exit: 64 },
  E_ALIAS: { act: 'caller', retry: false, status: 422, exit: 64 },
  E_HELD: { act: 'caller', retry: false, status: 409, exit: 64 },
  E_REFUSED: { act: 'caller', retry: true, status: 409, exit: 64 },
  E_DECOMMISSIONED: { act: 'caller', retry: false, status: 409, exit: 64 },
  E_EXISTS: { act: 'caller', retry: false, status: 409, exit: 64 },
  E_IMPORT_STATE: { act: 'caller', retry: false, status: 409, exit: 64 },
  E_REVISION: { act: 'caller', retry: false, status: 412, exit: 64 },
  E_ALREADY_RELEASED: { act: 'caller', retry: false, status: 409, exit: 64 },
  E_NOT_RELEASABLE: { act: 'caller', retry: false, status: 409, exit: 64 },
  E_IDEMPOTENCY_BODY: { act: 'caller', retry: false, status: 422, exit: 64 },
  E_IDEMPOTENCY_RELEASED: { act: 'caller', retry: false, status: 409, exit: 64 },
  E_RATE: { act: 'caller', retry: true, status: 429, exit: 75 },
  E_BUDGET: { act: 'caller', retry: true, status: 429, exit: 75 },
  E_GUARD_PLAN: { act: 'caller', retry: false, status: 409, exit: 64 },
  E_SHUTTING_DOWN: { act: 'caller', retry: true, status: 503, exit: 75 },

  E_HOOK_UNVERIFIED: { act: 'caller', retry: false, status: 401, exit: 77 },
  E_HOOK_CANNOT_CHECK: { act: 'operator', retry: true, status: 503, exit: 75 },
  E_HOOK_UNREACHABLE: { act: 'operator', retry: true, status: 502, exit: 75 },
  E_HOOK_BODY: { act: 'caller', retry: false, status: 400, exit: 64 },

  E_OUTBOUND_ORIGIN: { act: 'operator', retry: false, status: 502, exit: 70 },
  E_OUTBOUND_TIMEOUT: { act: 'operator', retry: true, status: 503, exit: 75 },
  E_OUTBOUND_BODY: { act: 'operator', retry: true, status: 502, exit: 70 },
  E_OUTBOUND_NETWORK: { act: 'operator', retry: true, status: 503, exit: 75 },
  E_OUTBOUND_REDIRECT: { act: 'operator', retry: false, status: 502, exit: 70 },
  E_ABORTED: { act: 'caller', retry: true, status: 503, exit: 75 },

  E_DIRECTORY_AUTH: { act: 'operator', retry: true, status: 503, exit: 77 },
  E_DIRECTORY_FORBIDDEN: { act: 'operator', retry: true, status: 503, exit: 77 },
  E_DIRECTORY_THROTTLED: { act: 'operator', retry: true, status: 503, exit: 75 },
  E_DIRECTORY_DOWN: { act: 'operator', retry: true, status: 503, exit: 75 },
  E_DIRECTORY_ANSWER: { act: 'operator', retry: true, status: 502, exit: 70 },
  E_LOG_LATE: { act: 'operator', retry: true, status: 503, exit: 75 },
  E_DIRECTORY_REFUSED: { act: 'operator', retry: true, status: 502, exit: 70 },
  E_CHECKPOINT_EXPIRED: { act: 'operator', retry: true, status: 503, exit: 75 },
  E_REPLICA_LARGE: { act: 'operator', retry: false, status: 500, exit: 78 },
  E_JWKS_DOWN: { act: 'operator', retry: true, status: 503, exit: 75 },
} as const

export type ErrorCode = keyof typeof errorTable

export interface ErrorOptions {
  cause?: unknown
  /** The next thing to do, as one sentence or command. Shown to operators and to API callers; never carries a secret. */
  hint?: string
  /** Safe, structured detail for the caller, e.g. `[{ pointer, code }]`. */
  details?: unknown
  retryAfterMs?: number
}

/** The one failure class. `message` is one safe sentence for callers; the `cause` is for logs only. */
export class BridgeError extends Error {
  readonly code: ErrorCode
  readonly hint: string | undefined
  readonly details: unknown
  readonly retryAfterMs: number | undefined

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'BridgeError'
    this.code = code
    this.hint = options.hint
    this.details = options.details
    this.retryAfterMs = options.retryAfterMs
  }

  get status(): number {
    return errorTable[this.code].status
  }

  get exit(): number {
    return errorTable[this.code].exit
  }

  get retry(): boolean {
    return errorTable[this.code].retry
  }
}

/** The code of any thrown value; an unknown one is a bug. */
export const codeOf = (error: unknown): ErrorCode => (error instanceof BridgeError ? error.code : 'E_BUG')

/** The exit code that any thrown value ends the process with. */
export const exitOf = (error: unknown): number => errorTable[codeOf(error)].exit
