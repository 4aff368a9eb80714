import Database from 'better-sqlite3'
import { Kysely, type SqliteDatabase, SqliteDialect, type SqliteStatement } from 'kysely'
import { BridgeError } from '../core/errors.ts'
import type { Schema } from './schema.ts'
import type { Run } from './statement.ts'

export type Raw = Database.Database

/** The extended result code (`SQLITE_IOERR_FSYNC`), or undefined for an error of another kind. */
export const sqliteCode = (error: unknown): string | undefined =>
  error instanceof Database.SqliteError ? error.code : undefined

const is = (code: string, family: string): boolean => code === family || code.startsWith(`${family}_`)

/** The storage can no longer be trusted: after a failed write or fsync nobody knows what is on the disk. */
export const isFatal = (error: unknown): boolean => {
  const code = sqliteCode(error)
  return code !== undefined && ['SQLITE_IOERR', 'SQLITE_CORRUPT', 'SQLITE_NOTADB'].some((family) => is(code, family))
}

/** SQLite's failures as the bridge's; anything else is handed back as it came. */
export const storeError = (error: unknown): unknown => {
  const code = sqliteCode(error)
  if (code === undefined) return error
  if (is(code, 'SQLITE_CORRUPT') || is(code, 'SQLITE_NOTADB')) {
    const hint = 'Stop the bridge and restore the latest backup; keep the damaged file and its -wal for analysis.'
    return new BridgeError('E_STORE_CORRUPT', 'The store is damaged.', { cause: error, hint })
  }
  if (is(code, 'SQLITE_CONSTRAINT')) return error
  if (is(code, 'SQLITE_CANTOPEN')) {
    const hint = 'Check the permissions of the file and of its directory.'
    return new BridgeError('E_STORE_URL', 'The store cannot be opened.', { cause: error, hint })
  }
  if (is(code, 'SQLITE_FULL')) {
    return new BridgeError('E_STORE', 'The disk of the store is full.', { cause: error, hint: 'Free some space.' })
  }
  if (is(code, 'SQLITE_BUSY')) {
    const hint = 'Another program is writing to the database file; close it.'
    return new BridgeError('E_STORE', 'The store is busy.', { cause: error, hint })
  }
  return new BridgeError('E_STORE', 'The store failed.', { cause: error, hint: 'See the log for the cause.' })
}

/** Kysely's driver prepares at every call; preparing costs more than a look-up by key. Least recently used go first. */
const statements = (raw: Raw, capacity: number): SqliteDatabase => {
  const cache = new Map<string, SqliteStatement>()
  return {
    close: () => {
      cache.clear()
      raw.close()
    },
    prepare: (sql) => {
      const known = cache.get(sql)
      if (known !== undefined) {
        cache.delete(sql)
        cache.set(sql, known)
        return known
      }
      const made: SqliteStatement = raw.prepare<unknown[]>(sql)
      cache.set(sql, made)
      for (const oldest of cache.keys()) {
        if (cache.size <= capacity) break
        cache.delete(oldest)
      }
      return made
    },
  }
}

export interface Connection {
  readonly raw: Raw
  readonly run: Run
  close(): Promise<void>
}

/** Statements of the bridge are fixed but for the list filters, whose shapes are few: this holds them all. */
const statementCapacity = 256

export const connection = (raw: Raw): Connection => {
  const db = new Kysely<Schema>({ dialect: new SqliteDialect({ database: statements(raw, statementCapacity) }) })
  const execute: typeof db.executeQuery = async (query) => {
    try {
      return await db.executeQuery(query)
    } catch (error) {
      throw storeError(error)
    }
  }
  const run: Run = {
    all: async (statement, values = {}) => (await execute(statement.fill(values))).rows,
    one: async (statement, values = {}) => (await execute(statement.fill(values))).rows[0],
    change: async (statement, values = {}) => Number((await execute(statement.fill(values))).numAffectedRows ?? 0),
    query: async (query) => (await execute(query)).rows,
  }
  return {
    raw,
    run,
    // Kysely closes the database only if it ever ran a query on it.
    close: async () => {
      await db.destroy()
      raw.close()
    },
  }
}

/** SQLite waits on the thread that everything runs on; only foreign programs ever make it wait. */
const busyTimeoutMs = 1000

/** For the one connection that writes: every commit is on the disk before it returns. */
export const makeDurable = (raw: Raw): void => {
  raw.pragma('journal_mode = WAL')
  raw.pragma('synchronous = FULL')
  // macOS: fsync() leaves data in the drive's cache. Elsewhere these do nothing.
  raw.pragma('fullfsync = ON')
  raw.pragma('checkpoint_fullfsync = ON')
  raw.pragma('foreign_keys = ON')
  raw.pragma('trusted_schema = OFF')
  // SQLite hides the errors of its own automatic checkpoints; the writer checkpoints itself (writer.ts).
  raw.pragma('wal_autocheckpoint = 0')
}

/** Changes nothing in the file yet: it may be somebody else's. */
export const openFile = (path: string): Raw => new Database(path, { fileMustExist: true, timeout: busyTimeoutMs })

export const openReader = (path: string): Raw => {
  const raw = new Database(path, { readonly: true, fileMustExist: true, timeout: busyTimeoutMs })
  raw.pragma('cache_size = -65536')
  raw.pragma('trusted_schema = OFF')
  return raw
}
