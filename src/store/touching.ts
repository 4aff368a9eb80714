import { type Changes, nameOf, type Touched } from '../core/changes.ts'
import type { Raw } from './database.ts'

/**
 * Triggers of the writing connection alone note what its statements write: whatever statement it is, in whichever file.
 * `last_activity` and when a worker looks at an account again are no part of any decision and are written often.
 */
const tables: readonly { name: string; columns: string; note: (row: string) => string }[] = [
  {
    name: 'agents',
    columns: 'did, name, sponsor, blueprint, parent_did, labels, decommissioned, revision, resumed_at',
    note: (row) => `touched_did(${row}.did)`,
  },
  {
    name: 'principals',
    columns: 'adapter, id, did, kind, app_id, scopes, mapped_at, shared, observed, observed_at, mark',
    note: (row) => `touched_principal(${row}.adapter, ${row}.id, ${row}.did, ${row}.shared)`,
  },
  { name: 'sharers', columns: 'adapter, id, did, app_id, scopes, mapped_at', note: () => 'touched_all()' },
  {
    name: 'holds',
    columns: 'id, did, origin, severity, public_reason, placed_at, released_at',
    note: (row) => `touched_did(${row}.did)`,
  },
  { name: 'status_places', columns: 'list, idx, did', note: (row) => `touched_did(${row}.did)` },
]

const triggers = tables.flatMap(({ name, columns, note }) => [
  `create temp trigger touched_${name}_insert after insert on main.${name} begin select ${note('new')}; end`,
  `create temp trigger touched_${name}_update after update of ${columns} on main.${name}
    begin select ${note('old')}, ${note('new')}; end`,
  `create temp trigger touched_${name}_delete after delete on main.${name} begin select ${note('old')}; end`,
])

export interface Touching {
  readonly changes: Changes
  /** In the turn of the commit, whether it succeeded or not. */
  committed(): void
  /** The store is not to be asked any more. */
  end(): void
}

/** Watches the writing connection; its tables are there. */
export const touching = (raw: Raw): Touching => {
  const watching: ((touched: Touched) => void)[] = []
  let dids = new Set<string>()
  let principals = new Set<string>()
  let all = false
  let count = 0

  const define = (name: string, note: (...values: string[]) => void): void => {
    raw.function(name, { varargs: true }, (...values: unknown[]) => {
      note(...values.map(String))
      return null
    })
  }
  define('touched_did', (did = '') => dids.add(did))
  define('touched_principal', (adapter = '', id = '', did = '', shared = '') => {
    dids.add(did)
    principals.add(nameOf({ adapter, id }))
    // The row names one of its DIDs only.
    if (shared !== '0') all = true
  })
  define('touched_all', () => {
    all = true
  })
  // Nothing of this is worth a file.
  raw.pragma('temp_store = memory')
  for (const trigger of triggers) raw.exec(trigger)

  const tell = (): void => {
    if (!all && dids.size === 0 && principals.size === 0) return
    const touched = { dids, principals, all }
    dids = new Set()
    principals = new Set()
    all = false
    for (const told of watching) told(touched)
  }
  return {
    changes: {
      get count() {
        return count
      },
      watch: (told) => {
        watching.push(told)
      },
    },
    committed: () => {
      count += 1
      tell()
    },
    end: () => {
      count = Number.NaN
      all = true
      tell()
    },
  }
}
