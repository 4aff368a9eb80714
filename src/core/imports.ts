/** Registrations that are given as a file: staged row by row, checked as a whole, then registered in bounded transactions. */

/**
 * `staging`: rows are taken. `checking`, `applying`: the bridge is at it, and goes on after a restart. `checked`: every row has
 * its verdict. `done`: every row is registered, was there already, or failed for what happened since the check.
 */
export type ImportState = 'staging' | 'checking' | 'checked' | 'applying' | 'done' | 'discarded'

export interface ImportJob {
  readonly id: string
  readonly at: number
  /** What the caller calls it, a file's name say. */
  readonly name: string | undefined
  readonly state: ImportState
  /** Who asked for what is being done; aliases are asserted by an operator only. */
  readonly actor: string
  readonly roles: readonly string[]
  readonly requestId: string | undefined
  readonly changedAt: number
  /** Why the last check could not be made: it may be asked for again. */
  readonly failure: RowFault | undefined
}

export interface RowFault {
  readonly code: string
  readonly detail: string
  readonly hint?: string | undefined
  readonly errors?: readonly { readonly pointer: string; readonly code: string }[] | undefined
}

/** `bad`: refused by the check. `failed`: refused when it was applied, for what happened in between. */
export type RowState = 'staged' | 'good' | 'bad' | 'registered' | 'unchanged' | 'failed'

export interface ImportRow {
  /** Of the file; unique in its import. */
  readonly line: number
  /** As far as it can be told. */
  readonly did: string | undefined
  readonly parentDid: string | undefined
  /** Rows above it in the same file: parents are registered before their children. */
  readonly depth: number
  readonly state: RowState
  /** The registration as JSON; undefined where it has no shape, and once it is registered. */
  readonly body: string | undefined
  readonly fault: RowFault | undefined
}

export type RowVerdict = Pick<ImportRow, 'line' | 'depth' | 'state' | 'fault'> & { readonly done?: boolean }

export interface RowPlace {
  readonly depth: number
  readonly line: number
}

export interface ImportReads {
  importJob(id: string): Promise<ImportJob | undefined>
  /** Newest first. */
  importJobs(limit: number): Promise<ImportJob[]>
  /** Of one state, unchanged since `until`, the longest first. */
  importJobsIn(state: ImportState, until: number, limit: number): Promise<ImportJob[]>
  countImportRows(id: string): Promise<{ state: RowState; n: number }[]>
  /** In the order of lines. */
  importRows(id: string, afterLine: number, limit: number): Promise<ImportRow[]>
  /** Of one state, parents before their children. */
  importRowsIn(id: string, state: RowState, after: RowPlace, limit: number): Promise<ImportRow[]>
  /** The first row that has this DID. */
  importRowOf(id: string, did: string): Promise<ImportRow | undefined>
  /** Bad and failed ones, in the order of lines. */
  importFaults(id: string, afterLine: number, limit: number): Promise<ImportRow[]>
}

export interface ImportWrites {
  putImport(job: ImportJob): Promise<void>
  /** In place of rows of the same lines. */
  putImportRows(id: string, rows: readonly ImportRow[]): Promise<void>
  /** `done`: what was given is not kept any longer. */
  judgeImportRows(id: string, verdicts: readonly RowVerdict[]): Promise<void>
  /** Every row with a body that was judged is staged again. */
  restageImportRows(id: string): Promise<void>
  /** Up to so many rows, and the import itself once none is left. True when it is gone. */
  dropImport(id: string, limit: number): Promise<boolean>
}
