import type { LegReason, LegState, ReceiptStatus } from '../core/receipts.ts'
import type { Severity } from '../core/types.ts'
import type { SigningJwk } from '../lib/jws.ts'
import type { Caller } from './agentapi.ts'

/** A receipt as it is signed: JSON, times in RFC 3339. */

export interface AccountLeg {
  readonly type: 'account'
  readonly adapter: string
  readonly id: string
  /** Tenant, org or trust domain of the adapter; null when it is not configured any more. */
  readonly realm: string | null
  readonly state: LegState
  readonly reason: LegReason
  readonly error: string | null
  /** When the directory last acknowledged our disable. */
  readonly answeredAt: string | null
  /** Begin of the read by id that closed it. */
  readonly closedAt: string | null
  /** Begin of the reading that showed it on again after that. */
  readonly reopenedAt: string | null
  /** Sessions from before it was off may go on until then; null: no longer than a token lives, or it is not closed. */
  readonly sessionsEndAt: string | null
  /** The rest is of the present, and null once the hold is released. */
  readonly observed: string | null
  readonly observedAt: string | null
  readonly attempts: number | null
  /** When the bridge looks at it next. */
  readonly nextAt: string | null
}

export interface RuntimeLeg {
  readonly type: 'runtime'
  readonly client: string
  readonly state: LegState
  readonly reason: LegReason
  readonly closedAt: string | null
}

export interface DescendantLeg {
  readonly type: 'descendant'
  readonly did: string
  /** Its cascade hold, which has a receipt of its own. */
  readonly holdId: string
  readonly state: LegState
  readonly legs: number
  readonly closed: number
  /** When the last of its legs was closed; null while one is not. */
  readonly closedAt: string | null
}

export type Leg = AccountLeg | RuntimeLeg | DescendantLeg

export interface Receipt {
  readonly version: 1
  readonly iss: string
  /** Seconds since 1970 (RFC 7519 §4.1.6). */
  readonly iat: number
  readonly did: string
  /** False: nobody registered the DID yet, so nothing is known of its accounts. */
  readonly known: boolean
  readonly hold: {
    readonly id: string
    readonly origin: string
    readonly severity: Severity
    readonly guarded: boolean
    readonly placedAt: string
    readonly releasableAt: string | null
    readonly releasedAt: string | null
  }
  readonly status: ReceiptStatus
  readonly legs: readonly Leg[]
  /** Every leg by state, descendants that are not listed included. */
  readonly counts: Readonly<Record<LegState, number>>
  /** `examined` of `total` were looked at, `listed` of those are among the legs. */
  readonly descendants: { readonly total: number; readonly examined: number; readonly listed: number }
  /** Head of the audit chain before the receipt was put together. */
  readonly audit: { readonly seq: number; readonly hash: string }
}

export interface SignedReceipt {
  readonly receipt: Receipt
  /** Compact JWS over the canonical JSON of the receipt; undefined: no signing key is configured. */
  readonly jws: string | undefined
}

export interface Receipts {
  /** @throws BridgeError E_HOLD_UNKNOWN, E_NOT_FOUND (past retention), E_SIGNING_KEY */
  receipt(did: string, holdId: string, caller: Caller): Promise<SignedReceipt>
  /** The public keys that receipts and audit heads are signed with, the present one first. */
  signingKeys(): Promise<readonly SigningJwk[]>
}
