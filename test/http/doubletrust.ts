import { pointsOf } from '../../src/core/trust.ts'
import type { Keep } from '../../src/engine/keeping.ts'
import type { TrustInput, TrustReports } from '../../src/engine/trustapi.ts'

/** Takes every score, of known agents and unknown ones. */
export const createTrust = (
  seen: TrustInput[],
  keeping: <K>(keep: Keep<K> | undefined, result: K) => K,
): TrustReports => {
  const now: TrustReports['trustNow'] = async (items) =>
    items.map((item) => ({ did: item.did, status: 'ok', score: pointsOf(item), hold: undefined }))
  return {
    reportTrust: async (items, caller, keep) => {
      seen.push(...items)
      const answers = await now(items, caller)
      keeping(keep, answers)
      return answers
    },
    trustNow: now,
  }
}
