import { randomUUID } from 'node:crypto'
import { link, open, rename, rm } from 'node:fs/promises'
import { usage } from './files.ts'
import type { Io } from './io.ts'

/** Where a command writes what may be long. */
export interface Sink extends AsyncDisposable {
  /** @param text whole lines */
  write(text: string): Promise<void>
  /** It is whole: only now the file has its name. */
  keep(): Promise<void>
}

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : 'failed')

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
  const beside = `${file}.${randomUUID()}.part`
  const unmade = (error: unknown) => {
    const mend = codeOf(error) === 'EEXIST' ? 'Name another, or add --force.' : 'Check the folder and its rights.'
    return usage(`The file ${file} cannot be made (${codeOf(error)}).`, mend, error)
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
