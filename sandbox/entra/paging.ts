import { createHash } from 'node:crypto'
import { z } from 'zod'
import { lowerBound } from './changes.ts'
import type { Ordered } from './directory.ts'
import type { Query } from './odata.ts'
import { badRequest, type Call } from './wire.ts'
import type { World } from './world.ts'

const pageToken = z.object({ after: z.number(), page: z.number(), query: z.string() })

export interface PageLimits {
  readonly defaultSize: number
  readonly maxSize: number
  /** Smaller than what the tenant as a whole is bounded to, or larger. */
  readonly bound?: number | undefined
}

/** Directory lists; the agent identity list has its own, smaller one. */
export const directoryLimits: PageLimits = { defaultSize: 100, maxSize: 999 }
export const agentLimits: PageLimits = { defaultSize: 100, maxSize: 100 }

export interface Page {
  readonly value: readonly unknown[]
  readonly nextLink: string | undefined
}

/**
 * One page of a list in creation order. The second page of several comes empty, as the real directory's may: a client that
 * stops at an empty page instead of at a missing `@odata.nextLink` loses rows here.
 */
export function readPage<T extends Ordered>(
  world: World,
  call: Call,
  query: Query,
  rows: readonly T[],
  limits: PageLimits,
  toItem: (row: T) => unknown,
): Page {
  if (query.top !== undefined && query.top > limits.maxSize) {
    throw badRequest(`Invalid page size specified: '${query.top}'. Must be between 1 and ${limits.maxSize} inclusive.`)
  }
  const size = Math.min(query.top ?? limits.defaultSize, limits.bound ?? world.pageSize ?? Number.POSITIVE_INFINITY)
  const fingerprint = fingerprintOf(call)
  const { after, page } = readToken(world, query.skipToken, fingerprint)
  const value: unknown[] = []
  let last = after
  let more = false
  const start = lowerBound(rows, (row) => row.ordinal > after)
  for (let index = start; index < rows.length; index++) {
    const row = rows[index]
    const item = row === undefined ? undefined : toItem(row)
    if (row === undefined || item === undefined) continue
    if (value.length === size) {
      more = true
      break
    }
    value.push(item)
    last = row.ordinal
  }
  if (!more) return { value, nextLink: undefined }
  const empty = page === 1 && world.emptyPages
  const token = world.opaque.seal({ after: empty ? after : last, page: page + 1, query: fingerprint })
  return { value: empty ? [] : value, nextLink: link(world, call, '$skiptoken', token) }
}

function readToken(world: World, token: string | undefined, fingerprint: string) {
  if (token === undefined) return { after: 0, page: 0 }
  const parsed = pageToken.safeParse(world.opaque.open(token))
  if (!parsed.success || parsed.data.query !== fingerprint) {
    throw badRequest('The specified page token value is invalid or does not belong to this query.')
  }
  return parsed.data
}

/** A next link holds only for the query it was made for. */
function fingerprintOf(call: Call): string {
  const options = [...call.search].filter(([name]) => name !== '$skiptoken').sort()
  return createHash('sha256')
    .update(JSON.stringify([call.segments, options]))
    .digest('base64url')
    .slice(0, 12)
}

export function link(world: World, call: Call, name: '$skiptoken' | '$deltatoken', token: string, keep = true): string {
  const kept = keep ? [...call.search].filter(([option]) => option !== name) : []
  const query = [...kept, [name, token] as const].map(([key, value]) => `${key}=${encodeURIComponent(value)}`)
  return `${world.origin}/v1.0/${call.segments.map(encodeSegment).join('/')}?${query.join('&')}`
}

function encodeSegment(segment: string): string {
  return encodeURIComponent(segment).replaceAll('%40', '@')
}

/** The list document; absent members stay absent. */
export function listBody(contextUrl: string, page: Page, count: number | undefined): Record<string, unknown> {
  return {
    '@odata.context': contextUrl,
    ...(count === undefined ? {} : { '@odata.count': count }),
    ...(page.nextLink === undefined ? {} : { '@odata.nextLink': page.nextLink }),
    value: page.value,
  }
}
