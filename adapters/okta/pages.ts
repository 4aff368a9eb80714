import { z } from 'zod'
import { live } from '../aborts.ts'
import type { Api, CallOptions, Target } from './api.ts'
import { malformed } from './errors.ts'
import { pinnedLink } from './links.ts'

export interface Listed<T> {
  readonly rows: readonly T[]
  /** When this page was asked for. */
  readonly begunAt: number
}

const MAX_PAGES = 10_000

/**
 * Every page of a list, by its opaque links. Ends normally only after the last; a link that comes twice or leads
 * elsewhere throws. Not for System Log polling, whose `next` never ends.
 */
export async function* pagesOf<T extends z.ZodType>(
  api: Api,
  from: Target,
  item: T,
  options: CallOptions,
): AsyncGenerator<Listed<z.output<T>>> {
  const schema = z.array(item)
  yield* chained(from, options, async (target) => {
    const { value, next, begunAt } = await api.get(target, schema, options)
    return { rows: value, begunAt, next }
  })
}

/** The same for the AI-agent API, which pages by `_links.next` in the body. */
export async function* bodyPagesOf<T extends z.ZodType>(
  api: Api,
  from: Target,
  item: T,
  options: CallOptions,
): AsyncGenerator<Listed<z.output<T>>> {
  const schema = z.object({
    data: z.array(item),
    _links: z.object({ next: z.object({ href: z.string() }).optional() }).optional(),
  })
  yield* chained(from, options, async (target) => {
    const { value, begunAt } = await api.get(target, schema, options)
    const href = value._links?.next?.href
    return { rows: value.data, begunAt, next: href === undefined ? undefined : pinnedLink(href, api.origin) }
  })
}

async function* chained<T>(
  from: Target,
  { purpose, signal }: CallOptions,
  read: (target: Target) => Promise<Listed<T> & { readonly next: string | undefined }>,
): AsyncGenerator<Listed<T>> {
  const seen = new Set<string>('link' in from ? [from.link] : [])
  let target = from
  for (let count = 0; count < MAX_PAGES; count++) {
    live(signal)
    const { rows, begunAt, next } = await read(target)
    yield { rows, begunAt }
    if (next === undefined) return
    if (seen.has(next)) throw malformed(purpose, new Error('the same next link came twice'))
    seen.add(next)
    target = { link: next }
  }
  throw malformed(purpose, new Error(`more than ${MAX_PAGES} pages`))
}
