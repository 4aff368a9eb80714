import { accessSync, closeSync, constants, existsSync, openSync, realpathSync, statfsSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { BridgeError } from '../core/errors.ts'
import { storeFull, storeReadonly } from './database.ts'

/** Where the store lives, as one path however it was spelled, so that two spellings share one lock. */
export interface Location {
  readonly path: string
  readonly exists: boolean
  readonly warnings: readonly string[]
}

const refuse = (text: string, hint: string): BridgeError => new BridgeError('E_STORE_URL', text, { hint })
const example = 'Use store.url: "sqlite:/var/lib/idp-bridge/bridge.db".'

const pathOf = (url: string): string => {
  if (!url.startsWith('sqlite:')) throw refuse('The store URL must begin with sqlite:.', example)
  const path = url.slice('sqlite:'.length).replace(/^\/\/(?=\/)/, '')
  if (path === '' || path === ':memory:' || path.startsWith('//') || /[?#\0]/.test(path)) {
    throw refuse('The store must be a file on a local disk.', example)
  }
  return resolve(path)
}

/** `f_type` of statfs(2), linux/magic.h. Their locks and shared memory do not do what SQLite's WAL needs. */
const network = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x5346414f, 'AFS'],
  [0x6b414653, 'AFS'],
  [0x00c36400, 'CephFS'],
])
const fuse = 0x65735546

/** Undefined: fine. Otherwise what is wrong, and whether it is enough to refuse. */
export const judgeFileSystem = (type: number): { refused: boolean; name: string } | undefined => {
  const name = network.get(type >>> 0)
  if (name !== undefined) return { refused: true, name }
  return type >>> 0 === fuse ? { refused: false, name: 'FUSE' } : undefined
}

const checkFileSystem = (directory: string): string[] => {
  const verdict = judgeFileSystem(statfsSync(directory).type)
  if (verdict === undefined) return []
  if (!verdict.refused)
    return [`${directory} is a FUSE file system: make sure that it is local and that its locks work.`]
  throw new BridgeError('E_STORE_NETWORK_FS', `The store is on a network file system (${verdict.name}).`, {
    hint: `Move it to a local disk: ${directory} cannot be locked or synchronised safely.`,
  })
}

/**
 * @throws BridgeError E_STORE_URL, E_STORE_NETWORK_FS
 */
export const locate = (url: string): Location => {
  const asked = pathOf(url)
  const directory = dirname(asked)
  if (!existsSync(directory)) throw refuse('The directory of the store does not exist.', `mkdir -p ${directory}`)
  const path = existsSync(asked) ? realpathSync(asked) : join(realpathSync(directory), basename(asked))
  const exists = existsSync(path)
  if (exists && !statSync(path).isFile()) throw refuse('The store is not a file.', example)
  return { path, exists, warnings: checkFileSystem(dirname(path)) }
}

/** Only its user may read the store. Nothing happens to a file that is there: opening one that SQLite holds loses its locks. */
export const createPrivate = (path: string): boolean => {
  try {
    closeSync(openSync(path, 'wx', 0o600))
    return true
  } catch (cause) {
    if (existsSync(path)) return false
    if (codeOf(cause) === 'EROFS') throw storeReadonly(cause)
    if (codeOf(cause) === 'ENOSPC') throw storeFull(cause)
    const hint = `Make ${dirname(path)} writable for the user of the bridge.`
    throw new BridgeError('E_STORE_URL', 'The store cannot be created.', { cause, hint })
  }
}

export const requireWritable = (path: string): void => {
  try {
    accessSync(path, constants.R_OK | constants.W_OK)
    accessSync(dirname(path), constants.W_OK)
  } catch (cause) {
    throw storeReadonly(cause)
  }
}

/** The disk was mounted read-only under us; permissions, which the process may lose too, are another matter. */
export const onReadonlyDisk = (path: string): boolean => {
  try {
    accessSync(path, constants.W_OK)
    return false
  } catch (error) {
    return codeOf(error) === 'EROFS'
  }
}

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined)
