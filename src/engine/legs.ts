import { type Context, isOff } from '../core/account.ts'
import { ownOrigin } from '../core/holds.ts'
import type { LegRecord } from '../core/receipts.ts'
import { accountVerdict, isClosed, type LegVerdict, runtimeVerdict } from '../core/receipts.ts'
import type { StoreReads } from '../core/store.ts'
import type { Account, Agent, Did, Hold, Labels, Principal, PrincipalKey } from '../core/types.ts'
import type { Change } from './change.ts'
import type { Open } from './claiming.ts'
import { contextFor, pausedKey } from './context.ts'
import type { Deps, Runtime } from './deps.ts'
import { didsOf } from './sharing.ts'
import { within } from './views.ts'

/** Why the bridge does not write an account, whatever is wanted of it. */
const unwritable = (deps: Deps, principal: Principal) => {
  const mount = deps.mounts().get(principal.adapter)
  if (mount === undefined) return undefined
  if (mount.adapter.accounts === undefined) return { reason: 'read-only' } as const
  const unswitched = mount.adapter.accounts.unswitched?.(principal.kind)
  if (unswitched !== undefined) return { reason: 'read-only', error: unswitched.code } as const
  const { mirror } = mount.settings
  if (mirror === 'inbound' || mirror === 'observe') return { reason: 'mirror' } as const
  const refused = mount.adapter.vet(principal)
  return refused === undefined ? undefined : ({ reason: 'refused', error: refused.code } as const)
}

/** The leg of one account, for a hold that is open. `context` is undefined when its directory is not configured any more. */
export const accountLeg = (
  deps: Deps,
  principal: Principal,
  hold: Hold,
  context: Context | undefined,
  paused: boolean,
): LegVerdict => {
  const isOwn = hold.origin === ownOrigin(principal.adapter, principal.id)
  return accountVerdict({
    hold,
    account: principal.account,
    context,
    unwritable: unwritable(deps, principal),
    sharedWithFree: principal.shared && !isOwn && context?.others.length === 0,
    paused,
  })
}

/** Undefined: the directory of the account is not configured any more. */
export const contextOrNone = async (
  deps: Deps,
  reads: StoreReads,
  principal: Principal,
  now: number,
  open: readonly Hold[],
): Promise<Context | undefined> => {
  const mount = deps.mounts().get(principal.adapter)
  return mount && contextFor(deps, reads, mount, principal, now, open)
}

/** Runtimes whose bound includes the agent; an agent that is not registered is within every bound. */
export const runtimesOf = (deps: Deps, labels: Labels | undefined): readonly Runtime[] =>
  deps.runtimes().filter((runtime) => labels === undefined || within(labels, runtime.labels))

const recordOf = (key: PrincipalKey, holdId: string, type: LegRecord['type'], at: number): LegRecord => ({
  adapter: key.adapter,
  id: key.id,
  holdId,
  type,
  at,
  answeredAt: undefined,
  closedAt: undefined,
  reopenedAt: undefined,
  ended: undefined,
})

const isOf = (key: PrincipalKey) => (record: LegRecord) =>
  record.type === 'account' && record.adapter === key.adapter && record.id === key.id

/**
 * Records what a reading or an answer did to the legs of one account: closed, or on again. In the transaction that takes
 * it in, and only when it changed, for the account itself forgets once it is enabled.
 */
export const noteLegs = async (
  { tx, now }: Change,
  key: PrincipalKey,
  before: Account,
  after: Account,
  context: Context,
): Promise<void> => {
  for (const hold of await holdsOn(tx, key, context)) {
    const wasClosed = isClosed(before, hold, context)
    const closes = !wasClosed && isClosed(after, hold, context)
    const opens = isOff(before) && !isOff(after)
    if (!closes && !opens) continue
    const record = (await tx.legsOf([hold.id])).find(isOf(key)) ?? recordOf(key, hold.id, 'account', now)
    const closedAt = closes ? after.offReadAt : (record.closedAt ?? (wasClosed ? before.offReadAt : undefined))
    // Never closed: there is nothing to take back.
    if (closedAt === undefined) continue
    const answeredAt = after.disabledAckAt ?? record.answeredAt
    await tx.saveLeg({ ...record, at: now, answeredAt, closedAt, reopenedAt: closes ? undefined : after.observedAt })
  }
}

/** Every open hold that has a leg of the account: of a shared one those of all its DIDs, whatever drives it. */
const holdsOn = async (tx: StoreReads, key: PrincipalKey, context: Context): Promise<readonly Hold[]> => {
  const isShared = context.ownMissing !== undefined
  if (!isShared) return context.own === undefined ? context.others : [context.own, ...context.others]
  const principal = await tx.principal(key)
  const holds: Hold[] = []
  for (const did of principal === undefined ? [] : await didsOf(tx, principal)) holds.push(...(await tx.openHolds(did)))
  return holds
}

/** What is known of the DIDs of a set of holds. */
export interface Known {
  readonly open: Open
  readonly agents: ReadonlyMap<Did, Agent>
  readonly principals: ReadonlyMap<Did, readonly Principal[]>
}

/** Records what every leg is when its hold is released: from then on the accounts answer for other holds. */
export const endLegs = async ({ deps, tx, now }: Change, holds: readonly Hold[], known: Known): Promise<void> => {
  const ids = holds.map(({ id }) => id)
  const paused = (await tx.meta(pausedKey)) !== undefined
  const records = Map.groupBy(await tx.legsOf(ids), ({ holdId }) => holdId)
  const acks = Map.groupBy(await tx.acksOf(ids), ({ holdId }) => holdId)
  const legs: LegRecord[] = []
  for (const hold of holds) {
    const open = known.open.get(hold.did) ?? []
    for (const principal of known.principals.get(hold.did) ?? []) {
      const { account } = principal
      const record = records.get(hold.id)?.find(isOf(principal)) ?? recordOf(principal, hold.id, 'account', now)
      const ended = accountLeg(deps, principal, hold, await contextOrNone(deps, tx, principal, now, open), paused)
      const closedAt = record.closedAt ?? (ended.state === 'closed' ? account.offReadAt : undefined)
      legs.push({ ...record, at: now, closedAt, answeredAt: account.disabledAckAt ?? record.answeredAt, ended })
    }
    const acked = new Set(acks.get(hold.id)?.map(({ client }) => client))
    for (const { name } of runtimesOf(deps, known.agents.get(hold.did)?.labels)) {
      const ended = runtimeVerdict(hold, name, acked.has(name) ? now : undefined)
      if (ended.reason === 'acknowledged') continue
      legs.push({ ...recordOf({ adapter: '', id: name }, hold.id, 'runtime', now), ended })
    }
  }
  await tx.saveLegs(legs)
}
