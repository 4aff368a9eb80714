import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import { genesis, verifyChain } from '../../src/core/audit.ts'
import { BridgeError } from '../../src/core/errors.ts'
import { openStore, openStoreReadonly, type StoreOptions } from '../../src/store/index.ts'
import { judgeFileSystem } from '../../src/store/location.ts'
import { migrations } from '../../src/store/migrations.ts'
import { directory, hold, place, register } from './fixture.ts'

const open = (file: string, options: Partial<StoreOptions> = {}) =>
  openStore({ url: `sqlite:${file}`, now: () => Date.UTC(2026, 10, 21, 10), ...options })

test('a URL that is not a local file is refused', async () => {
  using dir = directory()
  mkdirSync(join(dir.path, 'folder'))
  const urls = [
    'sqlite::memory:',
    'sqlite:',
    'sqlite:file:x?mode=memory',
    'postgres://localhost/x',
    'bridge.db',
    `sqlite:${dir.path}/missing/bridge.db`,
    `sqlite:${dir.path}/folder`,
    'sqlite://host/bridge.db',
  ]
  for (const url of urls) {
    await assert.rejects(openStore({ url, now: Date.now }), { code: 'E_STORE_URL', exit: 78 }, url)
    await assert.rejects(openStoreReadonly(url), { code: 'E_STORE_URL' }, url)
  }
  await assert.rejects(openStoreReadonly(`sqlite:${dir.file}`), { code: 'E_STORE_URL' })
  assert.deepEqual(readdirSync(dir.path), ['folder'])
})

test('the files are for their user only, and an orderly close leaves no log behind', async () => {
  using dir = directory()
  const store = await openStore({ url: `sqlite://${dir.file}`, now: Date.now })
  await store.ping()
  for (const suffix of ['', '-wal', '-shm', '.lock']) {
    assert.equal(statSync(dir.file + suffix).mode & 0o777, 0o600, suffix)
  }
  await store.close()
  await store.close()
  assert.deepEqual(readdirSync(dir.path).sort(), ['bridge.db', 'bridge.db.lock'])
})

test('one process has it once, by whatever path', async () => {
  using dir = directory()
  const store = await open(dir.file)
  symlinkSync(dir.file, join(dir.path, 'other.db'))
  await assert.rejects(open(dir.file), { code: 'E_STORE_LOCKED' })
  await assert.rejects(open(join(dir.path, 'other.db')), { code: 'E_STORE_LOCKED' })
  await store.write((tx) => tx.putMeta('k', 'v'))
  await store.close()
  await (await open(join(dir.path, 'other.db'))).close()
})

test('network file systems are refused, FUSE is warned of', () => {
  assert.deepEqual(judgeFileSystem(0x6969), { refused: true, name: 'NFS' })
  assert.deepEqual(judgeFileSystem(0xff534d42), { refused: true, name: 'CIFS' })
  assert.deepEqual(judgeFileSystem(0xff534d42 | 0), { refused: true, name: 'CIFS' })
  assert.deepEqual(judgeFileSystem(0xfe534d42), { refused: true, name: 'SMB2' })
  assert.deepEqual(judgeFileSystem(0x517b), { refused: true, name: 'SMB' })
  assert.deepEqual(judgeFileSystem(0x65735546), { refused: false, name: 'FUSE' })
  assert.equal(judgeFileSystem(0xef53), undefined)
})

test('a file that is not ours is refused and left as it was', async () => {
  using dir = directory()
  writeFileSync(dir.file, 'Not a database at all, but something that somebody may still want.\n'.repeat(100))
  const before = statSync(dir.file).mtimeMs
  for (let i = 0; i < 2; i += 1) await assert.rejects(open(dir.file), { code: 'E_STORE_URL' })
  assert.equal(statSync(dir.file).mtimeMs, before)
  assert.deepEqual(readdirSync(dir.path), ['bridge.db'])
  rmSync(dir.file)
  const other = new Database(dir.file)
  other.exec('create table t (a)')
  other.close()
  await assert.rejects(open(dir.file), { code: 'E_STORE_URL', hint: /new file/ })
  await assert.rejects(openStoreReadonly(`sqlite:${dir.file}`), { code: 'E_STORE_URL' })
})

test('a first start that was killed before its first commit is no fault', async () => {
  using dir = directory()
  writeFileSync(dir.file, '')
  await (await open(dir.file)).close()
  rmSync(dir.file)
  const empty = new Database(dir.file)
  empty.pragma('journal_mode = WAL')
  empty.close()
  const store = await open(dir.file)
  assert.equal(store.migratedFrom, undefined)
  await store.close()
})

test('a damaged store is E_STORE_CORRUPT', async () => {
  using dir = directory()
  const store = await open(dir.file)
  await store.write(async (tx) => {
    for (let i = 0; i < 500; i += 1)
      await tx.appendAudit({ time: i, type: 't', actor: 'a', details: { x: 'y'.repeat(200) } })
  })
  await store.close()
  const size = statSync(dir.file).size
  truncateSync(dir.file, Math.floor(size / 8192) * 4096)
  await assert.rejects(
    (async () => {
      const damaged = await open(dir.file)
      try {
        await damaged.audit({ limit: 1000 })
        await damaged.audit({ limit: 1000, actor: 'a' })
      } finally {
        await damaged.close()
      }
    })(),
    { code: 'E_STORE_CORRUPT', exit: 70 },
  )
  writeFileSync(dir.file, 'x'.repeat(size))
  await assert.rejects(open(dir.file), { code: 'E_STORE_CORRUPT' })
})

test('a newer store is E_STORE_NEWER, for readers too, and is not touched', async () => {
  using dir = directory()
  const more = [...migrations, { name: 'next', sql: 'create table next (a integer) strict' }]
  await (await open(dir.file, { migrations: more })).close()
  await assert.rejects(open(dir.file), { code: 'E_STORE_NEWER', exit: 78, hint: /backup/ })
  await assert.rejects(openStoreReadonly(`sqlite:${dir.file}`), { code: 'E_STORE_NEWER' })
  await (await open(dir.file, { migrations: more })).close()
})

test('an older store is backed up, then migrated; the backup opens with the older program', async () => {
  using dir = directory()
  const old = await open(dir.file)
  await register(old, 'did:mesh:a', ['p'])
  await old.close()
  const sql = 'alter table agents add column extra text; create index agents_extra on agents (extra)'
  const store = await open(dir.file, { migrations: [...migrations, { name: 'next', sql }] })
  const copy = `${dir.file}.backup-v1-20261121T100000000Z`
  assert.equal(store.migratedFrom, copy)
  assert.equal(statSync(copy).mode & 0o777, 0o600)
  assert.equal((await store.principalsOf('did:mesh:a')).length, 1)
  await store.close()
  const before = await open(copy)
  assert.equal((await before.principalsOf('did:mesh:a')).length, 1)
  await before.close()
})

test('a step that fails leaves the store as it was, with its backup', async () => {
  using dir = directory()
  await (await open(dir.file)).close()
  const steps = [...migrations, { name: 'bad', sql: 'create table half (a); insert into nowhere values (1)' }]
  await assert.rejects(open(dir.file, { migrations: steps }))
  const store = await open(dir.file)
  assert.equal(readdirSync(dir.path).filter((name) => name.includes('backup-v1')).length, 1)
  await store.close()
  const raw = new Database(dir.file)
  assert.equal(raw.prepare("select 1 from sqlite_schema where name = 'half'").get(), undefined)
  raw.close()
})

test('an online backup is a whole store', async () => {
  using dir = directory()
  const store = await open(dir.file)
  await place(store, hold('h', 'did:mesh:a'))
  const copy = join(dir.path, 'copy.db')
  const making = store.backup(copy)
  await place(store, hold('h2', 'did:mesh:a'))
  await making
  await assert.rejects(store.backup(copy), { code: 'E_STORE' })
  await store.close()
  const other = await open(copy)
  assert.ok((await other.openHolds('did:mesh:a')).length >= 1)
  await other.close()
})

test('a process that lost the lease writes nothing more', async () => {
  using dir = directory()
  const deaths: string[] = []
  const store = await open(dir.file, { onDead: (error) => deaths.push(error.code) })
  await store.write((tx) => tx.putMeta('k', 'mine'))
  const thief = new Database(dir.file)
  thief.exec('update lease set epoch = epoch + 1')
  thief.close()
  const writes = await Promise.allSettled([1, 2, 3].map(() => store.write((tx) => tx.putMeta('k', 'late'))))
  for (const result of writes) {
    assert.ok(result.status === 'rejected' && result.reason instanceof BridgeError)
    assert.equal(result.reason.code, 'E_LEASE_LOST')
  }
  await assert.rejects(store.meta('k'), { code: 'E_LEASE_LOST' })
  await assert.rejects(store.ping(), { code: 'E_LEASE_LOST' })
  assert.deepEqual(deaths, ['E_LEASE_LOST'])
  await store.close()
  const next = await open(dir.file)
  assert.equal(await next.meta('k'), 'mine')
  await next.close()
})

test('another program that writes to the file makes a write fail, not the store', async () => {
  using dir = directory()
  const store = await open(dir.file)
  const other = new Database(dir.file)
  other.exec('begin immediate')
  await assert.rejects(
    store.write((tx) => tx.putMeta('k', 'v')),
    { code: 'E_STORE', retry: true },
  )
  other.exec('rollback')
  other.close()
  await store.write((tx) => tx.putMeta('k', 'v'))
  assert.equal(await store.meta('k'), 'v')
  await store.close()
})

test('the audit can be added to only; texts beside it can be erased, not changed', async () => {
  using dir = directory()
  const store = await open(dir.file)
  await store.write(async (tx) => {
    await tx.appendAudit({ time: 1, type: 't', actor: 'a', text: { reason: 'one', email: 'a@b.c' } })
    await tx.appendAudit({ time: 2, type: 't', actor: 'a', text: { reason: 'two' } })
  })
  const raw = new Database(dir.file)
  assert.throws(() => raw.exec('update audit set time = 5'), /append-only/)
  assert.throws(() => raw.exec('delete from audit'), /append-only/)
  raw.exec("delete from audit_text where field = 'email'")
  const entries = await store.audit({ limit: 9 })
  assert.deepEqual(entries[0]?.text, { reason: 'one' })
  assert.ok(entries[0]?.digests.email)
  assert.equal(verifyChain({ seq: 0, hash: genesis }, entries).fault, undefined)
  raw.exec("update audit_text set text = 'changed' where seq = 2")
  await assert.rejects(store.audit({ limit: 9 }), { code: 'E_CHAIN_BROKEN' })
  raw.exec('delete from audit_text')
  raw.exec('drop trigger audit_no_update')
  raw.exec('update audit set body = replace(body, \'"time":2\', \'"time":3\') where seq = 2')
  assert.deepEqual(verifyChain({ seq: 0, hash: genesis }, await store.audit({ limit: 9 })).fault, {
    seq: 2,
    fault: 'hash',
  })
  raw.close()
  await store.close()
})

test('the log is copied back into the database as it grows', async () => {
  using dir = directory()
  const store = await open(dir.file)
  for (let i = 0; i < 64; i += 1) {
    await store.write((tx) => tx.putMeta('large', `${i}`.padEnd(400_000, 'x')))
  }
  assert.ok(statSync(`${dir.file}-wal`).size < 20 * 400_000)
  assert.ok(existsSync(dir.file))
  assert.deepEqual(store.integrity(), [])
  await store.close()
})
