/** Tells one waiter that there is something to do. A ring while nobody waits is remembered. */
export const createBell = (): { ring(): void; rung(signal: AbortSignal): Promise<void> } => {
  let rang = false
  let heard: (() => void) | undefined
  return {
    ring: () => {
      rang = true
      heard?.()
    },
    rung: (signal) =>
      new Promise((resolve) => {
        const done = () => {
          rang = false
          heard = undefined
          signal.removeEventListener('abort', done)
          resolve()
        }
        if (rang || signal.aborted) return done()
        heard = done
        signal.addEventListener('abort', done, { once: true })
      }),
  }
}
