import { type Actor, namesOf } from '../core/actors.ts'
import type { Claims, Issuer } from '../core/adapter.ts'
import type { Link } from '../core/delegation.ts'
import { isDid } from '../core/did.ts'
import type { DecisionReads, JudgedPrincipal } from '../core/judging.ts'
import type { Did } from '../core/types.ts'
import { named } from './naming.ts'
import { mappingsOf } from './sharing.ts'

/** The chain of a token as the bridge knows it, with every account of its agents, and what those with a parent depend on. */
export interface Chain {
  readonly actors: readonly Actor[]
  readonly accounts: readonly JudgedPrincipal[]
  readonly delegations: readonly (readonly Link[])[]
}

interface Parts {
  readonly store: DecisionReads
  readonly mounts: () => ReadonlyMap<
    string,
    { readonly adapter: { readonly issuers: readonly Pick<Issuer, 'issuer'>[] } }
  >
}

/** The adapter whose ids a hop uses: of the issuer it names, or else of the token's own. */
const adapterOf = ({ mounts }: Parts, issuer: string | undefined, own: string): string | undefined => {
  if (issuer === undefined) return own
  for (const [name, { adapter }] of mounts()) if (adapter.issuers.some((one) => one.issuer === issuer)) return name
  return undefined
}

const nobody: Actor = { names: [], dids: [], held: false, resumedAt: undefined }

/**
 * Looks up every hop of an `act` chain: RFC 8693 calls prior actors informational, so nobody but the bridge would notice
 * that one of them was stopped. A name is a DID, or the id of an account of the directory that the hop or the token is of.
 *
 * @param adapter the one the token is of
 */
export const followChain = async (parts: Parts, adapter: string, act: readonly Claims[]): Promise<Chain> => {
  const { store } = parts
  const actors: Actor[] = []
  const accounts: JudgedPrincipal[] = []
  const delegations: (readonly Link[])[] = []
  for (const hop of act) {
    const called = namesOf(hop)
    if (called === undefined) {
      actors.push(nobody)
      continue
    }
    const { names, issuer } = called
    const dids = new Set<Did>(names.filter(isDid))
    const home = adapterOf(parts, issuer, adapter)
    const mapped = home === undefined ? [] : await store.principalsById(home, names)
    for (const one of mapped) for (const { did } of await mappingsOf(store, one)) dids.add(did)
    const known = new Set<Did>()
    let held = false
    let resumedAt: number | undefined
    for (const name of dids) {
      // Before it is asked whose spelling it is: once it is an agent's, so are its holds.
      const before = await store.openHolds(name)
      const { did } = await named(store, name)
      if (known.has(did)) continue
      const open = did === name ? before : [...before, ...(await store.openHolds(did))]
      // After the holds: of one that is released in between, the agent then says when.
      const agent = await store.agent(did)
      if (agent === undefined && open.length === 0) continue
      known.add(did)
      held ||= open.length > 0 || agent?.decommissioned === true
      if (agent?.resumedAt !== undefined) resumedAt = Math.max(resumedAt ?? 0, agent.resumedAt)
      accounts.push(...(await store.principalsOf(did)))
      if (agent?.parentDid !== undefined) delegations.push(await store.chain(did))
    }
    actors.push({ names, dids: [...known], held, resumedAt })
  }
  return { actors, accounts, delegations }
}
