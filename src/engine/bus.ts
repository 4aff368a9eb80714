/** Wakes those who wait for something committed. Carries no state: who is woken looks in the store (level, not edge). */
export interface Bus {
  wake(topic: string): void
  /** How often the topic was woken so far: to be asked before looking, and given to `wait`. */
  count(topic: string): number
  /** Resolves at the first wake after `seen`, at once when it was; or after `ms`, or when the signal aborts. */
  wait(topic: string, seen: number, ms: number, signal: AbortSignal): Promise<void>
}

export const createBus = (): Bus => {
  const waiting = new Map<string, Set<() => void>>()
  const counts = new Map<string, number>()
  const count = (topic: string) => counts.get(topic) ?? 0
  return {
    count,
    wake: (topic) => {
      counts.set(topic, count(topic) + 1)
      for (const heard of [...(waiting.get(topic) ?? [])]) heard()
    },
    wait: (topic, seen, ms, signal) =>
      new Promise((resolve) => {
        // A wake between looking and waiting must not be lost.
        if (signal.aborted || count(topic) !== seen) return resolve()
        const set = waiting.get(topic) ?? new Set()
        waiting.set(topic, set)
        const done = () => {
          clearTimeout(timer)
          set.delete(done)
          signal.removeEventListener('abort', done)
          resolve()
        }
        const timer = setTimeout(done, Math.min(ms, 2 ** 31 - 1))
        set.add(done)
        signal.addEventListener('abort', done)
      }),
  }
}

export const topics = {
  suspend: (adapter: string) => `suspend:${adapter}`,
  work: (adapter: string) => `work:${adapter}`,
  groups: (adapter: string) => `groups:${adapter}`,
  /** Something is due that keeps the directory telling of changes. */
  tending: (adapter: string) => `tending:${adapter}`,
  /** It may have failed to tell. */
  missed: (adapter: string) => `missed:${adapter}`,
  signals: 'signals',
  /** Woken when the suspensions of an outlet are further. */
  pushes: (outlet: string) => `pushes:${outlet}`,
  /** Woken by every commit. */
  changes: 'changes',
  cascades: 'cascades',
  blueprints: 'blueprints',
  policies: 'policies',
  delegations: 'delegations',
  imports: 'imports',
} as const
