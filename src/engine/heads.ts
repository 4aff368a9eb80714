import type { Moment } from '../core/restore.ts'
import type { StoreReads } from '../core/store.ts'
import type { Clock } from '../lib/clock.ts'
import { openJson, signJson } from '../lib/jws.ts'
import type { Logger } from '../lib/log.ts'

export interface AuditHead {
  readonly seq: number
  readonly hash: string
  readonly at: string
}

const typ = 'audit-head+jws'

export interface SignerOptions {
  /** Ed25519 private keys in PEM: the first signs. None: heads are logged unsigned. */
  readonly keys: () => readonly { read(): string }[]
  readonly store: Pick<StoreReads, 'auditHead'>
  readonly clock: Pick<Clock, 'now'>
  readonly log: Logger
  /** Keeps what was logged beside the store too. */
  readonly keep?: (head: Moment) => void
}

/** Writes the head of the audit chain to the log, signed with a key from outside the store (DESIGN §9). */
export const headSigner = ({ keys, store, clock, log, keep }: SignerOptions) => {
  let last = -1
  return {
    /** Signs the present head when it moved. Never throws: a minute without is reported, the next one tries again. */
    sign: async (): Promise<void> => {
      try {
        const { seq, hash } = await store.auditHead()
        if (seq === last) return
        const at = clock.now()
        const head: AuditHead = { seq, hash, at: new Date(at).toISOString() }
        const [key] = keys()
        log.info(
          { auditHead: head, ...(key && { auditHeadSigned: await signJson(head, typ, key.read()) }) },
          'audit head',
        )
        keep?.({ seq, hash, at })
        last = seq
      } catch (error) {
        log.error({ err: error }, 'the audit head could not be signed')
      }
    },
  }
}

const isHead = (value: unknown): value is AuditHead =>
  typeof value === 'object' &&
  value !== null &&
  'seq' in value &&
  typeof value.seq === 'number' &&
  'hash' in value &&
  typeof value.hash === 'string'

/** The head that a line of the log vouches for, if one of the keys signed it. */
export const openHead = async (jws: string, pems: readonly string[]): Promise<AuditHead | undefined> => {
  const value = await openJson(jws, typ, pems)
  return isHead(value) ? value : undefined
}
