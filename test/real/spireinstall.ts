import { execFile, execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { need } from './tools.ts'

/** Go module that pins the version of SPIRE and of everything it is built from. */
const project = resolve(import.meta.dirname, 'spire')
const execute = promisify(execFile)

export interface SpirePrograms {
  readonly server: string
  readonly agent: string
}

/** Go with modules and a compiler of C, which SQLite needs; GO names another. Older ones fetch what the module asks for. */
const goPath = (): string | undefined =>
  [process.env.GO, 'go', '/usr/local/go/bin/go'].find((path) => {
    if (path === undefined) return false
    try {
      const [, minor] = /go1\.(\d+)/.exec(execFileSync(path, ['env', 'GOVERSION'], { encoding: 'utf8' })) ?? []
      execFileSync(execFileSync(path, ['env', 'CC'], { encoding: 'utf8' }).trim(), ['--version'], { stdio: 'ignore' })
      return Number(minor) >= 21
    } catch {
      return false
    }
  })

/** Which version that is, such as `v1.15.3`. */
export const spireVersion = (): string => {
  const [, version] = /github\.com\/spiffe\/spire (v\S+)/.exec(readFileSync(join(project, 'go.mod'), 'utf8')) ?? []
  if (version === undefined) throw new Error('the module names no version of SPIRE')
  return version
}

/** The folder of a module that SPIRE is built from, as Go keeps it; undefined when it cannot be had. */
export const moduleFolder = async (name: string): Promise<string | undefined> => {
  const go = goPath()
  if (go === undefined) return undefined
  try {
    const { stdout } = await execute(go, ['mod', 'download', '-json', name], { cwd: project })
    const told: unknown = JSON.parse(stdout)
    const folder = typeof told === 'object' && told !== null && 'Dir' in told ? told.Dir : undefined
    return typeof folder === 'string' ? folder : undefined
  } catch (error) {
    if (process.env.CI === 'true') throw error
    return undefined
  }
}

/**
 * The real SPIRE server and agent: those in the folder that SPIRE_BIN names, or built once from the Go module and kept in
 * `node_modules/.cache`. Building from nothing takes long, and compiles most of what three cloud vendors publish.
 */
export const installSpire = async (): Promise<SpirePrograms | { readonly skip: string }> => {
  const kept = resolve(import.meta.dirname, '../../node_modules/.cache/spire', spireVersion())
  const folder = process.env.SPIRE_BIN ?? kept
  const programs = { server: join(folder, 'spire-server'), agent: join(folder, 'spire-agent') }
  if (existsSync(programs.server) && existsSync(programs.agent)) return programs
  const go = need('Go 1.21 or later with a C compiler', goPath, 'golang-go')
  if (typeof go !== 'string') return go
  await mkdir(kept, { recursive: true })
  const mains = ['server', 'agent'].map((name) => `github.com/spiffe/spire/cmd/spire-${name}`)
  try {
    const env = { ...process.env, CGO_ENABLED: '1' }
    await execute(go, ['build', '-buildvcs=false', '-o', kept, ...mains], { cwd: project, env })
  } catch (error) {
    if (process.env.CI === 'true') throw error
    return { skip: `SPIRE could not be built: ${String(error).trim().split('\n').at(-1)}` }
  }
  return { server: join(kept, 'spire-server'), agent: join(kept, 'spire-agent') }
}

if (import.meta.main) {
  const installed = await installSpire()
  console.log(
    'skip' in installed
      ? `real SPIRE: skipped, ${installed.skip}`
      : `real SPIRE ${spireVersion()}: ${installed.server}`,
  )
}
