import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Those that the configurations of these tests name. */
export const plugins = ['jointoken', 'memory', 'unix']

/** A list of built-in plugins with these alone, and without the imports of the others. */
const listing = (source: string): string => {
  const names = [...source.matchAll(/^\s+(\w+)\.BuiltIn\(\),$/gm)].map(([, name = '']) => name)
  const dropped = names.filter((name) => !plugins.includes(name))
  const isDropped = (line: string) =>
    dropped.some((name) => line === `${name}.BuiltIn(),` || line.startsWith(`${name} "`) || line.endsWith(`/${name}"`))
  const lines = source.split('\n')
  return lines.filter((line) => !isDropped(line.trim())).join('\n')
}

/**
 * Copies the source of SPIRE with its lists of built-in plugins cut down to those that are configured here, and nothing else
 * changed: the plugins for three clouds, Kubernetes and Docker are most of what would be compiled.
 * @throws Error when there are no such lists
 */
export const copySource = async (from: string, to: string): Promise<void> => {
  let cut = 0
  for (const entry of await readdir(from, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const folder = join(to, entry.parentPath.slice(from.length))
    const [old, own] = [join(entry.parentPath, entry.name), join(folder, entry.name)]
    await mkdir(folder, { recursive: true })
    if (/\/pkg\/(server|agent)\/catalog\/?$/.test(entry.parentPath)) {
      const source = await readFile(old, 'utf8')
      const written = listing(source)
      if (written !== source) cut += 1
      await writeFile(own, written)
    } else await copyFile(old, own)
  }
  if (cut === 0) throw new Error('SPIRE lists its plugins elsewhere than expected')
}
