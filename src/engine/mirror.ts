import type { Lane, ScheduledPrincipal } from '../core/store.ts'
import { ask } from './asking.ts'
import { topics } from './bus.ts'
import type { Deps, Mount } from './deps.ts'
import { keyText } from './seen.ts'
import { jobs, local, pausedKey, postpone, read } from './worker.ts'
import { disable, enable } from './writes.ts'

const look = 200
const idleMs = 5_000
const freshSlots = 4
const retrySlots = 2

/**
 * The workers of one adapter. Two loops, so that nothing delays a suspension (rule 9): the suspend lane picks up
 * claims and disables the moment they are committed, several calls at once, fresh ones apart from those that keep
 * failing; the other lane reads, asks the log and enables. Both compare what is wanted with what is known: they can be
 * stopped anywhere and started again.
 */
export const createMirror = (deps: Deps, mount: Mount) => {
  const { name, accounts } = mount.adapter
  const recall: Recall = new Map()
  const busy = new Set<string>()
  const running = new Set<Promise<void>>()
  const slots = { fresh: 0, retry: 0 }
  const batch = accounts?.batch ?? look

  /** One look at the suspend lane; starts what it can and returns without waiting for the directory. */
  const suspendOnce = async (signal: AbortSignal): Promise<void> => {
    const due = (await deps.store.due(name, 0, deps.clock.now(), look)).filter((one) => !busy.has(keyText(one)))
    if (due.length === 0 || (await deps.store.meta(pausedKey)) !== undefined) return
    const found = await jobs(deps, mount, due)
    const writes = found.filter(({ step }) => step.do === 'disable').map(({ principal }) => principal)
    await local(
      deps,
      mount,
      found.filter(({ step }) => step.do !== 'disable').map(({ principal }) => principal),
    )
    start(
      'fresh',
      freshSlots,
      writes.filter(({ account }) => account.attempts === 0),
      signal,
    )
    start(
      'retry',
      retrySlots,
      writes.filter(({ account }) => account.attempts > 0),
      signal,
    )
  }

  const start = (
    slot: 'fresh' | 'retry',
    most: number,
    list: readonly ScheduledPrincipal[],
    signal: AbortSignal,
  ): void => {
    for (let at = 0; at < list.length && slots[slot] < most; at += batch) {
      const part = list.slice(at, at + batch)
      slots[slot] += 1
      for (const one of part) busy.add(keyText(one))
      const task = disable(deps, mount, recall, part, signal)
        .catch((error: unknown) => failed('disable', error))
        .finally(() => {
          slots[slot] -= 1
          running.delete(task)
          for (const one of part) busy.delete(keyText(one))
          deps.bus.wake(topics.suspend(name))
          deps.bus.wake(topics.work(name))
        })
      running.add(task)
    }
  }

  /** One look at the other lane, to the end. True when there may be more. */
  const workOnce = async (signal: AbortSignal): Promise<boolean> => {
    const due = (await deps.store.due(name, 1, deps.clock.now(), look)).filter((one) => !busy.has(keyText(one)))
    if (due.length === 0) return false
    const found = await jobs(deps, mount, due)
    const of = (...steps: string[]) =>
      found.filter(({ step }) => steps.includes(step.do)).map(({ principal }) => principal)
    await local(deps, mount, of('claim', 'unclaim', 'disable', 'rest'))
    await read(deps, mount, recall, of('read'), signal)
    const asked = of('attribute', 'check-lift', 'check-override')
    if (asked.length === 0) return true
    if ((await deps.store.meta(pausedKey)) !== undefined) {
      await postpone(deps, asked, Number.POSITIVE_INFINITY, undefined)
      return true
    }
    const proven = await ask(deps, mount, recall, asked, signal)
    for (let at = 0; at < proven.length; at += batch) {
      await enable(deps, mount, recall, proven.slice(at, at + batch), signal)
    }
    return true
  }

  const failed = (what: string, error: unknown): void => {
    deps.log.error({ adapter: name, what, err: error }, 'mirror worker failed')
    if (deps.isFatal(error)) deps.fatal(error)
  }

  const loop = async (
    topic: string,
    lane: Lane,
    once: (signal: AbortSignal) => Promise<unknown>,
    signal: AbortSignal,
  ) => {
    while (!signal.aborted) {
      let more: unknown = false
      try {
        more = await once(signal)
      } catch (error) {
        if (!signal.aborted) failed(lane === 0 ? 'suspend' : 'work', error)
      }
      if (more === true) continue
      const dueAt = await deps.store.nextDue(name, lane).catch(() => undefined)
      const wait = dueAt === undefined ? idleMs : Math.min(idleMs, Math.max(20, dueAt - deps.clock.now()))
      await deps.bus.wait(topic, wait, signal)
    }
  }

  return {
    recall,
    suspendOnce,
    workOnce,
    /** Runs until the signal aborts; resolves when nothing of ours is on the wire any more. */
    run: async (signal: AbortSignal): Promise<void> => {
      await Promise.all([
        loop(topics.suspend(name), 0, suspendOnce, signal),
        loop(topics.work(name), 1, workOnce, signal),
      ])
      await Promise.allSettled(running)
    },
    /** Resolves when every write that was started has been answered. */
    drained: async (): Promise<void> => {
      while (running.size > 0) await Promise.allSettled(running)
    },
  }
}

export type Mirror = ReturnType<typeof createMirror>
