import { claimed } from '../core/account.ts'
import { next } from '../core/next.ts'
import type { ScheduledPrincipal } from '../core/store.ts'
import type { Did, Hold, PrincipalKey } from '../core/types.ts'
import type { Change } from './change.ts'
import { contextFor, keptSchedule, scheduleOf } from './context.ts'

/** Open holds by DID. */
export type Open = Map<Did, readonly Hold[]>

export const distinctDids = (list: readonly { did: Did }[]): Did[] => [...new Set(list.map(({ did }) => did))]

export const openOf = async ({ tx }: Change, list: readonly { did: Did }[]): Promise<Open> =>
  Map.groupBy(await tx.openHoldsByDid(distinctDids(list)), ({ did }) => did)

/** Claims every account of the DID that a driving hold now wants off. */
export const claimAll = async (change: Change, did: Did): Promise<PrincipalKey[]> =>
  (await claimMany(change, await change.tx.principalsByDid([did]), await openOf(change, [{ did }]))).get(did) ?? []

/** Claims one account, if a driving hold now wants it off. */
export const claimOne = async (change: Change, principal: ScheduledPrincipal): Promise<PrincipalKey[]> => {
  const looked = await look(change, principal, undefined)
  if (looked === undefined) return []
  const { key, account, schedule } = looked.row
  await change.tx.saveAccount(key, account, schedule)
  return looked.claims ? [key] : []
}

/** The same for all accounts of many DIDs, with their open holds as they are now. */
export const claimMany = async (
  change: Change,
  accounts: readonly ScheduledPrincipal[],
  open: Open,
): Promise<Map<Did, PrincipalKey[]>> => {
  const { tx } = change
  const claims = new Map<Did, PrincipalKey[]>()
  const rows = new Map<string, AccountRow>()
  for (const principal of accounts) {
    const { adapter, id, did } = principal
    const name = `${adapter}/${id}`
    // A shared one is in the set once for each of its DIDs.
    const looked = rows.has(name) ? undefined : await look(change, principal, open.get(did) ?? [])
    if (looked === undefined) continue
    rows.set(name, looked.row)
    if (looked.claims) claims.set(did, [...(claims.get(did) ?? []), looked.row.key])
  }
  await tx.saveAccounts([...rows.values()])
  return claims
}

type AccountRow = Parameters<Change['tx']['saveAccounts']>[0][number]

/** What becomes of one account now; undefined when its directory is not configured. */
const look = async (
  change: Change,
  principal: ScheduledPrincipal,
  open: readonly Hold[] | undefined,
): Promise<{ row: AccountRow; claims: boolean } | undefined> => {
  const { deps, tx, now } = change
  const { account, adapter, id } = principal
  const mount = deps.mounts().get(adapter)
  if (mount === undefined) return undefined
  const context = await contextFor(deps, tx, mount, principal, now, open)
  const claims = next(account, context).do === 'claim'
  const schedule = claims
    ? scheduleOf(deps, account, context)
    : keptSchedule(deps, principal.schedule, account, context)
  change.wakeSuspend(adapter)
  change.wakeWork(adapter)
  return {
    row: { key: { adapter, id }, account: claims ? claimed(account, now) : account, schedule, before: account },
    claims,
  }
}
