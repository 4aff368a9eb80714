import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { execPath } from 'node:process'
import { after, type TestContext } from 'node:test'
import { promisify } from 'node:util'
import { need } from './tools.ts'

export const project = resolve(import.meta.dirname, '../../clients/python')
const execute = promisify(execFile)

/** Python with what makes virtual environments; PYTHON names another. */
export const pythonPath = (): string | undefined =>
  [process.env.PYTHON, 'python3'].find((path) => {
    if (path === undefined) return false
    try {
      const check = 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))'
      execFileSync(path, ['-c', check], { stdio: 'ignore' })
      return true
    } catch {
      return false
    }
  })

export interface Python {
  readonly folder: string
  /** The interpreter. */
  readonly path: string
  /** Runs a module in the client's project: what it printed. All of that is in the error when it failed. */
  module(name: string, ...args: readonly string[]): Promise<string>
}

const ran = async (program: string, args: readonly string[], signal: AbortSignal): Promise<string> => {
  const env = { ...process.env, BRIDGE_NODE: execPath, PYTHONDONTWRITEBYTECODE: '1' }
  const options = { cwd: project, env, maxBuffer: 64 * 1024 * 1024, signal }
  try {
    const { stdout } = await execute(program, [...args], options)
    return stdout
  } catch (error) {
    if (!(error instanceof Error)) throw error
    const { stdout, stderr } = { stdout: '', stderr: '', ...error }
    throw new Error(`${program} ${args[0]}\n${stdout}${stderr}`, { cause: error })
  }
}

/**
 * A virtual environment with these packages, removed after the tests of the file. Undefined when it cannot be had and the
 * test was skipped for that.
 */
export const pythonWith = async (t: TestContext, ...packages: readonly string[]): Promise<Python | undefined> => {
  const python = need('Python 3.11 or later with venv', pythonPath, 'python3-venv')
  if (typeof python !== 'string') {
    t.skip(python.skip)
    return undefined
  }
  const folder = mkdtempSync(join(tmpdir(), 'idp-bridge-python-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  await ran(python, ['-m', 'venv', folder], t.signal)
  const path = join(folder, process.platform === 'win32' ? 'Scripts' : 'bin', 'python')
  const module: Python['module'] = (name, ...args) => ran(path, ['-m', name, ...args], t.signal)
  try {
    // Most of what comes is never imported, and compiling it takes longer than fetching it.
    await module('pip', 'install', '--quiet', '--disable-pip-version-check', '--no-compile', ...packages)
  } catch (error) {
    if (process.env.CI === 'true') throw error
    t.skip(`the packages could not be installed: ${String(error).trim().split('\n').at(-1)}`)
    return undefined
  }
  return { folder, path, module }
}

/** With the Python client and the published AGT packages, which need that version. */
export const pythonWithClient = (t: TestContext): Promise<Python | undefined> => pythonWith(t, '.[test]')
