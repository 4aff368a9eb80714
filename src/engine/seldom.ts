import type { Deps } from './deps.ts'

const everyMs = 600_000

/** Alerts that may repeat with every message: each code is told now and then, so that others are not pushed out. */
export const seldom = (deps: Pick<Deps, 'alert' | 'clock'>): ((code: string, text: string) => void) => {
  const told = new Map<string, number>()
  return (code, text) => {
    const now = deps.clock.mono()
    if (now - (told.get(code) ?? Number.NEGATIVE_INFINITY) < everyMs) return
    told.set(code, now)
    deps.alert(code, text)
  }
}
