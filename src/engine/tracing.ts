import type { Hold } from '../core/types.ts'
import type { SpanOptions } from '../lib/tracing.ts'
import type { Change } from './change.ts'
import { distinctDids } from './claiming.ts'
import type { Deps } from './deps.ts'

/** Where a trail of an account is left and found; that of an agent is its DID. */
export const trailOf = (adapter: string, id: string): string => `${adapter}/${id}`

/** Ids of one call that are told; of more, their number is. */
const mostIds = 10

/** A call about accounts of one directory. */
export const about = (
  adapter: string,
  list: readonly { readonly id: string; readonly did: string }[],
): SpanOptions => ({
  attributes: {
    adapter,
    accounts: list.length,
    ...(list.length <= mostIds && {
      ids: list.map(({ id }) => id),
      dids: [...new Set(list.map(({ did }) => did))],
    }),
  },
  about: list.flatMap(({ id, did }) => [trailOf(adapter, id), did]),
})

/** The work as a span, when traces are recorded. */
export const traced = <T>(
  { trace }: Pick<Deps, 'trace'>,
  name: string,
  options: SpanOptions,
  work: () => Promise<T>,
): Promise<T> => (trace === undefined ? work() : trace.span(name, options, work))

/** Once it is committed: the writes for these holds follow from it. Of many at once only how many. */
export const markHolds = (change: Change, name: 'hold' | 'release', holds: readonly Hold[]): void => {
  const { trace } = change.deps
  if (trace === undefined || holds.length === 0) return
  const dids = distinctDids(holds)
  const [one] = holds
  const attributes =
    one !== undefined && holds.length === 1
      ? { did: one.did, hold: one.id, origin: one.origin, severity: one.severity }
      : { holds: holds.length, agents: dids.length }
  change.after(() => trace.mark(name, attributes, dids))
}
