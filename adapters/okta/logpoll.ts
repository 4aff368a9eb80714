import type { Lane } from '../slots.ts'
import type { Api } from './api.ts'
import { type SystemEvent, systemEvent } from './events.ts'
import { purposes } from './kinds.ts'
import { pagesOf } from './pages.ts'

/** The System Log keeps events that long (help.okta.com, read 2026-11). */
export const retentionMs = 90 * 86_400_000
/**
 * The org tells its time in whole seconds, and clocks differ: what it published just now may seem to be of the future.
 */
export const aheadMs = 60_000
/** The most a page can hold. */
const PAGE = 1000

export interface Window {
  /** By the org's clock, ms. */
  readonly since: number
  readonly until: number
  readonly types: readonly string[]
}

/**
 * Events of these types that were published in the window, in that order, page by page. Both ends are given, so the last
 * page is known to be the last; an event that the log takes in late is only found by asking once more (System Log query,
 * read 2026-11). Ending normally means "that was all, so far".
 */
export async function* eventsIn(
  api: Api,
  { since, until, types }: Window,
  lane: Lane,
  signal: AbortSignal,
): AsyncGenerator<readonly SystemEvent[]> {
  const query = new URLSearchParams({
    since: new Date(since).toISOString(),
    until: new Date(until).toISOString(),
    sortOrder: 'ASCENDING',
    limit: String(PAGE),
    filter: types.map((type) => `eventType eq "${type}"`).join(' or '),
  })
  const options = { purpose: purposes.readLog, lane, signal } as const
  for await (const { rows } of pagesOf(api, { path: `/api/v1/logs?${query}` }, systemEvent, options)) yield rows
}
