import type { HookRequest } from '../core/adapter.ts'
import type { AuditCheckpoint, AuditEntry } from '../core/audit.ts'
import type { AuditFilter } from '../core/filters.ts'
import type { Doubt } from '../core/guard.ts'
import type { Subscription } from '../core/tending.ts'
import type { Did, Hold, Release, Severity } from '../core/types.ts'
import type { Soon } from '../lib/soon.ts'
import type { AgentInput, AgentView, Caller, Registered, SharedView } from './agentapi.ts'
import type { Basis } from './basis.ts'
import type { Blueprints } from './blueprintapi.ts'
import type { HopView } from './delegationapi.ts'
import type { Discoveries } from './discoverapi.ts'
import type { Doctors } from './doctorapi.ts'
import type { Guards } from './guardapi.ts'
import type { HookQueueState } from './hookqueue.ts'
import type { Imports } from './importapi.ts'
import type { Keep, Kept } from './keeping.ts'
import type { KillProgress, MassKills } from './killapi.ts'
import type { Plans } from './planapi.ts'
import type { Publishing } from './publishingapi.ts'
import type { OutletView, Pushes } from './pushapi.ts'
import type { Receipts } from './receiptviews.ts'
import type { Replicas } from './replicaapi.ts'
import type { SelfRegistration } from './selfapi.ts'
import type { ToolServers } from './toolapi.ts'
import type { TrustReports } from './trustapi.ts'
import type { Validated } from './validating.ts'

/**
 * What the daemon does for a caller, free of HTTP. Every function that changes something is durable when it resolves.
 * Bad input throws BridgeError with a 4xx code; refusals of decisions are values.
 */

export interface KillInput {
  readonly did: string
  readonly reason: string
  readonly action?: string | undefined
  readonly killedAt?: string | undefined
  /** A hold of ours that this kill answers: acknowledges it, places nothing. */
  readonly inResponseTo?: string | undefined
  readonly details?: Readonly<Record<string, unknown>> | undefined
}

export interface KillResult {
  readonly did: Did
  readonly holdId: string
  readonly status: 'suspended' | 'acknowledged'
  readonly known: boolean
}

export type ReleaseResult =
  | { readonly done: true; readonly agent: AgentView | undefined; readonly did: Did }
  | { readonly done: false; readonly release: Release }

export interface DecisionInput {
  readonly did?: string | undefined
  readonly token?: string | undefined
  readonly principal?: { readonly adapter: string; readonly id: string } | undefined
  readonly capability?: string | undefined
  readonly scope?: string | undefined
  /** A tool that is to be called, and where: the name of a configured server, or its resource identifier. */
  readonly tool?: string | undefined
  readonly server?: string | undefined
  /** On what it is to be called, a text; with what, a JSON object. Looked at, and kept nowhere. */
  readonly resource?: unknown
  readonly parameters?: unknown
  /** Instead of did, token and principal: whoever is meant cannot be an agent. */
  readonly nobody?: boolean | undefined
  /** The answer says what the agent is, too. */
  readonly describe?: boolean | undefined
}

export interface DecisionView extends Basis {
  readonly allow: boolean
  readonly did: Did | undefined
  readonly codes: readonly string[]
  /** What was checked and found in order. */
  readonly checks: readonly string[]
  readonly holds: readonly { readonly origin: string; readonly publicReason: string | undefined }[]
}

export interface TokenView {
  readonly valid: true
  readonly issuer: string
  readonly adapter: string
  readonly actor: { readonly did: Did; readonly principal: { adapter: string; id: string } }
  readonly onBehalfOf: { readonly id: string; readonly kind: string } | null
  readonly act: readonly unknown[]
  readonly status: AgentView['status']
  readonly capabilities: readonly string[]
  readonly expiresAt: number
}

export interface HookOutcome {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
}

export interface AdapterStatus {
  readonly adapter: string
  readonly kind: string
  readonly mirror: string
  readonly principals: number
  readonly accounts: {
    readonly checkpointAt: number | undefined
    readonly lastOkAt: number | undefined
    readonly lastError: string | undefined
    readonly fullAt: number | undefined
  }
  readonly groups: { readonly lastOkAt: number | undefined; readonly lastError: string | undefined }
  /** Where its deliveries wait. Undefined: it rings through no queue. */
  readonly queue: HookQueueState | undefined
  /** The directory's log of who changed what: last read then, complete up to there. Undefined: it keeps none. */
  readonly log: { readonly readAt: number | undefined; readonly completeUntil: number | undefined } | undefined
  readonly stale: { readonly warn: number; readonly deny: number }
  readonly lanes: readonly { readonly lane: 'suspend' | 'other'; readonly due: number }[]
  readonly throttledUntil: number | undefined
  readonly writesFailing: number
  readonly guard: { readonly suspend: boolean; readonly resume: boolean }
  /** Why the directory is not believed now, and since when. */
  readonly quarantine: { readonly since: number; readonly why: readonly Doubt[] } | undefined
  /** What the directory was asked to tell of; left out where it need not be asked. */
  readonly subscriptions?: readonly Subscription[] | undefined
}

export interface StatusView {
  readonly version: string
  readonly startedAt: number
  readonly paused: boolean
  readonly holds: { readonly open: number; readonly agents: number }
  readonly signals: { readonly head: number; readonly clients: number }
  readonly adapters: readonly AdapterStatus[]
  readonly outlets: readonly OutletView[]
  readonly kills: readonly KillProgress[]
  readonly alerts: readonly { readonly at: number; readonly code: string; readonly text: string }[]
}

export interface SignalFrame {
  readonly id: string
  readonly event: 'suspended' | 'resumed' | 'capabilities' | 'snapshot' | 'current' | 'settings' | 'changed'
  readonly data: unknown
}

export interface Bridge
  extends MassKills,
    Guards,
    Receipts,
    Publishing,
    TrustReports,
    Blueprints,
    ToolServers,
    SelfRegistration,
    Pushes,
    Imports,
    Doctors,
    Replicas,
    Plans,
    Discoveries {
  register(input: AgentInput, caller: Caller, keep?: Keep<Registered>): Promise<Registered>
  replace(did: string, input: AgentInput, caller: Caller, ifRevision: number | undefined): Promise<Registered>
  /** RFC 7396 merge patch over name, sponsor, blueprint, parentDid, delegation, labels, capabilities, principals. */
  patch(
    did: string,
    patch: Readonly<Record<string, unknown>>,
    caller: Caller,
    ifRevision: number | undefined,
  ): Promise<AgentView>
  decommission(did: string, reason: string, caller: Caller): Promise<AgentView>
  agent(did: string, caller: Caller): Promise<AgentView>
  /** Its chain, from the root to itself. */
  delegation(did: string): Promise<HopView[]>
  agents(
    filter: {
      status?: string | undefined
      sponsor?: string | undefined
      blueprint?: string | undefined
      adapter?: string | undefined
      label?: string | undefined
      q?: string | undefined
      cursor?: string | undefined
      limit: number
    },
    caller: Caller,
  ): Promise<{ items: AgentView[]; nextCursor: string | null }>
  /** The agent behind an account; every one of them when it is shared. */
  principal(adapter: string, id: string, caller: Caller): Promise<AgentView | SharedView>
  validate(did: string, caller: Caller): Promise<Validated>

  place(
    did: string,
    input: { severity: Severity; reason: string; publicReason?: string | undefined; onBehalfOf?: string | undefined },
    caller: Caller,
    keep?: Keep<Hold>,
  ): Promise<Hold>
  holds(did: string, limit: number, caller: Caller): Promise<{ items: Hold[] }>
  release(
    did: string,
    holdId: string,
    reason: string,
    caller: Caller,
    keep?: Keep<ReleaseResult>,
  ): Promise<ReleaseResult>
  approve(releaseId: string, caller: Caller, keep?: Keep<ReleaseResult>): Promise<ReleaseResult>
  kill(input: KillInput, caller: Caller, keep?: Keep<KillResult>): Promise<KillResult>

  /** Known at once where the question was answered before and nothing changed since. */
  decide(input: DecisionInput): Soon<DecisionView>
  verify(token: string): Promise<TokenView | { readonly valid: false; readonly codes: readonly string[] }>

  /** Never-ending; ends when the signal aborts or the consumer is too slow for its bounded buffer (then it reconnects). */
  signals(caller: Caller, lastEventId: string | undefined, signal: AbortSignal): AsyncIterable<SignalFrame>
  ack(seq: number, caller: Caller): Promise<void>

  hook(adapter: string, request: HookRequest, signal: AbortSignal): Promise<HookOutcome>

  /** `did`: entries under any spelling of it. */
  audit(
    filter: Omit<AuditFilter, 'dids'> & { readonly did?: Did | undefined },
  ): Promise<{ items: AuditEntry[]; nextCursor: string | null }>
  auditHead(): Promise<{ seq: number; hash: string }>
  verifyAudit(): Promise<{
    ok: boolean
    entries: number
    head: string
    fault?: { seq: number; fault: string } | undefined
    checkpoint?: AuditCheckpoint | undefined
  }>

  status(): Promise<StatusView>
  pause(paused: boolean, reason: string, caller: Caller, keep?: Keep<{ paused: boolean }>): Promise<{ paused: boolean }>

  /** Able to decide: the store answers and every adapter with principals was read at least once or says why not. */
  ready(): Promise<{ ready: boolean; checks: { name: string; ok: boolean; text: string }[] }>

  readonly idempotency: Kept
  hold(id: string): Promise<Hold | undefined>
}
