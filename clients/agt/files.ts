import { mkdirSync } from 'node:fs'
import { open, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** Only the user of the process may read what lies here. */
export const makeFolder = (...path: readonly string[]): string => {
  const folder = join(...path)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  return folder
}

const syncFolder = async (folder: string): Promise<void> => {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } catch (error) {
    // Windows cannot sync a folder, and does not have to.
    if (process.platform !== 'win32') throw error
  } finally {
    await handle.close()
  }
}

/** Durable when it resolves, and whole or not at all after a crash at any moment. One call at a time for each path. */
export const writeDurably = async (path: string, text: string): Promise<void> => {
  const draft = `${path}.tmp`
  const handle = await open(draft, 'w', 0o600)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(draft, path)
  await syncFolder(dirname(path))
}
