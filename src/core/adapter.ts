import type { KeyObject } from 'node:crypto'
import type { Callers } from './caller.ts'
import type { Discovery } from './discovery.ts'
import type { Doctor } from './doctor.ts'
import type { BridgeError } from './errors.ts'
import type { HookQueue } from './hookqueue.ts'
import type { Tending } from './tending.ts'
import type { MirrorMode, PrincipalId, Sighting } from './types.ts'

/** A principal as its directory needs to know it: the kind decides which call reads or writes it. */
export interface PrincipalRef {
  readonly id: PrincipalId
  readonly kind: string
}

/** Opaque place to resume a change feed; stored as given. */
export type Checkpoint = string

/** One page of a change feed. The last page of a pass, and only that one, carries `checkpoint`. */
export interface Page {
  readonly sightings: readonly Sighting[]
  /**
   * Ids to re-read by id: of principals of which the feed says that something changed but not what (a removed row, a row
   * without its state), and of objects that sightings name as `dependsOn`, for every principal that depends on one.
   */
  readonly touched: readonly string[]
  readonly checkpoint: Checkpoint | undefined
}

/** Adapter-neutral fetch of a pinned origin: see `lib/outbound.ts`. */
export type PinnedFetch = (url: string, init?: RequestInit) => Promise<Response>

/** Verification keys that are had in some other way than by fetching a key set. */
export interface IssuerKeys {
  /**
   * The public key for one token header, or undefined when the issuer has none: the same object for as long as it has it.
   *
   * @throws BridgeError E_JWKS_DOWN when that cannot be told now
   */
  key(header: { readonly alg: string; readonly kid: string }, issuer: string): Promise<KeyObject | undefined>
  /** While it is the same object, so is the answer of `key`. Undefined while that has to be asked. */
  version(): object | undefined
  /**
   * The public keys in force as JSON Web Keys, for others to verify by: the same object for as long as they are the same.
   * Undefined while that cannot be told. Waits for nothing; what is due to be read is read meanwhile.
   */
  published(): readonly Claims[] | undefined
}

/** One token issuer with everything that is pinned for it (DESIGN §5). */
export interface Issuer {
  /** Exact `iss`. */
  readonly issuer: string
  /**
   * `sub`: tokens name this issuer by scheme and authority of the URI in `sub`, with whatever `iss` or none. An `iss` that
   * names another configured issuer goes first.
   */
  readonly namedBy?: 'sub'
  /** Accepted `aud` values; at least one must be in the token. */
  readonly audiences: readonly string[]
  /** Allowed `alg` header values; asymmetric only. */
  readonly algorithms: readonly string[]
  readonly jwksUri: string
  readonly fetch: PinnedFetch
  /** Where the keys come from when it is no key set that can be fetched: `jwksUri` then only names them. */
  readonly keys?: IssuerKeys
  /** Names that a header may have; undefined: any. */
  readonly headers?: readonly string[]
  /** Accepted `typ` header values, lower case, '' for its absence; undefined when the header may be absent or any. */
  readonly types?: readonly string[]
  /** The claim that says whom a token is for, where it is not `aud`: some issuers' access tokens have none. */
  readonly audienceClaim?: string
  /** Assumed lifetime for issuers that omit `iat`: then `iat` counts as `exp` minus this. */
  readonly lifetimeMs?: number
  /**
   * Nobody but the issuer itself can verify its access tokens, whatever keys it publishes: each is refused as `R_OPAQUE`,
   * and no key is looked for.
   */
  readonly opaque?: true
}

export type Claims = Readonly<Record<string, unknown>>

/** Who a verified token speaks for. */
export interface TokenSubject {
  /** Every directory id in the token that could be an agent's account, the acting one first. All are looked up. */
  readonly principals: readonly PrincipalId[]
  /** Names that the token carries in place of ids: all that an id has before its `#`. Every id with one is looked up too. */
  readonly names?: readonly string[]
  /** The human or service for whom the agent acts, when the token names one; never the agent. */
  readonly onBehalfOf: { readonly id: string; readonly kind: 'person' | 'service' } | undefined
  /** `act` chain, outermost first, as claimed. */
  readonly act: readonly Claims[]
  /** API scopes and app roles the directory granted. */
  readonly scopes: readonly string[]
}

/** A refusal to take a verified token, e.g. a wrong tenant: the code of the decision. */
export interface TokenRefusal {
  readonly refused: string
}

export interface WriteResult {
  readonly id: PrincipalId
  /** The proving read: begun after the call was made, answered before the write was sent. Undefined: none was made or it was unreadable. */
  readonly before: Sighting | undefined
  /**
   * done: acknowledged. refused: answered with an error, nothing changed. lost: no (clear) answer, may have landed or
   * may land later. unsent: the write was never put on the wire (absent, never-list, budget, aborted before sending).
   */
  readonly outcome: 'done' | 'refused' | 'lost' | 'unsent'
  readonly error?: BridgeError
}

/** One change of one principal's switch, from the directory's own log. */
export interface LogEntry {
  readonly id: PrincipalId
  readonly at: number
  readonly action: 'disable' | 'enable'
  readonly ours: boolean
  /** Who, as the log names them: for evidence. */
  readonly actor: string
  /** Every id by which the log knows them, to compare with `trustedWriters`. */
  readonly actorIds?: readonly string[]
}

export interface SwitchLog {
  /**
   * Every entry for every principal in [from, to], by window and never by account. `completeUntil`: entries after it may be
   * missing yet. `unread`: accounts in a part of the directory that could not be asked now, about which nothing is told.
   */
  read(
    window: { from: number; to: number },
    signal: AbortSignal,
  ): Promise<{ entries: LogEntry[]; completeUntil: number; unread?: (id: PrincipalId) => boolean }>
  /** How far back the log reaches. */
  readonly retentionMs: number
}

/** Switching accounts off and on. Every call is idempotent and answers for every id given, in any order. Never throws for a single id. */
export interface Accounts {
  /**
   * Reads each by id, then switches it off unless that read said disabled by our own switch or absent. `bulk`: some of
   * many at once; they leave room for single ones within the limits of the directory.
   */
  disable(refs: readonly PrincipalRef[], signal: AbortSignal, bulk?: boolean): Promise<WriteResult[]>
  /**
   * `stillWanted` is awaited last of all, when the turn on the wire has come and a token is at hand; when it rejects,
   * nothing of that request is sent and its ids are `unsent`.
   */
  enable(refs: readonly PrincipalRef[], signal: AbortSignal, stillWanted?: () => Promise<void>): Promise<WriteResult[]>
  /** Why accounts of this kind can be read and not switched, or undefined. Pure. Without it every account that `vet` lets pass is. */
  unswitched?(kind: string): BridgeError | undefined
  /** How long what was signed in before may go on after the account is off, ms; undefined: no longer than a token lives. */
  tailMs?(id: PrincipalId): number | undefined
  /** How many ids one call should carry. */
  readonly batch: number
  /** Upper bound on how long a write without answer may still land, ms. */
  readonly writeTimeoutMs: number
  readonly log?: SwitchLog
  /** Who may switch accounts on again without a person behind it, and what mends that: for the alert, one sentence. */
  readonly reverts?: string
}

export interface Groups {
  /** Effective members, nesting flattened, page by page. Ending normally means "that was all"; on any doubt it throws. */
  members(groupId: string, signal: AbortSignal): AsyncIterable<readonly PrincipalId[]>
}

/** A policy on who may sign in, as its directory has it now. */
export interface AccessPolicy {
  readonly name: string
  /** False: it is switched off, or only reports, and so stops nobody. */
  readonly enforced: boolean
}

export interface AccessPolicies {
  /** The error with which this is refused as the id of a policy, or undefined. Pure. */
  vet(id: string): BridgeError | undefined
  /** Undefined: the directory said that it does not exist. Unreadable throws. */
  read(id: string, signal: AbortSignal): Promise<AccessPolicy | undefined>
}

export interface HookRequest {
  readonly method: string
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly query: Readonly<Record<string, string | undefined>>
  readonly body: Uint8Array
}

/** "Re-read this": carries no state. */
export interface Hint {
  /** Dedupe key of the delivery within the adapter. */
  readonly delivery: string
  readonly principal?: PrincipalId
  readonly group?: string
}

export interface HookAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
  readonly hints: readonly Hint[]
  /** Something an operator should see, e.g. the subscription was deleted. */
  readonly alert?: { readonly code: string; readonly text: string }
  /** Something is due in the adapter's `tending`. */
  readonly tend?: boolean
  /** The directory says that it did not tell everything: it is to be read again. */
  readonly missed?: boolean
}

export interface Hooks {
  /**
   * Authenticates one delivery or answers a handshake.
   * @throws BridgeError E_HOOK_UNVERIFIED (proven wrong, 401), E_HOOK_CANNOT_CHECK (503), E_HOOK_BODY (400)
   */
  receive(request: HookRequest, signal: AbortSignal): Promise<HookAnswer>
}

export interface Finding {
  readonly code: string
  /** `unknown`: it cannot be told, e.g. a right that only a write would prove. */
  readonly level: 'ok' | 'unknown' | 'warning' | 'error'
  readonly text: string
  /** The command or step that mends it. */
  readonly mend?: string
}

/**
 * One configured directory. Opening it does no I/O: a directory that is down must not stop the daemon from starting.
 * Features are objects, present or absent; there is no base class and nothing is probed.
 */
export interface Adapter {
  readonly name: string
  readonly kind: string
  /** Tenant, org, account or trust domain: stored, and compared at every start (DESIGN §3 rule 12). */
  readonly realm: string
  readonly issuers: readonly Issuer[]
  /** Verified claims → who they speak for; undefined when they are not an agent's. Pure. */
  identify(claims: Claims): TokenSubject | TokenRefusal | undefined
  /**
   * What `identify` needs besides the claims, as JSON and nothing secret: with it the kind's entry in
   * `adapters/identifying.ts` tells the same, in a process that has no adapter open. Absent: it cannot be told there.
   */
  readonly identity?: Readonly<Record<string, unknown>>
  /** The error with which this principal id or kind is refused (format, kind not managed, never-list, our own identity), or undefined. Pure. */
  vet(ref: PrincipalRef): BridgeError | undefined
  /**
   * Accounts changed since; all of them when undefined. `aside`: a look beside the passes, which leaves what the adapter
   * remembers from one pass to the next as it is. Its checkpoint is not used.
   */
  changes(since: Checkpoint | undefined, signal: AbortSignal, aside?: boolean): AsyncIterable<Page>
  /**
   * Each account now, by id, in as few calls as the directory allows. Every id asked is in the answer: `absent` only
   * when the directory said so, `unknown` when this one could not be read. Throws only when none could be asked.
   */
  lookup(refs: readonly PrincipalRef[], signal: AbortSignal): Promise<Map<PrincipalId, Sighting>>
  readonly groups?: Groups
  readonly accounts?: Accounts
  readonly hooks?: Hooks
  readonly tending?: Tending
  readonly queue?: HookQueue
  readonly accessPolicies?: AccessPolicies
  readonly doctor?: Doctor
  readonly discovery?: Discovery
  readonly callers?: Callers
  /** Reachable? permitted? Each finding a code, a sentence and the command that mends it. Never throws. */
  check(signal: AbortSignal): Promise<Finding[]>
  close?(): Promise<void>
}

/** What the core needs to know of an adapter's configuration. */
export interface AdapterSettings {
  readonly mirror: MirrorMode
  readonly settleMs: number
  /** Immutable group id → capabilities. */
  readonly groups: Readonly<Record<string, readonly string[]>>
  readonly sync: { readonly accounts: string; readonly groups: string; readonly full: string }
  /** The adapter whose directory provisions this one (rule 15). */
  readonly follows?: string | undefined
  /** How long provisioning may take to bring a change here. */
  readonly followWithinMs?: number
  /** Ids of services whose changes are not attributed to a person, in lower case. */
  readonly trustedWriters?: readonly string[]
}
