import { statfsSync } from 'node:fs'
import { dirname } from 'node:path'
import { BridgeError } from '../core/errors.ts'
import type { Store, StoreReads } from '../core/store.ts'
import { type Connection, connection, openReader, openWriter, type Raw, storeError } from './database.ts'
import { type Lock, locked, nextEpoch, takeLock } from './lease.ts'
import { createPrivate, locate, requireWritable } from './location.ts'
import { backup, type Found, identify, migrate, refuseNewer } from './migrate.ts'
import { type Migration, migrations } from './migrations.ts'
import { reads } from './reads.ts'
import type { Run } from './statement.ts'
import { writer } from './writer.ts'

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
