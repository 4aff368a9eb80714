import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import { verifyAudit } from '../../src/engine/auditing.ts'
import { pruneAudit } from '../../src/engine/checkpoints.ts'
import { minute, World } from './harness.ts'

const day = 24 * 60 * minute
const retentionMs = 400 * day
const newKey = () => generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
const pem = newKey()
const keys = [{ read: () => pem }]
const prune = (world: World, signing: readonly { read(): string }[] = keys) =>
  pruneAudit(world.deps, { retentionMs: () => retentionMs, keys: () => signing })

/** Entries of long ago, and of a while ago. */
const aged = async (): Promise<World> => {
  const world = await World.open()
  await world.agent('a', {}, ['north'])
  await world.clock.advance(300 * day)
  await world.agent('b', {}, ['north'])
  await world.clock.advance(150 * day)
  return world
}
const entries = (world: World) => world.store.audit({ limit: 10_000 })

test('entries past retention go behind a signed checkpoint, the chain says so and still holds', async () => {
  await using world = await aged()
  const before = await entries(world)
  await prune(world)
  const after = await entries(world)
  const oldest = world.clock.now() - retentionMs
  assert.deepEqual(
    after.slice(0, -1).map(({ seq }) => seq),
    before.filter(({ time }) => time >= oldest).map(({ seq }) => seq),
  )
  assert.ok(after.length < before.length && after.length > 1)
  const last = before.findLast(({ time }) => time < oldest)
  assert.partialDeepStrictEqual(after.at(-1), { type: 'audit.pruned', details: { seq: last?.seq, hash: last?.hash } })
  const checked = await verifyAudit(world.store, [pem])
  assert.deepEqual([checked.ok, checked.begin, checked.entries], [true, 'proven', after.length])
  await prune(world)
  assert.equal((await entries(world)).length, after.length, 'no second checkpoint on the same day')
  await world.restart()
  assert.equal((await verifyAudit(world.store, [pem])).ok, true)
})

test('without a key to sign with nothing is dropped', async () => {
  await using world = await aged()
  const before = await entries(world)
  await prune(world, [])
  assert.deepEqual(await entries(world), before)
})

test('whose key is not known, is unproven; what was not signed, is broken', async () => {
  await using world = await aged()
  await prune(world)
  const verdict = async (...pems: readonly string[]) => {
    const { begin, fault, ok } = await verifyAudit(world.store, pems)
    return [ok, begin, fault?.fault]
  }
  assert.deepEqual(await verdict(), [true, 'unproven', undefined])
  assert.deepEqual(await verdict(newKey()), [true, 'unproven', undefined])
  assert.deepEqual(await verdict(newKey(), pem), [true, 'proven', undefined])
  // Whoever can write to the database cuts one more entry off and says that it was meant.
  const [next] = await entries(world)
  const raw = new Database(world.path)
  try {
    raw.prepare('update audit_checkpoint set seq = ?, hash = ?').run(next?.seq, next?.hash)
    raw.prepare('delete from audit_text where seq <= ?').run(next?.seq)
    raw.prepare('delete from audit where seq <= ?').run(next?.seq)
    assert.throws(() => raw.prepare('delete from audit').run(), /append-only/)
  } finally {
    raw.close()
  }
  assert.deepEqual(await verdict(pem), [false, 'broken', 'checkpoint'])
})

test('what a crash left behind a checkpoint is dropped at the next run, and was no part of the chain before', async () => {
  await using world = await aged()
  const older = await world.store.auditOlder(world.clock.now() - retentionMs, 1_000)
  assert.ok(older !== undefined)
  await world.store.write((tx) => tx.putAuditCheckpoint({ ...older, at: world.clock.now(), jws: 'a.b.c' }))
  assert.ok((await entries(world)).some(({ seq }) => seq <= older.seq))
  await prune(world, [])
  assert.deepEqual((await entries(world))[0]?.seq, older.seq + 1)
})

test('while the clock is doubted nothing is dropped', async () => {
  await using world = await aged()
  const before = await entries(world)
  const { recall } = world.runner('north').mirror
  recall.doubted = true
  await prune(world)
  assert.deepEqual(await entries(world), before)
  recall.doubted = false
  await prune(world)
  assert.ok((await entries(world)).length < before.length)
})
