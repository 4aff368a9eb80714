import type { LogEntry, SwitchLog } from '../core/adapter.ts'
import { type JudgedEntry, type LogReading, logSkewMs } from '../core/switchlog.ts'
import type { Clock } from '../lib/clock.ts'

/** One adapter's log as it was read so far. */
export interface CachedLog {
  /** Where a reading can begin: what is older may be forgotten by the directory any moment. */
  reach(): number
  /** What the log says from then on (or from where it begins). Reads only what is not known yet. */
  read(from: number, signal: AbortSignal): Promise<(id: string) => LogReading>
  /** Forgets all: times that were read on a doubtful clock prove nothing. */
  clear(): void
  /** When the log was last read, and up to where it is complete. */
  readonly state: { readAt: number | undefined; completeUntil: number | undefined }
}

export interface CacheParts {
  readonly log: SwitchLog
  readonly clock: Pick<Clock, 'now' | 'mono'>
  /** In lower case. */
  readonly trustedWriters: () => readonly string[]
  readonly maxEntries?: number
}

const nothing = { entries: [], completeUntil: 0, settledUntil: 0, unread: undefined, readMono: 0, readAt: 0 }

/** A reading this young answers again: what happened since is found by the look after the enable. */
const freshMs = 5_000
const maxKept = 100_000

type Unread = ((id: string) => boolean) | undefined

const either = (a: Unread, b: Unread): Unread => (a && b ? (id) => a(id) || b(id) : (a ?? b))

interface Known {
  readonly from: number
  /** Where a later reading begins: before `completeUntil` while a part of the directory was not read up to there. */
  readonly settledUntil: number
  /** Accounts of which something since `settledUntil` was not read. */
  readonly unread: Unread
  readonly completeUntil: number
  readonly readMono: number
  readonly readAt: number
  /** By time; those of one millisecond as the log gave them. */
  readonly entries: readonly JudgedEntry[]
}

/**
 * Keeps what was read of a log, so that thousands of accounts cost its pages once. Entries up to `completeUntil` are
 * final by the port's promise, less the skew of the clocks: a later reading begins there. It is extended backwards only
 * when something older is asked. One read at a time; who asks meanwhile shares it.
 */
export const createCachedLog = ({ log, clock, trustedWriters, maxEntries = maxKept }: CacheParts): CachedLog => {
  const state: CachedLog['state'] = { readAt: undefined, completeUntil: undefined }
  let known: Known | undefined
  let reading: { readonly from: number; readonly done: Promise<Known> } | undefined
  /** Raised by `clear`: what was begun before does not come back. */
  let generation = 0

  const reach = () => clock.now() - log.retentionMs + logSkewMs

  const judged = (entry: LogEntry): JudgedEntry => {
    const trusted = !entry.ours && entry.actorIds?.some((id) => trustedWriters().includes(id.toLowerCase()))
    return trusted ? { ...entry, trusted } : entry
  }

  const fetch = async (from: number, to: number, signal: AbortSignal) => {
    const { entries, completeUntil, unread } = await log.read({ from, to }, signal)
    return { entries: entries.map(judged), completeUntil, unread }
  }

  const isFresh = (one: Known): boolean => clock.mono() - one.readMono < freshMs && clock.now() >= one.readAt

  const extend = async (from: number, signal: AbortSignal): Promise<Known> => {
    const begun = generation
    const [now, mono] = [clock.now(), clock.mono()]
    // A clock set back leaves a reading of the future behind.
    const base = known !== undefined && known.readAt <= now ? known : undefined
    let { entries, completeUntil, settledUntil, unread, readMono, readAt } = base ?? nothing
    let missed: Unread
    const older = base === undefined || from < base.from ? { from, to: base?.from ?? now } : undefined
    if (older !== undefined) {
      const part = await fetch(older.from, older.to, signal)
      entries = merged(part.entries, entries)
      if (base === undefined) completeUntil = settledUntil = part.completeUntil
      missed = part.unread
    }
    if (base !== undefined && !isFresh(base)) {
      const part = await fetch(Math.max(base.from, settledUntil - logSkewMs), now, signal)
      entries = merged(entries, part.entries)
      // What was complete stays so, also when the log falls behind.
      completeUntil = Math.max(completeUntil, part.completeUntil)
      unread = part.unread
      if (unread === undefined) settledUntil = completeUntil
    }
    if (missed !== undefined && older !== undefined) {
      unread = either(unread, missed)
      settledUntil = Math.min(settledUntil, older.from)
    }
    if (base === undefined || !isFresh(base)) [readMono, readAt] = [mono, now]
    const begins = Math.min(from, base?.from ?? from)
    const all: Known = { from: begins, settledUntil, completeUntil, unread, readMono, readAt, entries }
    if (begun === generation) {
      known = bounded(all, Math.max(reach(), 0), maxEntries)
      Object.assign(state, { readAt, completeUntil })
    }
    return all
  }

  const reader = (one: Known, from: number): ((id: string) => LogReading) => {
    const byId = Map.groupBy(one.entries, ({ id }) => id)
    const begins = Math.max(from, one.from)
    return (id) => {
      const completeUntil = one.unread?.(id) ? 0 : one.completeUntil
      return { entries: byId.get(id) ?? [], completeUntil, from: begins }
    }
  }

  return {
    state,
    reach,
    clear: () => {
      generation += 1
      known = undefined
      reading = undefined
    },
    async read(asked, signal) {
      const from = Math.max(asked, reach())
      for (;;) {
        if (known !== undefined && known.from <= from && isFresh(known)) return reader(known, from)
        if (reading === undefined) {
          const done = extend(from, signal)
          const mine = { from, done }
          reading = mine
          try {
            return reader(await done, from)
          } finally {
            if (reading === mine) reading = undefined
          }
        }
        if (reading.from <= from) return reader(await reading.done, from)
        // It does not go back far enough: ours follows, whatever became of it.
        await reading.done.catch(() => undefined)
      }
    },
  }
}

/** Each entry by what it says, and which of that it is: one account may go off and on twice within a millisecond. */
const numbered = (entries: readonly JudgedEntry[]): [string, JudgedEntry][] => {
  const counts = new Map<string, number>()
  return entries.map((entry) => {
    const key = `${entry.at} ${entry.action} ${entry.ours} ${entry.id} ${entry.actor}`
    const n = (counts.get(key) ?? 0) + 1
    counts.set(key, n)
    return [`${key} ${n}`, entry]
  })
}

/** Both, each entry once, by time. Nothing that the log once showed is dropped because a later page lacks it. */
const merged = (older: readonly JudgedEntry[], newer: readonly JudgedEntry[]): JudgedEntry[] => {
  const seen = new Map([...numbered(older), ...numbered(newer)])
  return [...seen.values()].toSorted((a, b) => a.at - b.at)
}

/** What is past the log's own reach or beyond the bound is let go, the oldest first; asked for again, it is read again. */
const bounded = (one: Known, reach: number, max: number): Known => {
  const surplus = one.entries.length - max
  const cut = surplus > 0 ? (one.entries[surplus - 1]?.at ?? 0) + 1 : 0
  const from = Math.max(one.from, reach, cut)
  return from === one.from ? one : { ...one, from, entries: one.entries.filter(({ at }) => at >= from) }
}
