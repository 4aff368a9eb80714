import type { Adapter } from '../core/adapter.ts'
import { issuedAfter } from '../core/decide.ts'
import type { AgentReads } from '../core/judging.ts'
import type { Store } from '../core/store.ts'
import type { Did } from '../core/types.ts'
import { type Soon, soon } from '../lib/soon.ts'
import { mappingsOf } from './sharing.ts'

/** What callers of our own API are besides: the agents that they are, nobody we know when there are none (DESIGN §7). */
export interface Standing {
  readonly dids: readonly Did[]
  /** One of them must not act. */
  readonly held: boolean
}

const nobody: Standing = { dids: [], held: false }

/** Who is asked about. The same object for the same caller: what is known of it goes by that. */
export interface Accounts {
  /** Ids in a directory, all that could be an agent's account. */
  readonly ids: readonly string[]
  /** An adapter of the directory they are of; undefined: of any. */
  readonly adapter?: string
  /** Of the token that names them: one from before the latest release of the agent stays refused. */
  readonly issuedAt?: number
}

export interface Standings {
  /** As of the latest commit. */
  of(accounts: Accounts): Soon<Standing>
}

interface Parts {
  readonly store: Pick<Store, 'changes'>
  readonly known: AgentReads
  readonly mounts: () => ReadonlyMap<string, { readonly adapter: Pick<Adapter, 'kind' | 'realm'> }>
}

/** Answers are remembered until the next commit of the store, whatever it writes. */
export const createCallerStandings = ({ store, known, mounts }: Parts): Standings => {
  const kept = new WeakMap<Accounts, { readonly count: number; readonly standing: Standing }>()
  const { changes } = store

  /** Two adapters may be of one directory, and the account be mapped by the other. */
  const namesOf = (adapter: string | undefined): string[] => {
    const all = [...mounts()]
    if (adapter === undefined) return all.map(([name]) => name)
    const of = mounts().get(adapter)?.adapter
    return all.filter(([, { adapter: one }]) => one.kind === of?.kind && one.realm === of.realm).map(([name]) => name)
  }

  const look = async ({ ids, adapter, issuedAt }: Accounts): Promise<Standing> => {
    const dids = new Set<Did>()
    for (const name of namesOf(adapter)) {
      for (const principal of await known.principalsById(name, ids)) {
        for (const { did } of await mappingsOf(known, principal)) {
          const agent = await known.agent(did)
          const holds = await known.openHolds(did)
          const isOld =
            issuedAt !== undefined && agent?.resumedAt !== undefined && !issuedAfter(issuedAt, agent.resumedAt)
          dids.add(did)
          if (holds.length > 0 || agent === undefined || agent.decommissioned || isOld)
            return { dids: [...dids], held: true }
        }
      }
    }
    return dids.size === 0 ? nobody : { dids: [...dids], held: false }
  }

  return {
    of: (accounts) => {
      const { count } = changes
      const before = kept.get(accounts)
      if (before !== undefined && before.count === count) return before.standing
      if (accounts.ids.length === 0) return nobody
      return soon(look(accounts), (standing) => {
        if (changes.count === count) kept.set(accounts, { count, standing })
        return standing
      })
    },
  }
}
