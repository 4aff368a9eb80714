import type { Entry, Selector } from './entries.ts'

/**
 * Suspends an entry by selectors that no workload has: an SVID is issued only to who has all of them. Everything that is
 * needed to restore the entry is written into it, so that nothing has to be remembered here.
 *
 * | selector              | says                                            |
 * | --------------------- | ----------------------------------------------- |
 * | `agentmesh:suspended` | suspended                                       |
 * | `agentmesh:admin`     | `admin` was set, and was taken off with it      |
 * | `agentmesh:downstream`| the same of `downstream`                        |
 *
 * The server lets `admin` act whatever the selectors say. Selectors of an entry with `store_svid` must all be of one
 * type: theirs are written `<type>:agentmesh-suspended` and so on.
 */
const TYPE = 'agentmesh'
const flags = ['admin', 'downstream'] as const

const written = ({ store_svid, selectors }: Entry, word: string): Selector => {
  const [first] = selectors
  return store_svid && first ? { type: first.type, value: `${TYPE}-${word}` } : { type: TYPE, value: word }
}

const says = ({ store_svid }: Entry, { type, value }: Selector, word: string): boolean =>
  (type === TYPE && value === word) || (store_svid && value === `${TYPE}-${word}`)
const has = (entry: Entry, word: string): boolean => entry.selectors.some((each) => says(entry, each, word))
const isOurs = (entry: Entry, selector: Selector): boolean =>
  ['suspended', ...flags].some((word) => says(entry, selector, word))

/** What of an entry is written. */
export interface Change {
  readonly id: string
  readonly selectors: readonly Selector[]
  readonly admin: boolean
  readonly downstream: boolean
}

/** Whether nobody gets an SVID by this entry, nor acts as an administrator by it. */
export const isSuspended = (entry: Entry): boolean => has(entry, 'suspended') && flags.every((flag) => !entry[flag])

/** What suspends it; undefined when it is. */
export function suspending(entry: Entry): Change | undefined {
  if (isSuspended(entry)) return undefined
  const words = ['suspended', ...flags.filter((flag) => entry[flag])].filter((word) => !has(entry, word))
  const selectors = [...entry.selectors, ...words.map((word) => written(entry, word))]
  return { id: entry.id, selectors, admin: false, downstream: false }
}

/** What restores it; undefined when it is not suspended. An entry with no selector left cannot be restored. */
export function restoring(entry: Entry): Change | undefined {
  if (!entry.selectors.some((each) => isOurs(entry, each))) return undefined
  return {
    id: entry.id,
    selectors: entry.selectors.filter((each) => !isOurs(entry, each)),
    admin: entry.admin || has(entry, 'admin'),
    downstream: entry.downstream || has(entry, 'downstream'),
  }
}
