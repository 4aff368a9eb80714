import type { Clock } from './clock.ts'
import type { Logger } from './log.ts'

/** Waits for the work, but no longer. */
export const within = async (ms: number, work: Promise<void>): Promise<void> => {
  const timer = AbortSignal.timeout(ms)
  await Promise.race([work, new Promise<void>((resolve) => timer.addEventListener('abort', () => resolve()))])
}

/** Does the task again and again until the signal; a failure is said, and the next time comes as ever. */
export const every = async (
  clock: Clock,
  ms: number,
  signal: AbortSignal,
  log: Logger,
  task: () => Promise<void>,
): Promise<void> => {
  while (!signal.aborted) {
    try {
      await clock.sleep(ms, signal)
      await task()
    } catch (error) {
      if (!signal.aborted) log.error({ err: error }, 'a periodic task failed')
    }
  }
}
