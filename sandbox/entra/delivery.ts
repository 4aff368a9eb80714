import type { EventGridAuth } from './eventgrid.ts'

export type Outcome = 'delivered' | 'retrying' | 'dropped' | 'pending'

/** Seconds until each next attempt; afterwards every 12 hours until a day has passed. */
const schedule = [10, 30, 60, 300, 600, 1800, 3600, 10_800, 21_600, 43_200, 43_200]
const success = new Set([200, 201, 202, 203, 204])
const dropped = new Set([400, 401, 403, 413])
const atLeast: ReadonlyMap<number, number> = new Map([
  [404, 300],
  [408, 120],
  [503, 30],
])
const maxAttempts = 30
const lifetimeSeconds = 24 * 3600

/** What Event Grid does after an attempt; `status` undefined: no answer in time. */
export function verdict(
  status: number | undefined,
  attempt: number,
  elapsedSeconds: number,
): { outcome: 'delivered' | 'dropped' } | { outcome: 'retrying'; waitSeconds: number } {
  if (status !== undefined && success.has(status)) return { outcome: 'delivered' }
  if (status !== undefined && dropped.has(status)) return { outcome: 'dropped' }
  const planned = schedule[attempt - 1] ?? 43_200
  const waitSeconds = Math.max(planned, atLeast.get(status ?? 0) ?? 10)
  if (attempt >= maxAttempts || elapsedSeconds + waitSeconds > lifetimeSeconds) return { outcome: 'dropped' }
  return { outcome: 'retrying', waitSeconds }
}

/** The endpoint with its secret, where that travels in the query. */
export function endpoint(url: string, auth: EventGridAuth): URL {
  const target = new URL(url)
  if (auth.type === 'key' && auth.query !== undefined) target.searchParams.set(auth.query, auth.key)
  return target
}
