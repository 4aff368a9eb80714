import type { RefusalCode } from './decide.ts'

/** What a decision looks at, in the order in which answers list it, each with the refusals that say it failed. */
const table = {
  signature: [],
  mapping: ['R_AMBIGUOUS', 'R_UNMAPPED', 'R_UNKNOWN_DID', 'R_MISMATCH'],
  holds: ['R_SUSPENDED', 'R_DECOMMISSIONED'],
  release: ['R_BEFORE_RESUME'],
  observed: ['R_UNOBSERVED', 'R_STALE'],
  scope: ['R_SCOPE'],
  capability: ['R_CAPABILITY'],
  delegation: ['R_DELEGATION', 'R_DEPTH'],
  actors: ['R_ACTOR_UNKNOWN', 'R_ACTOR_SUSPENDED'],
  tool: ['R_TOOL'],
  parameters: ['R_PARAMETERS'],
} as const satisfies Readonly<Record<string, readonly RefusalCode[]>>

export type CheckWord = keyof typeof table

const isWord = (name: string): name is CheckWord => Object.hasOwn(table, name)
export const checkWords: readonly CheckWord[] = Object.keys(table).filter(isWord)

/** Those that were made and found nothing. One that was not made has not passed. */
export const passed = (
  made: Readonly<Record<CheckWord, boolean>>,
  failed: ReadonlySet<RefusalCode>,
): readonly CheckWord[] => checkWords.filter((word) => made[word] && !table[word].some((code) => failed.has(code)))
