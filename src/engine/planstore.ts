import { genesis } from '../core/audit.ts'
import { BridgeError } from '../core/errors.ts'
import type { Store, StoreTx } from '../core/store.ts'
import { rehearsedAccounts } from './planaccounts.ts'
import { rehearsedHolds } from './planholds.ts'
import { rehearsedSources } from './plansources.ts'

const nothing = async (): Promise<void> => undefined

/** No pass writes these. */
const refused = (): Promise<never> => Promise.reject(new BridgeError('E_BUG', 'A rehearsed pass does not write this.'))

/** What a pass leaves behind and does not read again itself. */
const unkept = {
  appendAudit: async (event) => ({ ...event, seq: 0, digests: {}, prev: genesis, hash: genesis }),
  appendAudits: nothing,
  appendSignal: async () => 0,
  appendSignals: nothing,
  saveLeg: nothing,
  saveLegs: nothing,
  voidReleases: nothing,
  noteResumed: nothing,
  endDelegations: nothing,
  putCheckpoint: nothing,
  deleteCheckpoint: nothing,
  // After a jump of the clock: nothing here is older than the rehearsal.
  wakeEngaged: nothing,
  rebaseGuard: nothing,
} satisfies Partial<StoreTx>

const foreign = {
  insertAgent: refused,
  saveAgent: refused,
  noteActivity: refused,
  insertPrincipal: refused,
  addSharer: refused,
  describePrincipal: refused,
  unmapPrincipal: refused,
  ackSignal: refused,
  ackHold: refused,
  insertRelease: refused,
  saveRelease: refused,
  putIdempotent: refused,
  claimDelivery: refused,
  clearGuardEvents: refused,
  prune: refused,
  noteSettings: refused,
  saveTrust: refused,
  settleTrust: refused,
  dropTrust: refused,
  insertKill: refused,
  advanceKill: refused,
  saveOutlet: refused,
  saveSetAside: refused,
  dropSetAside: refused,
  dropWaiting: refused,
  revive: refused,
  putKey: refused,
  dropKey: refused,
  putProof: refused,
  putAuditCheckpoint: refused,
  dropAudited: refused,
  putToolServer: refused,
  dropToolServer: refused,
  putBlueprint: refused,
  dropBlueprint: refused,
  grantFrom: refused,
  putRegrant: refused,
  dropRegrant: refused,
  insertAlias: refused,
  dropAlias: refused,
  moveHolds: refused,
  putImport: refused,
  putImportRows: refused,
  judgeImportRows: refused,
  restageImportRows: refused,
  dropImport: refused,
  putDelegation: refused,
  deleteDelegation: refused,
  takeStatusPlace: refused,
} satisfies Partial<StoreTx>

/**
 * A store in which passes can be rehearsed: it reads what the real one has, keeps in memory what is written to it, and
 * writes nothing anywhere. It keeps what would change, and of every other mapped account when it was read.
 */
export const rehearsalOf = (store: Store, now: () => number) => {
  let adapter = ''
  const passing = () => adapter
  const accounts = rehearsedAccounts(store, now)
  const holds = rehearsedHolds(store, passing)
  const sources = rehearsedSources(store, passing)
  const meta = new Map<string, string | undefined>()
  const events: { adapter: string; direction: string; at: number; weight: number }[] = []
  let last: Promise<unknown> = Promise.resolve()

  const reads = {
    ...store,
    ...accounts.reads,
    ...holds.reads,
    ...sources.reads,
    // Every directory is read whole: what changed since a checkpoint may be less than what differs.
    checkpoint: async () => undefined,
    meta: async (key: string) => (meta.has(key) ? meta.get(key) : store.meta(key)),
    guardCount: async (name: string, direction: 'suspend' | 'resume', since: number) =>
      events
        .filter((one) => one.adapter === name && one.direction === direction && one.at >= since)
        .reduce((sum, { weight }) => sum + weight, await store.guardCount(name, direction, since)),
  }
  const tx: StoreTx = {
    ...reads,
    ...foreign,
    ...unkept,
    ...accounts.writes,
    ...holds.writes,
    ...sources.writes,
    putMeta: async (key, value) => {
      meta.set(key, value)
    },
    addGuardEvent: async (name, direction, at, weight) => {
      events.push({ adapter: name, direction, at, weight })
    },
  }
  const write: Store['write'] = (work) => {
    const done = last.then(() => {
      accounts.begin()
      return work(tx)
    })
    last = done.catch(() => undefined)
    return done
  }
  return {
    store: { ...reads, write } satisfies Store,
    accounts,
    holds,
    sources,
    /** From here on it is a pass over this directory. */
    enter: (name: string) => {
      adapter = name
    },
    /** Whether the rehearsal put this there. */
    entered: (key: string): boolean => meta.get(key) !== undefined,
  }
}

export type Rehearsal = ReturnType<typeof rehearsalOf>
