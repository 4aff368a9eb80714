import type { ImportState, RowFault } from '../core/imports.ts'
import type { AgentInput, Caller } from './agentapi.ts'
import type { Keep } from './keeping.ts'

/** Imports as callers give and see them. */

/** One row of a file: a registration, or what is wrong with its shape. */
export interface RowInput {
  readonly line: number
  readonly agent: AgentInput | undefined
  readonly did: string | undefined
  readonly fault: RowFault | undefined
}

export interface ImportView {
  readonly id: string
  readonly name: string | undefined
  readonly state: ImportState
  readonly at: number
  readonly changedAt: number
  readonly actor: string
  readonly failure: RowFault | undefined
  readonly rows: {
    readonly total: number
    /** Without a verdict. */
    readonly staged: number
    /** May be registered. */
    readonly good: number
    readonly bad: number
    readonly registered: number
    /** The same registration was there already. */
    readonly unchanged: number
    readonly failed: number
  }
}

export interface FaultView extends RowFault {
  readonly line: number
  readonly did: string | undefined
}

/** Most rows of one import. */
export const rowsMost = 200_000
/** Most imports that wait for somebody. */
export const openMost = 20

export interface Imports {
  /** @throws BridgeError E_BUDGET */
  openImport(name: string | undefined, caller: Caller, keep?: Keep<ImportView>): Promise<ImportView>
  /** Newest first. */
  imports(limit: number): Promise<ImportView[]>
  /** @throws BridgeError E_NOT_FOUND */
  importOf(id: string): Promise<ImportView>
  /** In place of rows of the same lines. @throws BridgeError E_NOT_FOUND, E_IMPORT_STATE, E_VALIDATION */
  stageRows(id: string, rows: readonly RowInput[], caller: Caller): Promise<ImportView>
  /** Has every row checked; goes on after it resolves. @throws BridgeError E_NOT_FOUND, E_IMPORT_STATE */
  checkImport(id: string, caller: Caller): Promise<ImportView>
  /** Has every row registered; goes on after it resolves. @throws BridgeError E_NOT_FOUND, E_IMPORT_STATE */
  applyImport(id: string, caller: Caller): Promise<ImportView>
  /** Nothing of it is kept; what it registered stays. @throws BridgeError E_NOT_FOUND, E_IMPORT_STATE */
  discardImport(id: string, caller: Caller): Promise<void>
  /** Rows that were refused, in the order of lines. @throws BridgeError E_NOT_FOUND */
  importFaults(id: string, afterLine: number, limit: number): Promise<{ items: FaultView[]; nextCursor: string | null }>
}
