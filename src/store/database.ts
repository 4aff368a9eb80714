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

/** The index of the log in shared memory cannot grow: only for want of space, and nothing was written yet. */
const isFull = (code: string): boolean => is(code, 'SQLITE_FULL') || code === 'SQLITE_IOERR_SHMSIZE'

const fatalFamilies = ['SQLITE_IOERR', 'SQLITE_CORRUPT', 'SQLITE_NOTADB', 'SQLITE_READONLY_DBMOVED']

/** The storage can no longer be trusted: after a failed write or fsync nobody knows what is on the disk. */
export const isFatal = (error: unknown): boolean => {
  const code = sqliteCode(error)
  return code !== undefined && !isFull(code) && fatalFamilies.some((family) => is(code, family))
}

/** Nothing was written and everything that was is still there: the same write may succeed later. */
export const isPassing = (error: unknown): boolean => {
  const code = sqliteCode(error)
  if (code === undefined || isFatal(error)) return false
  return isFull(code) || is(code, 'SQLITE_BUSY') || is(code, 'SQLITE_READONLY')
}

const retryAfterMs = 5_000

export const storeFull = (cause: unknown): BridgeError =>
  new BridgeError('E_STORE_FULL', 'The disk of the store is full: nothing can be recorded.', {
    cause,
    hint: 'Free space on the disk of the store; the bridge goes on by itself.',
    retryAfterMs,
  })

export const storeReadonly = (cause: unknown): BridgeError =>
  new BridgeError('E_STORE_READONLY', 'The store cannot be written: nothing can be recorded.', {
    cause,
    hint: 'Make the database and its directory writable for the user of the bridge; is the disk mounted read-only?',
    retryAfterMs,
  })

export const damaged = (cause: unknown, found: readonly string[] = []): BridgeError =>
  new BridgeError('E_STORE_CORRUPT', 'The store is damaged.', {
    cause,
    hint: 'With the bridge stopped: idp-bridge restore <latest backup>. It keeps the damaged file and its -wal aside.',
    ...(found.length > 0 && { details: found }),
  })

/** SQLite's failures as the bridge's; anything else is handed back as it came. */
export const storeError = (error: unknown): unknown => {
  const code = sqliteCode(error)
  if (code === undefined) return error
  if (is(code, 'SQLITE_CORRUPT') || is(code, 'SQLITE_NOTADB')) {
    return damaged(error)
  }
  if (is(code, 'SQLITE_CONSTRAINT')) return error
  if (is(code, 'SQLITE_CANTOPEN')) {
    const hint = 'Check the permissions of the file and of its directory.'
    return new BridgeError('E_STORE_URL', 'The store cannot be opened.', { cause: error, hint })
  }
  if (isFull(code)) return storeFull(error)
  if (is(code, 'SQLITE_READONLY') && !isFatal(error)) return storeReadonly(error)
  if (is(code, 'SQLITE_BUSY')) {
    const hint = 'Another program is writing to the database file; close it.'
    return new BridgeError('E_STORE', 'The store is busy.', { cause: error, hint })
  }
  const hint = 'Look at the disk and at what the system logged about it; a restart recovers what was committed.'
  return new BridgeError('E_STORE', `The store failed (${code}).`, { cause: error, hint })
}

/** The database's own error below the bridge's. */
export const causeOf = (error: unknown): unknown => (error instanceof BridgeError ? error.cause : error)

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
  const prepared = statements(raw, statementCapacity)
  const db = new Kysely<Schema>({ dialect: new SqliteDialect({ database: prepared }) })
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
    each: async (statement, rows) => {
      try {
        for (const row of rows) {
          const { sql, parameters } = statement.fill(row)
          prepared.prepare(sql).run(parameters)
        }
      } catch (error) {
        throw storeError(error)
      }
    },
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
  raw.pragma('cell_size_check = ON')
  // SQLite hides the errors of its own automatic checkpoints; the writer checkpoints itself (writer.ts).
  raw.pragma('wal_autocheckpoint = 0')
}

/** Changes nothing in the file yet: it may be somebody else's. */
export const openFile = (path: string): Raw => new Database(path, { fileMustExist: true, timeout: busyTimeoutMs })

export const openReader = (path: string): Raw => {
  const raw = new Database(path, { readonly: true, fileMustExist: true, timeout: busyTimeoutMs })
  raw.pragma('cache_size = -65536')
  raw.pragma('trusted_schema = OFF')
  raw.pragma('cell_size_check = ON')
  return raw
}
