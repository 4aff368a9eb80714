import { createTask } from 'node-cron'
import { type Clock, systemClock } from './clock.ts'

export interface ScheduleOptions {
  /** 5 or 6 fields. */
  readonly expression: string
  /** IANA name. */
  readonly timeZone: string
  /** Each run starts up to this much later, so that many bridges do not call at the same second. */
  readonly jitterMs: number
  /** One number in [0, 1). */
  readonly random: () => number
  readonly clock: Pick<Clock, 'sleep'>
  /** Its signal aborts when the schedule stops. */
  readonly task: (signal: AbortSignal) => Promise<void> | void
  /** Gets whatever the task throws. */
  readonly onError: (error: unknown) => void
}

export interface Schedule {
  /** Runs now, without jitter; joins the present run when there is one. */
  run(): Promise<void>
  /** Starts no run any more, aborts the present one and waits for it. */
  stop(): Promise<void>
  /** Wall time of the next run, milliseconds since 1970. */
  nextAt(): number | undefined
}

const watchMs = 1_000

/** Runs a task on a cron schedule, one run at a time: a run that falls due during another is left out. */
export function schedule(options: ScheduleOptions): Schedule {
  const { expression, timeZone, jitterMs, random, clock, task, onError } = options
  const stopping = new AbortController()
  const { signal } = stopping
  let present: Promise<void> | undefined

  const begin = (delayMs: number): Promise<void> => {
    if (signal.aborted) return Promise.resolve()
    present ??= once(delayMs).finally(() => {
      present = undefined
    })
    return present
  }
  const once = async (delayMs: number) => {
    try {
      if (delayMs > 0) await clock.sleep(delayMs, signal)
      await task(signal)
    } catch (error) {
      if (signal.aborted) return
      // A handler that throws must not become an unhandled rejection inside the timer.
      try {
        onError(error)
      } catch {}
    }
  }

  const cron = createTask(expression, () => begin(random() * jitterMs), {
    timezone: timeZone,
    suppressMissedWarning: true,
    logger: { info() {}, warn() {}, debug() {}, error: (message, error) => onError(error ?? message) },
  })
  cron.start()

  // The library goes by the system's wall clock and only ever forwards: set back, nothing would run until it caught up.
  const offset = () => systemClock.now() - systemClock.mono()
  let before = offset()
  const watch = setInterval(() => {
    const now = offset()
    if (Math.abs(now - before) < watchMs) return
    before = now
    void Promise.resolve(cron.stop()).then(() => (signal.aborted ? undefined : cron.start()))
  }, watchMs)
  watch.unref()

  return {
    run: () => begin(0),
    nextAt: () => (signal.aborted ? undefined : cron.getNextRun()?.getTime()),
    async stop() {
      stopping.abort()
      clearInterval(watch)
      await cron.destroy()
      await present
    },
  }
}
