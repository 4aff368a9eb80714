import { endsATime } from '../core/ending.ts'
import type { StoreTx } from '../core/store.ts'
import { topics } from './bus.ts'
import type { Deps } from './deps.ts'
import type { Keep } from './keeping.ts'

/** One durable change and whom to wake once it is committed. */
export interface Change {
  readonly deps: Deps
  readonly tx: StoreTx
  readonly now: number
  readonly actor: string
  readonly requestId: string | undefined
  readonly onBehalfOf: string | undefined
  wakeSuspend(adapter: string): void
  wakeWork(adapter: string): void
  wakeSignals(): void
  /** How many derived holds may still end, or become less, in this transaction. */
  readonly room: { left: number }
  /** Runs after the commit, never before. */
  after(effect: () => void): void
}

export interface Who {
  readonly actor: string
  readonly requestId?: string | undefined
  readonly onBehalfOf?: string | undefined
}

/** Actor of what follows from a directory's state, and of what the bridge derives. */
export const directory: Who = { actor: 'directory' }
export const bridge: Who = { actor: 'bridge' }

/** Records, then (after the commit) wakes those who act (rule 2). `keep`: what a repeat of the request finds, with it. */
export const change = async <T>(
  deps: Deps,
  who: Who,
  work: (change: Change) => Promise<T>,
  keep?: Keep<T>,
): Promise<T> => {
  let wakes = new Set<string>()
  let effects: (() => void)[] = []
  let entries = 0
  const begun = deps.clock.mono()
  const result = await deps.store.write(async (tx) => {
    const now = deps.clock.now()
    wakes = new Set()
    effects = []
    entries = 0
    const appendAudit: StoreTx['appendAudit'] = (event) => {
      entries += 1
      return tx.appendAudit(event)
    }
    const appendAudits: StoreTx['appendAudits'] = (events) => {
      entries += events.length
      return tx.appendAudits(events)
    }
    const value = await work({
      deps,
      tx: { ...tx, appendAudit, appendAudits },
      now,
      actor: who.actor,
      requestId: who.requestId,
      onBehalfOf: who.onBehalfOf,
      wakeSuspend: (adapter) => wakes.add(topics.suspend(adapter)),
      wakeWork: (adapter) => wakes.add(topics.work(adapter)),
      wakeSignals: () => wakes.add(topics.signals),
      room: { left: endsATime },
      after: (effect) => effects.push(effect),
    })
    if (keep !== undefined) await tx.putIdempotent(keep.client, keep.route, keep.key, keep.entry(value), now)
    return value
  })
  deps.metrics.observe('store_tx_seconds', { kind: 'write' }, (deps.clock.mono() - begun) / 1000)
  if (entries > 0) deps.metrics.inc('audit_entries_total', {}, entries)
  deps.bus.wake(topics.changes)
  for (const topic of wakes) deps.bus.wake(topic)
  for (const effect of effects) effect()
  if (keep !== undefined) deps.probe?.('key.kept')
  return result
}
