import type { StoreReads } from '../core/store.ts'
import { pointsOf } from '../core/trust.ts'
import type { Did } from '../core/types.ts'
import type { TrustView } from './trustapi.ts'

/** Undefined: nobody reported. */
export const trustView = async (reads: StoreReads, did: Did): Promise<TrustView | undefined> => {
  const reports = await reads.trustOf([did])
  if (reports.length === 0) return undefined
  return {
    score: Math.min(...reports.map(pointsOf)),
    reports: reports.map(({ client, score, scale, at, settled }) => ({ client, score, scale, at, settled })),
  }
}
