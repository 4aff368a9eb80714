import { type AuditCheckpoint, type AuditEntry, genesis, verifyChain } from '../core/audit.ts'
import { BridgeError } from '../core/errors.ts'
import type { StoreReads } from '../core/store.ts'
import { type Beginning, beginning } from './checkpoints.ts'

const page = 2_000

export interface ChainCheck {
  readonly ok: boolean
  /** How many entries hold. */
  readonly entries: number
  /** Hash of the last entry that holds. */
  readonly head: string
  readonly fault: { readonly seq: number; readonly fault: string } | undefined
  /** What the chain begins with, where older entries were dropped. */
  readonly checkpoint: AuditCheckpoint | undefined
  readonly begin: Beginning
}

type Reads = Pick<StoreReads, 'audit' | 'auditCheckpoint' | 'auditHead'>

/** A page of entries; up to the first that cannot be read, or whose text beside the chain was changed. */
const readPage = async (store: Reads, after: number): Promise<{ entries: AuditEntry[]; bad: number | undefined }> => {
  try {
    return { entries: await store.audit({ after, limit: page }), bad: undefined }
  } catch (error) {
    const bad = badEntry(error)
    if (bad === undefined) throw error
    const before = bad - after - 1
    return { entries: before > 0 ? await store.audit({ after, limit: before }) : [], bad }
  }
}

const badEntry = (error: unknown): number | undefined => {
  if (!(error instanceof BridgeError) || error.code !== 'E_CHAIN_BROKEN') return undefined
  const { details } = error
  if (typeof details !== 'object' || details === null || !('seq' in details)) return undefined
  return typeof details.seq === 'number' ? details.seq : undefined
}

/**
 * Walks the whole chain, page by page, and compares its end with the recorded head.
 * @param pems keys that may have signed the checkpoint it begins with
 */
export const verifyAudit = async (store: Reads, pems: readonly string[] = []): Promise<ChainCheck> => {
  const checkpoint = await store.auditCheckpoint()
  const begin = await beginning(checkpoint, pems)
  const { seq: from, hash } = checkpoint ?? { seq: 0, hash: genesis }
  let head = { seq: from, hash }
  const recorded = await store.auditHead()
  const broken = (seq: number, fault: string): ChainCheck => ({
    ok: false,
    entries: head.seq - from,
    head: head.hash,
    fault: { seq, fault },
    checkpoint,
    begin,
  })
  if (begin === 'broken') return broken(from, 'checkpoint')
  for (;;) {
    const { entries, bad } = await readPage(store, head.seq)
    const within = entries.filter(({ seq }) => seq <= recorded.seq)
    const result = verifyChain(head, within)
    head = result.head
    if (result.fault !== undefined) return broken(result.fault.seq, result.fault.fault)
    if (bad !== undefined && bad <= recorded.seq) return broken(bad, 'content')
    if (within.length < page) break
  }
  if (head.seq !== recorded.seq || head.hash !== recorded.hash) return broken(head.seq + 1, 'missing')
  return { ok: true, entries: head.seq - from, head: head.hash, fault: undefined, checkpoint, begin }
}
