import type { LogEntry } from './adapter.ts'

/** Clocks of directory and bridge may differ by this much. */
export const logSkewMs = 300_000

export interface JudgedEntry extends LogEntry {
  /** By a service of `trustedWriters`: neither ours nor a person's. */
  readonly trusted?: boolean
}

/** What the directory's log says of one principal. */
export interface LogReading {
  readonly entries: readonly JudgedEntry[]
  /** Entries after it may be missing yet. */
  readonly completeUntil: number
  /** Where the log begins, or the reading of it: what was before is not known. Undefined: nothing is missing. */
  readonly from?: number
}

/** The latest such entry; of those of one time the last. */
export const latest = (
  entries: readonly JudgedEntry[],
  wanted: (entry: JudgedEntry) => boolean,
): JudgedEntry | undefined =>
  entries
    .filter(wanted)
    .reduce<JudgedEntry | undefined>(
      (last, entry) => (last === undefined || entry.at >= last.at ? entry : last),
      undefined,
    )
