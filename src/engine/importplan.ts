import type { RowFault } from '../core/imports.ts'
import type { AgentInput, PrincipalInput } from './agentapi.ts'

/** What rows of one file are to each other: who is above whom, and what two of them cannot both have. */

/** By adapter, then id. */
export type Accounts = ReadonlyMap<string, ReadonlyMap<string, PrincipalInput>>

export interface Plan {
  add(line: number, agent: AgentInput): void
  /** Rows above a line, by its DID and that of its parent. Undefined: its parents go round in a circle. */
  depthOf(did: string): number | undefined
  /** Why this line cannot stand beside an earlier one. */
  faultOf(line: number): RowFault | undefined
  readonly accounts: Accounts
}

const sharersMost = 100

interface Use {
  readonly line: number
  readonly kind: string
  readonly shared: boolean
  n: number
}

export const createPlan = (): Plan => {
  const parents = new Map<string, string | undefined>()
  const names = new Map<string, number>()
  const uses = new Map<string, Use>()
  const accounts = new Map<string, Map<string, PrincipalInput>>()
  const faults = new Map<number, RowFault>()
  const depths = new Map<string, number | undefined>()

  const fault = (line: number, found: RowFault) => {
    if (!faults.has(line)) faults.set(line, found)
  }

  const takeName = (line: number, name: string) => {
    const first = names.get(name)
    if (first === undefined) names.set(name, line)
    else if (first !== line) {
      const hint = 'An agent is one row, with all of its accounts (CSV: principal2.…): join them, or leave one away.'
      fault(line, { code: 'E_EXISTS', detail: `Line ${first} has the same DID.`, hint })
    }
  }

  const takeAccount = (line: number, one: PrincipalInput) => {
    const of = accounts.get(one.adapter) ?? new Map<string, PrincipalInput>()
    accounts.set(one.adapter, of)
    if (!of.has(one.id)) of.set(one.id, one)
    const key = `${one.adapter}/${one.id}`
    const use = uses.get(key)
    if (use === undefined) {
      uses.set(key, { line, kind: one.kind, shared: one.shared === true, n: 1 })
      return
    }
    if (use.line === line) return
    use.n += 1
    const taken = (detail: string, hint: string) => fault(line, { code: 'E_PRINCIPAL_TAKEN', detail, hint })
    const named = `The account ${one.id} of ${one.adapter}`
    if (!use.shared || one.shared !== true) {
      taken(`${named} is in line ${use.line} too.`, 'Give each agent its own, or write shared: true in each line.')
    } else if (use.kind !== one.kind) {
      taken(`${named} is ${use.kind} in line ${use.line}.`, 'Every agent that shares an account gives the same kind.')
    } else if (use.n > sharersMost) {
      const detail = `${named} is shared by more than ${sharersMost} agents.`
      fault(line, { code: 'E_VALIDATION', detail, hint: 'Give the agent an account of its own.' })
    }
  }

  return {
    accounts,
    add: (line, { aliases = [], did, parentDid, principals = [] }) => {
      takeName(line, did)
      if (names.get(did) === line) parents.set(did, parentDid ?? undefined)
      for (const one of aliases) takeName(line, typeof one === 'string' ? one : one.did)
      for (const one of principals) takeAccount(line, one)
    },
    depthOf: (did) => {
      const way: string[] = []
      const seen = new Set<string>()
      let at: string | undefined = did
      while (at !== undefined && parents.has(at) && !depths.has(at)) {
        if (seen.has(at)) {
          for (const one of way) depths.set(one, undefined)
          return undefined
        }
        seen.add(at)
        way.push(at)
        at = parents.get(at)
      }
      let above = at !== undefined && parents.has(at) ? depths.get(at) : -1
      for (const one of way.reverse()) {
        above = above === undefined ? undefined : above + 1
        depths.set(one, above)
      }
      return depths.get(did)
    },
    faultOf: (line) => faults.get(line),
  }
}
