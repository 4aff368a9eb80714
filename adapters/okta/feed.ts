import type { Page } from '../../src/core/adapter.ts'
import { codeOf } from '../../src/core/errors.ts'
import type { Sighting } from '../../src/core/types.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { Logger } from '../../src/lib/log.ts'
import { live } from '../aborts.ts'
import type { Api } from './api.ts'
import { expired, markOf, type Place, readPlace, writePlace } from './checkpoint.ts'
import { accountsOf, changeTypesOf, succeeded } from './events.ts'
import type { Kind } from './ids.ts'
import { agent, agentSighting, app, appSighting, listPathOf, readPurpose, user, userSighting } from './kinds.ts'
import { aheadMs, eventsIn, retentionMs } from './logpoll.ts'
import { bodyPagesOf, type Listed, pagesOf } from './pages.ts'

export interface FeedParts {
  readonly api: Api
  readonly clock: Pick<Clock, 'now'>
  readonly log: Logger
  readonly kinds: readonly Kind[]
  /** Whether the org sends us event hooks: then it logs those that did not arrive. */
  readonly hooks: boolean
}

/**
 * Each pass reads the log that far back behind the last one: events that the log took in late, and clocks that differ.
 * What is later still is met by the reads that keep every account fresh.
 */
const OVERLAP_MS = 10 * 60_000
/** Nearer to the end of retention than that, the log may have lost what is asked for. */
const MARGIN_MS = 86_400_000
/** More to catch up with than that, and reading everything is cheaper. */
const MAX_PAGES = 100
/** The most that a page of a list can hold. */
const PAGE = 200

const FAILED_DELIVERY = 'event_hook.delivery'

/**
 * The change feed of one org: the System Log says which accounts changed, reads by id say what they are. Everything is
 * listed when there is no place to resume, or none that the log reaches.
 */
export function openFeed({ api, clock, log, kinds, hooks }: FeedParts) {
  const managed = new Set(kinds)
  const types = [...changeTypesOf(kinds), ...(hooks ? [FAILED_DELIVERY] : [])]
  const written = (place: Pick<Place, 'until' | 'seen'>): Page => ({
    sightings: [],
    touched: [],
    checkpoint: writePlace({ v: 1, org: api.origin, kinds: [...kinds], ...place }),
  })
  /** A moment of ours by the org's clock, as its latest answer tells it. */
  const orgTime = (at: number) => at + (api.time.skewMs() ?? 0)

  async function* changes(since: string | undefined, signal: AbortSignal): AsyncIterable<Page> {
    live(signal)
    const begunAt = clock.now()
    if (since === undefined) {
      for (const kind of kinds) yield* listed(kind, signal)
      // Whatever changed while the list was read is in the log from its begin on.
      return yield written({ until: orgTime(begunAt), seen: [] })
    }
    const place = readPlace(since, api.origin, kinds)
    const until = orgTime(begunAt) + aheadMs
    if (place.until - OVERLAP_MS >= until) throw expired('the clock was set back behind the stored place')
    within(place, orgTime(begunAt))
    const seen = yield* logged(place, until, signal)
    // Only now is it sure what time it is there. Of a clock that runs ahead, only what the org can have written is read.
    const reached = Math.min(until, orgTime(begunAt))
    within(place, orgTime(begunAt))
    yield written({ until: reached, seen: seen.filter(({ at }) => at >= reached - OVERLAP_MS).map(({ mark }) => mark) })
  }

  /** @throws BridgeError E_CHECKPOINT_EXPIRED when the log may have lost something since */
  const within = (place: Place, now: number): void => {
    if (now - place.until > retentionMs - MARGIN_MS) throw expired('the System Log does not reach back far enough')
  }

  async function* logged(place: Place, until: number, signal: AbortSignal) {
    const before = new Set(place.seen)
    const met = new Map<string, number>()
    const touched = new Set<string>()
    let failed = 0
    let pages = 0
    try {
      for await (const events of eventsIn(api, { since: place.until - OVERLAP_MS, until, types }, 'sync', signal)) {
        if (++pages > MAX_PAGES) throw expired('more happened than is worth reading one by one')
        const changed: string[] = []
        for (const event of events) {
          const mark = markOf(event.uuid)
          const isNew = !before.has(mark) && !met.has(mark)
          met.set(mark, event.published)
          if (isNew && event.eventType === FAILED_DELIVERY) failed += 1
          else if (isNew && succeeded(event)) changed.push(...accountsOf(event, managed))
        }
        const fresh = [...new Set(changed)].filter((id) => !touched.has(id))
        for (const id of fresh) touched.add(id)
        if (fresh.length > 0) yield { sightings: [], touched: fresh, checkpoint: undefined }
      }
    } catch (error) {
      // The same question every time: a refusal means what it asks about, and reading everything asks nothing of the log.
      if (codeOf(error) !== 'E_DIRECTORY_REFUSED') throw error
      throw expired('the System Log refused to be read from the stored place', error)
    }
    if (failed > 0) log.warn({ failed }, 'the org could not deliver event hooks: changes are found by polling only')
    return [...met].map(([mark, at]) => ({ mark, at }))
  }

  /** Without `search`, whose index is behind the accounts (users API, read 2026-11). */
  async function* listed(kind: Kind, signal: AbortSignal): AsyncGenerator<Page> {
    const options = { purpose: readPurpose[kind], lane: 'sync', signal } as const
    const from = { path: `${listPathOf(kind)}?limit=${PAGE}` }
    if (kind === 'user') yield* sighted(pagesOf(api, from, user, options), userSighting)
    else if (kind === 'aiAgent') yield* sighted(bodyPagesOf(api, from, agent, options), agentSighting)
    else yield* sighted(pagesOf(api, from, app, options), appSighting, (each) => each.kind === kind)
  }

  return { changes }
}

/**
 * Rows whose state is open say only whom to re-read (I8). A list of users leaves out the deactivated, and any list may be
 * behind: who is missing from it is read by id.
 */
async function* sighted<T>(
  pages: AsyncIterable<Listed<T>>,
  sight: (row: T, read: { byId: false; begunAt: number }) => Sighting,
  wanted: (sighting: Sighting) => boolean = () => true,
): AsyncGenerator<Page> {
  for await (const { rows, begunAt } of pages) {
    const all = rows.map((row) => sight(row, { byId: false, begunAt })).filter(wanted)
    const sightings = all.filter(({ state }) => state !== 'unknown')
    const touched = all.filter(({ state }) => state === 'unknown').map(({ id }) => id)
    yield { sightings, touched, checkpoint: undefined }
  }
}
