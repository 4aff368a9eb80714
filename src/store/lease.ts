import { rmSync } from 'node:fs'
import { hostname } from 'node:os'
import { pid } from 'node:process'
import Database from 'better-sqlite3'
import { BridgeError } from '../core/errors.ts'
import { type Raw, sqliteCode } from './database.ts'
import { createPrivate } from './location.ts'

/**
 * One process writes. The lock is SQLite's own exclusive lock on an empty database beside the store: the kernel frees
 * it with the process, however that ends, so a restart never waits and nothing has to expire. The epoch in the store
 * is the second line: whoever lost the lock (somebody removed the file) finds another epoch in its next transaction.
 */
export interface Lock {
  /** The lock file was not there before: the store was never opened. */
  readonly fresh: boolean
  release(): void
  /** Releases, and removes a lock file of ours beside a file that is not a store. */
  discard(): void
}

/** Two processes that start at once must not both give up. */
const lockTimeoutMs = 200

/** Undefined: another process holds it. */
export const takeLock = (path: string): Lock | undefined => {
  const file = `${path}.lock`
  const fresh = createPrivate(file)
  const lock = new Database(file, { timeout: lockTimeoutMs })
  try {
    // Nothing is ever written to it: no journal file either.
    lock.pragma('journal_mode = MEMORY')
    lock.exec('begin exclusive')
  } catch (error) {
    lock.close()
    if (sqliteCode(error)?.startsWith('SQLITE_BUSY') === true) return undefined
    const hint = `Remove ${file} if no bridge is running.`
    throw new BridgeError('E_STORE_URL', 'The lock of the store cannot be taken.', { cause: error, hint })
  }
  const release = () => {
    lock.close()
  }
  const discard = () => {
    release()
    if (fresh) rmSync(file, { force: true })
  }
  return { fresh, release, discard }
}

export interface Holder {
  readonly epoch: number
  readonly pid: number
  readonly host: string
  readonly started_at: number
}

/** Takes the next epoch. The caller holds the lock. */
export const nextEpoch = (raw: Raw, now: number): number => {
  const sql = `insert into lease (id, epoch, pid, host, started_at, seen_at) values (1, 1, @pid, @host, @now, @now)
    on conflict (id) do update set epoch = epoch + 1, pid = @pid, host = @host, started_at = @now, seen_at = @now
    returning epoch`
  // A commit of its own: one that fails while a row is being returned would go unnoticed.
  raw.exec('begin immediate')
  try {
    const row = raw.prepare<[object], Pick<Holder, 'epoch'>>(sql).get({ pid, host: hostname(), now })
    raw.exec('commit')
    if (row === undefined) throw new TypeError('the lease row was not written')
    return row.epoch
  } catch (error) {
    if (raw.inTransaction) raw.exec('rollback')
    throw error
  }
}

/** Whether the store is still this process's: asked in every transaction, and when another process has written. */
export const leaseHolder = (raw: Raw, epoch: number): (() => boolean) => {
  const present = raw.prepare<[], Pick<Holder, 'epoch'>>('select epoch from lease')
  return () => present.get()?.epoch === epoch
}

export const leaseLost = (): BridgeError =>
  new BridgeError('E_LEASE_LOST', 'The lease on the store is lost.', {
    hint: 'Another process took the store over; this one must end.',
  })

/** E_STORE_LOCKED, naming the holder when the store says who it is. */
export const locked = (path: string): BridgeError => {
  const hint = `Stop ${holder(path)} first, or point store.url elsewhere.`
  return new BridgeError('E_STORE_LOCKED', 'Another process holds the store.', { hint })
}

const holder = (path: string): string => {
  let raw: Raw | undefined
  try {
    raw = new Database(path, { readonly: true, fileMustExist: true })
    const row = raw.prepare<[], Holder>('select epoch, pid, host, started_at from lease').get()
    if (row === undefined) return 'the other process'
    return `process ${row.pid} on ${row.host} (since ${new Date(row.started_at).toISOString()})`
  } catch {
    // It may be starting right now; the lock is what counts.
    return 'the other process'
  } finally {
    raw?.close()
  }
}
