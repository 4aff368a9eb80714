import type { Deps } from './deps.ts'

const everyMs = 600_000

/** Alerts that may repeat with every message: each code of each source is told now and then, so that others are not pushed out. */
export const seldom = (deps: Pick<Deps, 'alert' | 'clock'>): ((code: string, text: string, of?: string) => void) => {
  const told = new Map<string, number>()
  return (code, text, of = '') => {
    const now = deps.clock.mono()
    const key = `${code} ${of}`
    if (now - (told.get(key) ?? Number.NEGATIVE_INFINITY) < everyMs) return
    told.set(key, now)
    deps.alert(code, text)
  }
}
