import type { Hold } from '../core/types.ts'
import type { Change } from './change.ts'
import { claimMany, distinctDids, type Open, openOf } from './claiming.ts'
import { holdEvent, signalOf } from './holdaudit.ts'

/** Claims, audit entries and signals of holds that were just placed or changed. */
export const record = async (
  change: Change,
  type: string,
  holds: readonly Hold[],
  open: Open,
  details: Readonly<Record<string, unknown>>,
): Promise<void> => {
  if (holds.length === 0) return
  const { tx } = change
  const dids = distinctDids(holds)
  const accounts = await tx.principalsByDid(dids)
  const claims = await claimMany(change, accounts, open)
  const agents = new Map((await tx.agentsByDid(dids)).map((agent) => [agent.did, agent]))
  const principals = Map.groupBy(accounts, ({ did }) => did)
  // Of several holds of one DID, the first that drives made the claims.
  const claiming = new Map(
    holds
      .filter(({ guarded }) => !guarded)
      .map((hold) => [hold.did, hold] as const)
      .reverse(),
  )
  await tx.appendAudits(
    holds.map((hold) => {
      const { did } = hold
      const first = claiming.get(did) ?? hold
      const claimed = first === hold ? (claims.get(did) ?? []) : []
      const of = { agent: agents.get(did), principals: principals.get(did) ?? [], open: open.get(did) ?? [] }
      return holdEvent(change, type, hold, of, { ...details, claimed })
    }),
  )
  const signals = holds.map((hold) => signalOf(change, hold)).filter((signal) => signal !== undefined)
  await tx.appendSignals(signals)
  if (signals.length > 0) change.wakeSignals()
}

/** Derived holds, as they are from now on. */
export const changeHolds = async (change: Change, holds: readonly Hold[]): Promise<void> => {
  if (holds.length === 0) return
  for (const hold of holds) await change.tx.saveHold(hold)
  await record(change, 'hold.changed', holds, await openOf(change, holds), { derived: true })
}
