import { driving } from '../core/account.ts'
import { ownOrigin } from '../core/holds.ts'
import { next } from '../core/next.ts'
import type { PlannedChange, PlannedWait } from '../core/plan.ts'
import { worst } from '../core/receipts.ts'
import type { ScheduledPrincipal, StoreReads } from '../core/store.ts'
import type { Did, Hold, PrincipalId } from '../core/types.ts'
import { contextFor } from './context.ts'
import type { Deps, Mount } from './deps.ts'
import { accountLeg, contextOrNone } from './legs.ts'
import type { HoldChange } from './planholds.ts'
import type { SourceChange } from './plansources.ts'
import type { Rehearsal } from './planstore.ts'
import { didsOf } from './sharing.ts'

const pageRows = 500

const sorted = (list: readonly string[]): string[] => [...new Set(list)].sort()

const textIn = (hold: Hold, name: string): string | undefined => {
  const value = hold.evidence[name]
  return typeof value === 'string' ? value : undefined
}

/** The account that a directory's own hold is about. */
const accountOf = (adapter: string, { origin }: Hold): PrincipalId | undefined => {
  const prefix = ownOrigin(adapter, '')
  return origin.startsWith(prefix) ? origin.slice(prefix.length) : undefined
}

const kindOf = ({ before, after }: HoldChange): PlannedChange['change'] | undefined => {
  if (after === undefined) return 'release'
  if (before === undefined) return 'hold'
  if (before.releasableAt === undefined && after.releasableAt !== undefined) return 'releasable'
  const isLike = before.severity === after.severity && before.guarded === after.guarded
  return isLike && before.releasableAt === after.releasableAt ? undefined : 'hold-changed'
}

const holdRow = (adapter: string, one: HoldChange): PlannedChange[] => {
  const change = kindOf(one)
  const hold = one.after ?? one.before
  if (change === undefined || hold === undefined) return []
  return [
    {
      change,
      dids: [hold.did],
      principal: accountOf(adapter, hold),
      because: [hold.origin],
      cause: textIn(hold, 'cause'),
      capability: undefined,
      guarded: hold.guarded,
    },
  ]
}

const sourceRow = ({ gained, source }: SourceChange): PlannedChange => ({
  change: gained ? 'grant' : 'revoke',
  dids: [source.did],
  principal: undefined,
  because: [source.source],
  cause: undefined,
  capability: source.capability,
  guarded: false,
})

interface Around {
  /** Of the rehearsal. */
  readonly deps: Deps
  /** The store at work, as the rehearsal found it. */
  readonly real: StoreReads
  readonly mount: Mount
  readonly rehearsal: Rehearsal
}

/** What the rehearsed pass over one directory would have changed. */
export const changesOf = async (
  { deps, mount, rehearsal }: Around,
  written: { readonly off: ReadonlySet<PrincipalId>; readonly on: ReadonlySet<PrincipalId> },
): Promise<PlannedChange[]> => {
  const { name } = mount.adapter
  const mine = ({ adapter }: { readonly adapter: string }) => adapter === name
  const rows = [
    ...rehearsal.holds
      .changes()
      .filter(mine)
      .flatMap((one) => holdRow(name, one)),
    ...rehearsal.sources.changes().filter(mine).map(sourceRow),
  ]
  const now = deps.clock.now()
  for (const [change, ids] of [
    ['switch-off', written.off],
    ['switch-on', written.on],
  ] as const) {
    for await (const principal of accounts(deps.store, name, [...ids])) {
      const context = await contextFor(deps, deps.store, mount, principal, now)
      rows.push({
        change,
        dids: sorted(await didsOf(deps.store, principal)),
        principal: principal.id,
        because: sorted(driving(context).map(({ origin }) => origin)),
        cause: undefined,
        capability: undefined,
        guarded: false,
      })
    }
  }
  return rows
}

async function* accounts(reads: StoreReads, adapter: string, ids: readonly PrincipalId[]) {
  for (let at = 0; at < ids.length; at += pageRows)
    yield* await reads.principalsById(adapter, ids.slice(at, at + pageRows))
}

/** A part of a plan names no more of what waits, of each kind. */
export const mostWaits = 10_000

/** What is wanted in one directory and would not happen in this pass, and why. */
export const waitsOf = async (
  around: Around,
  paused: boolean,
  written: ReadonlySet<PrincipalId>,
): Promise<PlannedWait[]> => [
  ...(await waitingHolds(around)),
  ...(await waitingWrites(around, paused, written)),
  ...(await unclosedLegs(around, paused, written)),
]

/** Own holds that wait for people. */
const waitingHolds = async ({ deps, mount }: Around): Promise<PlannedWait[]> => {
  const { name } = mount.adapter
  const found: PlannedWait[] = []
  let after: string | undefined
  for (;;) {
    const page = await deps.store.openHoldsWithOrigin(ownOrigin(name, ''), pageRows, after)
    for (const hold of page) {
      const isReleasable = hold.releasableAt !== undefined
      if (!isReleasable && !hold.guarded) continue
      found.push({
        wants: isReleasable ? 'release' : 'mirror',
        why: isReleasable ? 'review' : 'guard',
        dids: [hold.did],
        principal: accountOf(name, hold),
        because: [hold.origin],
        detail: undefined,
      })
    }
    after = page.at(-1)?.id
    if (page.length < pageRows || found.length >= mostWaits) return found.slice(0, mostWaits)
  }
}

/** Writes that are due, or would be, and that nothing was sent for. */
const waitingWrites = async (
  { deps, mount, real, rehearsal }: Around,
  paused: boolean,
  written: ReadonlySet<PrincipalId>,
): Promise<PlannedWait[]> => {
  const now = deps.clock.now()
  const found: PlannedWait[] = []
  const { name } = mount.adapter
  const scheduled = await rehearsal.accounts.scheduled(name, [0, 2, 4, 3], mostWaits)
  const waiting = scheduled.filter(({ id }) => !written.has(id))
  const failures = new Map<PrincipalId, string | undefined>()
  for await (const { account, id } of accounts(
    real,
    name,
    waiting.map(({ id }) => id),
  )) {
    failures.set(id, account.lastError)
  }
  for (const principal of waiting) {
    const context = await contextFor(deps, deps.store, mount, principal, now)
    const { do: step } = next(principal.account, context)
    const isOff = step === 'disable' || step === 'claim'
    if (!isOff && step !== 'attribute') continue
    const { why, detail } = heldUp(principal, paused, failures.get(principal.id))
    found.push({
      wants: isOff ? 'off' : 'on',
      why,
      dids: sorted(await didsOf(deps.store, principal)),
      principal: principal.id,
      because: sorted(driving(context).map(({ origin }) => origin)),
      detail,
    })
  }
  return found
}

/** @param failed what the last try met: a reading that told a state since does not change what is waited for */
const heldUp = (
  { account, schedule }: ScheduledPrincipal,
  paused: boolean,
  failed: string | undefined,
): { readonly why: PlannedWait['why']; readonly detail: string | undefined } => {
  const detail = account.lastError ?? failed
  if (paused) return { why: 'paused', detail: undefined }
  if (detail === 'E_DIRECTORY_THROTTLED') return { why: 'throttled', detail }
  if (schedule.lane === 3) return { why: 'log-late', detail }
  return { why: 'retrying', detail }
}

const reasons = {
  unsupported: 'unsupported',
  shared: 'shared',
  contested: 'contested',
  indeterminate: 'unanswered',
} as const

/** Accounts of held agents that stay as they are whatever the pass does. */
const unclosedLegs = async (
  { deps, mount, rehearsal }: Around,
  paused: boolean,
  written: ReadonlySet<PrincipalId>,
): Promise<PlannedWait[]> => {
  const found = new Map<PrincipalId, PlannedWait>()
  const { store } = deps
  const now = deps.clock.now()
  const look = async (dids: readonly Did[]): Promise<void> => {
    const open = Map.groupBy(await store.openHoldsByDid(dids), ({ did }) => did)
    for (const principal of await store.principalsByDid(dids)) {
      const holds = open.get(principal.did) ?? []
      if (principal.adapter !== mount.adapter.name || written.has(principal.id) || holds.length === 0) continue
      const context = await contextOrNone(deps, store, principal, now, holds)
      const legs = holds.map((hold) => accountLeg(deps, principal, hold, context, paused))
      const state = worst(legs.map((leg) => leg.state))
      if (state !== 'unsupported' && state !== 'shared' && state !== 'contested' && state !== 'indeterminate') continue
      const leg = legs.find((one) => one.state === state)
      found.set(principal.id, {
        wants: 'off',
        why: reasons[state],
        dids: sorted(await didsOf(store, principal)),
        principal: principal.id,
        because: sorted(holds.map(({ origin }) => origin)),
        detail: leg?.error ?? leg?.reason,
      })
    }
  }
  let after: Did | undefined
  for (;;) {
    const page = await store.heldDids(after, pageRows)
    await look(page.map(({ did }) => did))
    after = page.at(-1)?.did
    if (page.length < pageRows || found.size >= mostWaits) break
  }
  const placed = rehearsal.holds.placedDids()
  for (let at = 0; at < placed.length && found.size < mostWaits; at += pageRows) {
    await look(placed.slice(at, at + pageRows))
  }
  return [...found.values()]
}
