import { ownOrigin } from '../core/holds.ts'
import type { AgentReads, JudgedPrincipal } from '../core/judging.ts'
import { sharedHolds } from '../core/shared.ts'
import type { StoreReads } from '../core/store.ts'
import type { Did, Hold, Principal, PrincipalKey } from '../core/types.ts'

/** Every DID of a principal. Costs a query only where it is shared. */
export const didsOf = async (reads: StoreReads, principal: Principal): Promise<Did[]> =>
  principal.shared ? (await reads.sharersOf(principal)).map(({ did }) => did) : [principal.did]

/** What drives a shared account: `own`, `others` and `ownMissing` of its context. */
export const sharedHoldsOf = async (reads: StoreReads, principal: Principal) => {
  const open: Hold[][] = []
  for (const did of await didsOf(reads, principal)) open.push(await reads.openHolds(did))
  return sharedHolds(open, ownOrigin(principal.adapter, principal.id))
}

/** Whether every DID of a shared account has an open hold besides its own; where not, the leg of those that have is `shared`. */
export const allHeld = async (reads: StoreReads, principal: Principal): Promise<boolean> =>
  (await sharedHoldsOf(reads, principal)).others.length > 0

/**
 * Whether a hold is open that keeps the account from being switched on. Of a shared one: its own hold on any of its
 * DIDs, or a hold on every one of them.
 */
export const keptOff = async (reads: StoreReads, principal: Principal): Promise<boolean> => {
  if (!principal.shared) return (await reads.openHolds(principal.did)).length > 0
  const { others, own } = await sharedHoldsOf(reads, principal)
  return own !== undefined || others.length > 0
}

/** The own hold of a principal on each of its DIDs; `own` is that of the only DID, as the context has it. */
export const ownHolds = async (
  reads: StoreReads,
  principal: Principal,
  own: Hold | undefined,
): Promise<{ did: Did; own: Hold | undefined }[]> => {
  if (!principal.shared) return [{ did: principal.did, own }]
  const origin = ownOrigin(principal.adapter, principal.id)
  const dids = await didsOf(reads, principal)
  const list: { did: Did; own: Hold | undefined }[] = []
  for (const did of dids) list.push({ did, own: await reads.openHoldOfOrigin(did, origin) })
  return list
}

/** A shared principal as each of its DIDs registered it; any other is just itself. */
export const mappingsOf = async <T extends PrincipalKey & { readonly shared: boolean }>(
  reads: Pick<AgentReads, 'sharersOf'>,
  principal: T,
): Promise<T[]> => {
  if (!principal.shared) return [principal]
  return (await reads.sharersOf(principal)).map((sharer) => ({ ...principal, ...sharer }))
}

/**
 * The accounts as this DID has them; undefined when one of them is not its own. A shared account proves no DID (rule 16):
 * only another account of the token, which is one agent's alone, says which of its DIDs acts.
 */
export async function ofOneDid(
  store: Pick<AgentReads, 'sharersOf'>,
  did: Did | undefined,
  principals: readonly JudgedPrincipal[],
): Promise<JudgedPrincipal[] | undefined> {
  if (did === undefined) return undefined
  const own: JudgedPrincipal[] = []
  for (const principal of principals) {
    const mapping = (await mappingsOf(store, principal)).find((one) => one.did === did)
    if (!mapping) return undefined
    own.push(mapping)
  }
  return own
}
