import type { Did } from '../core/types.ts'
import type { Change } from './change.ts'

/** Agents, descendants included, that one transaction is for: other writers get their turn after it. */
export const mostAtOnce = 200

/** The first of them, so many that they and their descendants fit one transaction; one at least. */
export const fitting = async <T extends { readonly did: Did }>(
  c: Change,
  items: readonly T[],
): Promise<readonly T[]> => {
  const families = Map.groupBy(await c.tx.families(items.map(({ did }) => did)), ({ ancestor }) => ancestor)
  const counted = new Set<Did>()
  let agents = 0
  const over = items.findIndex(({ did }) => {
    if (!counted.has(did)) agents += 1 + (families.get(did)?.length ?? 0)
    counted.add(did)
    return agents > mostAtOnce
  })
  return over < 0 ? items : items.slice(0, Math.max(1, over))
}
