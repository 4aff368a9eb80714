import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { copyFileSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import { genesis, verifyChain } from '../../src/core/audit.ts'
import { BridgeError } from '../../src/core/errors.ts'
import { type FileStore, openStore } from '../../src/store/index.ts'
import { directory, hold, register } from './fixture.ts'
import { startChild } from './processes.ts'

const pageSize = 4096
const count = 300
const didOf = (n: number): string => `did:mesh:agent-${n}`
const idOf = (n: number): string => `principal-${n}`

const open = (file: string, onDead?: (error: BridgeError) => void) =>
  openStore({ url: `sqlite:${file}`, now: Date.now, ...(onDead && { onDead }) })

/** Agents with an account each, all of them held, with entries in the chain. */
const populate = async (file: string): Promise<void> => {
  const store = await open(file)
  for (let n = 0; n < count; n += 1) {
    await register(store, didOf(n), [idOf(n)])
    await store.write(async (tx) => {
      await tx.insertHold(hold(`hold-${n}`, didOf(n)))
      await tx.appendAudit({ time: n, type: 'hold.placed', did: didOf(n), hold: `hold-${n}`, actor: 'soc' })
    })
  }
  await store.close()
}

const isDamage = (error: unknown): boolean => error instanceof BridgeError && error.code === 'E_STORE_CORRUPT'

/** What a decision reads. A held agent is found held, or the read fails: never is it found free. */
const readAll = async (store: FileStore): Promise<void> => {
  for (let n = 0; n < count; n += 1) {
    const principal = await store.principal({ adapter: 'contoso', id: idOf(n) })
    assert.equal(principal?.did, didOf(n), `the account of ${n} is another agent's`)
    const open = await store.openHolds(didOf(n))
    assert.deepEqual(
      open.map(({ id }) => id),
      [`hold-${n}`],
      `a hold of ${n} is forgotten`,
    )
  }
}

/** `found`: the damage was told, at the opening or by a read. */
const examine = async (file: string): Promise<'found' | 'harmless'> => {
  let store: FileStore | undefined
  try {
    store = await open(file)
    await readAll(store)
    return 'harmless'
  } catch (error) {
    // A first page that is no database's any more is told as somebody else's file.
    if (isDamage(error) || (error instanceof BridgeError && ['E_STORE_URL', 'E_STORE_NEWER'].includes(error.code)))
      return 'found'
    throw error
  } finally {
    await store?.close()
  }
}

const attempt = async (
  whole: Buffer,
  folder: string,
  spoil: (bytes: Buffer) => void,
): Promise<'found' | 'harmless'> => {
  const file = join(folder, 'spoilt.db')
  for (const suffix of ['', '-wal', '-shm', '.lock']) rmSync(file + suffix, { force: true })
  writeFileSync(`${file}.lock`, '')
  const bytes = Buffer.from(whole)
  spoil(bytes)
  writeFileSync(file, bytes)
  return examine(file)
}

test('whichever page loses its head, no held agent is found free', async (t) => {
  using dir = directory()
  await populate(dir.file)
  const whole = readFileSync(dir.file)
  let found = 0
  const pages = whole.length / pageSize
  for (let page = 0; page < pages; page += 1) {
    const told = await attempt(whole, dir.path, (bytes) => bytes.fill(0, page * pageSize, page * pageSize + 64))
    if (told === 'found') found += 1
  }
  t.diagnostic(`${found} of ${pages} damaged pages were told before any decision`)
  assert.ok(found > pages / 3)
})

test('whichever byte is flipped where holds and accounts are kept, no held agent is found free', async (t) => {
  using dir = directory()
  await populate(dir.file)
  const whole = readFileSync(dir.file)
  // Where the names are: rows and indexes of holds and principals.
  const places: number[] = []
  for (let n = 0; n < count; n += 7) {
    for (const word of [`hold-${n}`, idOf(n), didOf(n)]) {
      for (let at = whole.indexOf(word); at >= 0; at = whole.indexOf(word, at + 1)) places.push(at)
    }
  }
  let found = 0
  const rounds = 80
  for (let round = 0; round < rounds; round += 1) {
    const near = (places[randomInt(places.length)] ?? 0) + randomInt(-40, 40)
    const bit = 1 << randomInt(8)
    const where = `bit ${bit} of byte ${near}`
    const spoil = (bytes: Buffer) => {
      bytes[near] = (bytes[near] ?? 0) ^ bit
    }
    const told = await attempt(whole, dir.path, spoil).catch((error: unknown) => {
      throw new Error(where, { cause: error })
    })
    if (told === 'found') found += 1
  }
  t.diagnostic(`${found} of ${rounds} flipped bits were told before any decision`)
  assert.ok(found > 0)
})

test('damage that a read meets ends the store: nothing is answered from it any more', async () => {
  using dir = directory()
  await populate(dir.file)
  const deaths: string[] = []
  const store = await open(dir.file, (error) => deaths.push(error.code))
  const size = statSync(dir.file).size
  const bytes = readFileSync(dir.file)
  bytes.fill(0xff, pageSize, size)
  writeFileSync(dir.file, bytes)
  await assert.rejects(readAll(store), isDamage)
  assert.deepEqual(deaths, ['E_STORE_CORRUPT'])
  await assert.rejects(store.openHolds(didOf(0)), isDamage)
  await assert.rejects(
    store.write((tx) => tx.putMeta('k', 'v')),
    isDamage,
  )
  await store.close()
  await assert.rejects(open(dir.file), { code: 'E_STORE_CORRUPT', exit: 70, hint: /idp-bridge restore/ })
})

/** A store that was killed, so that much of it is in its log only, with the head of its chain kept beside it. */
const killed = async (folder: string): Promise<{ file: string; entries: number }> => {
  const file = join(folder, 'whole.db')
  await (await open(file)).close()
  const child = startChild(file, 'write')
  await child.line('done 2-7-2')
  await child.kill()
  const raw = new Database(file, { readonly: true })
  const head = raw.prepare<[], { seq: number; hash: string }>('select seq, hash from audit order by seq desc').get()
  raw.close()
  writeFileSync(`${file}.head`, JSON.stringify({ ...head, at: 1 }))
  return { file, entries: head?.seq ?? 0 }
}

const frameSize = pageSize + 24

/** Opens a copy whose log was spoilt: a whole beginning of what was written, and whether the lost end is noticed. */
const reopened = async (from: string, folder: string, spoil: (wal: string) => void) => {
  const file = join(folder, 'torn.db')
  for (const suffix of ['-shm', '.lock', '.head']) rmSync(file + suffix, { force: true })
  for (const suffix of ['', '-wal', '.head']) copyFileSync(from + suffix, file + suffix)
  spoil(`${file}-wal`)
  const store = await open(file)
  try {
    const entries = await store.audit({ limit: 1_000_000 })
    assert.equal(verifyChain({ seq: 0, hash: genesis }, entries).fault, undefined)
    for (const { hold: id = '' } of entries) {
      assert.ok(await store.hold(id))
      assert.notEqual(await store.meta(id), undefined)
    }
    assert.equal(await store.countOpenHolds(), entries.length)
    assert.deepEqual(store.integrity(), [])
    return { entries: entries.length, lost: store.lost }
  } finally {
    await store.close()
  }
}

test('a log torn or spoilt anywhere leaves whole transactions only, and a lost end is noticed', async (t) => {
  using dir = directory()
  const { entries, file } = await killed(dir.path)
  const size = statSync(`${file}-wal`).size
  const frames = Math.floor((size - 32) / frameSize)
  assert.ok(frames > 20)
  const same = await reopened(file, dir.path, () => undefined)
  assert.deepEqual(same, { entries, lost: undefined })
  const check = async (what: string, spoil: (wal: string) => void): Promise<number> => {
    const { entries: kept, lost } = await reopened(file, dir.path, spoil)
    assert.ok(kept <= entries, what)
    assert.equal(lost?.seq, kept < entries ? entries : undefined, `${what}: ${kept} of ${entries} entries`)
    return kept
  }
  const cuts = [0, 31, 32, 33, ...Array.from({ length: 12 }, () => 32 + frameSize * randomInt(frames))]
  for (const frame of [0, 1, frames - 1, randomInt(frames)]) cuts.push(32 + frame * frameSize + randomInt(frameSize))
  cuts.push(size - 1)
  let least = entries
  for (const cut of cuts) least = Math.min(least, await check(`cut at ${cut}`, (wal) => truncateSync(wal, cut)))
  assert.ok(least < entries)
  for (let round = 0; round < 15; round += 1) {
    const where = randomInt(size)
    await check(`byte ${where} spoilt`, (wal) => {
      const bytes = readFileSync(wal)
      bytes[where] = (bytes[where] ?? 0) ^ 0x55
      writeFileSync(wal, bytes)
    })
  }
  const gone = await check('the log removed', (wal) => rmSync(wal))
  assert.ok(gone < entries)
  t.diagnostic(`${frames} frames, ${entries} entries, ${cuts.length + 16} ways to spoil them`)
})

test('a store put back, or begun anew, beside a later head is noticed; a head that it has is not', async () => {
  using dir = directory()
  const first = await open(dir.file)
  await first.write((tx) => tx.appendAudit({ time: 1, type: 't', actor: 'a' }))
  await first.close()
  copyFileSync(dir.file, `${dir.file}.old`)
  const second = await open(dir.file)
  await second.write((tx) => tx.appendAudit({ time: 2, type: 't', actor: 'a' }))
  second.keepHead({ ...(await second.auditHead()), at: 5 })
  await second.write((tx) => tx.appendAudit({ time: 3, type: 't', actor: 'a' }))
  await second.close()
  const third = await open(dir.file)
  assert.equal(third.lost, undefined)
  await third.close()
  copyFileSync(`${dir.file}.old`, dir.file)
  const fourth = await open(dir.file)
  assert.equal(fourth.lost?.seq, 2)
  assert.equal(fourth.lost.at, 5)
  // Another history of the same length is another history.
  await fourth.write((tx) => tx.appendAudit({ time: 9, type: 'u', actor: 'a' }))
  await fourth.close()
  const fifth = await open(dir.file)
  assert.equal(fifth.lost?.seq, 2)
  await fifth.close()
  rmSync(dir.file)
  const anew = await open(dir.file)
  assert.equal(anew.lost?.seq, 2)
  await anew.close()
  writeFileSync(`${dir.file}.head`, 'not json')
  const sixth = await open(dir.file)
  assert.equal(sixth.lost, undefined)
  await sixth.close()
})
