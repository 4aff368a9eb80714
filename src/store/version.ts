import { existsSync } from 'node:fs'
import { BridgeError } from '../core/errors.ts'
import { openReader, type Raw, sqliteCode, storeError } from './database.ts'
import { locate } from './location.ts'
import { foreign, identify, refuseNewer } from './migrate.ts'
import { type Migration, migrations } from './migrations.ts'

export interface StoreVersion {
  readonly path: string
  /** 0: a file without anything in it. */
  readonly version: number
  /** What this program makes of it. */
  readonly known: number
}

/**
 * Which version a store has, beside whoever writes it; nothing is changed.
 * @throws BridgeError E_STORE_URL, E_STORE_NETWORK_FS, E_STORE_NEWER, E_STORE_CORRUPT
 */
export const storeVersion = (url: string, steps: readonly Migration[] = migrations): StoreVersion => {
  const { exists, path } = locate(url)
  if (!exists) throw new BridgeError('E_STORE_URL', 'There is no store.', { hint: 'Check store.url.' })
  const everOpened = existsSync(`${path}.lock`)
  const known = steps.length
  let raw: Raw | undefined
  try {
    raw = openReader(path)
    const found = identify(raw, everOpened)
    const version = found.kind === 'new' ? 0 : found.version
    refuseNewer(version, known)
    return { path, version, known }
  } catch (error) {
    throw sqliteCode(error) === 'SQLITE_NOTADB' && !everOpened ? foreign(error) : storeError(error)
  } finally {
    raw?.close()
  }
}
