import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { platform } from 'node:process'
import { test } from 'node:test'
import { setTimeout as after } from 'node:timers/promises'
import { genesis, verifyChain } from '../../src/core/audit.ts'
import { openStore, openStoreReadonly } from '../../src/store/index.ts'
import { directory } from './fixture.ts'
import { startChild } from './processes.ts'

const open = (file: string) => openStore({ url: `sqlite:${file}`, now: Date.now })

/** Every acknowledged write is there, no write is there in part, and the chain is whole. */
const verify = async (file: string, acknowledged: readonly string[]): Promise<void> => {
  const store = await open(file)
  const entries = await store.audit({ limit: 1_000_000 })
  const { fault, head } = verifyChain({ seq: 0, hash: genesis }, entries)
  assert.equal(fault, undefined)
  assert.deepEqual(head, await store.auditHead())
  const kept = new Set(entries.map((e) => e.hold))
  for (const id of acknowledged) assert.ok(kept.has(id), `acknowledged and lost: ${id}`)
  for (const entry of entries) {
    assert.equal(entry.text?.reason, entry.hold)
    assert.ok(await store.hold(entry.hold ?? ''))
    assert.notEqual(await store.meta(entry.hold ?? ''), undefined)
  }
  assert.equal(await store.countOpenHolds(), entries.length)
  assert.deepEqual(store.integrity(), [])
  await store.close()
}

test('a process killed at any moment loses no acknowledged write and leaves none in part', async (t) => {
  using dir = directory()
  const acknowledged: string[] = []
  for (let round = 0; round < 8; round += 1) {
    const child = startChild(dir.file, 'write')
    await child.line('open')
    // How long is the point of the test: the kill falls anywhere.
    await after(randomInt(1, 250))
    await child.kill()
    acknowledged.push(...child.lines.filter((l) => l.startsWith('done ')).map((l) => l.slice(5)))
    await verify(dir.file, acknowledged)
  }
  t.diagnostic(`${acknowledged.length} acknowledged writes`)
  assert.ok(acknowledged.length > 0)
})

test('a store that was killed is open again at once, and the epoch grew', async () => {
  using dir = directory()
  const child = startChild(dir.file, 'hold')
  assert.equal(await child.line('open'), 'open 1')
  await assert.rejects(open(dir.file), { code: 'E_STORE_LOCKED', exit: 75, hint: /Stop process \d+ on \S+ \(since / })
  await child.kill()
  const started = performance.now()
  const store = await open(dir.file)
  assert.ok(performance.now() - started < 10_000)
  assert.equal(store.epoch, 2)
  const second = startChild(dir.file, 'hold')
  assert.equal(await second.line('failed'), 'failed E_STORE_LOCKED')
  await store.close()
})

test('a reader without the lease reads beside the process that holds it, and after it was killed', async () => {
  using dir = directory()
  const child = startChild(dir.file, 'write')
  await child.line('done')
  const beside = await openStoreReadonly(`sqlite:${dir.file}`)
  const first = (await beside.auditHead()).seq
  assert.ok(first > 0)
  await child.kill()
  const entries = await beside.audit({ limit: 100_000 })
  assert.equal(verifyChain({ seq: 0, hash: genesis }, entries).fault, undefined)
  await beside.close()
  const later = await openStoreReadonly(`sqlite:${dir.file}`)
  assert.ok((await later.auditHead()).seq >= entries.length)
  await later.close()
})

test('a write that the disk refuses ends the process, and what was acknowledged is kept', {
  skip: platform === 'win32',
}, async () => {
  using dir = directory()
  const child = startChild(dir.file, 'write', 2048)
  assert.equal(await child.line('dead'), 'dead E_STORE')
  assert.equal(await child.exited(), 70)
  await verify(
    dir.file,
    child.lines.filter((l) => l.startsWith('done ')).map((l) => l.slice(5)),
  )
})
