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
    // A row that is shared names one of its DIDs only.
    note: (row) => `touched_principal(${row}.adapter, ${row}.id, ${row}.did), (select count(touched_did(s.did))
      from sharers s where ${row}.shared = 1 and s.adapter = ${row}.adapter and s.id = ${row}.id)`,
  },
  {
    name: 'sharers',
    columns: 'adapter, id, did, app_id, scopes, mapped_at',
    note: (row) => `touched_principal(${row}.adapter, ${row}.id, ${row}.did)`,
  },
  {
    name: 'holds',
    columns: 'id, did, origin, severity, public_reason, placed_at, released_at',
    note: (row) => `touched_did(${row}.did)`,
  },
  { name: 'status_places', columns: 'list, idx, did', note: (row) => `touched_did(${row}.did)` },
  {
    name: 'capability_sources',
    columns: 'did, capability, source, confirmed_at',
    note: (row) => `touched_grant(${row}.did)`,
  },
  { name: 'delegations', columns: 'did, expires_at, ended_at', note: (row) => `touched_grant(${row}.did)` },
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

/**
 * Watches the writing connection; its tables are there. What another process commits, it asks for once in a turn of the
 * event loop: whatever is asked later is asked in a later turn.
 *
 * @param foreign told when another process has committed; what was read before may be wrong
 */
export const touching = (raw: Raw, foreign: () => void): Touching => {
  const watching: ((touched: Touched) => void)[] = []
  let dids = new Set<string>()
  let granted = new Set<string>()
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
  define('touched_grant', (did = '') => granted.add(did))
  define('touched_principal', (adapter = '', id = '', did = '') => {
    dids.add(did)
    principals.add(nameOf({ adapter, id }))
  })
  // Nothing of this is worth a file.
  raw.pragma('temp_store = memory')
  for (const trigger of triggers) raw.exec(trigger)

  const version = raw.prepare<[], number>('pragma data_version').pluck()
  let seen = version.get()
  let asked = false
  const lookAbroad = (): void => {
    if (asked || Number.isNaN(count)) return
    asked = true
    setImmediate(() => {
      asked = false
    })
    let present: number | undefined
    try {
      present = version.get()
    } catch {
      // Then nothing remembered is to be used either; the reads that follow tell what is the matter.
    }
    if (present !== undefined && present === seen) return
    seen = present
    count += 1
    // What a transaction of our own has written by now is told when it is committed, and not before.
    for (const told of watching) told({ dids: new Set(), granted: new Set(), principals: new Set(), all: true })
    foreign()
  }

  const tell = (): void => {
    if (!all && dids.size === 0 && granted.size === 0 && principals.size === 0) return
    const touched = { dids, granted, principals, all }
    dids = new Set()
    granted = new Set()
    principals = new Set()
    all = false
    for (const told of watching) told(touched)
  }
  return {
    changes: {
      get count() {
        lookAbroad()
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
