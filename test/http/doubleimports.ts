import { BridgeError } from '../../src/core/errors.ts'
import type { Caller } from '../../src/engine/agentapi.ts'
import type { FaultView, Imports, ImportView, RowInput } from '../../src/engine/importapi.ts'

/** Imports in memory, as far as routes need them; one of the name `lasting` is there. */
export const createImportDouble = (start: number, seen: (caller: Caller) => void): Imports => {
  const kept = new Map<string, { view: ImportView; rows: Map<number, RowInput> }>()
  const empty = { total: 0, staged: 0, good: 0, bad: 0, registered: 0, unchanged: 0, failed: 0 }
  const fresh = (id: string, name: string | undefined, actor: string): ImportView => ({
    ...{ id, name, state: 'staging', at: start, changedAt: start, actor, failure: undefined, rows: empty },
  })
  kept.set('lasting', { view: fresh('lasting', undefined, 'alice'), rows: new Map() })
  const found = (id: string) => {
    const one = kept.get(id)
    if (one === undefined) throw new BridgeError('E_NOT_FOUND', 'There is no such import.')
    return one
  }
  const move = (id: string, state: ImportView['state'], caller: Caller): ImportView => {
    seen(caller)
    const one = found(id)
    one.view = { ...one.view, state, actor: caller.name }
    return one.view
  }
  return {
    openImport: async (name, caller, keep) => {
      seen(caller)
      const view = fresh(`import-${kept.size}`, name, caller.name)
      kept.set(view.id, { view, rows: new Map() })
      keep?.entry(view)
      return view
    },
    imports: async () => [...kept.values()].map(({ view }) => view),
    importOf: async (id) => found(id).view,
    stageRows: async (id, rows, caller) => {
      seen(caller)
      const one = found(id)
      for (const row of rows) one.rows.set(row.line, row)
      const bad = [...one.rows.values()].filter(({ fault }) => fault !== undefined).length
      one.view = { ...one.view, rows: { ...empty, total: one.rows.size, bad, staged: one.rows.size - bad } }
      return one.view
    },
    checkImport: async (id, caller) => move(id, 'checking', caller),
    applyImport: async (id, caller) => move(id, 'applying', caller),
    discardImport: async (id, caller) => {
      seen(caller)
      found(id)
      if (id !== 'lasting') kept.delete(id)
    },
    importFaults: async (id, after, limit) => {
      const items = [...found(id).rows.values()].flatMap(({ did, fault, line }): FaultView[] =>
        fault === undefined || line <= after ? [] : [{ line, did, ...fault }],
      )
      const page = items.toSorted((a, b) => a.line - b.line).slice(0, limit)
      return { items: page, nextCursor: items.length > limit ? String(page.at(-1)?.line) : null }
    },
  }
}
