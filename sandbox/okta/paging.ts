import { z } from 'zod'
import type { Listed } from '../records.ts'
import { invalid, Refusal } from './errors.ts'
import type { Call, Link } from './wire.ts'
import type { World } from './world.ts'

const cursor = z.object({ after: z.number(), repeat: z.number().optional() })

interface PageOptions {
  /** Rows of a page when the caller names no limit, and at most. */
  readonly defaultLimit: number
  readonly maxLimit: number
}

/** The rows of one page, oldest first, and its `Link` headers; `next` is absent on the last page. */
export function page<T>(
  world: World,
  call: Call,
  rows: readonly Listed<T>[],
  { defaultLimit, maxLimit }: PageOptions,
): { values: T[]; links: Link[]; next: string | undefined } {
  const limit = Math.min(limitOf(call) ?? defaultLimit, maxLimit, world.pageSize ?? Number.POSITIVE_INFINITY)
  const after = afterOf(world, call)
  const left = rows.filter(({ ordinal }) => ordinal > after)
  const shown = left.slice(0, limit)
  const last = shown.at(-1)
  const self: Link = { rel: 'self', url: `${world.origin}${call.path}` }
  const values = shown.map(({ value }) => value)
  if (last === undefined || left.length <= limit) return { values, links: [self], next: undefined }
  const next = nextUrl(world, call, world.opaque.seal({ after: last.ordinal }))
  return { values, links: [self, { rel: 'next', url: next }], next }
}

/** The same request from that cursor on. */
export function nextUrl(world: World, call: Call, token: string, without: readonly string[] = []): string {
  const search = new URLSearchParams(call.search)
  for (const name of without) search.delete(name)
  search.set('after', token)
  return `${world.origin}/${call.segments.map(encodeURIComponent).join('/')}?${search}`
}

export function limitOf(call: Call): number | undefined {
  const text = call.search.get('limit')
  if (text === null) return undefined
  if (!/^\d{1,6}$/.test(text) || text === '0') throw invalid('limit', 'limit: The limit must be a positive integer.')
  return Number(text)
}

function afterOf(world: World, call: Call): number {
  const token = call.search.get('after')
  if (token === null) return 0
  const opened = cursor.safeParse(world.opaque.open(token))
  if (!opened.success) throw new Refusal('E0000029')
  return opened.data.after
}
