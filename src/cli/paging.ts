import { z } from 'zod'
import { type Answer, bodyOf, type Daemon } from './client.ts'
import { usage } from './files.ts'

const pageMost = 1_000

export interface Listed<T> {
  readonly items: T[]
  readonly nextCursor: string | null
}

/** A whole number of `--limit`. @throws BridgeError E_USAGE */
export const limitOf = (text: string): number => {
  const limit = /^\d{1,9}$/.test(text) ? Number(text) : 0
  if (limit > 0) return limit
  throw usage(`${text} is no limit.`, 'Write a whole number from 1 on.')
}

/** Up to `limit` items of a list of the API, page after page. An answer that is none comes back as it is. */
export const list = async <T>(
  daemon: Daemon,
  path: string,
  query: Readonly<Record<string, string | undefined>>,
  item: z.ZodType<T>,
  limit: number,
): Promise<Listed<T> | Answer> => {
  const form = z.object({ items: z.array(item), nextCursor: z.string().nullable() })
  const items: T[] = []
  for (let cursor: string | undefined; ; ) {
    const size = Math.min(pageMost, limit - items.length)
    const asked = new URLSearchParams({ limit: `${size}` })
    for (const [name, value] of Object.entries({ ...query, cursor })) if (value !== undefined) asked.set(name, value)
    const answer = await daemon.get(`${path}?${asked}`)
    if (!answer.ok) return answer
    const page = bodyOf(form, answer)
    items.push(...page.items)
    const { nextCursor } = page
    if (nextCursor === null || items.length >= limit) return { items, nextCursor }
    cursor = nextCursor
  }
}
