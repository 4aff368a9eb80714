import { BridgeError, codeOf } from '../core/errors.ts'
import type { HookQueue, QueuedNews } from '../core/hookqueue.ts'
import { backoffMs } from '../lib/backoff.ts'
import type { Deps, Mount } from './deps.ts'
import { takeNews } from './hooks.ts'
import { seldom } from './seldom.ts'

export interface HookQueueState {
  readonly place: string
  readonly lastOkAt: number | undefined
  /** Undefined while it can be read. */
  readonly failing: { readonly since: number; readonly code: string; readonly mend: string | undefined } | undefined
}

export interface HookQueueDrain {
  readonly state: () => HookQueueState
  /** Takes what waits once. Says in how many ms to look again. */
  step(signal: AbortSignal): Promise<number>
  run(signal: AbortSignal): Promise<void>
}

/** Failures in a row before somebody is told. */
const tellAt = 3
/** An unreadable message is left to be looked at until it was taken so often. */
const mostTimes = 5
/** Messages are removed one by one: so many at once. */
const removesAtOnce = 8
/** Full batches in a row, after which it is waited all the same: a queue that never ends must not keep a processor busy. */
const burst = 50
const ceilingMs = 60_000

/**
 * Rings for what waits in the queue of one directory, as a delivery to the hook address would. A message is removed once what
 * it says is durable, and comes again if the process ends before: that is harmless. Nothing else waits for the queue: a
 * directory whose queue cannot be read is read in its passes as ever.
 */
export const createHookQueue = (
  deps: Deps,
  mount: Mount,
  queue: HookQueue,
  askGroup: (adapter: string, groupId: string) => void,
): HookQueueDrain => {
  const adapter = mount.adapter.name
  const { place, pollMs } = queue
  const alert = seldom(deps)
  let lastOkAt: number | undefined
  let failing: HookQueueState['failing']
  let failures = 0
  let full = 0

  const read = (): void => {
    if (failures >= tellAt) deps.log.info({ adapter, place }, 'the queue of a directory can be read again')
    lastOkAt = deps.clock.now()
    failing = undefined
    failures = 0
    deps.metrics.inc('hook_queue_reads_total', { adapter, outcome: 'ok' })
    deps.metrics.set('hook_queue_failing', { adapter }, 0)
  }

  const fail = (error: unknown): number => {
    const code = codeOf(error)
    const known = error instanceof BridgeError ? error : undefined
    failures += 1
    full = 0
    failing = { since: failing?.since ?? deps.clock.now(), code, mend: known?.hint }
    deps.metrics.inc('hook_queue_reads_total', { adapter, outcome: code })
    deps.metrics.set('hook_queue_failing', { adapter }, 1)
    deps.log.warn({ adapter, place, err: error }, 'the queue of a directory could not be read')
    if (failures === tellAt) {
      const mend = known?.hint === undefined ? '' : `; ${known.hint}`
      const text = `${adapter}: the queue ${place} cannot be read (${code})${mend}. Changes are found by polling only.`
      deps.alert('hook-queue', text)
    }
    return backoffMs(failures - 1, { baseMs: pollMs, ceilingMs }, deps.random(), known?.retryAfterMs ?? pollMs)
  }

  /** @returns whether any could be removed */
  const remove = async (messages: readonly QueuedNews[], signal: AbortSignal): Promise<boolean> => {
    const left = [...messages]
    const codes = new Set<string>()
    let removed = 0
    const one = async (): Promise<void> => {
      for (let message = left.pop(); message !== undefined; message = left.pop()) {
        try {
          await message.remove(signal)
          removed += 1
        } catch (error) {
          if (signal.aborted) throw error
          codes.add(codeOf(error))
        }
      }
    }
    await Promise.all(Array.from({ length: removesAtOnce }, one))
    const failed = messages.length - removed
    if (failed > 0)
      deps.log.warn({ adapter, place, failed, codes: [...codes] }, 'messages could not be removed: they come again')
    return removed > 0 || messages.length === 0
  }

  /** What is to be removed of them. */
  const sorted = (messages: readonly QueuedNews[]) => {
    const strange = messages.filter(({ news }) => news === undefined)
    const dropped = strange.filter(({ times }) => times >= mostTimes)
    const rung = messages.filter(({ news }) => news !== undefined)
    const count = (outcome: string, n: number) => {
      if (n > 0) deps.metrics.inc('hook_queue_messages_total', { adapter, outcome }, n)
    }
    count('taken', rung.length)
    count('unreadable', strange.length - dropped.length)
    count('dropped', dropped.length)
    if (strange.length > 0) {
      const ids = strange.map(({ id }) => id)
      deps.log.warn(
        { adapter, place, ids, dropped: dropped.length },
        'messages of the queue cannot be read: something else sends there',
      )
    }
    if (dropped.length > 0)
      alert('hook-queue-unreadable', `${adapter}: something that is no event is put into the queue ${place}.`, adapter)
    return [...rung, ...dropped]
  }

  const step = async (signal: AbortSignal): Promise<number> => {
    let messages: readonly QueuedNews[]
    try {
      messages = await queue.take(signal)
    } catch (error) {
      if (signal.aborted) throw error
      return fail(error)
    }
    read()
    const news = messages.flatMap((message) => (message.news === undefined ? [] : [message.news]))
    await takeNews(deps, mount, news, { askGroup, alert })
    deps.probe?.('queue.taken')
    const some = await remove(sorted(messages), signal)
    full = messages.length >= queue.most && some ? full + 1 : 0
    return full > 0 && full % burst !== 0 ? 0 : pollMs
  }

  return {
    state: () => ({ place, lastOkAt, failing }),
    step,
    run: async (signal) => {
      while (!signal.aborted) {
        try {
          const inMs = await step(signal)
          if (inMs > 0) await deps.clock.sleep(inMs, signal)
        } catch (error) {
          if (signal.aborted) return
          if (deps.isFatal(error)) {
            deps.fatal(error)
            return
          }
          deps.log.error({ adapter, place, err: error }, 'what waits in the queue of a directory could not be taken in')
          await deps.clock.sleep(pollMs, signal).catch(() => undefined)
        }
      }
    },
  }
}
