import { closeSync, existsSync, fsyncSync, openSync, realpathSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { BridgeError } from '../core/errors.ts'
import { type Moment, momentText, parseMoment, stampKey } from '../core/restore.ts'
import { integrityOf } from './checking.ts'
import { damaged, openFile, openReader, type Raw, storeError } from './database.ts'
import { takeLock } from './lease.ts'
import { createPrivate, locate } from './location.ts'
import { openExisting, stamp } from './migrate.ts'

/** Called with 0 to 1 as the copy goes on. */
export type Progress = (done: number) => void

const pagesPerStep = 1000

const sync = (path: string): void => {
  const opened = openSync(path, 'r')
  try {
    fsyncSync(opened)
  } finally {
    closeSync(opened)
  }
}

/** Makes what a rename or a new file changed in a directory durable. */
const syncDirectory = (file: string): void => sync(dirname(file))

const newestEntry = (raw: Raw): { seq: number; hash: string; time: number } | undefined =>
  raw
    .prepare<[], { seq: number; hash: string; time: number }>(
      'select seq, hash, time from audit order by seq desc limit 1',
    )
    .get()

const stampOf = (raw: Raw): Moment | undefined => {
  const row = raw.prepare<[string], { value: string }>('select value from meta where key = ?').get(stampKey)
  return row && parseMoment(row.value)
}

/** One file that knows that it is a copy, checked whole and on the disk. */
const finish = (file: string, at: number | undefined): Moment => {
  const raw = openFile(file)
  try {
    raw.pragma('journal_mode = DELETE')
    raw.pragma('synchronous = FULL')
    raw.pragma('fullfsync = ON')
    const found = integrityOf(raw)
    if (found.length > 0) throw damaged(new Error(found.slice(0, 5).join('; ')), found.slice(0, 5))
    const newest = newestEntry(raw)
    // A copy of a copy says when the first one was taken: since then entries are missing.
    const present = stampOf(raw)
    const taken = present ?? { at: at ?? newest?.time ?? 0, seq: newest?.seq ?? 0, hash: newest?.hash ?? '' }
    if (present === undefined) {
      const insert = raw.prepare('insert or replace into meta (key, value) values (?, ?)')
      insert.run(stampKey, momentText(taken))
    }
    return taken
  } finally {
    raw.close()
  }
}

/**
 * Copies a store, which a bridge may be writing, into a new file: the state of one moment. The copy is stamped, so that
 * a start on it knows what it is (DESIGN §11), and checked whole. `at` is when; undefined: the time of its last entry.
 * @throws BridgeError E_STORE_CORRUPT, E_STORE_FULL, E_STORE
 */
export const copyStore = async (
  path: string,
  file: string,
  at: number | undefined,
  progress?: Progress,
): Promise<Moment> => {
  if (!createPrivate(file)) {
    throw new BridgeError('E_STORE', 'The backup file is there already.', { hint: `Remove ${file}.` })
  }
  let raw: Raw | undefined
  try {
    raw = openReader(path)
    // An open reading transaction holds the moment: a copy in steps would otherwise begin anew at every foreign write.
    raw.exec('begin')
    raw.prepare('select 1 from sqlite_schema').get()
    await raw.backup(file, {
      progress: ({ remainingPages, totalPages }) => {
        if (totalPages > 0) progress?.(1 - remainingPages / totalPages)
        return pagesPerStep
      },
    })
    raw.exec('rollback')
    const taken = finish(file, at)
    sync(file)
    syncDirectory(file)
    return taken
  } catch (error) {
    for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(file + suffix, { force: true })
    throw storeError(error)
  } finally {
    raw?.close()
  }
}

/** What stands beside a database and belongs to it. */
const suffixes = ['', '-wal', '-shm', '.lock', '.head', '.restoring']

const locateStore = (url: string): string => {
  const { exists, path } = locate(url)
  if (!exists)
    throw new BridgeError('E_STORE_URL', 'There is no store.', { hint: 'Check store.url and the file name.' })
  openExisting(path).close()
  return path
}

export interface BackupOptions {
  readonly url: string
  readonly file: string
  /** Replace a file that is there. */
  readonly force: boolean
  readonly now: () => number
  readonly progress?: Progress
  /** Looks at the finished copy; it takes its name only if this does not throw. */
  readonly verify: (copy: string) => Promise<void>
}

/**
 * An online backup: copied and checked under another name, then given its own. Nobody else may read it.
 * @throws BridgeError E_USAGE, E_STORE_URL, E_STORE_CORRUPT, E_STORE_FULL
 */
export const backupStore = async (options: BackupOptions): Promise<Moment & { readonly file: string }> => {
  const asked = resolve(options.file)
  if (!existsSync(dirname(asked))) {
    throw new BridgeError('E_USAGE', 'The directory of the backup does not exist.', {
      hint: `mkdir -p ${dirname(asked)}`,
    })
  }
  const path = locateStore(options.url)
  const file = join(realpathSync(dirname(asked)), basename(asked))
  const own = suffixes.map((suffix) => path + suffix)
  if (own.includes(file) || (existsSync(file) && own.includes(realpathSync(file)))) {
    throw new BridgeError('E_USAGE', 'The backup would replace the store itself.', { hint: 'Name another file.' })
  }
  if (existsSync(file) && !options.force) {
    throw new BridgeError('E_USAGE', `${file} is there already.`, { hint: 'Name another file, or add --force.' })
  }
  const partial = `${file}.partial`
  rmSync(partial, { force: true })
  const taken = await copyStore(path, partial, options.now(), options.progress)
  try {
    await options.verify(partial)
    renameSync(partial, file)
  } catch (error) {
    rmSync(partial, { force: true })
    throw error
  }
  syncDirectory(file)
  return { ...taken, file }
}

export interface RestoreOptions {
  readonly url: string
  readonly backup: string
  readonly now: () => number
  readonly progress?: Progress
  readonly verify: (copy: string) => Promise<void>
}

export interface Restored {
  readonly path: string
  readonly taken: Moment
  /** Where the old database is now, with its log beside it; undefined when there was none. */
  readonly aside: string | undefined
}

/**
 * Puts a backup in the place of the store; what was there is kept beside it. No bridge may be running. Interrupted, it
 * leaves `<db>.restoring`, with which no bridge starts until it was run again.
 * @throws BridgeError E_USAGE, E_STORE_LOCKED, E_STORE_URL, E_STORE_CORRUPT, E_STORE_FULL
 */
export const restoreStore = async (options: RestoreOptions): Promise<Restored> => {
  const { path, exists } = locate(options.url)
  const source = locateStore(`sqlite:${resolve(options.backup)}`)
  if (source === path) {
    throw new BridgeError('E_USAGE', 'The backup is the store itself.', { hint: 'Name the file that a backup made.' })
  }
  const lock = takeLock(path)
  if (lock === undefined) {
    throw new BridgeError('E_STORE_LOCKED', 'A bridge is running on the store.', { hint: 'Stop it first.' })
  }
  try {
    const coming = `${path}.restoring`
    rmSync(coming, { force: true })
    const taken = await copyStore(source, coming, undefined, options.progress)
    try {
      await options.verify(coming)
    } catch (error) {
      rmSync(coming, { force: true })
      throw error
    }
    const aside = exists ? `${path}.replaced-${stamp(options.now())}` : undefined
    // The log goes first: it must never be taken for that of the copy.
    for (const suffix of ['-wal', '-shm', '']) {
      if (aside !== undefined && existsSync(path + suffix)) renameSync(path + suffix, aside + suffix)
      else rmSync(path + suffix, { force: true })
    }
    renameSync(coming, path)
    syncDirectory(path)
    return { path, taken, aside }
  } finally {
    lock.release()
  }
}

/** @throws BridgeError E_STORE_CORRUPT when a restore was cut short */
export const refuseHalfRestored = (path: string): void => {
  if (!existsSync(`${path}.restoring`)) return
  throw new BridgeError('E_STORE_CORRUPT', 'A restore of the store was interrupted.', {
    hint: `Run idp-bridge restore again; or remove ${path}.restoring to go on with what is there.`,
  })
}
