import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { link, open, rename, rm } from 'node:fs/promises'
import { codeOfSystem, usage } from './files.ts'
import type { Io } from './io.ts'

/** Where a command writes what may be long. */
export interface Sink extends AsyncDisposable {
  /** @param text whole lines */
  write(text: string): Promise<void>
  /** It is whole: only now the file has its name. */
  keep(): Promise<void>
}

const isThere = (file: string, cause?: unknown) =>
  usage(`${file} is there already.`, 'Somebody may have edited it. Name another file, or add --force.', cause)

/** Before anything long is begun: a file that came to be meanwhile is not replaced either. @throws BridgeError E_USAGE */
export const requireFree = (file: string, force: boolean): void => {
  if (!force && existsSync(file)) throw isThere(file)
}

/**
 * Standard output, or a file that is there whole or not at all: it is written beside its place, made durable, and then
 * given its name.
 *
 * @throws BridgeError E_USAGE when it cannot be made
 */
export const openSink = async (io: Io, file: string | undefined, force: boolean): Promise<Sink> => {
  if (file === undefined) {
    return {
      write: async (text) => io.out(text.replace(/\n$/, '')),
      keep: async () => undefined,
      [Symbol.asyncDispose]: async () => undefined,
    }
  }
  requireFree(file, force)
  const beside = `${file}.${randomUUID()}.part`
  const unmade = (error: unknown) => {
    const code = codeOfSystem(error)
    if (code === 'EEXIST') return isThere(file, error)
    const mend = 'Is the folder there, writable, and on a disk that is not full?'
    return usage(`The file ${file} cannot be made (${code ?? 'failed'}).`, mend, error)
  }
  const handle = await open(beside, 'wx', 0o600).catch((error: unknown) => {
    throw unmade(error)
  })
  let isOpen = true
  const close = async (): Promise<void> => {
    if (isOpen) await handle.close()
    isOpen = false
  }
  return {
    write: async (text) => {
      try {
        await handle.appendFile(text)
      } catch (error) {
        throw unmade(error)
      }
    },
    keep: async () => {
      try {
        await handle.sync()
        await close()
        if (force) await rename(beside, file)
        // Unlike a renaming, this replaces nothing that came meanwhile.
        else await link(beside, file)
      } catch (error) {
        throw unmade(error)
      }
    },
    [Symbol.asyncDispose]: async () => {
      await close()
      await rm(beside, { force: true })
    },
  }
}
