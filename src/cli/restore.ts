import type { Hold } from '../core/types.ts'
import { restoreStore } from '../store/copying.ts'
import { openStoreReadonly } from '../store/index.ts'
import { type Io, paint } from './io.ts'
import { progressOn, requireChain, type StoreChoice, storeUrl } from './store.ts'

export interface RestoreOptions extends StoreChoice {
  readonly json?: boolean
}

const page = 500

/** Open holds of the old database that the restored one does not have open; undefined when the old one cannot be read. */
const missing = async (path: string, aside: string): Promise<Hold[] | undefined> => {
  const now = await openStoreReadonly(`sqlite:${path}`)
  try {
    const old = await openStoreReadonly(`sqlite:${aside}`)
    try {
      const found: Hold[] = []
      let after: string | undefined
      for (;;) {
        const some = await old.openHoldsWithOrigin('', page, after)
        for (const hold of some) {
          const kept = await now.hold(hold.id)
          if (kept === undefined || kept.releasedAt !== undefined) found.push(hold)
        }
        after = some.at(-1)?.id
        if (some.length < page) return found
      }
    } finally {
      await old.close()
    }
  } catch {
    // Whatever is wrong with it is why it was replaced.
    return undefined
  } finally {
    await now.close()
  }
}

const iso = (at: number): string => new Date(at).toISOString()

/** Puts a backup in the place of the store, keeps what was there, and says which holds are missing now. */
export const restore = async (io: Io, backup: string, options: RestoreOptions): Promise<void> => {
  const url = storeUrl(io, options)
  const done = await restoreStore({ url, backup, now: Date.now, progress: progressOn(io), verify: requireChain })
  const { aside, path, taken } = done
  const lost = aside === undefined ? undefined : await missing(path, aside)
  if (options.json) {
    const holds = lost?.map(({ did, id, origin, placedAt, reason, severity }) => {
      return { id, did, origin, severity, placedAt: iso(placedAt), reason }
    })
    const moment = { at: iso(taken.at), entries: taken.seq, head: taken.hash }
    io.out(JSON.stringify({ ok: true, path, ...moment, aside: aside ?? null, missing: holds ?? null }))
    return
  }
  const { bold, green, yellow } = paint(io)
  io.out(`${green('ok')} ${path}: as of ${iso(taken.at)}, ${taken.seq} audit entries`)
  if (aside !== undefined) io.out(`the old database is kept as ${aside}`)
  if (lost === undefined) {
    io.out(yellow(`holds placed after ${iso(taken.at)} are missing; the old database cannot tell which`))
    io.out('look for them in what runtimes and people sent since, and place them again before gateways ask')
  } else if (lost.length === 0) io.out('no open hold of the old database is missing')
  else {
    io.out(yellow(`${lost.length} open holds of the old database are missing; place them again before gateways ask:`))
    for (const { did, origin, placedAt, reason, severity } of lost) {
      io.out(`  ${bold(did)} ${severity} by ${origin} at ${iso(placedAt)}: ${reason}`)
    }
  }
}
