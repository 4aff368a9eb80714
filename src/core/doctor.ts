import type { Finding } from './adapter.ts'

/** Who answers for an agent, as far as it was registered. */
export interface Person {
  readonly objectId: string | undefined
  readonly email: string | undefined
}

/** What one directory says of a person. `unknown`: it did not tell, which is neither of the others. */
export type PersonState = 'enabled' | 'disabled' | 'absent' | 'unknown'

export interface PersonFound {
  readonly state: PersonState
  /** Why it is unknown, with what mends it. */
  readonly finding?: Finding
}

/**
 * What an operator asks of a directory about one agent, beyond its account. Every function reads, changes nothing, makes a
 * bounded number of calls and never throws: a failure is a finding.
 */
export interface Doctor {
  /** Whether the bridge was granted what accounts of these kinds need: `unknown` where only a write would tell. */
  permissions(kinds: readonly string[], signal: AbortSignal): Promise<Finding[]>
  /** Whether the members of each of these groups can be read, in their order. */
  groups(ids: readonly string[], signal: AbortSignal): Promise<Finding[]>
  /** Absent where the directory has no people. */
  person?(who: Person, signal: AbortSignal): Promise<PersonFound>
}

/** The people of several directories are one person: whoever is switched off in one of them is not to be relied on. */
export const stateOfPerson = (found: readonly PersonState[]): PersonState | undefined =>
  (['disabled', 'enabled', 'unknown', 'absent'] as const).find((state) => found.includes(state))
