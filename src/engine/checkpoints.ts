import { createPublicKey } from 'node:crypto'
import type { AuditCheckpoint } from '../core/audit.ts'
import { kidOf, openStrict, signJson, type VerifyKey } from '../lib/jws.ts'
import { bridge, change } from './change.ts'
import type { Deps } from './deps.ts'

const typ = 'audit-checkpoint+jws'
const dayMs = 86_400_000
/** Entries that one checkpoint covers, and those that one transaction drops. */
const reach = 20_000
const slice = 1_000

export interface CheckpointSettings {
  readonly retentionMs: () => number
  /** Ed25519 private keys in PEM: the first signs. None: nothing is dropped. */
  readonly keys: () => readonly { read(): string }[]
}

/**
 * Drops audit entries past retention, daily, each time behind a signed statement about the last of them, which goes to the
 * log and into the chain too (DESIGN §9). What a crash left is dropped at the next call.
 *
 * @throws BridgeError E_SIGNING_KEY, E_SECRET
 */
export const pruneAudit = async (deps: Deps, { retentionMs, keys }: CheckpointSettings): Promise<void> => {
  await drop(deps)
  // After a jump of the clock everything would seem old.
  if (deps.isClockDoubted()) return
  const before = await deps.store.auditCheckpoint()
  const [key] = keys()
  if (key === undefined || (before !== undefined && deps.clock.now() - before.at < dayMs)) return
  for (;;) {
    const last = await deps.store.auditOlder(deps.clock.now() - retentionMs(), reach)
    if (last === undefined) return
    const at = deps.clock.now()
    const told = { ...last, at: new Date(at).toISOString() }
    const jws = await signJson(told, typ, key.read())
    await change(deps, bridge, async (c) => {
      await c.tx.putAuditCheckpoint({ ...last, at, jws })
      await c.tx.appendAudit({ time: c.now, type: 'audit.pruned', actor: c.actor, details: { ...last } })
    })
    deps.log.info({ auditCheckpoint: told, auditCheckpointSigned: jws }, 'audit entries pruned')
    await drop(deps)
  }
}

const drop = async (deps: Deps): Promise<void> => {
  for (;;) if ((await deps.store.write((tx) => tx.dropAudited(slice))) < slice) return
}

/** `whole`: nothing was dropped. `unproven`: none of the keys is the one that signed. */
export type Beginning = 'whole' | 'proven' | 'unproven' | 'broken'

const verifyKey = (pem: string): VerifyKey[] => {
  const kid = kidOf(pem)
  return kid === undefined ? [] : [{ kid, key: createPublicKey(pem) }]
}

/** Whether one of the keys (PEM, public or private) signed that the chain goes on from there. */
export const beginning = async (
  checkpoint: AuditCheckpoint | undefined,
  pems: readonly string[],
): Promise<Beginning> => {
  if (checkpoint === undefined) return 'whole'
  const { seq, hash, at, jws } = checkpoint
  const opened = await openStrict(jws, typ, pems.flatMap(verifyKey))
  if (opened.fault !== undefined) return opened.fault === 'key' ? 'unproven' : 'broken'
  const told: unknown = JSON.parse(opened.payload)
  const isIt =
    typeof told === 'object' &&
    told !== null &&
    'seq' in told &&
    told.seq === seq &&
    'hash' in told &&
    told.hash === hash &&
    'at' in told &&
    told.at === new Date(at).toISOString()
  return isIt ? 'proven' : 'broken'
}
