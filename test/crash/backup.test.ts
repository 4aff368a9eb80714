import assert from 'node:assert/strict'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { describe, test } from 'node:test'
import Database from 'better-sqlite3'
import { requireChain } from '../../src/cli/store.ts'
import { verifyAudit } from '../../src/engine/auditing.ts'
import { backupStore, restoreStore } from '../../src/store/copying.ts'
import { openStore, openStoreReadonly } from '../../src/store/index.ts'
import { migrations } from '../../src/store/migrations.ts'
import {
  account,
  agentOf,
  analystDid,
  assertAllowed,
  assertDenied,
  kill,
  path,
  registerAll,
  reporterDid,
  scoutDid,
  settledOff,
} from '../e2e/agents.ts'
import { at, listAt, parsed, textAt } from '../e2e/json.ts'
import { run } from '../e2e/process.ts'
import { until } from '../e2e/until.ts'
import { type Daemon, startWorld, type World } from '../e2e/world.ts'
import { directory } from '../store/fixture.ts'
import { startChild } from '../store/processes.ts'
import { auditOf, originsOf, patchesOf, patienceMs } from './parts.ts'

const stopped = async (daemon: Daemon, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> => {
  daemon.process.signal(signal)
  await daemon.process.ended()
}

const backup = async (world: World, name = 'copy.db'): Promise<string> => {
  const file = join(world.folder, name)
  const ended = await run(['backup', file, '--config', world.configFile])
  assert.equal(ended.code, 0, ended.err)
  return file
}

const restore = async (world: World, file: string): Promise<unknown> => {
  const ended = await run(['restore', file, '--config', world.configFile, '--json'])
  assert.equal(ended.code, 0, ended.err)
  return parsed(ended.out)
}

const alertsOf = async ({ as }: Daemon) => {
  const { body } = await as('alice').get('/v1/status')
  return listAt(body, 'alerts').filter((alert) => at(alert, 'code') === 'store-restored')
}

const release = async (daemon: Daemon, did: string, holdId: string): Promise<void> => {
  const asked = await daemon.as('alice').post(path(did, `/holds/${holdId}/release`), { reason: 'false alarm' })
  assert.equal(asked.status, 202, asked.text)
  const done = await daemon.as('bob').post(`/v1/releases/${textAt(asked.body, 'releaseId')}/approve`, {})
  assert.equal(done.status, 200, done.text)
}

describe('backup', { concurrency: 1 }, () => {
  test('taken under a stream of writes: whole, sound, and with every hold acknowledged before it began', async (t) => {
    using dir = directory()
    const child = startChild(dir.file, 'write')
    await child.line('done')
    const sizes: number[] = []
    for (let round = 0; round < 4; round += 1) {
      const before = child.lines.filter((line) => line.startsWith('done ')).map((line) => line.slice(5))
      const copy = join(dir.path, `copy-${round}.db`)
      const ended = await run(['backup', copy, '--store', `sqlite:${dir.file}`, '--json'])
      assert.equal(ended.code, 0, ended.err)
      const told = parsed(ended.out)
      assert.equal(at(told, 'ok'), true)
      assert.deepEqual(
        readdirSync(dir.path).filter((name) => name.startsWith(basename(copy))),
        [basename(copy)],
      )
      assert.equal(statSync(copy).mode & 0o777, 0o600)
      const store = await openStoreReadonly(`sqlite:${copy}`)
      const check = await verifyAudit(store)
      assert.equal(check.fault, undefined)
      assert.equal(check.entries, at(told, 'entries'))
      assert.equal(check.head, at(told, 'head'))
      for (const id of before) assert.ok(await store.hold(id), `acknowledged before the backup and not in it: ${id}`)
      assert.equal(await store.countOpenHolds(), check.entries, 'a transaction is there in part')
      await store.close()
      const raw = new Database(copy, { readonly: true })
      assert.deepEqual(raw.pragma('integrity_check'), [{ integrity_check: 'ok' }])
      raw.close()
      sizes.push(before.length)
    }
    const written = child.lines.length
    await child.kill()
    t.diagnostic(`${sizes.join(', ')} holds were acknowledged before the backups, ${written} by their end`)
    assert.ok((sizes.at(-1) ?? 0) > (sizes[0] ?? 0), 'nothing was written meanwhile')
  })

  test('refuses to replace a file, the store itself, and a store that is damaged', async () => {
    await using world = await startWorld()
    const daemon = await world.daemon()
    await registerAll(daemon, world)
    const file = await backup(world)
    const config = ['--config', world.configFile]
    const again = await run(['backup', file, ...config])
    assert.equal(again.code, 64)
    assert.match(again.err, /--force/)
    const forced = await run(['backup', file, '--force', ...config])
    assert.equal(forced.code, 0, forced.err)
    assert.match(forced.out, /^ok \S+copy\.db: as of \S+, \d+ audit entries, head [0-9a-f]{64}\n/)
    const refuses = (url: string, to: string, code: string) =>
      assert.rejects(backupStore({ url, file: to, force: true, now: Date.now, verify: requireChain }), { code })
    const url = `sqlite:${world.databaseFile}`
    await refuses(url, world.databaseFile, 'E_USAGE')
    await refuses(url, `${world.databaseFile}-wal`, 'E_USAGE')
    await refuses(url, join(world.folder, 'no', 'copy.db'), 'E_USAGE')
    await assertAllowed(daemon, { did: scoutDid })
    await stopped(daemon)

    const broken = join(world.folder, 'broken.db')
    copyFileSync(world.databaseFile, broken)
    const raw = new Database(broken)
    raw.exec('drop trigger audit_no_update')
    raw.exec('update audit set body = replace(body, \'"actor":"registrar"\', \'"actor":"nobody"\')')
    raw.close()
    const fresh = join(world.folder, 'new.db')
    await refuses(`sqlite:${broken}`, fresh, 'E_CHAIN_BROKEN')
    const bytes = readFileSync(world.databaseFile)
    bytes.fill(0, 4096 * 8, 4096 * 40)
    writeFileSync(broken, bytes)
    await refuses(`sqlite:${broken}`, fresh, 'E_STORE_CORRUPT')
    assert.deepEqual(
      readdirSync(world.folder).filter((name) => name.startsWith('new.db')),
      [],
    )
  })
})

describe('restore', { concurrency: 1 }, () => {
  test('a hold that the backup does not have: named, and its account stays off and held', async () => {
    await using world = await startWorld()
    const scout = world.contoso.agents.scout
    const first = await world.daemon()
    await registerAll(first, world)
    await using before = await first.stream('runtime')
    const position = (await before.frame('a snapshot', ({ event }) => event === 'snapshot')).id
    const file = await backup(world)
    const hold = await kill(first, scoutDid)
    await settledOff(first, scoutDid, scout, ['ours'], patienceMs)
    const busy = await run(['restore', file, '--config', world.configFile])
    assert.equal(busy.code, 75, busy.err)
    assert.match(busy.err, /E_STORE_LOCKED/)
    await stopped(first)

    const told = await restore(world, file)
    assert.deepEqual(
      listAt(told, 'missing').map((one) => [at(one, 'id'), at(one, 'did'), at(one, 'severity'), at(one, 'origin')]),
      [[hold, scoutDid, 'kill', 'runtime:runtime']],
    )
    const aside = await openStoreReadonly(`sqlite:${textAt(told, 'aside')}`)
    assert.ok(await aside.hold(hold), 'what was replaced is kept whole')
    await aside.close()

    const daemon = await world.daemon()
    const alerts = await alertsOf(daemon)
    assert.equal(alerts.length, 1)
    assert.match(textAt(alerts[0], 'text'), /holds placed between then and .* are missing/)
    await until('the agent is held for its account', async () => {
      const origins = await originsOf(daemon, scoutDid)
      return origins.length === 1 && origins[0] === `adapter:contoso/${scout}`
    })
    await assertDenied(daemon, { did: scoutDid })
    assert.equal(world.tenant.get(scout)?.enabled, false)
    await using after = await daemon.stream('runtime', position)
    assert.equal(
      (await after.frame('a frame', () => true)).event,
      'snapshot',
      'a position of before the restore is none any more',
    )

    await kill(daemon, scoutDid, 'placed again')
    await stopped(daemon)
    const next = await world.daemon()
    assert.deepEqual(await alertsOf(next), [], 'told once')
    await assertDenied(next, { did: scoutDid })
    assert.deepEqual(patchesOf(world, scout, true), [], 'an enable was sent')
    const entries = await auditOf(world)
    assert.equal(entries.filter(({ type }) => type === 'store.restored').length, 1)
  })

  test('a hold that the backup has, released there: the account is not enabled, for a later hold may be forgotten', async () => {
    await using world = await startWorld()
    const scout = world.contoso.agents.scout
    const first = await world.daemon()
    await registerAll(first, world)
    const old = await kill(first, scoutDid)
    await settledOff(first, scoutDid, scout, ['ours'], patienceMs)
    const file = await backup(world)
    // The later hold leaves no trace in the directory: the account is off already.
    await kill(first, scoutDid, 'another reason')
    await stopped(first, 'SIGKILL')
    await restore(world, file)

    const daemon = await world.daemon()
    await assertDenied(daemon, { did: scoutDid })
    await until('every account was read', async () => {
      const { body } = await daemon.as('alice').get('/v1/status')
      return at(body, 'adapters', 0, 'accounts', 'fullAt') !== null && at(body, 'adapters', 0, 'accounts', 'fullAt')
    })
    await release(daemon, scoutDid, old)
    await until(
      'an operator has to settle it',
      async () => (await originsOf(daemon, scoutDid)).includes(`adapter:contoso/${scout}`),
      patienceMs,
    )
    await account(daemon, scoutDid, scout, { mark: 'none', observed: 'disabled' })
    await assertDenied(daemon, { did: scoutDid })
    assert.deepEqual(patchesOf(world, scout, true), [], 'an enable was sent')
    assert.equal(world.tenant.get(scout)?.enabled, false)

    // What is claimed from now on is the bridge's to enable again.
    const fresh = await kill(daemon, reporterDid)
    await settledOff(daemon, reporterDid, world.contoso.agents.reporter, ['ours'], patienceMs)
    await release(daemon, reporterDid, fresh)
    await until('on again', () => world.tenant.get(world.contoso.agents.reporter)?.enabled === true, patienceMs)
    await assertAllowed(daemon, { did: reporterDid })
  })

  test('files put back by hand are noticed by the head beside them, and the lost end by audit verify', async () => {
    await using world = await startWorld()
    const first = await world.daemon()
    await registerAll(first, world)
    await stopped(first)
    const by = join(world.folder, 'by-hand.db')
    copyFileSync(world.databaseFile, by)
    const second = await world.daemon()
    await kill(second, scoutDid)
    await until('off', () => world.tenant.get(world.contoso.agents.scout)?.enabled === false, patienceMs)
    await stopped(second)
    const line = parsed(second.process.lines.findLast((text) => text.includes('"audit head"')) ?? '')
    for (const suffix of ['-wal', '-shm']) rmSync(world.databaseFile + suffix, { force: true })
    copyFileSync(by, world.databaseFile)

    const daemon = await world.daemon()
    const alerts = await alertsOf(daemon)
    assert.equal(alerts.length, 1)
    assert.match(textAt(alerts[0], 'text'), /audit entries up to \d+ are known to be lost/)
    await until('the agent is held', async () => (await originsOf(daemon, scoutDid)).length > 0)
    const [entry] = (await auditOf(world)).filter(({ type }) => type === 'store.restored')
    assert.equal(at(entry?.details, 'lost', 'seq'), at(line, 'auditHead', 'seq'))
    const verified = await run([
      'audit',
      'verify',
      '--config',
      world.configFile,
      '--head',
      textAt(line, 'auditHeadSigned'),
    ])
    assert.equal(verified.code, 70)
    assert.match(verified.out, /tail broken/)
  })

  test('what is no backup replaces nothing; a restore cut short keeps the daemon from starting', async () => {
    await using world = await startWorld()
    const first = await world.daemon()
    await registerAll(first, world)
    await kill(first, scoutDid)
    const file = await backup(world)
    await stopped(first)
    const url = `sqlite:${world.databaseFile}`
    const refuses = (what: string, code: string) =>
      assert.rejects(restoreStore({ url, backup: what, now: Date.now, verify: requireChain }), { code })
    const bad = join(world.folder, 'bad.db')
    writeFileSync(bad, 'not a database, only words.\n'.repeat(500))
    await refuses(bad, 'E_STORE_URL')
    await refuses(join(world.folder, 'none.db'), 'E_STORE_URL')
    await refuses(world.databaseFile, 'E_USAGE')
    const bytes = readFileSync(file)
    bytes.fill(0, 4096 * 8, 4096 * 40)
    writeFileSync(bad, bytes)
    await refuses(bad, 'E_STORE_CORRUPT')
    assert.ok(!existsSync(`${world.databaseFile}.restoring`))
    chmodSync(file, 0o400)
    writeFileSync(`${world.databaseFile}.restoring`, '')
    const started = await run(['run', '--config', world.configFile])
    assert.equal(started.code, 70)
    assert.match(started.err, /restore again/)
    const told = await restore(world, file)
    assert.deepEqual(listAt(told, 'missing'), [])
    const daemon = await world.daemon()
    await assertDenied(daemon, { did: scoutDid })
    await assertAllowed(daemon, { did: analystDid })
    assert.equal((await alertsOf(daemon)).length, 1)
    assert.equal(at(await agentOf(daemon, scoutDid), 'holds', 0, 'origin'), 'runtime:runtime')
  })

  test('an old database that cannot be read is kept, and the missing holds are said to be unknown', async () => {
    await using world = await startWorld()
    const first = await world.daemon()
    await registerAll(first, world)
    const file = await backup(world)
    await stopped(first)
    writeFileSync(world.databaseFile, 'x'.repeat(20_000))
    const refused = await run(['run', '--config', world.configFile])
    assert.equal(refused.code, 70, refused.err)
    assert.match(refused.err, /E_STORE_CORRUPT/)
    assert.match(refused.err, /idp-bridge restore/)
    const ended = await run(['restore', file, '--config', world.configFile])
    assert.equal(ended.code, 0, ended.err)
    assert.match(ended.out, /the old database cannot tell which/)
    const kept = /kept as (\S+)/.exec(ended.out)?.[1] ?? ''
    assert.equal(statSync(kept).size, 20_000)
    await assertAllowed(await world.daemon(), { did: scoutDid })
  })
})

test('after a migration its backup is one: a start on it knows what it is', async () => {
  using dir = directory()
  const url = `sqlite:${dir.file}`
  await (await openStore({ url, now: () => 1000 })).close()
  const more = [...migrations, { name: 'next', sql: 'create table next (a integer) strict' }]
  const store = await openStore({ url, now: () => 2000, migrations: more })
  assert.equal(await store.meta('backup:taken'), undefined)
  const copy = store.migratedFrom ?? ''
  await store.close()
  const old = await openStore({ url: `sqlite:${copy}`, now: () => 3000 })
  assert.equal(at(parsed((await old.meta('backup:taken')) ?? ''), 'at'), 2000)
  await old.close()
})
