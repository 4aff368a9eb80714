import type { Did, PrincipalKey } from './types.ts'

/** What the rows that one commit wrote were about. */
export interface Touched {
  readonly dids: ReadonlySet<Did>
  /** DIDs of which only what they were granted differs: sources of capabilities, delegations. */
  readonly granted: ReadonlySet<Did>
  /** As `nameOf` writes them. */
  readonly principals: ReadonlySet<string>
  /** Another process wrote, or nobody may be told of anything any more: any row may differ. */
  readonly all: boolean
}

/**
 * What lets a reader of a store remember what it read. A commit, also one that failed in a way that leaves open whether
 * it is on the disk, is counted and told in the turn in which it is made: before whoever asked for it learns of it, and
 * before anything else runs. So what is remembered under the present count is what a read would give now.
 */
export interface Changes {
  /**
   * Grows with every commit, whatever it wrote, those of other processes included. NaN, which equals nothing, once the store
   * is not to be asked any more. To be read before anything remembered is used.
   */
  readonly count: number
  /** Tells of every commit that wrote agents, accounts, holds or grants; only times of activity are left out. */
  watch(told: (touched: Touched) => void): void
}

export const nameOf = ({ adapter, id }: PrincipalKey): string => `${adapter}\n${id}`
