/** The one source of time. Wall time is for records; every duration is measured on the monotonic clock. */
export interface Clock {
  /** Wall time, milliseconds since 1970. May jump. */
  now(): number
  /** Monotonic milliseconds from an arbitrary start. Never goes back. */
  mono(): number
  /** Resolves after `ms`; rejects with the signal's reason as soon as it aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/** Node fires a longer timer at once instead of late, so long sleeps are taken in pieces. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** @param holds whether a process waits at its exit for what sleeps */
const clockOf = ({ holds }: { readonly holds: boolean }): Clock => ({
  now: () => Date.now(),
  mono: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason)
        return
      }
      let left = Math.max(0, ms)
      let timer: NodeJS.Timeout | undefined
      const abort = () => {
        clearTimeout(timer)
        reject(signal?.reason)
      }
      const next = () => {
        if (left <= 0) {
          signal?.removeEventListener('abort', abort)
          resolve()
          return
        }
        const piece = Math.min(left, MAX_TIMER_MS)
        left -= piece
        start(piece)
      }
      const start = (piece: number) => {
        timer = setTimeout(next, piece)
        if (!holds) timer.unref()
      }
      signal?.addEventListener('abort', abort, { once: true })
      if (left === 0) start(0)
      else next()
    }),
})

export const systemClock: Clock = clockOf({ holds: true })

/** Time that keeps no process alive: its timers are not waited for at exit. */
export const backgroundClock: Clock = clockOf({ holds: false })

/** A clock that stands still until told otherwise. */
export interface ManualClock extends Clock {
  /** Moves both clocks, wakes every sleep that falls due in its order, and lets the woken code run. */
  advance(ms: number): Promise<void>
  /** Moves the wall clock alone, as an administrator or a bad time server does. */
  jump(ms: number): void
  /** How many sleeps wait. */
  readonly sleeping: number
}

interface Sleeper {
  readonly dueAt: number
  wake(): void
}

export function manualClock(startMs = Date.UTC(2026, 0, 1)): ManualClock {
  let wall = startMs
  let mono = 0
  const sleepers = new Set<Sleeper>()

  const settle = async () => {
    for (let turn = 0; turn < 3; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
  }
  const nextDue = (until: number) =>
    [...sleepers].filter((sleeper) => sleeper.dueAt <= until).sort((a, b) => a.dueAt - b.dueAt)[0]

  return {
    now: () => wall,
    mono: () => mono,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) {
          reject(signal.reason)
          return
        }
        const abort = () => {
          sleepers.delete(sleeper)
          reject(signal?.reason)
        }
        const sleeper = {
          dueAt: mono + Math.max(0, ms),
          wake: () => {
            sleepers.delete(sleeper)
            signal?.removeEventListener('abort', abort)
            resolve()
          },
        }
        sleepers.add(sleeper)
        signal?.addEventListener('abort', abort, { once: true })
      }),
    async advance(ms) {
      const until = mono + ms
      for (let sleeper = nextDue(until); sleeper; sleeper = nextDue(until)) {
        const step = Math.max(0, sleeper.dueAt - mono)
        mono += step
        wall += step
        sleeper.wake()
        await settle()
      }
      wall += until - mono
      mono = until
      await settle()
    },
    jump: (ms) => {
      wall += ms
    },
    get sleeping() {
      return sleepers.size
    },
  }
}
