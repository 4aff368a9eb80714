import type { Did } from '../core/types.ts'
import { bridge, change } from './change.ts'
import type { Deps } from './deps.ts'

const most = 100_000
const chunk = 500

/** When agents were last allowed to act. Kept in memory and written now and then, so that a decision costs no write. */
export interface Activity {
  note(did: Did, now: number): void
  flush(): Promise<void>
}

export const createActivity = (deps: Deps): Activity => {
  let seen = new Map<Did, number>()
  return {
    note: (did, now) => {
      if (seen.size < most || seen.has(did)) seen.set(did, now)
    },
    flush: async () => {
      const noted = [...seen]
      seen = new Map()
      for (let at = 0; at < noted.length; at += chunk) {
        await change(deps, bridge, async (c) => {
          for (const [did, when] of noted.slice(at, at + chunk)) await c.tx.noteActivity(did, when)
        })
      }
    },
  }
}
