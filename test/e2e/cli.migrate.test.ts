import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import type { Io } from '../../src/cli/io.ts'
import { type MigrateOptions, migrate } from '../../src/cli/migrate.ts'
import { openStore } from '../../src/store/index.ts'
import { migrations } from '../../src/store/migrations.ts'
import { directory, register } from '../store/fixture.ts'
import { parsed, textAt } from './json.ts'
import { run } from './process.ts'
import { startWorld } from './world.ts'

const known = migrations.length
/** What a later release would do. */
const later = [...migrations, { name: 'next', sql: 'alter table agents add column extra text' }]

const pragma = (file: string, text: string): unknown => {
  const raw = new Database(file)
  try {
    return raw.pragma(text, { simple: true })
  } finally {
    raw.close()
  }
}

const made = async (file: string) => {
  const store = await openStore({ url: `sqlite:${file}`, now: Date.now })
  await register(store, 'did:mesh:a', ['p'])
  await store.close()
  const migrated = async (options: MigrateOptions = {}) => {
    const lines: string[] = []
    const io: Io = {
      env: {},
      out: (text) => void lines.push(text),
      err: (text) => void lines.push(text),
      colour: false,
      stop: new AbortController().signal,
      onHangup: () => undefined,
      die: () => undefined,
    }
    const exit = await migrate(io, { store: `sqlite:${file}`, ...options }, later)
    return { exit, out: lines.join('\n') }
  }
  return migrated
}

test('migrate brings an older store to the version of the program, after a copy beside it', async () => {
  using dir = directory()
  const migrated = await made(dir.file)
  const asked = await migrated({ dryRun: true, json: true })
  assert.equal(asked.exit, 2)
  assert.deepEqual(parsed(asked.out), { store: dir.file, from: known, to: known + 1, current: false })
  assert.match((await migrated({ dryRun: true })).out, /^older .*: version \d+, this program makes it \d+$/)
  assert.equal(pragma(dir.file, 'user_version'), known, 'a dry run changes nothing')
  const done = await migrated({ json: true })
  assert.equal(done.exit, 0)
  const backup = textAt(parsed(done.out), 'backup')
  assert.ok(existsSync(backup))
  assert.equal(pragma(backup, 'user_version'), known)
  assert.equal(pragma(dir.file, 'user_version'), known + 1)
  const store = await openStore({ url: `sqlite:${dir.file}`, now: Date.now, migrations: later })
  assert.equal((await store.principalsOf('did:mesh:a')).length, 1)
  await store.close()
  const again = await migrated()
  assert.match(again.out, /^current .*nothing was changed$/)
  assert.equal((await migrated({ dryRun: true })).exit, 0)
  assert.equal(textAt(parsed((await migrated({ json: true })).out), 'store'), dir.file)
})

test('migrate tells people what it did, and where the old store is', async () => {
  using dir = directory()
  const migrated = await made(dir.file)
  assert.match((await migrated()).out, /^migrated .* from version \d+ to \d+\nwhat it was before is in .*backup-v/)
})

test('migrate refuses a newer store, one that is not there, and another file, and changes none of them', async () => {
  using dir = directory()
  await made(dir.file)
  pragma(dir.file, `user_version = ${known + 1}`)
  const before = readFileSync(dir.file)
  for (const more of [[], ['--dry-run']]) {
    const newer = await run(['migrate', '--store', `sqlite:${dir.file}`, ...more])
    assert.equal(newer.code, 78, newer.err)
    assert.match(newer.err, /E_STORE_NEWER/)
  }
  assert.deepEqual(readFileSync(dir.file), before)
  const absent = join(dir.path, 'absent.db')
  const none = await run(['migrate', '--store', `sqlite:${absent}`])
  assert.equal(none.code, 78, none.err)
  assert.ok(!existsSync(absent), 'no store is made where there was none')
  const text = join(dir.path, 'text.db')
  writeFileSync(text, 'a letter, long enough to be looked at as a database: '.repeat(100))
  const other = await run(['migrate', '--store', `sqlite:${text}`])
  assert.equal(other.code, 78, other.err)
  assert.match(other.err, /E_STORE_URL/)
})

test('migrate says to try later while a daemon has the store; a dry run is answered beside it', async () => {
  await using world = await startWorld()
  await using _daemon = await world.daemon()
  const busy = await run(['migrate', '--config', world.configFile])
  assert.equal(busy.code, 75, busy.err)
  assert.match(busy.err, /E_STORE_LOCKED/)
  const asked = await run(['migrate', '--dry-run', '--config', world.configFile])
  assert.equal(asked.code, 0, asked.err)
  assert.match(asked.out, /^current/)
})
