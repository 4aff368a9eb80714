import { z } from 'zod'
import type { World } from './world.ts'

const cursor = z.object({ list: z.string(), from: z.int() })

export interface PageOf<T> {
  readonly rows: readonly T[]
  /** Undefined on the last page. */
  readonly next: string | undefined
}

/**
 * One page of a list that is ordered by `ordinal`, so that no page skips or repeats a row while others come and go.
 * Undefined for a token that was not given out for this list.
 */
export function pageOf<T extends { readonly ordinal: number }>(
  world: World,
  list: string,
  rows: readonly T[],
  { size, token }: { size: number; token: string | undefined },
): PageOf<T> | undefined {
  let from = Number.NEGATIVE_INFINITY
  if (token !== undefined) {
    const opened = cursor.safeParse(world.opaque.open(token))
    if (!opened.success || opened.data.list !== list) return undefined
    from = opened.data.from
  }
  const most = Math.min(size, world.pageSize ?? size)
  const rest = rows.filter(({ ordinal }) => ordinal >= from)
  const following = rest[most]
  const next = following === undefined ? undefined : world.opaque.seal({ list, from: following.ordinal })
  return { rows: rest.slice(0, most), next }
}
