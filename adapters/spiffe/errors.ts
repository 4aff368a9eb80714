import { type ServiceError, status } from '@grpc/grpc-js'
import { BridgeError, type ErrorCode } from '../../src/core/errors.ts'
import { answersOf, type Named } from '../answers.ts'

/** What a call was for. */
export interface Purpose extends Named {
  /** What the bridge must be allowed to do for it. */
  readonly right: string
}

const admin = 'the rights of an administrator of the server'
export const purposes = {
  listEntries: { what: 'listing entries', right: admin },
  updateEntries: { what: 'changing entries', right: admin },
  listAgents: { what: 'listing banned agents', right: admin },
  getBundle: { what: 'reading the bundle', right: 'nothing: anyone may' },
  getFederated: { what: 'reading a federated bundle', right: admin },
  ownSvid: { what: 'fetching the SVID of the bridge', right: 'a registration entry of its own' },
} as const satisfies Readonly<Record<string, Purpose>>

export const { malformed, parse, transportError } = answersOf('SPIRE')

const codes: Readonly<Partial<Record<status, ErrorCode>>> = {
  [status.UNAUTHENTICATED]: 'E_DIRECTORY_AUTH',
  [status.PERMISSION_DENIED]: 'E_DIRECTORY_FORBIDDEN',
  [status.RESOURCE_EXHAUSTED]: 'E_DIRECTORY_THROTTLED',
  [status.INVALID_ARGUMENT]: 'E_DIRECTORY_REFUSED',
  [status.NOT_FOUND]: 'E_DIRECTORY_REFUSED',
  [status.ALREADY_EXISTS]: 'E_DIRECTORY_REFUSED',
  [status.FAILED_PRECONDITION]: 'E_DIRECTORY_REFUSED',
  [status.OUT_OF_RANGE]: 'E_DIRECTORY_ANSWER',
  [status.UNIMPLEMENTED]: 'E_DIRECTORY_REFUSED',
}

/** Answers that prove that nothing was changed. Of all others it cannot be told. */
const REFUSALS: ReadonlySet<status> = new Set([
  status.UNAUTHENTICATED,
  status.PERMISSION_DENIED,
  status.RESOURCE_EXHAUSTED,
  status.INVALID_ARGUMENT,
  status.NOT_FOUND,
  status.FAILED_PRECONDITION,
  status.UNIMPLEMENTED,
])

const RETRY_MS = 1000

/** A failed call, with the status by which gRPC tells it. */
export class CallError extends BridgeError {
  readonly grpc: status
  constructor(grpc: status, code: ErrorCode, text: string, options: ConstructorParameters<typeof BridgeError>[2]) {
    super(code, text, options)
    this.grpc = grpc
  }
}

/** A status of a call, or of one item of a batch. What the server says beside it may quote an entry, and is not kept. */
export function statusError(code: status, { what, right }: Purpose): CallError {
  const text = `SPIRE answered ${code} (${status[code] ?? 'unknown'}) to ${what}`
  return new CallError(code, codes[code] ?? 'E_DIRECTORY_DOWN', text, {
    ...(code === status.RESOURCE_EXHAUSTED && { retryAfterMs: RETRY_MS }),
    ...(code === status.PERMISSION_DENIED && {
      hint: `give the bridge ${right}: list its SPIFFE ID in admin_ids of the server, or let it use the server's socket (docs/adapters/spiffe.md)`,
    }),
    ...(code === status.UNAVAILABLE && {
      hint: 'see that the server runs at the configured address and has the configured SPIFFE ID: a wrong identity looks the same',
    }),
  })
}

export const isServiceError = (error: unknown): error is ServiceError =>
  error instanceof Error && 'code' in error && typeof error.code === 'number' && 'details' in error

export const wasRefused = (error: BridgeError): boolean => error instanceof CallError && REFUSALS.has(error.grpc)

export const asBridgeError = (error: unknown): BridgeError =>
  error instanceof BridgeError ? error : new BridgeError('E_BUG', 'a call of SPIRE failed', { cause: error })
