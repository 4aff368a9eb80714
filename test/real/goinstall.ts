import { execFile, execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { cacheFolder } from './cache.ts'
import { need } from './tools.ts'

const execute = promisify(execFile)
const version = 'go1.26.8'

/** Go as a module, as Go itself gets another version, each with its checksum as Go counts it (`h1:`). */
const toolchains: Readonly<Record<string, { readonly platform: string; readonly sum: string }>> = {
  'linux-x64': { platform: 'linux-amd64', sum: 'ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM=' },
  'linux-arm64': { platform: 'linux-arm64', sum: 'sYL/O6MqS68ML0kjsQ36WoYIpJqkw60TxizWUYUKQMc=' },
}

const kept = cacheFolder(`${version}-${process.platform}-${process.arch}`)

/** Whether it is Go that builds this module: in its folder it says which version it becomes, or that it cannot. */
const builds = (go: string, module: string, least: string): boolean => {
  try {
    const told = execFileSync(go, ['env', 'GOVERSION'], { cwd: module, encoding: 'utf8', stdio: 'pipe' })
    const [, minor] = /^go1\.(\d+)/.exec(told) ?? []
    return Number(minor) >= Number(least)
  } catch {
    return false
  }
}

/** The checksum of a module as Go counts it: of the sorted list of its files, each with its SHA-256. */
const moduleSum = async (folder: string): Promise<string> => {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const names = entries.filter((entry) => entry.isFile()).map(({ name, parentPath }) => join(parentPath, name))
  const list = createHash('sha256')
  for (const name of names.toSorted()) {
    const sum = createHash('sha256')
      .update(await readFile(name))
      .digest('hex')
    list.update(`${sum}  ${name.slice(folder.length + 1)}\n`)
  }
  return list.digest('base64')
}

/** Without Go, Go itself comes from the module proxy, by version and checksum. */
const download = async (): Promise<string> => {
  const toolchain = toolchains[`${process.platform}-${process.arch}`]
  if (toolchain === undefined)
    throw new Error(`Go 1.26.6 or later is needed, and is not fetched for ${process.platform}`)
  const unzip = need('unzip', () => ['/usr/bin/unzip', '/bin/unzip'].find((path) => existsSync(path)), 'unzip')
  if (typeof unzip !== 'string') throw new Error(unzip.skip)
  const [proxy = ''] = /^https?:[^,|]*/.exec(process.env.GOPROXY ?? '') ?? ['https://proxy.golang.org']
  const name = `v0.0.1-${version}.${toolchain.platform}`
  const response = await fetch(`${proxy}/golang.org/toolchain/@v/${name}.zip`, { signal: AbortSignal.timeout(300_000) })
  if (!response.ok) throw new Error(`Go could not be fetched: ${response.status}`)
  await mkdir(dirname(kept), { recursive: true })
  const folder = await mkdtemp(`${kept}.`)
  try {
    const zip = join(folder, 'go.zip')
    const unpacked = join(folder, 'unpacked')
    await writeFile(zip, Buffer.from(await response.arrayBuffer()))
    await execute(unzip, ['-q', zip, '-d', unpacked])
    if ((await moduleSum(unpacked)) !== toolchain.sum) throw new Error('what was fetched as Go is not that version')
    const go = join(unpacked, 'golang.org', `toolchain@${name}`)
    // A module holds neither programs nor other modules: they are made so by who unpacks it.
    for (const entry of await readdir(go, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name)
      if (entry.name === '_go.mod') await rename(path, join(entry.parentPath, 'go.mod'))
      if (entry.isFile() && /^(bin|pkg\/tool)\//.test(path.slice(go.length + 1))) await chmod(path, 0o755)
    }
    await rename(go, kept).catch((error: unknown) => {
      // Somebody else was quicker.
      if (!existsSync(kept)) throw error
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  return join(kept, 'bin', 'go')
}

const compilerPath = (): string | undefined =>
  [process.env.CC, 'cc', 'gcc', 'clang'].find((path) => {
    if (path === undefined) return false
    try {
      execFileSync(path, ['--version'], { stdio: 'ignore' })
      return true
    } catch {
      return false
    }
  })

/**
 * Go that builds this module, with a compiler of C, which SQLite needs; the environment variable GO names another. An older
 * one from 1.21 on fetches the version that the module asks for. Missing, it is a skip on a user's machine; in CI it is fetched.
 * @param module folder of it
 */
export const installGo = async (
  module: string,
): Promise<{ readonly go: string; readonly cc: string } | { readonly skip: string }> => {
  const cc = need('a compiler of C', compilerPath, 'gcc')
  if (typeof cc !== 'string') return cc
  const [, least = ''] = /^go 1\.(\d+)/m.exec(await readFile(join(module, 'go.mod'), 'utf8')) ?? []
  const found = [process.env.GO, 'go', '/usr/local/go/bin/go', join(kept, 'bin', 'go')].find(
    (path) => path !== undefined && builds(path, module, least),
  )
  if (found !== undefined) return { go: found, cc }
  if (process.env.CI !== 'true') return { skip: `Go 1.${least} or later is not installed (https://go.dev/dl)` }
  return { go: await download(), cc }
}
