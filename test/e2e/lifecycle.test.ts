import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import { account, agentOf, assertAllowed, assertDenied, kill, registerAll, scoutDid, settledOff } from './agents.ts'
import { at, listAt } from './json.ts'
import { run, startProcess } from './process.ts'
import { until } from './until.ts'
import { clientEntry, isMessage, startWorld } from './world.ts'

const newClient = { auth: { clients: [clientEntry('alice', ['operator']), clientEntry('carol', ['gateway'])] } }

test('SIGHUP reads the configuration again', async () => {
  await using world = await startWorld()
  await using daemon = await world.daemon()
  daemon.process.signal('SIGHUP')
  await daemon.process.line('reloaded', isMessage('configuration reloaded'))
  assert.equal((await daemon.nobody.get('/healthz')).status, 200)
})

test('a hangup, or a changed file, is heeded while it starts', async () => {
  await using world = await startWorld()
  const next = join(world.folder, 'next.yaml')
  world.configure(newClient)
  copyFileSync(world.configFile, next)
  world.configure()
  for (const how of ['hangup', next]) {
    await using daemon = await world.daemon(join(import.meta.dirname, 'impatient.ts'), how)
    await daemon.process.line('reloaded', isMessage('configuration reloaded'))
    assert.equal((await daemon.as('carol').get('/v1/status')).status, how === next ? 403 : 401)
  }
})

test('a changed file is put into force; a faulty one leaves the old in force, with an alert', async () => {
  await using world = await startWorld()
  await using daemon = await world.daemon()
  const ask = (name: string) => daemon.as(name).post('/v1/decisions', { did: scoutDid })
  assert.equal((await ask('carol')).status, 401)
  assert.equal((await ask('gateway')).status, 200)
  world.configure(newClient)
  await until('the new client is known', async () => (await ask('carol')).status === 200)
  assert.equal((await ask('gateway')).status, 401, 'a client that is gone is out at once')

  writeFileSync(world.configFile, 'version: 1\nauth: { clients: [')
  const alert = await until('an alert', async () => {
    const { body } = await daemon.as('alice').get('/v1/status')
    return listAt(body, 'alerts').find((one) => at(one, 'code') === 'config-faulty')
  })
  assert.match(JSON.stringify(alert), /stays in force/)
  assert.equal((await ask('carol')).status, 200)

  world.configure({ ...newClient, server: { port: 1 } })
  await until('what needs a restart is said', () =>
    daemon.log('configuration reloaded').find((line) => listAt(line, 'needsRestart').includes('server.port')),
  )
  assert.equal((await ask('carol')).status, 200)
})

test('SIGTERM lets a write on the wire be answered, ends the streams and exits 0', async () => {
  await using world = await startWorld()
  const daemon = await world.daemon()
  await registerAll(daemon, world)
  const { tenant, contoso } = world
  await using stream = await daemon.stream('runtime')
  const held = tenant.hold((target) => target.path.startsWith('/$batch'))
  await kill(daemon, scoutDid)
  await held.reached()
  daemon.process.signal('SIGTERM')
  await daemon.process.line('stopping', isMessage('stopping'))
  await until('the stream is over', () => stream.isOver)
  held.release()
  const ended = await daemon.process.ended()
  assert.equal(ended.code, 0, ended.err)
  assert.equal(ended.err, '')
  assert.equal(daemon.log('stopped').length, 1)
  assert.equal(tenant.get(contoso.agents.scout)?.enabled, false)

  await using again = await world.daemon()
  await account(again, scoutDid, contoso.agents.scout, { mark: 'ours', observed: 'disabled' })
  await assertDenied(again, { did: scoutDid })
  const patches = tenant.requests.filter(({ method }) => method === 'PATCH')
  assert.equal(patches.length, 1, 'the answer was taken in before the end')
})

test('a restart forgets nothing: holds, mappings, capabilities and the position of a stream', async () => {
  await using world = await startWorld()
  const daemon = await world.daemon()
  await registerAll(daemon, world)
  let lastId: string
  {
    await using stream = await daemon.stream('runtime')
    lastId = (await stream.frame('a snapshot', ({ event }) => event === 'snapshot')).id
  }
  const holdId = await kill(daemon, scoutDid)
  await settledOff(daemon, scoutDid, world.contoso.agents.scout)
  const before = await agentOf(daemon, scoutDid)
  daemon.process.signal('SIGINT')
  assert.equal((await daemon.process.ended()).code, 0)

  await using again = await world.daemon()
  await assertDenied(again, { did: scoutDid })
  const after = await agentOf(again, scoutDid)
  assert.deepEqual(at(after, 'holds'), at(before, 'holds'))
  await using stream = await again.stream('runtime', lastId)
  // What groups gave meanwhile is told as well.
  const first = await stream.frame('the signal that was missed', ({ event }) => event !== 'capabilities')
  assert.equal(first.event, 'suspended')
  assert.equal(at(first.data, 'holdId'), holdId)
  await using fresh = await again.stream('runtime')
  const snapshot = await fresh.frame('a snapshot', () => true)
  assert.partialDeepStrictEqual(snapshot.data, { held: [{ did: scoutDid, holds: [{ holdId, severity: 'kill' }] }] })
})

test('a second daemon on the same store exits 75 and disturbs nothing', async () => {
  await using world = await startWorld()
  await using daemon = await world.daemon()
  await registerAll(daemon, world)
  const second = await run(['run', '--config', world.configFile])
  assert.equal(second.code, 75, second.err)
  assert.match(second.err, /E_STORE_LOCKED/)
  assert.match(second.err, new RegExp(`process ${daemon.process.pid} `))
  await assertAllowed(daemon, { did: scoutDid })
})

test('a store of a newer release exits 78 and is left as it is', async () => {
  await using world = await startWorld()
  {
    const daemon = await world.daemon()
    daemon.process.signal('SIGTERM')
    assert.equal((await daemon.process.ended()).code, 0)
  }
  const raw = new Database(world.databaseFile)
  raw.pragma('user_version = 999')
  raw.pragma('wal_checkpoint(TRUNCATE)')
  raw.close()
  const digest = () => createHash('sha256').update(readFileSync(world.databaseFile)).digest('hex')
  const before = digest()
  const ended = await run(['run', '--config', world.configFile])
  assert.equal(ended.code, 78, ended.err)
  assert.match(ended.err, /E_STORE_NEWER/)
  assert.equal(digest(), before)
  const read = await run(['audit', 'verify', '--config', world.configFile])
  assert.equal(read.code, 78, read.err)
})

test('an adapter that has holds can neither be moved to another tenant nor be left out: exit 78', async () => {
  await using world = await startWorld()
  const daemon = await world.daemon()
  await registerAll(daemon, world)
  await kill(daemon, scoutDid)
  daemon.process.signal('SIGTERM')
  await daemon.process.ended()

  world.configure({ adapters: { contoso: { tenantId: randomUUID() } } })
  const moved = await run(['run', '--config', world.configFile])
  assert.equal(moved.code, 78, moved.err)
  assert.match(moved.err, /E_ADAPTER_MOVED/)
  assert.match(moved.err, /adapters\.contoso points to/)

  const { contoso, ...none } = { contoso: undefined }
  assert.equal(contoso, undefined)
  const text: unknown = JSON.parse(readFileSync(world.configFile, 'utf8'))
  const file = join(world.folder, 'without.json')
  writeFileSync(file, JSON.stringify({ ...Object(text), adapters: none }))
  const gone = await run(['run', '--config', file])
  assert.equal(gone.code, 78, gone.err)
  assert.match(gone.err, /adapters\.contoso is gone/)

  world.configure()
  await using again = await world.daemon()
  await assertDenied(again, { did: scoutDid })
})

test('a daemon whose port is taken says so', async () => {
  await using world = await startWorld()
  const daemon = await world.daemon()
  const port = Number(new URL(daemon.origin).port)
  await using other = await startWorld({ server: { port } })
  await using second = startProcess(['run', '--config', other.configFile])
  const ended = await second.ended()
  assert.equal(ended.code, 78, ended.err)
  assert.match(ended.err, /E_CONFIG/)
  assert.match(ended.err, new RegExp(`${port}`))
})
