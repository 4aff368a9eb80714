import { isDeepStrictEqual } from 'node:util'
import { readWanted } from '../core/reads.ts'
import type { Absence, Lane, Schedule, ScheduledPrincipal, Store, StoreReads, StoreTx } from '../core/store.ts'
import type { Account, AccountState, Did, PrincipalKey } from '../core/types.ts'

interface Row {
  readonly key: PrincipalKey
  readonly account: Account
  readonly schedule: Schedule
  /** A worker was to look at it when it was written. What comes due while a rehearsal takes its time is no part of it. */
  readonly isDue: boolean
  /** What the store has it as. */
  readonly was: AccountState
}

/** Of what is due in a lane, at most so many are looked at. */
const mostDue = 100_000
const pageRows = 500

const nameOf = ({ adapter, id }: PrincipalKey): string => `${adapter}\n${id}`

const brought = ({ nextAt }: Schedule, at: number): number => Math.min(nextAt ?? at, at)

const isUnseen = (state: AccountState): boolean => state === 'absent' || state === 'unknown'

/** A reading told nothing new: only that it was made. */
const isRepeat = (stored: ScheduledPrincipal, account: Account, schedule: Schedule): boolean =>
  isDeepStrictEqual(stored.schedule, schedule) &&
  isDeepStrictEqual({ ...stored.account, observedAt: undefined }, { ...account, observedAt: undefined })

type Reads = Pick<
  StoreReads,
  | 'principal'
  | 'principalsOf'
  | 'principalsById'
  | 'principalsByDid'
  | 'due'
  | 'stale'
  | 'countUnseen'
  | 'absence'
  | 'countAbsences'
>
type Writes = Pick<
  StoreTx,
  'saveAccount' | 'saveAccounts' | 'askRead' | 'askReadDependents' | 'wake' | 'putAbsence' | 'deleteAbsence'
>

/**
 * The accounts of a store, with what a rehearsal makes of them kept in memory: whole where a reading told something new,
 * and otherwise only the time of the reading.
 */
export const rehearsedAccounts = (store: Store, now: () => number) => {
  const rows = new Map<string, Row>()
  const readAt = new Map<string, number>()
  const absences = new Map<string, { key: PrincipalKey; stored: Absence | undefined; present: Absence | undefined }>()
  /** As they were read in this transaction, to compare with. */
  let read = new Map<string, ScheduledPrincipal>()
  const queues = new Map<string, Promise<string[]>>()
  const passed = new Map<string, { before: number; after: string | undefined }>()
  let saves = 0

  const seen = (stored: ScheduledPrincipal): ScheduledPrincipal => {
    const name = nameOf(stored)
    read.set(name, stored)
    const row = rows.get(name)
    if (row !== undefined) return { ...stored, account: row.account, schedule: row.schedule }
    const observedAt = readAt.get(name)
    return observedAt === undefined ? stored : { ...stored, account: { ...stored.account, observedAt } }
  }

  const principal = async (key: PrincipalKey): Promise<ScheduledPrincipal | undefined> => {
    const stored = await store.principal(key)
    return stored && seen(stored)
  }
  const principalsById = async (adapter: string, ids: readonly string[]) =>
    (await store.principalsById(adapter, ids)).map(seen)
  const principalsByDid = async (dids: readonly Did[]) => (await store.principalsByDid(dids)).map(seen)

  const put = async (key: PrincipalKey, account: Account, schedule: Schedule): Promise<void> => {
    saves += 1
    const name = nameOf(key)
    const stored = read.get(name) ?? (await store.principal(key))
    if (stored === undefined) return
    if (isRepeat(stored, account, schedule)) {
      rows.delete(name)
      if (account.observedAt !== undefined) readAt.set(name, account.observedAt)
      return
    }
    const { adapter, id } = key
    const isDue = schedule.nextAt !== undefined && schedule.nextAt <= now()
    rows.set(name, { key: { adapter, id }, account, schedule, isDue, was: stored.account.observed })
  }

  const asked = async (one: ScheduledPrincipal, at: number, again: number | undefined): Promise<void> => {
    const once = readWanted(one.account, at)
    const readAgainAt = again === undefined ? once.readAgainAt : Math.max(once.readAgainAt ?? again, again)
    await put(one, { ...once, readAgainAt }, { ...one.schedule, nextAt: brought(one.schedule, at) })
  }

  /** Ids that the store has due in a lane, asked once. */
  const queueOf = (adapter: string, lane: Lane, at: number): Promise<string[]> => {
    const name = `${adapter}\n${lane}`
    const queue = queues.get(name) ?? store.due(adapter, lane, at, mostDue).then((list) => list.map(({ id }) => id))
    queues.set(name, queue)
    return queue
  }

  const due: Reads['due'] = async (adapter, lane, at, limit) => {
    const ids: string[] = []
    for (const { isDue, key, schedule } of rows.values()) {
      if (ids.length >= limit) break
      if (key.adapter === adapter && schedule.lane === lane && isDue) ids.push(key.id)
    }
    const untouched = (await queueOf(adapter, lane, at)).filter((id) => !rows.has(nameOf({ adapter, id })))
    queues.set(`${adapter}\n${lane}`, Promise.resolve(untouched))
    const wanted = [...ids, ...untouched].slice(0, limit)
    const found = new Map((await principalsById(adapter, wanted)).map((one) => [one.id, one]))
    return wanted.flatMap((id) => found.get(id) ?? [])
  }

  /** In the order of ids, each account once for one `before`: whoever asks has what is found read, or asked to be read. */
  const stale: Reads['stale'] = async (adapter, before, at, limit) => {
    const last = passed.get(adapter)
    let after = last?.before === before ? last.after : undefined
    const found: ScheduledPrincipal[] = []
    for (;;) {
      const page = await store.principalsAfter(adapter, after, pageRows)
      for (const stored of page) {
        after = stored.id
        const one = seen(stored)
        const { observedAt, readDueAt } = one.account
        const isOld = observedAt === undefined || observedAt < before || observedAt > at
        if (readDueAt === undefined && isOld) found.push(one)
        if (found.length >= limit) break
      }
      if (found.length >= limit || page.length < pageRows) break
    }
    passed.set(adapter, { before, after })
    return found
  }

  const countAbsences: Reads['countAbsences'] = async (adapter, since) => {
    let { recent, pending } = await store.countAbsences(adapter, since)
    const add = (one: Absence | undefined, n: 1 | -1) => {
      if (one === undefined) return
      if (!one.believed) pending += n
      else if (one.at >= since) recent += n
    }
    for (const { key, present, stored } of absences.values()) {
      if (key.adapter !== adapter) continue
      add(stored, -1)
      add(present, 1)
    }
    return { recent, pending }
  }

  const note = async (key: PrincipalKey, present: Absence | undefined): Promise<void> => {
    const noted = absences.get(nameOf(key))
    const stored = noted === undefined ? await store.absence(key) : noted.stored
    const { adapter, id } = key
    absences.set(nameOf(key), { key: { adapter, id }, stored, present })
  }

  const reads: Reads = {
    principal,
    principalsById,
    principalsByDid,
    principalsOf: async (did) => (await store.principalsOf(did)).map(seen),
    due,
    stale,
    countUnseen: async (adapter) => {
      let n = await store.countUnseen(adapter)
      for (const { key, account, was } of rows.values()) {
        if (key.adapter === adapter) n += Number(isUnseen(account.observed)) - Number(isUnseen(was))
      }
      return n
    },
    absence: async (key) => {
      const noted = absences.get(nameOf(key))
      return noted === undefined ? store.absence(key) : noted.present
    },
    countAbsences,
  }
  const writes: Writes = {
    saveAccount: put,
    saveAccounts: async (list) => {
      for (const { key, account, schedule } of list) await put(key, account, schedule)
    },
    askRead: async (key, at, again) => {
      const one = await principal(key)
      if (one !== undefined) await asked(one, at, again)
    },
    askReadDependents: async (adapter, id, at, again) => {
      for (const one of await store.dependentsOf(adapter, id)) await asked(seen(one), at, again)
    },
    wake: async (dids, at, lane) => {
      for (const one of await principalsByDid(dids)) {
        const { schedule } = one
        const raised = lane < schedule.lane ? lane : schedule.lane
        await put(one, one.account, { nextAt: brought(schedule, at), lane: raised })
      }
    },
    putAbsence: note,
    deleteAbsence: (key) => note(key, undefined),
  }
  return {
    reads,
    writes,
    /** What was read before is compared with no more: another transaction begins. */
    begin: () => {
      read = new Map()
    },
    /** Grows with everything that is written. */
    saves: () => saves,
    /** Accounts of one directory in these lanes whenever they are due, less than `most` of them. */
    scheduled: async (adapter: string, lanes: readonly Lane[], most: number): Promise<ScheduledPrincipal[]> => {
      const found: ScheduledPrincipal[] = []
      for (const lane of lanes) {
        const stored = (await store.due(adapter, lane, Number.MAX_SAFE_INTEGER, most)).map(({ id }) => id)
        const ids = new Set(stored.filter((id) => !rows.has(nameOf({ adapter, id }))))
        for (const { key, schedule } of rows.values()) {
          if (key.adapter === adapter && schedule.lane === lane && schedule.nextAt !== undefined) ids.add(key.id)
        }
        const list = [...ids].slice(0, most)
        for (let at = 0; at < list.length; at += pageRows) {
          found.push(...(await principalsById(adapter, list.slice(at, at + pageRows))))
        }
      }
      return found
    },
  }
}
