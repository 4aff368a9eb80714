import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

const sumsOf = async (folder: string, names: readonly string[]): Promise<string> => {
  const lines = names.map(async (name) => {
    const sum = createHash('sha256').update(await readFile(join(folder, name)))
    return `${sum.digest('hex')}  ${name}\n`
  })
  return (await Promise.all(lines)).join('')
}

/** Whether these files are there, and are those that were kept. */
export const isWhole = async (kept: string, names: readonly string[]): Promise<boolean> => {
  const sums = join(kept, 'SHA256SUMS')
  return existsSync(sums) && (await sumsOf(kept, names).catch(() => undefined)) === (await readFile(sums, 'utf8'))
}

/** Moves what was made into its place, with its checksums; whoever reads there sees all of it or none. */
export const keep = async (made: string, kept: string, names: readonly string[]): Promise<void> => {
  await writeFile(join(made, 'SHA256SUMS'), await sumsOf(made, names))
  await mkdir(dirname(kept), { recursive: true })
  const beside = await mkdtemp(`${kept}.`)
  await cp(made, beside, { recursive: true })
  await rm(kept, { recursive: true, force: true })
  await rename(beside, kept)
}
