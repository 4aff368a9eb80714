import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { execPath } from 'node:process'
import { after, type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { need } from './tools.ts'

const root = resolve(import.meta.dirname, '../..')
const project = join(root, 'clients/python')
const run = promisify(execFile)

/** Python with what makes virtual environments; PYTHON names another. */
const pythonPath = (): string | undefined =>
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

const folder = mkdtempSync(join(tmpdir(), 'idp-bridge-python-'))
after(() => rmSync(folder, { recursive: true, force: true }))

/** What a program printed and how it ended; all of it is shown when it failed. */
const ran = async (program: string, args: readonly string[], signal: AbortSignal): Promise<string> => {
  const env = { ...process.env, BRIDGE_NODE: execPath, PYTHONDONTWRITEBYTECODE: '1' }
  const options = { cwd: project, env, maxBuffer: 64 * 1024 * 1024, signal }
  try {
    const { stdout } = await run(program, [...args], options)
    return stdout
  } catch (error) {
    if (!(error instanceof Error)) throw error
    const { stdout, stderr } = { stdout: '', stderr: '', ...error }
    throw new Error(`${program} ${args[0]}\n${stdout}${stderr}`, { cause: error })
  }
}

test('the Python client is typed, and passes its tests on this daemon and the published AGT packages', {
  timeout: 900_000,
}, async (t: TestContext) => {
  const python = need('Python 3.11 or later with venv (AGT needs it)', pythonPath, 'python3-venv')
  if (typeof python !== 'string') return t.skip(python.skip)
  const bin = join(folder, process.platform === 'win32' ? 'Scripts' : 'bin')
  await ran(python, ['-m', 'venv', folder], t.signal)
  const module = (name: string, ...args: readonly string[]) => ran(join(bin, 'python'), ['-m', name, ...args], t.signal)
  try {
    // Most of what comes is never imported, and compiling it takes longer than fetching it.
    await module('pip', 'install', '--quiet', '--disable-pip-version-check', '--no-compile', '.[test]')
  } catch (error) {
    if (process.env.CI === 'true') throw error
    return t.skip(`the packages could not be installed: ${String(error).trim().split('\n').at(-1)}`)
  }
  await module('mypy', '--cache-dir', join(folder, 'mypy'))
  await module('ruff', 'check', '--no-cache', '.')
  const tests = await module('pytest', '-p', 'no:cacheprovider', '-o', 'faulthandler_timeout=120', '--durations=5')
  t.diagnostic(tests.trim().split('\n').at(-1) ?? '')
  assert.match(tests, /\d+ passed/)
})
