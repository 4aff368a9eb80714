import type { Clock } from '../../src/lib/clock.ts'

/** Time that keeps no process alive: its timers are not waited for at exit. */
export const backgroundClock: Clock = {
  now: () => Date.now(),
  mono: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason)
        return
      }
      const abort = () => {
        clearTimeout(timer)
        reject(signal?.reason)
      }
      // Nothing here waits longer than an hour, which is far from where timers overflow.
      const timer = setTimeout(
        () => {
          signal?.removeEventListener('abort', abort)
          resolve()
        },
        Math.max(0, ms),
      )
      timer.unref()
      signal?.addEventListener('abort', abort, { once: true })
    }),
}
