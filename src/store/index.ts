import { statfsSync } from 'node:fs'
import { dirname } from 'node:path'
import { BridgeError } from '../core/errors.ts'
import type { Moment } from '../core/restore.ts'
import type { Store, StoreReads } from '../core/store.ts'
import { integrityOf, requireSound } from './checking.ts'
import { copyStore, refuseHalfRestored } from './copying.ts'
import { causeOf, connection, isFatal, makeDurable, openFile, openReader, type Raw, storeError } from './database.ts'
import { keepHead, lostHead } from './head.ts'
import { type Lock, leaseHolder, leaseLost, locked, nextEpoch, takeLock } from './lease.ts'
import { createPrivate, locate, requireWritable } from './location.ts'
import { identify, migrate, openExisting, refuseNewer } from './migrate.ts'
import { type Migration, migrations } from './migrations.ts'
import { reads } from './reads.ts'
import { build, number, type Run, statement } from './statement.ts'
import { touching } from './touching.ts'
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
  /** An entry of the audit chain that was told to the log and is not in this store: it is older than it was. */
  readonly lost: Moment | undefined
  /** Keeps the head of the chain beside the store, for `lost` of the next opening. */
  keepHead(head: Moment): void
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

/** Reads of a living store. Damage that a read meets ends it too: the next read might miss a hold and not notice. */
const guarded = (run: Run, { check, fail }: Pick<ReturnType<typeof lifeOf>, 'check' | 'fail'>): Run => {
  const read = async <T>(work: () => Promise<T>): Promise<T> => {
    check()
    try {
      return await work()
    } catch (error) {
      throw isFatal(causeOf(error)) ? fail(error) : error
    }
  }
  return {
    all: (statement, values) => read(() => run.all(statement, values)),
    one: (statement, values) => read(() => run.one(statement, values)),
    change: (statement, values) => read(() => run.change(statement, values)),
    each: (statement, rows) => read(() => run.each(statement, rows)),
    query: (query) => read(() => run.query(query)),
  }
}

const heartbeat = statement(build.updateTable('lease').set({ seen_at: number('now') }))
/** Less than this left on the disk: not ready, while there is still room to end in order. */
const spareBytes = 32 * 1024 * 1024

const requireSpace = (path: string): void => {
  const { bavail, bsize } = statfsSync(dirname(path))
  if (bavail * bsize >= spareBytes) return
  throw new BridgeError('E_STORE_FULL', 'The disk of the store is almost full.', {
    hint: 'Free space on the disk of the store; the bridge goes on by itself.',
  })
}

interface Opened {
  readonly lock: Lock
  readonly raw: Raw
  readonly reader: Raw
  readonly epoch: number
  readonly copy: string | undefined
  readonly lost: Moment | undefined
}

const prepare = async (raw: Raw, lock: Lock, options: StoreOptions): Promise<Opened> => {
  const found = identify(raw, !lock.fresh)
  const steps = options.migrations ?? migrations
  if (found.kind === 'ours') refuseNewer(found.version, steps.length)
  makeDurable(raw)
  if (found.kind === 'ours') requireSound(raw)
  const now = options.now()
  const copy = await migrate(raw, found, steps, now, (file) => copyStore(raw.name, file, now))
  const lost = lostHead(raw.name, raw)
  const epoch = nextEpoch(raw, now)
  return { lock, raw, reader: openReader(raw.name), epoch, copy, lost }
}

const take = async (path: string, options: StoreOptions): Promise<Opened> => {
  const lock = takeLock(path)
  if (lock === undefined) throw locked(path)
  let raw: Raw | undefined
  try {
    refuseHalfRestored(path)
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
 * @throws BridgeError E_STORE_URL, E_STORE_NETWORK_FS, E_STORE_LOCKED, E_STORE_NEWER, E_STORE_CORRUPT, E_STORE_READONLY,
 * E_STORE_FULL, E_STORE
 */
export const openStore = async (options: StoreOptions): Promise<FileStore> => {
  const { path, warnings } = locate(options.url)
  const { copy, epoch, lock, lost, raw, reader } = await take(path, options)
  const holdsLease = leaseHolder(raw, epoch)
  const { changes, committed, end } = touching(raw, () => {
    if (!holdsLease()) life.fail(leaseLost())
  })
  const life = lifeOf((error) => {
    end()
    options.onDead?.(error)
  })
  const writing = connection(raw)
  const reading = connection(reader)
  const { drain, write } = writer(writing, epoch, life, committed)
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
    ...reads(guarded(reading.run, life)),
    path,
    warnings,
    migratedFrom: copy,
    lost,
    epoch,
    changes,
    write: (work) => admitted(work),
    ping: async () => {
      requireSpace(path)
      await admitted(async (_tx, run) => run.change(heartbeat, { now: options.now() }))
    },
    backup: async (file) => {
      life.check()
      await copyStore(path, file, options.now())
    },
    integrity: () => {
      life.check()
      return integrityOf(reading.raw)
    },
    keepHead: (head) => keepHead(path, head),
    close: () => {
      life.close()
      end()
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
  const { close, run } = connection(openExisting(path))
  return { ...reads(run), close }
}
