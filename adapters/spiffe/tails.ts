import type { PrincipalId } from '../../src/core/types.ts'
import type { SpiffeConfig } from './config.ts'
import type { Entry } from './entries.ts'

/** From a change of an entry until no agent issues by it: two rounds of five seconds (server and agent, read 2026-11). */
const ISSUANCE_STOPS_MS = 10_000
const MAX_IDS = 200_000

/** How long the SVIDs of a workload verify elsewhere after it was suspended. */
export interface Tails {
  note(id: PrincipalId, entries: readonly Pick<Entry, 'x509_svid_ttl' | 'jwt_svid_ttl'>[]): void
  tailMs(id: PrincipalId): number
}

/** Of an ID that was never read, the times that the server gives to entries without their own. */
export function openTails({ svids }: Pick<SpiffeConfig, 'svids'>): Tails {
  const { x509Ttl, jwtTtl } = svids
  const longest = new Map<PrincipalId, number>()
  return {
    note(id, entries) {
      const ttls = entries.flatMap(({ x509_svid_ttl: x509, jwt_svid_ttl: jwt }) => [
        x509 > 0 ? x509 * 1000 : x509Ttl,
        jwt > 0 ? jwt * 1000 : jwtTtl,
      ])
      if (ttls.length === 0) return
      if (longest.size >= MAX_IDS && !longest.has(id)) longest.clear()
      longest.set(id, Math.max(...ttls))
    },
    tailMs: (id) => ISSUANCE_STOPS_MS + (longest.get(id) ?? Math.max(x509Ttl, jwtTtl)),
  }
}
