import { codeOf } from '../core/errors.ts'
import type { Lane, ScheduledPrincipal } from '../core/store.ts'
import { ask } from './asking.ts'
import { topics } from './bus.ts'
import { bridge, change } from './change.ts'
import { resumes } from './context.ts'
import type { Deps, Mount } from './deps.ts'
import { rebaseGuard } from './guarding.ts'
import { createJumpWatch, createRecall, restMs, retryRestMs } from './recall.ts'
import { keyText } from './seen.ts'
import { createCachedLog } from './switchlog.ts'
import { defer, type Job, jobs, local, pausedKey, read } from './worker.ts'
import { disable, enable } from './writes.ts'

const look = 200
const idleMs = 5_000
/** With calls on the wire: one that failed may be due before another ends. */
const busyMs = 1_000
const faultMs = 1_000
const doubtMs = 30_000
/** Calls open at once, by what they carry. Those for many leave the others theirs. */
const widths = { fresh: 4, retry: 2, bulk: 2 } as const
type Slot = keyof typeof widths
const lanesOf: Readonly<Record<Slot, Lane>> = { fresh: 0, retry: 2, bulk: 4 }
const slotNames = ['fresh', 'retry', 'bulk'] as const

const unwritable: ReadonlySet<string> = new Set(['E_STORE_FULL', 'E_STORE_READONLY'])

/** What a look found: more to do at once, nothing before the next due time, or nothing before somebody wakes us. */
type Looked = 'more' | 'due' | 'wake'

/**
 * The workers of one adapter. Three loops, so that nothing delays a suspension (rule 9): the first picks up claims and
 * disables the moment they are committed, several calls at once, with slots and a lane apart for those that keep failing
 * and for those of many agents at once; the second reads; the third asks the log and enables. All compare what is
 * wanted with what is known: they can be stopped anywhere and started again.
 */
export const createMirror = (deps: Deps, mount: Mount) => {
  const { name, accounts } = mount.adapter
  const recall = createRecall()
  const jumped = createJumpWatch(deps.clock)
  const busy = new Set<string>()
  /** Until when (monotonic) accounts are left alone whose disable met a fault of ours: else they would be tried at once. */
  const faulty = new Map<string, number>()
  const running = new Set<Promise<void>>()
  const slots: Record<Slot, number> = { fresh: 0, retry: 0, bulk: 0 }
  const batch = accounts?.batch ?? look
  const log =
    accounts?.log &&
    createCachedLog({
      log: accounts.log,
      clock: deps.clock,
      trustedWriters: () => mount.settings.trustedWriters ?? [],
    })
  // Stopping waits for what is on the wire (every adapter bounds its calls); given up, it would count as in flight.
  const { signal: never } = new AbortController()

  /** After a jump of the wall clock every due time is worthless: all that something is wanted of is looked at now. */
  const checkClock = async (): Promise<void> => {
    const byMs = jumped()
    if (byMs === 0) return
    recall.doubted = true
    log?.clear()
    deps.alert(
      'clock-jumped',
      `the wall clock jumped by ${Math.round(byMs / 1000)} s; ${name} resumes nothing before a full pass`,
    )
    await change(deps, bridge, async (c) => {
      await rebaseGuard(c, name)
      await c.tx.wakeEngaged(name, c.now)
      c.wakeSuspend(name)
      c.wakeWork(name)
      c.after(() => deps.bus.wake(topics.groups(name)))
    })
  }

  /** One look at the suspend lanes; starts what it can and returns without waiting for the directory. */
  const suspendOnce = async (_signal?: AbortSignal): Promise<Looked> => {
    await checkClock()
    const now = deps.clock.now()
    const seen: ScheduledPrincipal[] = []
    for (const slot of slotNames) {
      if (!hasRoom(slot) || restOf(lanesOf[slot]) > 0) continue
      seen.push(...(await deps.store.due(name, lanesOf[slot], now, look)))
    }
    const due = seen.filter((one) => !busy.has(keyText(one)) && !isFaulty(keyText(one)))
    if (due.length === 0) return seen.length > 0 ? 'wake' : 'due'
    if ((await deps.store.meta(pausedKey)) !== undefined) return 'wake'
    const found = await jobs(deps, mount, due)
    const of = (disables: boolean) =>
      found.filter(({ step }) => (step.do === 'disable') === disables).map(({ principal }) => principal)
    await local(deps, mount, of(false))
    const writes = Map.groupBy(of(true), slotOf)
    for (const slot of slotNames) start(slot, writes.get(slot) ?? [])
    return 'wake'
  }

  const isFaulty = (key: string): boolean => {
    if ((faulty.get(key) ?? 0) > deps.clock.mono()) return true
    faulty.delete(key)
    return false
  }

  const hasRoom = (slot: Slot): boolean => slots[slot] < widths[slot]
  /** Whoever ends a call wakes the loop: only what could be sent now has a time to wait for. */
  const sendable = (): Lane[] => slotNames.filter(hasRoom).map((slot) => lanesOf[slot])

  const slotOf = ({ schedule, account }: ScheduledPrincipal): Slot => {
    if (schedule.lane === lanesOf.bulk) return 'bulk'
    return account.attempts === 0 ? 'fresh' : 'retry'
  }

  const start = (slot: Slot, list: readonly ScheduledPrincipal[]): void => {
    for (let at = 0; at < list.length && hasRoom(slot); at += batch) {
      const part = list.slice(at, at + batch)
      slots[slot] += 1
      for (const one of part) busy.add(keyText(one))
      const task = disable(deps, mount, recall, part, never, slot === 'bulk')
        .catch((error: unknown) => {
          for (const one of part) faulty.set(keyText(one), deps.clock.mono() + faultMs)
          failed('disable', error)
        })
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

  const lookAt = async (lane: 1 | 3): Promise<{ looked: Looked; found: Job[] }> => {
    await checkClock()
    if (restMs(recall, deps.clock) > 0) return { looked: 'due', found: [] }
    const all = await deps.store.due(name, lane, deps.clock.now(), look)
    const due = all.filter((one) => !busy.has(keyText(one)))
    if (due.length === 0) return { looked: all.length > 0 ? 'wake' : 'due', found: [] }
    return { looked: 'more', found: await jobs(deps, mount, due) }
  }

  const split = (found: readonly Job[], isOurs: (step: Job['step']) => boolean) => {
    const of = (ours: boolean) => found.filter(({ step }) => isOurs(step) === ours).map(({ principal }) => principal)
    return { ours: of(true), rest: of(false) }
  }

  /** One look at the lane of reads, to the end: what was hinted at may be a suspension. */
  const readOnce = async (signal: AbortSignal): Promise<Looked> => {
    const { looked, found } = await lookAt(1)
    const { ours, rest } = split(found, (step) => step.do === 'read')
    await local(deps, mount, rest)
    await read(deps, mount, recall, ours, signal)
    return looked
  }

  /** One look at the lane of resumes, to the end: asks the log and switches on. Nothing else waits for it. */
  const resumeOnce = async (signal: AbortSignal): Promise<Looked> => {
    const { looked, found } = await lookAt(3)
    const { ours, rest } = split(found, (step) => resumes.has(step.do))
    await local(deps, mount, rest)
    if (ours.length === 0) return looked
    const paused = (await deps.store.meta(pausedKey)) !== undefined
    // Proving writes nothing to the directory, and its log does not wait for the end of a pause.
    const kept = (step: Job['step']) => recall.doubted || (paused && step.do !== 'prove')
    const deferred = found.filter(({ step }) => resumes.has(step.do) && kept(step))
    await defer(
      deps,
      deferred.map(({ principal }) => principal),
      doubtMs,
    )
    const asked = found.filter(({ step }) => resumes.has(step.do) && !kept(step))
    const proven = await ask(deps, mount, recall, log, asked, signal)
    for (let at = 0; at < proven.length && !signal.aborted; at += batch) {
      await enable(deps, mount, recall, proven.slice(at, at + batch), never)
    }
    return looked
  }

  /** Both, one after the other: for tests and for a first reading. */
  const workOnce = async (signal: AbortSignal): Promise<Looked> => {
    const looks = [await readOnce(signal), await resumeOnce(signal)]
    return looks.find((looked) => looked === 'more') ?? looks.find((looked) => looked === 'wake') ?? 'due'
  }

  const failed = (what: string, error: unknown): void => {
    // The store tells once that it takes no writes.
    if (unwritable.has(codeOf(error))) return
    deps.log.error({ adapter: name, what, err: error }, 'mirror worker failed')
    if (deps.isFatal(error)) deps.fatal(error)
  }

  /** A resting directory is tried by what is new and single only; one that throttles by single suspensions. */
  const restOf = (lane: Lane): number => {
    if (lane === 0) return 0
    return lane === 2 ? retryRestMs(recall, deps.clock) : restMs(recall, deps.clock)
  }

  const untilDue = async (lanes: readonly Lane[]): Promise<number> => {
    const waits = lanes.map(async (lane) => {
      const ms = ((await deps.store.nextDue(name, lane)) ?? Number.POSITIVE_INFINITY) - deps.clock.now()
      return Math.max(ms, restOf(lane))
    })
    return Math.min(idleMs, Math.max(1, Math.min(...(await Promise.all(waits)))))
  }

  const loop = async (
    topic: string,
    lanes: () => readonly Lane[],
    once: (s: AbortSignal) => Promise<Looked>,
    signal: AbortSignal,
  ) => {
    while (!signal.aborted) {
      const woken = deps.bus.count(topic)
      let wait = faultMs
      try {
        const looked = await once(signal)
        if (looked === 'more') continue
        wait = looked === 'wake' ? busyMs : await untilDue(lanes())
      } catch (error) {
        if (!signal.aborted) failed(topic, error)
      }
      await deps.bus.wait(topic, woken, wait, signal)
    }
  }

  return {
    recall,
    /** When the directory's log was last read; undefined where it keeps none. */
    log: log?.state,
    suspendOnce,
    workOnce,
    /** Runs until the signal aborts; resolves when nothing of ours is on the wire any more. */
    run: async (signal: AbortSignal): Promise<void> => {
      await Promise.all([
        loop(topics.suspend(name), sendable, suspendOnce, signal),
        loop(topics.work(name), () => [1], readOnce, signal),
        loop(topics.work(name), () => [3], resumeOnce, signal),
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
