import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import { read } from '../golden/markdown.ts'
import { kill, registerAll, scoutDid } from './agents.ts'
import { at, listAt, parsed, textAt } from './json.ts'
import { run } from './process.ts'
import { isMessage, startWorld, type World } from './world.ts'

/** A store with a history, and the signed head that the log ended with. */
const recorded = async (world: World): Promise<{ head: string; entries: number }> => {
  const daemon = await world.daemon()
  await registerAll(daemon, world)
  await kill(daemon, scoutDid)
  const { body } = await daemon.as('alice').get('/v1/audit?limit=1000')
  const types = listAt(body, 'items').map((entry) => at(entry, 'type'))
  for (const type of ['bridge.started', 'agent.registered', 'hold.placed']) assert.ok(types.includes(type), type)
  const one = await daemon.as('alice').get(`/v1/audit?did=${encodeURIComponent(scoutDid)}`)
  assert.ok(listAt(one.body, 'items').every((entry) => at(entry, 'did') === scoutDid))
  assert.ok(listAt(one.body, 'items').length >= 2)
  daemon.process.signal('SIGTERM')
  await daemon.process.ended()
  const line = parsed(daemon.process.lines.findLast(isMessage('audit head')) ?? '')
  return { head: textAt(line, 'auditHeadSigned'), entries: Number(at(line, 'auditHead', 'seq')) }
}

const verify = ({ configFile }: World, ...more: readonly string[]) =>
  run(['audit', 'verify', '--config', configFile, ...more])

/** Whoever writes past the bridge drops what guards the table, too. */
const openRaw = (world: World): Database.Database => {
  const raw = new Database(world.databaseFile)
  const triggers = raw.prepare<[], { name: string }>("select name from sqlite_schema where type = 'trigger'").all()
  for (const { name } of triggers) raw.exec(`drop trigger "${name}"`)
  return raw
}

const tamper = (world: World, sql: string, ...values: readonly (string | number)[]): void => {
  const raw = openRaw(world)
  try {
    assert.equal(raw.prepare(sql).run(...values).changes, 1)
  } finally {
    raw.close()
  }
}

test('an untouched chain holds; a signed head from the log proves its tail', async () => {
  await using world = await startWorld()
  const { head, entries } = await recorded(world)
  const plain = await verify(world)
  assert.equal(plain.code, 0, plain.err)
  assert.match(plain.out, new RegExp(`^chain holds: ${entries} entries, head [0-9a-f]{64}\\ntail unproven$`))
  const proven = await verify(world, '--head', head, '--key', world.keyFile)
  assert.equal(proven.code, 0, proven.err)
  assert.match(proven.out, /tail proven$/)
  const publicFile = join(world.folder, 'public.pem')
  const key = createPublicKey(readFileSync(world.keyFile))
  writeFileSync(publicFile, key.export({ type: 'spki', format: 'pem' }))
  const json = await run([
    'audit',
    'verify',
    '--store',
    `sqlite:${world.databaseFile}`,
    '--head',
    head,
    '--key',
    publicFile,
    '--json',
  ])
  assert.equal(json.code, 0, json.err)
  assert.partialDeepStrictEqual(parsed(json.out), { ok: true, entries, tail: 'proven' })

  const foreign = join(world.folder, 'foreign.pem')
  writeFileSync(foreign, generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }))
  const unsigned = await verify(world, '--head', head, '--key', foreign)
  assert.equal(unsigned.code, 64, unsigned.err)
  assert.match(unsigned.err, /not signed by any of these keys/)
  const configured = await verify(world, '--head', head)
  assert.equal(configured.code, 0, configured.err)
  assert.match(configured.out, /tail proven/)
  const keyless = await run(['audit', 'verify', '--store', `sqlite:${world.databaseFile}`, '--head', head])
  assert.equal(keyless.code, 64, keyless.err)
})

test('the chain can be checked beside the running daemon', async () => {
  await using world = await startWorld()
  await using daemon = await world.daemon()
  await registerAll(daemon, world)
  const ended = await verify(world)
  assert.equal(ended.code, 0, ended.err)
  const { body } = await daemon.as('alice').get('/v1/audit/verify')
  assert.equal(at(body, 'ok'), true)
})

test('a changed entry is named and exits 70', async () => {
  await using world = await startWorld()
  await recorded(world)
  tamper(world, `update audit set body = replace(body, 'agent.registered', 'agent.forgotten') where seq = ?`, 2)
  const ended = await verify(world)
  assert.equal(ended.code, 70, `${ended.out}${ended.err}`)
  assert.match(ended.out, /^chain broken at entry 2 \(hash\)/)
  const json = await verify(world, '--json')
  assert.equal(json.code, 70)
  assert.partialDeepStrictEqual(parsed(json.out), { ok: false, entries: 1, fault: { seq: 2, fault: 'hash' } })
})

test('an entry taken out, a text exchanged and an unreadable entry are each named and exit 70', async () => {
  const ways: readonly (readonly [string, number, RegExp])[] = [
    ['delete from audit where seq = ?', 3, /\b4\b.*sequence|\b3\b/],
    [`update audit_text set text = 'nothing happened' where seq = ? and field = 'name'`, 2, /\b2\b/],
    [`update audit set body = '{' where seq = ?`, 2, /\b2\b/],
  ]
  for (const [sql, seq, says] of ways) {
    await using world = await startWorld()
    await recorded(world)
    tamper(world, sql, seq)
    const ended = await verify(world)
    assert.equal(ended.code, 70, `${sql}: ${ended.out}${ended.err}`)
    assert.match(ended.out, says, sql)
    assert.match(ended.out, /chain broken/)
  }
})

test('entries cut off the end with their head are found by the signed head alone', async () => {
  await using world = await startWorld()
  const { head } = await recorded(world)
  const raw = openRaw(world)
  raw.exec('delete from audit_text where seq = (select max(seq) from audit)')
  raw.exec('delete from audit where seq = (select max(seq) from audit)')
  raw.close()
  const blind = await verify(world)
  assert.equal(blind.code, 0, blind.err)
  assert.match(blind.out, /tail unproven/)
  const ended = await verify(world, '--head', head, '--key', world.keyFile)
  assert.equal(ended.code, 70, `${ended.out}${ended.err}`)
  assert.match(ended.out, /tail broken/)
})

test('what stands beside the chain about an agent is erased as docs/security.md says; the chain holds', async () => {
  await using world = await startWorld()
  await recorded(world)
  const [, documented = ''] = /sqlite3 bridge\.db "([^"]+)"/.exec(read('docs/security.md')) ?? []
  const sql = documented.replace('did:agentmesh:a7f3b2c1', scoutDid)
  assert.ok(sql.includes(scoutDid), documented)
  const raw = new Database(world.databaseFile)
  const texts = raw.prepare<[string, string], { own: number; others: number }>(
    'select count(*) filter (where did = ?) as own, count(*) filter (where did <> ?) as others from audit_text join audit using (seq)',
  )
  const before = texts.get(scoutDid, scoutDid)
  assert.ok(before !== undefined && before.own > 0 && before.others > 0)
  raw.exec(sql)
  assert.deepEqual(texts.get(scoutDid, scoutDid), { own: 0, others: before.others })
  raw.close()
  const verified = await verify(world)
  assert.equal(verified.code, 0, verified.err)
  assert.match(verified.out, /^chain holds/)
})
