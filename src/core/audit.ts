import { createHash } from 'node:crypto'
import { canonical } from './canonical.ts'
import type { Did, PrincipalKey } from './types.ts'

/**
 * The audit chain (DESIGN §9). An entry's hash covers everything in it but the hash, including `prev`. People stand by
 * object id; e-mail addresses and free text stand beside the chain and are bound to it by digest, so that they can be
 * erased without breaking it.
 */
export interface AuditEvent {
  readonly time: number
  /** Dotted, stable: `hold.placed`, `account.disabled`, `agent.registered`, … listed in docs/audit-format.md. */
  readonly type: string
  readonly did?: Did | undefined
  readonly principals?: readonly (PrincipalKey & { readonly realm?: string })[] | undefined
  readonly sponsor?: string | undefined
  readonly status?: string | undefined
  readonly capabilities?: readonly string[] | undefined
  readonly scopes?: readonly string[] | undefined
  readonly actor: string
  readonly onBehalfOf?: string | undefined
  readonly hold?: string | undefined
  readonly requestId?: string | undefined
  readonly details?: Readonly<Record<string, unknown>> | undefined
  /** Erasable: reasons, e-mail addresses, names. Kept beside the chain, only their digests are hashed. */
  readonly text?: Readonly<Record<string, string>> | undefined
}

export interface AuditEntry extends AuditEvent {
  readonly seq: number
  /** SHA-256 (hex) of each member of `text` with a random salt: `{ field: digest }`. */
  readonly digests: Readonly<Record<string, string>>
  readonly prev: string
  readonly hash: string
}

/** What vouches for the entries up to `seq`, that one included, so that they may be dropped: the chain goes on from `hash`. */
export interface AuditCheckpoint {
  readonly seq: number
  readonly hash: string
  /** When it was signed. */
  readonly at: number
  /** Of `{seq, hash, at}`, by a key from outside the store. */
  readonly jws: string
}

export interface AuditPruning {
  /** From here on nothing up to its entry is part of the chain. */
  putAuditCheckpoint(checkpoint: AuditCheckpoint): Promise<void>
  /** Drops entries behind the checkpoint and what stands beside them, oldest first; returns how many. */
  dropAudited(limit: number): Promise<number>
}

export const genesis = '0'.repeat(64)

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/** Digest of one erasable text; the salt (hex, stored beside the text) stops guessing after erasure. */
export const digestText = (salt: string, text: string): string => sha256(`${salt}\n${text}`)

const bodyOf = (entry: Omit<AuditEntry, 'hash'>): string => {
  const { text: _beside, ...covered } = entry
  return canonical(covered)
}

/** The next entry of the chain, and the canonical JSON that its hash covers. */
export const link = (
  head: { readonly seq: number; readonly hash: string },
  event: AuditEvent,
  digests: Readonly<Record<string, string>>,
): { readonly entry: AuditEntry; readonly body: string } => {
  const entry = { ...event, seq: head.seq + 1, digests, prev: head.hash }
  const body = bodyOf(entry)
  return { entry: { ...entry, hash: sha256(body) }, body }
}

/** The next entry of the chain. */
export const chain = (...given: Parameters<typeof link>): AuditEntry => link(...given).entry

export type ChainFault = { readonly seq: number; readonly fault: 'sequence' | 'prev' | 'hash' }

/** Walks entries in order, from a trusted head; returns the first fault. Feed it batch by batch. */
export const verifyChain = (
  from: { readonly seq: number; readonly hash: string },
  entries: Iterable<AuditEntry>,
): { readonly head: { seq: number; hash: string }; readonly fault: ChainFault | undefined } => {
  let head = { seq: from.seq, hash: from.hash }
  for (const entry of entries) {
    if (entry.seq !== head.seq + 1) return { head, fault: { seq: entry.seq, fault: 'sequence' } }
    if (entry.prev !== head.hash) return { head, fault: { seq: entry.seq, fault: 'prev' } }
    const { hash, ...rest } = entry
    if (sha256(bodyOf(rest)) !== hash) return { head, fault: { seq: entry.seq, fault: 'hash' } }
    head = { seq: entry.seq, hash }
  }
  return { head, fault: undefined }
}
