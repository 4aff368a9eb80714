import { existsSync } from 'node:fs'
import { BridgeError } from '../core/errors.ts'
import { openReader, type Raw, sqliteCode, storeError } from './database.ts'
import { type Migration, migrations } from './migrations.ts'

/** "AMIB": what `file` and the bridge tell a store by. */
export const applicationId = 0x414d4942

export type Found = { readonly kind: 'new' } | { readonly kind: 'ours'; readonly version: number }

const pragma = (raw: Raw, name: string): number => Number(raw.pragma(name, { simple: true }))

/**
 * What a database file is. A file with nothing in it is new: a first start may have been killed before its first commit.
 * @throws BridgeError E_STORE_URL when it is somebody else's
 */
export const identify = (raw: Raw, everOpened: boolean): Found => {
  try {
    if (pragma(raw, 'application_id') === applicationId) return { kind: 'ours', version: pragma(raw, 'user_version') }
    const tables = raw.prepare<[], { n: number }>('select count(*) as n from sqlite_schema').get()
    if (tables?.n === 0) return { kind: 'new' }
  } catch (error) {
    // A store that was opened before and is no database any more is damaged; otherwise it never was one.
    if (sqliteCode(error) !== 'SQLITE_NOTADB' || everOpened) throw error
    throw foreign(error)
  }
  throw foreign()
}

export const foreign = (cause?: unknown): BridgeError =>
  new BridgeError('E_STORE_URL', 'The file is not a store of the bridge.', {
    ...(cause === undefined ? {} : { cause }),
    hint: 'Point store.url at a new file, or at a store made by the bridge.',
  })

export const refuseNewer = (version: number, known: number): void => {
  if (version <= known) return
  throw new BridgeError('E_STORE_NEWER', `The store has version ${version}; this program knows ${known}.`, {
    hint: 'Run the newer program, or restore the backup it made beside the store before migrating.',
  })
}

/**
 * Opens a store for reading beside whoever writes it. The caller closes it.
 * @throws BridgeError E_STORE_URL, E_STORE_NEWER, E_STORE_CORRUPT
 */
export const openExisting = (path: string): Raw => {
  const everOpened = existsSync(`${path}.lock`)
  let raw: Raw | undefined
  try {
    raw = openReader(path)
    const found = identify(raw, everOpened)
    if (found.kind === 'new') throw new BridgeError('E_STORE_URL', 'The store is empty.', { hint: 'Check store.url.' })
    refuseNewer(found.version, migrations.length)
    return raw
  } catch (error) {
    raw?.close()
    throw sqliteCode(error) === 'SQLITE_NOTADB' && !everOpened ? foreign(error) : storeError(error)
  }
}

/** A moment as part of a file name. */
export const stamp = (now: number): string => new Date(now).toISOString().replace(/[-:]/g, '').replace('.', '')

/** Steps forward from what was found, all or nothing. Returns the backup made before, when there was something to lose. */
export const migrate = async (
  raw: Raw,
  found: Found,
  steps: readonly Migration[],
  now: number,
  backup: (file: string) => Promise<unknown>,
): Promise<string | undefined> => {
  const version = found.kind === 'new' ? 0 : found.version
  refuseNewer(version, steps.length)
  if (version === steps.length) return undefined
  const copy = found.kind === 'new' ? undefined : `${raw.name}.backup-v${version}-${stamp(now)}`
  if (copy !== undefined) await backup(copy)
  raw.exec('begin immediate')
  try {
    for (const step of steps.slice(version)) raw.exec(step.sql)
    raw.pragma(`application_id = ${applicationId}`)
    raw.pragma(`user_version = ${steps.length}`)
    raw.exec('commit')
  } catch (error) {
    if (raw.inTransaction) raw.exec('rollback')
    throw error
  }
  return copy
}
