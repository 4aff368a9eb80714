import { BridgeError, codeOf } from '../core/errors.ts'
import type { Subscription, Tended } from '../core/tending.ts'
import { backoffMs } from '../lib/backoff.ts'
import { topics } from './bus.ts'
import type { Deps, Mount } from './deps.ts'
import type { GroupSync } from './groups.ts'
import type { Sync } from './sync.ts'

/** Readings for which notifications may have been missed come no closer together than this. */
const betweenMs = 60_000
const idleMs = 3_600_000
/** How they are tried again. */
const again = { baseMs: betweenMs, ceilingMs: 1_800_000 }

/**
 * Keeps a directory telling of changes, where its adapter has to ask it to, and reads everything again when it may have
 * failed to tell. Nothing is kept in the store: every start reads what changed anyway, so a process that ends with such a
 * reading owed owes nothing.
 */
export const createTending = (deps: Deps, mount: Mount, sync: Sync, groups: GroupSync) => {
  const { name, tending } = mount.adapter
  /** Told once, until it is another reason or over. */
  const told = new Map<string, string>()

  const tell = ({ resource, outcome, error }: Tended): void => {
    deps.metrics.inc('subscription_changes_total', { adapter: name, resource, outcome })
    if (outcome === 'lost') {
      deps.alert('subscription-lost', `${name} lost its subscription to ${resource}; it is made again, and all is read`)
    } else if (outcome === 'failed') {
      deps.log.warn({ adapter: name, resource, err: error }, 'a subscription to changes is not as it should be')
      const code = codeOf(error)
      if (told.get(resource) === code) return
      told.set(resource, code)
      const hint = error?.hint === undefined ? '' : `; ${error.hint}`
      const text = `${name} is not told of changes to ${resource} by the directory (${code}): ${error?.message ?? ''}`
      deps.alert('subscription-failing', `${text}${hint}`)
    } else {
      if (outcome !== 'removed') told.delete(resource)
      deps.log.info({ adapter: name, resource, outcome }, 'looked after a subscription to changes')
    }
  }

  const gauges = (list: readonly Subscription[]): void => {
    for (const { resource, expiresAt } of list) {
      const labels = { adapter: name, resource }
      deps.metrics.set('subscription_expires_seconds', labels, Math.floor((expiresAt ?? 0) / 1000))
    }
  }

  /** One look. Resolves to when the next one is wanted, ms. */
  const once = async (signal: AbortSignal): Promise<number> => {
    if (tending === undefined) return idleMs
    const { done, missed, againMs } = await tending.tend(signal)
    for (const one of done) tell(one)
    gauges(tending.subscriptions())
    if (missed) deps.bus.wake(topics.missed(name))
    return againMs
  }

  const report = (what: string, error: unknown, signal: AbortSignal): void => {
    if (signal.aborted) return
    const level = error instanceof BridgeError ? 'warn' : 'error'
    deps.log[level]({ adapter: name, what, err: error }, 'keeping the directory telling of changes failed')
  }

  const looks = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      const woken = deps.bus.count(topics.tending(name))
      let againMs = betweenMs
      try {
        againMs = await once(signal)
      } catch (error) {
        report('subscriptions', error, signal)
      }
      await deps.bus.wait(topics.tending(name), woken, againMs, signal)
    }
  }

  /** Accounts, what changed while they were read, and groups: notifications would have told of either. */
  const readAgain = async (signal: AbortSignal): Promise<void> => {
    await sync.full(signal)
    // A full pass that ran already when this was asked began before the gap ended.
    await sync.changes(signal)
    await groups.sync(signal)
  }

  /** What was rung while it read is read once more; a failure is tried again until it is done. */
  const catchUp = async (signal: AbortSignal): Promise<void> => {
    let seen = 0
    let failures = 0
    while (!signal.aborted) {
      await deps.bus.wait(topics.missed(name), seen, idleMs, signal)
      const now = deps.bus.count(topics.missed(name))
      if (signal.aborted || now === seen) continue
      let askedMs = betweenMs
      try {
        await readAgain(signal)
        seen = now
        failures = 0
        deps.log.info({ adapter: name }, 'read everything again: notifications may have been missed')
      } catch (error) {
        report('reading again', error, signal)
        failures += 1
        if (error instanceof BridgeError) askedMs = Math.max(betweenMs, error.retryAfterMs ?? 0)
      }
      const waitMs = failures === 0 ? betweenMs : backoffMs(failures - 1, again, deps.random(), askedMs)
      await deps.clock.sleep(waitMs, signal).catch(() => undefined)
    }
  }

  return {
    once,
    readAgain,
    run: async (signal: AbortSignal): Promise<void> => {
      if (tending === undefined) return
      await Promise.all([looks(signal), catchUp(signal)])
    },
  }
}

export type Tender = ReturnType<typeof createTending>
