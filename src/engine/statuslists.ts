import { createHash } from 'node:crypto'
import { BridgeError } from '../core/errors.ts'
import { passportMostMs, skewSeconds, statusListType } from '../core/passport.ts'
import {
  ourBits,
  type PlacedStatus,
  placesOfList,
  type StatusPlace,
  setStatus,
  statusAt,
  statusValues,
} from '../core/statuslist.ts'
import type { Did } from '../core/types.ts'
import { signJson } from '../lib/jws.ts'
import { packStatuses, type StatusListClaims } from '../lib/statuslist.ts'
import type { Deps } from './deps.ts'
import type { SignedStatusList } from './publishingapi.ts'
import { generationKey } from './signals.ts'

/** More agents touched since the last request than are worth asking about one by one. */
const touchedMost = 10_000
const chunk = 1_000
/** After a change that named nobody in particular. */
const rereadMs = 60_000
/** Past it nobody has a passport from before a release any more. */
const releasedKeptMs = passportMostMs + 2 * skewSeconds * 1000
/** More at once are told as one moment for the whole list: nothing of it grows with a mass release. */
const releasedMost = 4_096

/** What lists are signed with, and where they are. */
export interface ListSigner {
  readonly pem: string
  readonly kid: string
  /** `server.publicUrl`; `base`: without a slash at its end. */
  readonly issuer: string
  readonly base: string
  readonly ttlMs: number
  readonly lifetimeMs: number
}

interface List {
  readonly bytes: Uint8Array
  /** Seconds, by place. */
  readonly released: Map<number, number>
  releasedAll: number
  /** Grows with each change of what the list tells. */
  version: number
  signed: { readonly stamp: string; readonly at: number; readonly list: Promise<SignedStatusList> } | undefined
}

const empty = (): List => ({
  bytes: new Uint8Array((placesOfList * ourBits) / 8),
  released: new Map(),
  releasedAll: 0,
  version: 0,
  signed: undefined,
})

const note = (list: List, idx: number, at: number): void => {
  if (list.releasedAll >= at || (list.released.get(idx) ?? 0) >= at) return
  list.version += 1
  list.released.set(idx, at)
  if (list.released.size <= releasedMost) return
  list.releasedAll = Math.max(...list.released.values())
  list.released.clear()
}

const forget = (list: List, before: number): void => {
  for (const [idx, at] of list.released) if (at < before) list.released.delete(idx)
  if (list.releasedAll < before) list.releasedAll = 0
}

/**
 * The status lists, in memory. Whom a commit touched is told by the store in the turn of the commit; at the next request
 * those are read again, and no others: what is served says all that was committed before it was asked for. Signed again
 * when something changed, or after `ttl`.
 */
export const createStatusLists = ({ clock, metrics, store }: Pick<Deps, 'clock' | 'metrics' | 'store'>) => {
  let lists = new Map<number, List>()
  let touched = new Set<Did>()
  /** Nothing is known, or too much has changed. */
  let unread = true
  let isDoubted = false
  let readAt = 0
  let reading: Promise<void> | undefined

  store.changes.watch(({ all, dids }) => {
    if (unread) return
    if (all) isDoubted = true
    for (const did of dids) touched.add(did)
    if (touched.size > touchedMost) unread = true
  })

  const take = (into: Map<number, List>, { idx, list, resumedAt = 0, value }: PlacedStatus, since: number): void => {
    const known = into.get(list) ?? empty()
    into.set(list, known)
    if (setStatus(known.bytes, ourBits, idx, value)) known.version += 1
    if (resumedAt >= since) note(known, idx, Math.floor(resumedAt / 1000))
  }

  const read = async (): Promise<void> => {
    const whole = unread || (isDoubted && clock.mono() - readAt >= rereadMs)
    const dids = [...touched]
    touched = new Set()
    const since = clock.now() - releasedKeptMs
    try {
      if (!whole) {
        for (let at = 0; at < dids.length; at += chunk) {
          for (const one of await store.statusesOf(dids.slice(at, at + chunk))) take(lists, one, since)
        }
        return
      }
      unread = false
      isDoubted = false
      readAt = clock.mono()
      const fresh = new Map<number, List>()
      const found = await store.statusesToTell(since)
      const newest = await store.newestStatusList()
      for (let list = 1; list <= newest; list++) fresh.set(list, empty())
      for (const one of found) take(fresh, one, since)
      lists = fresh
    } catch (error) {
      unread = true
      throw error
    }
  }

  /** Reads what was committed before this call. What is being read already may be from before it: that is waited for, and not enough. */
  const current = async (): Promise<void> => {
    await reading?.catch(() => undefined)
    // That alone tells what another process wrote, and that it took the store over.
    if (Number.isNaN(store.changes.count)) unread = true
    const isDue = unread || touched.size > 0 || (isDoubted && clock.mono() - readAt >= rereadMs)
    if (!isDue && reading === undefined) return
    reading ??= read().finally(() => {
      reading = undefined
    })
    await reading
  }

  const generation = async () => (await store.meta(generationKey)) ?? '0'
  const uriOf = (base: string, of: string, list: number) => `${base}/statuslists/${of}-${list}`

  /** A list of the generation of signals: after a restore, places taken since the backup are unknown, and lists of before are gone. */
  const named = async (name: string): Promise<{ list: List; uri: (base: string) => string } | undefined> => {
    await current()
    const [, of = '', number = ''] = /^([A-Za-z0-9]{1,32})-([1-9]\d{0,5})$/.exec(name) ?? []
    const list = of === (await generation()) ? lists.get(Number(number)) : undefined
    return list && { list, uri: (base) => uriOf(base, of, Number(number)) }
  }

  const sign = async (list: List, uri: string, at: number, by: ListSigner): Promise<SignedStatusList> => {
    const { base, lifetimeMs, pem, ttlMs } = by
    forget(list, Math.floor((at - releasedKeptMs) / 1000))
    const claims: StatusListClaims = {
      sub: uri,
      iat: Math.floor(at / 1000),
      exp: Math.floor((at + lifetimeMs) / 1000),
      ttl: Math.max(1, Math.floor(ttlMs / 1000)),
      status_list: { bits: ourBits, lst: packStatuses(list.bytes), aggregation_uri: `${base}/statuslists` },
      ...(list.released.size > 0 && { released: Object.fromEntries(list.released) }),
      ...(list.releasedAll > 0 && { released_all: list.releasedAll }),
    }
    const token = await signJson(claims, statusListType, pem)
    metrics.inc('status_lists_signed_total', {})
    return { token, etag: `"${createHash('sha256').update(token).digest('base64url').slice(0, 22)}"`, ttlMs }
  }

  return {
    uris: async (base: string): Promise<string[]> => {
      await current()
      const of = await generation()
      return [...lists.keys()].sort((a, b) => a - b).map((list) => uriOf(base, of, list))
    },
    uri: async (base: string, { list }: StatusPlace): Promise<string> => uriOf(base, await generation(), list),
    signed: async (name: string, by: ListSigner): Promise<SignedStatusList> => {
      const found = await named(name)
      if (found === undefined) {
        throw new BridgeError('E_NOT_FOUND', 'There is no such status list.', {
          hint: 'GET /statuslists names those there are. A restored store has new ones: passports from before are void.',
        })
      }
      const { list, uri } = found
      const now = clock.now()
      const stamp = [list.version, by.kid, by.base, by.ttlMs, by.lifetimeMs].join(' ')
      const last = list.signed
      // A clock that was set back makes it one from the future.
      if (last?.stamp === stamp && now >= last.at && now < last.at + by.ttlMs) return last.list
      const made = sign(list, uri(by.base), now, by)
      list.signed = { stamp, at: now, list: made }
      made.catch(() => {
        if (list.signed?.list === made) list.signed = undefined
      })
      return made
    },
    /** Whether a passport of this place and `iat`, in seconds, is still good as far as its status says. */
    isGood: async (name: string, idx: number, iat: number): Promise<boolean> => {
      const list = (await named(name))?.list
      if (list === undefined || statusAt(list.bytes, ourBits, idx) !== statusValues.valid) return false
      const seconds = clock.now() / 1000
      const isPresent = iat <= seconds + skewSeconds && iat >= seconds - releasedKeptMs / 1000
      return isPresent && iat > Math.max(list.releasedAll, list.released.get(idx) ?? 0)
    },
  }
}

export type StatusLists = ReturnType<typeof createStatusLists>
