import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { env } from 'node:process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { run } from './process.ts'

const exec = promisify(execFile)

const found = (shell: string): string | undefined =>
  (env.PATH ?? '')
    .split(':')
    .map((folder) => join(folder, shell))
    .find((file) => existsSync(file))

const scriptOf = async (shell: string): Promise<string> => {
  const ended = await run(['completion', shell])
  assert.equal(ended.code, 0, ended.err)
  return ended.out
}

test('bash completes commands, options and files, by the script that completion prints', {
  skip: found('bash') === undefined,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'idp-bridge-completion-'))
  try {
    writeFileSync(join(folder, 'script'), await scriptOf('bash'))
    const complete = async (...words: readonly string[]): Promise<string[]> => {
      const asked = `source ./script; COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); _idp_bridge; printf '%s\\n' "\${COMPREPLY[@]}"`
      const { stdout } = await exec('bash', ['--norc', '-c', asked, '-', 'idp-bridge', ...words], { cwd: folder })
      return stdout.split('\n').filter((word) => word !== '')
    }
    assert.deepEqual(await complete('ag'), ['agents'])
    assert.deepEqual(await complete('agents', ''), ['import', 'list', 'show', 'help', '-h', '--help'])
    assert.deepEqual(await complete('agents', 'import', '--dr'), ['--dry-run'])
    assert.deepEqual(await complete('--version', 'holds', 'rel'), ['release'])
    assert.deepEqual(await complete('sandbox', 'entra', 'dis'), ['disable', 'disable-by-microsoft'])
    assert.deepEqual(await complete('agents', 'list', '--status', ''), [], 'a value is no option')
    assert.deepEqual(await complete('nonsense', 'x'), [])
    const registered = `source ./script; complete -p idp-bridge`
    assert.match(
      (await exec('bash', ['--norc', '-c', registered], { cwd: folder })).stdout,
      /-o default .*-F _idp_bridge idp-bridge/,
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

for (const shell of ['zsh', 'fish'] as const) {
  test(`${shell} takes the script that completion prints`, { skip: found(shell) === undefined }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'idp-bridge-completion-'))
    try {
      const file = join(folder, 'script')
      writeFileSync(file, await scriptOf(shell))
      await exec(shell, ['-n', file])
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
}

test('every command is in the script of each shell, and no other shell is known', async () => {
  for (const shell of ['bash', 'zsh', 'fish']) {
    const script = await scriptOf(shell)
    for (const word of ['agents', 'import', 'holds', 'approve', 'events', 'completion', 'sandbox entra']) {
      assert.ok(script.includes(word), `${word} in that for ${shell}`)
    }
  }
  const none = await run(['completion', 'tcsh'])
  assert.deepEqual([none.code, none.out], [64, ''])
  assert.match(none.err, /bash, zsh or fish/)
})
