import { status } from '@grpc/grpc-js'
import { BridgeError } from '../../src/core/errors.ts'
import { answersOf } from '../answers.ts'
import { CallError, type Purpose } from '../grpc.ts'

const spire = {
  of: 'SPIRE',
  forbidden:
    "give the bridge the rights of an administrator of the server: list its SPIFFE ID in admin_ids of the server, or let it use the server's socket (docs/adapters/spiffe.md)",
  down: 'see that the server runs at the configured address and has the configured SPIFFE ID: a wrong identity looks the same',
}
export const purposes = {
  listEntries: { ...spire, what: 'listing entries' },
  updateEntries: { ...spire, what: 'changing entries' },
  listAgents: { ...spire, what: 'listing banned agents' },
  getBundle: { ...spire, what: 'reading the bundle' },
  getFederated: { ...spire, what: 'reading a federated bundle' },
} as const satisfies Readonly<Record<string, Purpose>>

export const { malformed, parse, transportError } = answersOf('SPIRE')

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

export const wasRefused = (error: BridgeError): boolean => error instanceof CallError && REFUSALS.has(error.grpc)

export const asBridgeError = (error: unknown): BridgeError =>
  error instanceof BridgeError ? error : new BridgeError('E_BUG', 'a call of SPIRE failed', { cause: error })
