import type { Finding } from '../src/core/adapter.ts'
import type { PersonFound } from '../src/core/doctor.ts'
import { BridgeError } from '../src/core/errors.ts'

const WARN_SKEW_MS = 30_000
/** Further off, tokens that were issued just now are refused (DESIGN §5). */
const MAX_SKEW_MS = 60_000

/** Of each kind no more are read by one check. */
export const MAX_GROUPS = 50

/** The findings of one check, as they come. */
export class Findings {
  readonly list: Finding[] = []

  /**
   * Whether it went well; how it failed is a finding, with what mends it.
   * @param grant mends it when it was not permitted
   */
  async attempt(what: string, run: () => Promise<unknown>, grant?: string): Promise<boolean> {
    try {
      await run()
      this.ok(what)
      return true
    } catch (error) {
      this.list.push(failure(what, error, grant))
      return false
    }
  }

  ok(text: string): void {
    this.list.push({ code: 'ok', level: 'ok', text })
  }

  /** A right that reading does not prove. `what`: e.g. `suspending a role (iam:PutRolePolicy)`. */
  unproven(what: string, mend?: string): void {
    const text = `${what}: cannot be told without a write`
    this.list.push({ code: 'unproven', level: 'unknown', text, ...(mend === undefined ? {} : { mend }) })
  }

  /** @param skewMs the directory's time less ours */
  clock(skewMs: number | undefined): void {
    if (skewMs === undefined) {
      const text = 'the clock of the directory was not told: no answer carried the time'
      this.list.push({ code: 'clock', level: 'unknown', text })
      return
    }
    if (Math.abs(skewMs) <= WARN_SKEW_MS) {
      this.ok('comparing the clocks')
      return
    }
    const level = Math.abs(skewMs) <= MAX_SKEW_MS ? 'warning' : 'error'
    const seconds = Math.round(Math.abs(skewMs) / 1000)
    const text = `the clock here is ${seconds} s ${skewMs > 0 ? 'behind' : 'ahead of'} the directory's`
    this.list.push({ code: 'clock', level, text, mend: 'synchronise the clock of this host (NTP): chronyc tracking' })
  }
}

function failure(what: string, error: unknown, grant?: string): Finding {
  if (!(error instanceof BridgeError)) return { code: 'E_BUG', level: 'error', text: `${what}: failed` }
  const { code, message, hint } = error
  const mend = code === 'E_DIRECTORY_FORBIDDEN' ? (grant ?? hint) : hint
  return { code, level: 'error', text: `${what}: ${message}`, ...(mend === undefined ? {} : { mend }) }
}

/** What a directory says of a person; what kept it from telling is a finding. `grant`: mends it when it was not permitted. */
export async function found(
  run: () => Promise<PersonFound['state']>,
  grant: () => string | undefined = () => undefined,
): Promise<PersonFound> {
  try {
    return { state: await run() }
  } catch (error) {
    return { state: 'unknown', finding: failure('reading the sponsor', error, grant()) }
  }
}
