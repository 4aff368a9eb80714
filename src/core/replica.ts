import type { Link } from './delegation.ts'
import type { JudgedAgent, JudgedHold, JudgedPrincipal } from './judging.ts'
import type { Agent, CapabilitySource, Did } from './types.ts'

/**
 * The record of changes: which DIDs anything changed for that a decision reads. A DID stands in it once, where it changed
 * last, so it grows with the agents and not with the changes, and whoever read it up to a position never starts anew.
 */

/** In place of a DID: what decisions read that is about no single one, such as blueprints, tool servers and the policy. */
export const settingsDid = ''

export interface ChangedDid {
  /** Position in the record of changes. */
  readonly seq: number
  readonly did: Did
}

/** All that decisions read about one DID, as of one moment. Nobody who is known: no agent, and nothing in the lists. */
export interface ReplicaRow {
  readonly did: Did
  /** Head of the record of changes at that moment. */
  readonly seq: number
  readonly agent:
    | (Pick<Agent, 'blueprint' | 'parentDid' | 'decommissioned' | 'resumedAt'> & Pick<JudgedAgent, 'name'>)
    | undefined
  readonly delegation: { readonly expiresAt: number | undefined; readonly endedAt: number | undefined } | undefined
  /** Open ones, also of a DID that nobody registered. */
  readonly holds: readonly Pick<JudgedHold, 'origin' | 'severity' | 'publicReason' | 'placedAt'>[]
  readonly accounts: readonly (Pick<JudgedPrincipal, 'adapter' | 'id' | 'kind' | 'shared' | 'scopes'> & {
    readonly observedAt: number | undefined
  })[]
  readonly aliases: readonly Did[]
  readonly sources: readonly Omit<CapabilitySource, 'did'>[]
}

/** The same as decisions ask for it. */
export interface Judged {
  readonly did: Did
  readonly agent: JudgedAgent | undefined
  readonly link: Link | undefined
  readonly holds: readonly JudgedHold[]
  readonly accounts: readonly JudgedPrincipal[]
  readonly sources: readonly CapabilitySource[]
}

export const judgedOf = ({
  did,
  agent,
  delegation,
  holds,
  accounts,
  sources,
}: Omit<ReplicaRow, 'seq' | 'aliases'>): Judged => {
  const judged = agent && { did, ...agent }
  return {
    did,
    agent: judged,
    link: judged && {
      did,
      parentDid: judged.parentDid,
      blueprint: judged.blueprint,
      own: [...new Set(sources.map(({ capability }) => capability))],
      expiresAt: delegation?.expiresAt,
      endedAt: delegation?.endedAt,
    },
    holds: holds.map((hold) => ({ ...hold, did, releasedAt: undefined })),
    accounts: accounts.map(({ observedAt, ...account }) => ({ ...account, did, account: { observedAt } })),
    sources: sources.map((source) => ({ ...source, did })),
  }
}

/** Neither an agent nor anything else that a decision reads. */
export const isNobody = ({ agent, holds, aliases, accounts }: ReplicaRow): boolean =>
  agent === undefined && holds.length === 0 && aliases.length === 0 && accounts.length === 0

export interface ReplicaReads {
  /** DIDs that changed after this position, in the order of their latest change. */
  changesAfter(seq: number, limit: number): Promise<ChangedDid[]>
  /** Position of the latest change; 0 when there never was one. */
  changeHead(): Promise<number>
  /** Registered and held DIDs after this one, in byte order. */
  replicaAfter(after: Did, limit: number): Promise<ReplicaRow[]>
  /** One row for each of these DIDs, in no order. */
  replicaOf(dids: readonly Did[]): Promise<ReplicaRow[]>
}

export interface ReplicaWrites {
  /** Something changed that is about no single DID and stands in no table. */
  noteSettings(): Promise<void>
}
