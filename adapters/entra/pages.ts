import type { z } from 'zod'
import type { Clock } from '../../src/lib/clock.ts'
import { pinnedLink } from './chain.ts'
import { malformed } from './errors.ts'
import type { CallOptions, Graph } from './graph.ts'
import { pageOf } from './wire.ts'

export interface Listed<T> {
  readonly rows: readonly T[]
  /** When this page was asked for. */
  readonly begunAt: number
  /** On the last page of a delta round. */
  readonly deltaLink: string | undefined
}

const MAX_PAGES = 100_000

/**
 * Every page of a list or delta round, from a path or from an opaque link. Ends normally only after the last page; a
 * link that comes twice, that leads elsewhere or that is missing throws. `pace` is awaited before each request.
 */
export async function* pagesOf<T extends z.ZodType>(
  graph: Graph,
  clock: Pick<Clock, 'now'>,
  from: { readonly path: string } | { readonly link: string },
  item: T,
  options: CallOptions & { readonly delta?: boolean; readonly pace?: (signal: AbortSignal) => Promise<void> },
): AsyncGenerator<Listed<z.output<T>>> {
  const schema = pageOf(item)
  const seen = new Set<string>()
  let link = 'link' in from ? from.link : undefined
  for (let count = 0; count < MAX_PAGES; count++) {
    await options.pace?.(options.signal)
    const begunAt = clock.now()
    const page =
      link === undefined && 'path' in from
        ? await graph.get(from.path, schema, options)
        : await graph.follow(link ?? '', schema, options)
    const { value, '@odata.nextLink': next, '@odata.deltaLink': delta } = page
    const deltaLink = delta === undefined ? undefined : pinnedLink(delta, graph.origin)
    if (options.delta && next === undefined && deltaLink === undefined) throw malformed(options.purpose)
    yield { rows: value, begunAt, deltaLink: next === undefined ? deltaLink : undefined }
    if (next === undefined) return
    if (seen.has(next)) throw malformed(options.purpose, new Error('the same next link came twice'))
    seen.add(next)
    link = next
  }
  throw malformed(options.purpose, new Error(`more than ${MAX_PAGES} pages`))
}
