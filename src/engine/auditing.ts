import { genesis, verifyChain } from '../core/audit.ts'
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

/** Walks the whole chain, page by page, and compares its end with the recorded head. */
export const verifyAudit = async (store: Pick<StoreReads, 'audit' | 'auditHead'>): Promise<ChainCheck> => {
  let head = { seq: 0, hash: genesis }
  const recorded = await store.auditHead()
  for (;;) {
    const entries = await store.audit({ after: head.seq, to: undefined, limit: page })
    const within = entries.filter(({ seq }) => seq <= recorded.seq)
    const result = verifyChain(head, within)
    head = result.head
    if (result.fault !== undefined) return { ok: false, entries: head.seq, head: head.hash, fault: result.fault }
    if (within.length < page) break
  }
  if (head.seq !== recorded.seq || head.hash !== recorded.hash) {
    return { ok: false, entries: head.seq, head: head.hash, fault: { seq: head.seq + 1, fault: 'missing' } }
  }
  return { ok: true, entries: head.seq, head: head.hash, fault: undefined }
}
