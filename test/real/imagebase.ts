import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { copyFile, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cacheFolder } from './cache.ts'
import { isWhole, keep } from './kept.ts'
import { need } from './tools.ts'

const execute = promisify(execFile)

/** The suite of the image that the Dockerfile names, with what Debian's slim images leave out left out as well. */
const recipe = [
  '--variant=apt',
  '--include=usr-is-merged',
  '--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr',
  '--aptopt=Acquire::Languages "none"',
  ...['doc', 'man', 'locale'].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`),
  '--customize-hook=rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*',
  'bookworm',
]
const npm = {
  spec: 'npm@11.19.1',
  sum: 'ztsxKxt/kkIaAs+2i0GU6I+DRmUdrNasxTZKJe9TCdSjKxlhah/4r/hl5ygMD6XAg1qZ9c2TNomR4qgOydp10g==',
}
const names = ['debian.tar', 'npm.tgz']
const made = createHash('sha256').update(JSON.stringify([recipe, npm]))
const kept = cacheFolder('image', `bookworm-${process.arch}-${made.digest('hex').slice(0, 12)}`)

export interface ImageBase {
  /** Root file system of a small Debian. */
  readonly debian: string
  /** The package of npm. */
  readonly npm: string
}

const fetchBase = async (mmdebstrap: string): Promise<void> => {
  const folder = await mkdtemp(join(tmpdir(), 'idp-bridge-image-'))
  const into = await mkdtemp(join(folder, 'made-'))
  try {
    await execute(mmdebstrap, ['--quiet', ...recipe, join(folder, 'debian.tar')], { maxBuffer: 64 * 1024 * 1024 })
    await copyFile(join(folder, 'debian.tar'), join(into, 'debian.tar'))
    const { stdout } = await execute('npm', ['pack', '--silent', npm.spec], { cwd: folder })
    await rename(join(folder, stdout.trim()), join(into, 'npm.tgz'))
    const sum = createHash('sha512').update(await readFile(join(into, 'npm.tgz')))
    if (sum.digest('base64') !== npm.sum) throw new Error(`what was fetched is not ${npm.spec}`)
    await keep(into, kept, names)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/**
 * What stands in for the images that the Dockerfile starts from, where no registry of images can be reached: made of Debian's
 * own packages and kept in the user's cache with its checksums.
 */
export const imageBase = async (): Promise<ImageBase | { readonly skip: string }> => {
  const mmdebstrap = need('mmdebstrap', () => ['/usr/bin/mmdebstrap'].find((path) => existsSync(path)), 'mmdebstrap')
  if (typeof mmdebstrap !== 'string') return mmdebstrap
  if (!(await isWhole(kept, names))) {
    try {
      await fetchBase(mmdebstrap)
    } catch (error) {
      // Somebody else may have been quicker.
      if (!(await isWhole(kept, names))) {
        if (process.env.CI === 'true') throw error
        return { skip: `the base of the image could not be made: ${String(error).trim().split('\n').at(-1)}` }
      }
    }
  }
  return { debian: join(kept, 'debian.tar'), npm: join(kept, 'npm.tgz') }
}
