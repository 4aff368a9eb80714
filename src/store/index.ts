import { existsSync, statfsSync } from 'node:fs'
import { dirname } from 'node:path'
import { BridgeError } from '../core/errors.ts'
import type { Store, StoreReads } from '../core/store.ts'
import { connection, makeDurable, openFile, openReader, type Raw, storeError } from './database.ts'
import { type Lock, locked, nextEpoch, takeLock } from './lease.ts'
import { createPrivate, locate, requireWritable } from './location.ts'
import { backup, identify, migrate, refuseNewer } from './migrate.ts'
import { type Migration, migrations } from './migrations.ts'
import { reads } from './reads.ts'
import { build, number, type Run, statement } from './statement.ts'
import { type Life, writer } from './writer.ts'

export interface StoreOptions {
  /** `sqlite:/path/to/bridge.db`, on a local disk. */
  readonly url: string
  readonly now: () => number
  /** Called once when the store can no longer be trusted (a failed fsync, damage, a lost lease): end the process. */
  readonly onDead?: (error: BridgeError) => void
  /** Other steps than the shipped ones, for tests of migration. */
  readonly migrations?: readonly Migration[]
}

export interface FileStore extends Store {
  readonly path: string
  /** Things an operator should know about where the store lies. */
  readonly warnings: readonly string[]
  /** The backup made before this opening migrated the store. */
  readonly migratedFrom: string | undefined
  /** An online copy into a new file. */
  backup(file: string): Promise<void>
  /** SQLite's own full check; minutes for a huge store, during which nothing else runs. Empty: sound. */
  integrity(): string[]
}

export interface ReadonlyStore extends StoreReads {
  close(): Promise<void>
}

/** The store says no for good once it can no longer be trusted, and after it was closed. */
const lifeOf = (onDead: ((error: BridgeError) => void) | undefined): Life & { check(): void; close(): void } => {
  let death: BridgeError | undefined
  let closed = false
  const alive = (): void => {
    if (death !== undefined) throw death
  }
  return {
    alive,
    check: () => {
      alive()
      if (closed) throw new BridgeError('E_SHUTTING_DOWN', 'The store is closed.')
    },
    fail: (error) => {
      const told = fatal(error)
      if (death !== undefined) return told
      death = told
      onDead?.(told)
      return told
    },
    close: () => {
      closed = true
    },
  }
}

const fatal = (error: unknown): BridgeError => {
  const told = storeError(error)
  if (told instanceof BridgeError) return told
  return new BridgeError('E_STORE', 'The store failed.', { cause: error, hint: 'See the log for the cause.' })
}

const guarded = (run: Run, check: () => void): Run => ({
  all: async (statement, values) => {
    check()
    return run.all(statement, values)
  },
  one: async (statement, values) => {
    check()
    return run.one(statement, values)
  },
  change: async (statement, values) => {
    check()
    return run.change(statement, values)
  },
  query: async (query) => {
    check()
    return run.query(query)
  },
})

const heartbeat = statement(build.updateTable('lease').set({ seen_at: number('now') }))
/** Less than this left on the disk: not ready, while there is still room to end in order. */
const spareBytes = 32 * 1024 * 1024

const requireSpace = (path: string): void => {
  const { bavail, bsize } = statfsSync(dirname(path))
  if (bavail * bsize >= spareBytes) return
  throw new BridgeError('E_STORE', 'The disk of the store is almost full.', { hint: 'Free some space.' })
}

interface Opened {
  readonly lock: Lock
  readonly raw: Raw
  readonly reader: Raw
  readonly epoch: number
  readonly copy: string | undefined
}

const prepare = async (raw: Raw, lock: Lock, options: StoreOptions): Promise<Opened> => {
  const found = identify(raw, !lock.fresh)
  const steps = options.migrations ?? migrations
  if (found.kind === 'ours') refuseNewer(found.version, steps.length)
  makeDurable(raw)
  const copy = await migrate(raw, found, steps, options.now())
  const epoch = nextEpoch(raw, options.now())
  return { lock, raw, reader: openReader(raw.name), epoch, copy }
}

const take = async (path: string, options: StoreOptions): Promise<Opened> => {
  const lock = takeLock(path)
  if (lock === undefined) throw locked(path)
  let raw: Raw | undefined
  try {
    createPrivate(path)
    requireWritable(path)
    raw = openFile(path)
    return await prepare(raw, lock, options)
  } catch (error) {
    raw?.close()
    const told = storeError(error)
    if (told instanceof BridgeError && told.code === 'E_STORE_URL') lock.discard()
    else lock.release()
    throw told
  }
}

/**
 * Opens the store for this process alone: takes the lease, backs up and migrates an older store, makes a new one.
 * @throws BridgeError E_STORE_URL, E_STORE_NETWORK_FS, E_STORE_LOCKED, E_STORE_NEWER, E_STORE_CORRUPT, E_STORE
 */
export const openStore = async (options: StoreOptions): Promise<FileStore> => {
  const { path, warnings } = locate(options.url)
  const { copy, epoch, lock, raw, reader } = await take(path, options)
  const life = lifeOf(options.onDead)
  const writing = connection(raw)
  const reading = connection(reader)
  const { drain, write } = writer(writing, epoch, life)
  const admitted: typeof write = async (work) => {
    life.check()
    return write(work)
  }
  let closing: Promise<void> | undefined
  const close = async (): Promise<void> => {
    await drain()
    await reading.close()
    await writing.close()
    lock.release()
  }
  return {
    ...reads(guarded(reading.run, life.check)),
    path,
    warnings,
    migratedFrom: copy,
    epoch,
    write: (work) => admitted(work),
    ping: async () => {
      requireSpace(path)
      await admitted(async (_tx, run) => run.change(heartbeat, { now: options.now() }))
    },
    backup: async (file) => {
      life.check()
      await backup(raw, file)
    },
    integrity: () => {
      life.check()
      const rows = reading.raw.prepare<[], { integrity_check: string }>('pragma integrity_check').all()
      return rows.map((row) => row.integrity_check).filter((line) => line !== 'ok')
    },
    close: () => {
      life.close()
      closing ??= close()
      return closing
    },
  }
}

/**
 * Opens the store for reading beside whoever writes it, without the lease: for `audit verify`.
 * @throws BridgeError E_STORE_URL, E_STORE_NETWORK_FS, E_STORE_NEWER, E_STORE_CORRUPT
 */
export const openStoreReadonly = async (url: string): Promise<ReadonlyStore> => {
  const { exists, path } = locate(url)
  if (!exists) throw new BridgeError('E_STORE_URL', 'There is no store.', { hint: 'Check store.url.' })
  let raw: Raw | undefined
  try {
    raw = openReader(path)
    const found = identify(raw, existsSync(`${path}.lock`))
    if (found.kind === 'new') throw new BridgeError('E_STORE_URL', 'The store is empty.', { hint: 'Check store.url.' })
    refuseNewer(found.version, migrations.length)
    const { close, run } = connection(raw)
    return { ...reads(run), close }
  } catch (error) {
    raw?.close()
    throw storeError(error)
  }
}
