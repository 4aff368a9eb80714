import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execPath } from 'node:process'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { until } from './until.ts'

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test('a child ends, and its folder goes, with the process that started it, even when that is killed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'idp-bridge-leash-'))
  const code = `import { spawn } from 'node:child_process'
import { leash } from './leash.ts'
const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 60_000)'], { stdio: 'ignore' })
leash(child, process.argv[1])
console.log(child.pid)`
  const parent: ChildProcess = spawn(execPath, ['--input-type=module-typescript', '-e', code, folder], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  assert.ok(parent.stdout)
  const [line] = await once(createInterface({ input: parent.stdout }), 'line')
  const pid = Number(line)
  assert.deepEqual([isAlive(pid), existsSync(folder)], [true, true])
  parent.kill('SIGKILL')
  await until('the child ended', () => !isAlive(pid))
  await until('its folder is gone', () => !existsSync(folder))
})
