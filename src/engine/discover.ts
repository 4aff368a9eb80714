import { z } from 'zod'
import type { Adapter } from '../core/adapter.ts'
import { type Discovered, isSuccessor, type Mapped, stemOf } from '../core/discovery.ts'
import { BridgeError } from '../core/errors.ts'
import type { PrincipalId, Sighting } from '../core/types.ts'
import { createSeal } from '../lib/sealed.ts'
import type { Deps } from './deps.ts'
import type { DiscoverFilter, Discoveries, DiscoverPage, Gone, Place, Unmapped } from './discoverapi.ts'
import { requireMount } from './mounts.ts'

/** A page may wait for its turn below everything else that the directory is asked. */
const timeoutMs = 45_000
/** Pages of one adapter that are read at once. */
const atOnce = 2
/** Mapped accounts of one page that are read by id, and that are looked at for it. */
const readAtOnce = 20
const lookedAtOnce = 5_000
const chunk = 500
/** Accounts that may have been replaced and are read by id, a page. */
const successorsMost = 20
/** More pages than any directory has: a list that does not end. */
const pagesMost = 100_000
/** Mapped accounts of which it is remembered that a listing had them. */
const listedMost = 500_000

const placeForm = z.strictObject({
  adapter: z.string(),
  only: z.enum(['unmapped', 'gone']).optional(),
  all: z.boolean(),
  /** Accounts first, so that those which the listing has need not be read by id. */
  part: z.enum(['accounts', 'mapped']),
  at: z.string().optional(),
  /** The turn in which the first page was asked for. */
  since: z.int(),
  page: z.int(),
})
type Stage = z.output<typeof placeForm>

const noCursor = () =>
  new BridgeError('E_VALIDATION', 'This is no cursor of ours, or not of this question.', {
    hint: 'Begin again without a cursor; the daemon may have been restarted.',
    details: [{ pointer: '/cursor', code: 'bad_value' }],
  })

/** What discovery reads with: nothing of it is kept between two pages but when a listing last had each mapped account. */
export const createDiscoveries = (deps: Deps): Discoveries => {
  const { store } = deps
  const seal = createSeal(`${deps.newId()}${deps.newId()}`)
  const inFlight = new Map<string, number>()
  /** Counts pages, of whatever run: what was listed in a later turn was there later. */
  let turn = 0
  const listed = new Map<string, number>()
  const keyOf = (adapter: string, id: PrincipalId) => `${adapter}/${id}`

  const opened = (adapter: string, { only, all = false, cursor }: DiscoverFilter): Stage => {
    if (cursor === undefined)
      return { adapter, only, all, part: only === 'gone' ? 'mapped' : 'accounts', since: ++turn, page: 0 }
    const text = seal.open(cursor)
    const stage = text === undefined ? undefined : placeForm.parse(JSON.parse(text))
    if (stage === undefined || stage.adapter !== adapter || stage.only !== only || stage.all !== all) throw noCursor()
    return stage
  }

  const pageOf = (
    stage: Stage,
    next: Pick<Stage, 'part' | 'at'> | undefined,
    found: Omit<DiscoverPage, 'nextCursor'>,
  ) => {
    if (next !== undefined && stage.page >= pagesMost)
      throw new BridgeError('E_DIRECTORY_ANSWER', `the listing of ${stage.adapter} does not end`)
    // What is undefined is left out of JSON.
    const text = next && JSON.stringify({ ...stage, at: undefined, ...next, page: stage.page + 1 })
    return { ...found, nextCursor: text === undefined ? null : seal.close(text) }
  }

  const readById = async (adapter: Adapter, refs: readonly Mapped[], signal: AbortSignal) =>
    refs.length === 0 ? new Map<PrincipalId, Sighting>() : await adapter.lookup(refs, signal)

  const holders = async (adapter: string, one: Mapped): Promise<Place[]> => {
    if (!one.shared) return [{ did: one.did, id: one.id }]
    return (await store.sharersOf({ adapter, id: one.id })).map(({ did }) => ({ did, id: one.id }))
  }

  /** Which of these accounts bears the name of one that is mapped and, as a read by id says, gone. */
  const successors = async (adapter: Adapter, accounts: readonly Discovered[], signal: AbortSignal) => {
    const like = {
      appIds: accounts.flatMap(({ appId }) => appId ?? []),
      names: accounts.map(({ name }) => name),
      stems: accounts.flatMap(({ id }) => stemOf(id) ?? []),
    }
    const found = await store.missingLike(adapter.name, like, successorsMost)
    const known = found.filter((one) => accounts.some((each) => isSuccessor(each, one)))
    const now = await readById(adapter, known, signal)
    const gone = known.filter(({ id }) => now.get(id)?.state === 'absent')
    const replaced = new Map<PrincipalId, Place[]>()
    for (const one of gone) {
      const places = await holders(adapter.name, one)
      for (const { id } of accounts.filter((each) => isSuccessor(each, one)))
        replaced.set(id, [...(replaced.get(id) ?? []), ...places])
    }
    return replaced
  }

  const accountsPage = async (adapter: Adapter, stage: Stage, signal: AbortSignal): Promise<DiscoverPage> => {
    const { discovery, name } = adapter
    if (discovery === undefined) {
      throw new BridgeError('E_NOT_IMPLEMENTED', `The directory of ${name} cannot be searched for accounts.`, {
        hint: 'Mapped accounts that are gone can be told all the same: only=gone.',
      })
    }
    const now = ++turn
    const { accounts, next } = await discovery.page(stage.at, stage.all, signal)
    if (next !== undefined && next === stage.at)
      throw new BridgeError('E_DIRECTORY_ANSWER', `the listing of ${name} comes back to the same page`)
    const unique = [...new Map(accounts.map((one) => [one.id, one])).values()]
    const mapped = await store.principalsById(
      name,
      unique.map(({ id }) => id),
    )
    if (listed.size + mapped.length > listedMost) listed.clear()
    for (const { id } of mapped) listed.set(keyOf(name, id), now)
    const taken = new Set(mapped.map(({ id }) => id))
    const free = unique.filter((one) => !taken.has(one.id) && adapter.vet(one) === undefined)
    const told = free.filter(({ isAgent }) => isAgent || stage.all)
    const replaced = told.length === 0 ? undefined : await successors(adapter, told, signal)
    const items = told.map((one): Unmapped => ({ finding: 'unmapped', ...one, replaces: replaced?.get(one.id) ?? [] }))
    const then = stage.only === 'unmapped' ? undefined : ({ part: 'mapped' } as const)
    const after = next === undefined ? then : ({ part: 'accounts', at: next } as const)
    return pageOf(stage, after, { items, looked: unique.length, passedOver: free.length - told.length, unread: 0 })
  }

  /** The next mapped accounts that the listing before did not have: only a read by id says that one is gone (I8). */
  const dueAfter = async (adapter: string, stage: Stage) => {
    const due: Mapped[] = []
    let at = stage.at ?? ''
    for (let looked = 0; looked < lookedAtOnce; ) {
      const some = await store.mappedAfter(adapter, at, chunk)
      for (const one of some) {
        at = one.id
        looked += 1
        const wasListed = (listed.get(keyOf(adapter, one.id)) ?? -1) >= stage.since
        // Of a shared account any one DID is named, and others may be in use.
        if ((one.shared || !one.decommissioned) && !wasListed) due.push(one)
        if (due.length >= readAtOnce) return { due, at }
      }
      if (some.length < chunk) return { due, at: undefined }
    }
    return { due, at }
  }

  const mappedPage = async (adapter: Adapter, stage: Stage, signal: AbortSignal): Promise<DiscoverPage> => {
    const { due, at } = await dueAfter(adapter.name, stage)
    const now = await readById(adapter, due, signal)
    const items: Gone[] = []
    let unread = 0
    for (const one of due) {
      const state = now.get(one.id)?.state ?? 'unknown'
      if (state === 'unknown') unread += 1
      if (state !== 'absent') continue
      const { kind, appId } = one
      for (const place of await holders(adapter.name, one)) {
        const agent = await store.agent(place.did)
        if (agent === undefined || agent.decommissioned) continue
        items.push({ finding: 'gone', ...place, name: agent.name, kind, appId })
      }
    }
    const next = at === undefined ? undefined : ({ part: 'mapped', at } as const)
    return pageOf(stage, next, { items, looked: due.length, passedOver: 0, unread })
  }

  return {
    discover: async (name, filter, asked) => {
      const { adapter } = requireMount(deps, name)
      const stage = opened(name, filter)
      const running = inFlight.get(name) ?? 0
      if (running >= atOnce) {
        throw new BridgeError('E_RATE', 'The directory is being searched for somebody else.', { retryAfterMs: 1_000 })
      }
      inFlight.set(name, running + 1)
      try {
        const signal = AbortSignal.any([asked, AbortSignal.timeout(timeoutMs)])
        return await (stage.part === 'accounts' ? accountsPage : mappedPage)(adapter, stage, signal)
      } finally {
        inFlight.set(name, (inFlight.get(name) ?? 1) - 1)
      }
    },
  }
}
