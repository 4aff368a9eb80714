import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { cacheFolder } from './cache.ts'
import { installGo } from './goinstall.ts'
import { isWhole, keep } from './kept.ts'
import { copySource, plugins } from './spiresource.ts'

/** Go module that pins the version of SPIRE and of everything it is built from. */
const project = resolve(import.meta.dirname, 'spire')
const spire = 'github.com/spiffe/spire'
const names = ['spire-server', 'spire-agent']
const execute = promisify(execFile)

export interface SpirePrograms {
  readonly server: string
  readonly agent: string
}

/** Which version that is, such as `v1.15.3`. */
export const spireVersion = (): string => {
  const [, version] = /github\.com\/spiffe\/spire (v\S+)/.exec(readFileSync(join(project, 'go.mod'), 'utf8')) ?? []
  if (version === undefined) throw new Error('the module names no version of SPIRE')
  return version
}

/** Where what was built is kept: another folder for each version, platform and set of plugins. */
const keptFolder = (): string => {
  const made = createHash('sha256')
    .update(readFileSync(join(project, 'go.sum')))
    .update(JSON.stringify(plugins))
  const { arch, platform } = process
  return cacheFolder('spire', `${spireVersion()}-${platform}-${arch}-${made.digest('hex').slice(0, 12)}`)
}

const moduleAt = async (go: string, name: string): Promise<string> => {
  const { stdout } = await execute(go, ['mod', 'download', '-json', name], { cwd: project })
  const told: unknown = JSON.parse(stdout)
  const folder = typeof told === 'object' && told !== null && 'Dir' in told ? told.Dir : undefined
  if (typeof folder !== 'string') throw new Error(`${name} could not be downloaded`)
  return folder
}

/** The folder of a module that SPIRE is built from, as Go keeps it. */
export const moduleFolder = async (name: string): Promise<string | { readonly skip: string }> => {
  const found = await installGo(project)
  if ('skip' in found) return found
  try {
    return await moduleAt(found.go, name)
  } catch (error) {
    if (process.env.CI === 'true') throw error
    return { skip: `${name} could not be downloaded` }
  }
}

const build = async ({ cc, go }: { readonly cc: string; readonly go: string }, kept: string): Promise<void> => {
  const folder = await mkdtemp(join(tmpdir(), 'spire-build-'))
  try {
    const [source, module, built] = ['source', 'module', 'built'].map((name) => join(folder, name))
    if (source === undefined || module === undefined || built === undefined) throw new Error('no folders')
    await copySource(await moduleAt(go, spire), source)
    await mkdir(module)
    for (const name of ['go.mod', 'go.sum']) await copyFile(join(project, name), join(module, name))
    await execute(go, ['mod', 'edit', `-replace=${spire}=${source}`], { cwd: module })
    const mains = names.map((name) => `${spire}/cmd/${name}`)
    // Without paths in it, what was compiled once is found again from any folder. Releases are told their version so, too.
    const version = `${spire}/pkg/common/version.gittag=${spireVersion().slice(1)}`
    const flags = ['-trimpath', '-buildvcs=false', `-ldflags=-s -w -X ${version}`, '-o', `${built}/`]
    const env = { ...process.env, CC: cc, CGO_ENABLED: '1' }
    await execute(go, ['build', ...flags, ...mains], { cwd: module, env })
    await keep(built, kept, names)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/**
 * The real SPIRE server and agent: those in the folder that SPIRE_BIN names, or built once from the Go module and kept in
 * the user's cache with their checksums.
 */
export const installSpire = async (): Promise<SpirePrograms | { readonly skip: string }> => {
  const kept = keptFolder()
  const folder = process.env.SPIRE_BIN ?? kept
  if (folder === kept && !(await isWhole(kept, names))) {
    const found = await installGo(project)
    if ('skip' in found) return found
    console.log(`real SPIRE ${spireVersion()}: building it once, which takes minutes`)
    try {
      await build(found, kept)
    } catch (error) {
      // Somebody else may have been quicker.
      if (!(await isWhole(kept, names))) {
        if (process.env.CI === 'true') throw error
        return { skip: `SPIRE could not be built: ${String(error).trim().split('\n').at(-1)}` }
      }
    }
  }
  return { server: join(folder, 'spire-server'), agent: join(folder, 'spire-agent') }
}
