import type { Finding } from '../src/core/adapter.ts'
import { BridgeError } from '../src/core/errors.ts'

const MAX_SKEW_MS = 60_000

/** The findings of one check, as they come. */
export class Findings {
  readonly list: Finding[] = []

  /** Whether it went well; how it failed is a finding, with what mends it. */
  async attempt(what: string, run: () => Promise<unknown>): Promise<boolean> {
    try {
      await run()
      this.list.push({ code: 'ok', level: 'ok', text: what })
      return true
    } catch (error) {
      this.list.push(failure(what, error))
      return false
    }
  }

  /** @param skewMs the directory's time less ours */
  clock(skewMs: number | undefined): void {
    if (skewMs === undefined || Math.abs(skewMs) <= MAX_SKEW_MS) return
    const seconds = Math.round(Math.abs(skewMs) / 1000)
    const text = `the clock here is ${seconds} s ${skewMs > 0 ? 'behind' : 'ahead of'} the directory's`
    this.list.push({ code: 'clock', level: 'warning', text, mend: 'synchronise the clock of this host (NTP)' })
  }
}

function failure(what: string, error: unknown): Finding {
  if (!(error instanceof BridgeError)) return { code: 'E_BUG', level: 'error', text: `${what}: failed` }
  const { code, message, hint } = error
  return { code, level: 'error', text: `${what}: ${message}`, ...(hint === undefined ? {} : { mend: hint }) }
}
