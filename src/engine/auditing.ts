import { type AuditEntry, genesis, verifyChain } from '../core/audit.ts'
import { BridgeError } from '../core/errors.ts'
import type { StoreReads } from '../core/store.ts'

const page = 2_000

export interface ChainCheck {
  readonly ok: boolean
  /** How many entries hold. */
  readonly entries: number
  /** Hash of the last entry that holds. */
  readonly head: string
  readonly fault: { readonly seq: number; readonly fault: string } | undefined
}

type Reads = Pick<StoreReads, 'audit' | 'auditHead'>

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

/** Walks the whole chain, page by page, and compares its end with the recorded head. */
export const verifyAudit = async (store: Reads): Promise<ChainCheck> => {
  let head = { seq: 0, hash: genesis }
  const recorded = await store.auditHead()
  const broken = (seq: number, fault: string): ChainCheck => ({
    ok: false,
    entries: head.seq,
    head: head.hash,
    fault: { seq, fault },
  })
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
  return { ok: true, entries: head.seq, head: head.hash, fault: undefined }
}
