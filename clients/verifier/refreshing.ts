/**
 * Which DIDs are to be read anew, and when. The bridge reads accounts all the time and does not tell each reading: half
 * way to the age at which an old reading denies, the row is asked for, and then ever sooner.
 */
export interface Refreshing {
  /** The DID was read now, with this oldest reading of its accounts; undefined: none that could grow old. */
  read(did: string, oldestAt: number | undefined, now: number): void
  /** Those that are due, at most so many; each is out of the list until it was read. */
  due(now: number, most: number): string[]
  /** They could not be read: the same once more, later. */
  failed(dids: readonly string[], now: number): void
  /** The age at which a reading denies. */
  denyAfter(ms: number): void
}

const bucketMs = 1_000
/** A row that is too old already is asked for this often: whoever reads accounts rarely may wait longer. */
const retryMs = (denyAfterMs: number): number => Math.min(600_000, Math.max(2_000, denyAfterMs / 24))

export const createRefreshing = (): Refreshing => {
  const buckets = new Map<number, Set<string>>()
  const places = new Map<string, number>()
  let denyAfterMs = Number.POSITIVE_INFINITY
  let soonest = Number.POSITIVE_INFINITY

  const forget = (did: string): void => {
    const place = places.get(did)
    if (place === undefined) return
    places.delete(did)
    const bucket = buckets.get(place)
    bucket?.delete(did)
    if (bucket?.size === 0) buckets.delete(place)
  }
  const put = (did: string, at: number): void => {
    forget(did)
    const place = Math.ceil(at / bucketMs)
    places.set(did, place)
    const bucket = buckets.get(place) ?? new Set()
    buckets.set(place, bucket.add(did))
    soonest = Math.min(soonest, place)
  }
  return {
    read: (did, oldestAt, now) => {
      if (oldestAt === undefined) return forget(did)
      const leftMs = oldestAt + denyAfterMs - now
      if (leftMs === Number.POSITIVE_INFINITY) return forget(did)
      put(did, leftMs <= 0 ? now + retryMs(denyAfterMs) : now + Math.max(bucketMs, leftMs / 2))
    },
    due: (now, most) => {
      const present = Math.floor(now / bucketMs)
      if (soonest > present) return []
      const found: string[] = []
      for (const [place, bucket] of buckets) {
        if (place > present) continue
        for (const did of bucket) {
          if (found.length === most) return found
          forget(did)
          found.push(did)
        }
      }
      soonest = [...buckets.keys()].reduce((least, place) => Math.min(least, place), Number.POSITIVE_INFINITY)
      return found
    },
    failed: (dids, now) => {
      for (const did of dids) put(did, now + retryMs(denyAfterMs))
    },
    denyAfter: (ms) => {
      if (ms === denyAfterMs) return
      denyAfterMs = ms
      // How old each reading is shows when it is read.
      for (const did of [...places.keys()]) put(did, 0)
    },
  }
}
