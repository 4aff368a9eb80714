import { z } from 'zod'
import { isDid } from '../src/core/did.ts'
import type { Discovered, Discovery } from '../src/core/discovery.ts'
import { BridgeError } from '../src/core/errors.ts'
import type { Sighting } from '../src/core/types.ts'

/** One page of one list of a directory. */
export interface ListPage {
  readonly accounts: readonly Discovered[]
  /** Where the next page of this list begins; undefined: that was its last. */
  readonly next: string | undefined
}

export interface List {
  readonly name: string
  /** Whether it is read when everything is asked for, or when not; both when left out. */
  readonly when?: 'everything' | 'agents'
  read(at: string | undefined, signal: AbortSignal): Promise<ListPage>
}

const place = z.strictObject({ list: z.string(), at: z.string().optional() })

/** Lists that are read one after another, a page at a time; the place says which and where. */
export const inTurn = (lists: readonly List[]): Discovery => ({
  async page(from, everything, signal) {
    const asked = everything ? 'everything' : 'agents'
    const wanted = lists.filter(({ when = asked }) => when === asked)
    const { list, at } = from === undefined ? { list: wanted[0]?.name, at: undefined } : place.parse(JSON.parse(from))
    const index = wanted.findIndex(({ name }) => name === list)
    const present = wanted[index]
    if (from === undefined && present === undefined) return { accounts: [], next: undefined }
    if (present === undefined) throw new BridgeError('E_BUG', 'the place is in a list that is not read')
    const { accounts, next } = await present.read(at, signal)
    const following = next === undefined ? wanted[index + 1]?.name : list
    return { accounts, next: following === undefined ? undefined : JSON.stringify({ list: following, at: next }) }
  },
})

/** The label that names the DID of an account, where directories have labels with values. */
export const didLabel = 'agentmesh:did'

/** The one DID that labels speak of. Two of them say nothing. */
export const labelled = (texts: readonly string[]): Discovered['suggested'] => {
  const dids = [...new Set(texts.filter(isDid))]
  const [did] = dids
  return did !== undefined && dids.length === 1 ? { did, by: 'label' } : undefined
}

const namesMost = 200

/** What a listing tells of an account, as discovery tells it. Undefined for what has no kind, or is not there. */
export const discoveredOf = (
  { id, kind, displayName = '', appId, state }: Sighting,
  isAgent: boolean,
  suggested?: Discovered['suggested'],
): Discovered | undefined => {
  if (kind === undefined || state === 'absent') return undefined
  // Names are written by many people: no control character of theirs gets into a file or a log, nor half a character by the cut.
  const name = displayName.trim().slice(0, namesMost).replaceAll(/\p{C}/gu, ' ').trim()
  return { id, kind, name: name === '' ? id.slice(-namesMost) : name, appId, state, isAgent, suggested }
}

export const some = <T>(list: readonly (T | undefined)[]): T[] => list.filter((one) => one !== undefined)
