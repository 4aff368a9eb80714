import type { Store, StoreReads, StoreTx } from '../core/store.ts'
import type { CapabilitySource } from '../core/types.ts'

type Reads = Pick<StoreReads, 'sourcesNamed' | 'sourcesBefore'>
type Writes = Pick<StoreTx, 'putSource' | 'deleteSource' | 'confirmSources'>

/** `gained`: it would be granted; otherwise revoked. */
export interface SourceChange {
  readonly source: CapabilitySource
  readonly gained: boolean
  readonly adapter: string
}

const nameOf = ({ did, capability, source }: Omit<CapabilitySource, 'confirmedAt'>): string =>
  `${did}\n${capability}\n${source}`

/** The sources of capabilities in a store, with what a rehearsal makes of them kept in memory. */
export const rehearsedSources = (store: Store, passing: () => string) => {
  const changed = new Map<string, SourceChange>()
  const confirmed = new Map<string, number>()

  const present = (list: readonly CapabilitySource[]): CapabilitySource[] =>
    list.filter((one) => changed.get(nameOf(one))?.gained !== false)

  const become = (source: CapabilitySource, gained: boolean): void => {
    const name = nameOf(source)
    const before = changed.get(name)
    // Back to what the store has.
    if (before !== undefined && before.gained !== gained) changed.delete(name)
    else changed.set(name, { source, gained, adapter: passing() })
  }

  const reads: Reads = {
    sourcesNamed: async (source) => {
      const more = [...changed.values()].filter((one) => one.gained && one.source.source === source)
      return [...present(await store.sourcesNamed(source)), ...more.map((one) => one.source)]
    },
    sourcesBefore: async (prefix, before, limit) =>
      present(await store.sourcesBefore(prefix, before, limit)).filter(
        ({ source }) => (confirmed.get(source) ?? Number.NEGATIVE_INFINITY) < before,
      ),
  }
  const writes: Writes = {
    putSource: async (source) => become(source, true),
    deleteSource: async (did, capability, source) => become({ did, capability, source, confirmedAt: 0 }, false),
    confirmSources: async (source, at) => {
      confirmed.set(source, at)
    },
  }
  return { reads, writes, changes: (): readonly SourceChange[] => [...changed.values()] }
}
