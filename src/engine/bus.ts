/** Wakes those who wait for something committed. Carries no state: who is woken looks in the store (level, not edge). */
export interface Bus {
  wake(topic: string): void
  /** Resolves at the next wake of the topic, or after `ms`, or when the signal aborts. */
  wait(topic: string, ms: number, signal: AbortSignal): Promise<void>
  /** Called on every wake until the returned function is. */
  listen(topic: string, heard: () => void): () => void
}

export const createBus = (): Bus => {
  const topics = new Map<string, Set<() => void>>()
  /** A wake that came while nobody waited must not be lost: the next wait returns at once. */
  const missed = new Set<string>()
  const listen = (topic: string, heard: () => void) => {
    const set = topics.get(topic) ?? new Set()
    topics.set(topic, set.add(heard))
    return () => {
      set.delete(heard)
    }
  }
  return {
    listen,
    wake: (topic) => {
      const set = topics.get(topic)
      if (set === undefined || set.size === 0) missed.add(topic)
      else for (const heard of [...set]) heard()
    },
    wait: (topic, ms, signal) =>
      new Promise((resolve) => {
        if (signal.aborted || missed.delete(topic)) return resolve()
        const done = () => {
          clearTimeout(timer)
          stop()
          signal.removeEventListener('abort', done)
          resolve()
        }
        const timer = setTimeout(done, Math.min(ms, 2 ** 31 - 1))
        const stop = listen(topic, done)
        signal.addEventListener('abort', done)
      }),
  }
}

export const topics = {
  suspend: (adapter: string) => `suspend:${adapter}`,
  work: (adapter: string) => `work:${adapter}`,
  groups: (adapter: string) => `groups:${adapter}`,
  signals: 'signals',
} as const
