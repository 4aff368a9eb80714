import { z } from 'zod'
import { type Answer, bodyOf, type Daemon } from './client.ts'

/** What a daemon finds in a directory, page after page. */

const place = z.object({ did: z.string(), id: z.string() })
const unmapped = z.looseObject({
  finding: z.literal('unmapped'),
  id: z.string(),
  kind: z.string(),
  name: z.string(),
  appId: z.string().nullable(),
  state: z.string(),
  isAgent: z.boolean(),
  suggested: z.object({ did: z.string(), by: z.string() }).nullable(),
  replaces: z.array(place),
})
const gone = z.looseObject({
  finding: z.literal('gone'),
  did: z.string(),
  name: z.string(),
  id: z.string(),
  kind: z.string(),
  appId: z.string().nullable(),
})
export type Unmapped = z.output<typeof unmapped>
export type Gone = z.output<typeof gone>

const count = z.int()
const form = z.object({
  items: z.array(z.discriminatedUnion('finding', [unmapped, gone])),
  nextCursor: z.string().nullable(),
  looked: count,
  passedOver: count,
  unread: count,
})

export interface Findings {
  readonly unmapped: readonly Unmapped[]
  readonly gone: readonly Gone[]
  readonly looked: number
  readonly passedOver: number
  readonly unread: number
}

/**
 * Everything the daemon finds, each account once. An answer that is none comes back as it is: nothing is told of a directory
 * that was read in part.
 */
export const findingsOf = async (
  daemon: Daemon,
  adapter: string,
  query: Readonly<Record<string, string>>,
  progress: (looked: number) => void,
): Promise<Findings | Answer> => {
  const free = new Map<string, Unmapped>()
  const lost: Gone[] = []
  let [looked, passedOver, unread] = [0, 0, 0]
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const asked = new URLSearchParams({ ...query, ...(cursor !== undefined && { cursor }) })
    const answer = await daemon.get(`/v1/discover/${encodeURIComponent(adapter)}?${asked}`)
    if (!answer.ok) return answer
    const page = bodyOf(form, answer)
    for (const one of page.items) {
      if (one.finding === 'gone') lost.push(one)
      else if (!free.has(one.id)) free.set(one.id, one)
    }
    looked += page.looked
    passedOver += page.passedOver
    unread += page.unread
    progress(looked)
    cursor = page.nextCursor
  }
  return { unmapped: [...free.values()], gone: lost, looked, passedOver, unread }
}
