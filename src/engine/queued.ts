import type { Deps } from './deps.ts'

/** One run at a time a process, each after the one before, whatever became of it. */
export const oneAtATime = (run: (deps: Deps) => Promise<void>): ((deps: Deps) => Promise<void>) => {
  const runs = new WeakMap<Deps, Promise<void>>()
  return (deps) => {
    const before = runs.get(deps) ?? Promise.resolve()
    const next = before.catch(() => undefined).then(() => run(deps))
    runs.set(deps, next)
    return next
  }
}
