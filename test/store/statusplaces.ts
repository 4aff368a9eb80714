import assert from 'node:assert/strict'
import type { StoreTest } from './contract.ts'
import { agent, hold } from './fixture.ts'

const placed = (did: string, list: number, idx: number, value: number, resumedAt?: number) => ({
  did,
  list,
  idx,
  value,
  resumedAt,
})

export const statusContract = (test: StoreTest): void => {
  test('an agent keeps its place in the status lists for ever, and no two have the same', async (store, opened) => {
    await store.write(async (tx) => {
      for (const did of ['a', 'b', 'c']) await tx.insertAgent(agent(did))
      assert.equal(await tx.takeStatusPlace('a', { list: 1, idx: 7 }), true)
      assert.equal(await tx.takeStatusPlace('b', { list: 1, idx: 7 }), false)
      assert.equal(await tx.takeStatusPlace('b', { list: 2, idx: 7 }), true)
    })
    const second = store.write((tx) => tx.takeStatusPlace('a', { list: 1, idx: 8 }))
    await assert.rejects(second, { code: 'E_EXISTS' })
    const nobody = store.write((tx) => tx.takeStatusPlace('nobody', { list: 1, idx: 9 }))
    await assert.rejects(nobody, { code: 'E_AGENT_UNKNOWN' })
    const reopened = await opened.reopen()
    assert.deepEqual(await reopened.statusPlace('a'), { list: 1, idx: 7 })
    assert.equal(await reopened.statusPlace('c'), undefined)
    assert.equal(await reopened.newestStatusList(), 2)
  })

  test('there is no status list before the first place', async (store) => {
    assert.equal(await store.newestStatusList(), 0)
  })

  test('the status of a place is that of its agent: valid, suspended by any open hold, invalid for ever', async (store) => {
    await store.write(async (tx) => {
      for (const did of ['free', 'held', 'released', 'unplaced']) await tx.insertAgent(agent(did))
      await tx.insertAgent(agent('gone', { decommissioned: true }))
      await tx.saveAgent(agent('released', { resumedAt: 500 }))
      for (const [idx, did] of ['free', 'held', 'released', 'gone'].entries()) {
        await tx.takeStatusPlace(did, { list: 1, idx })
      }
      await tx.insertHold(hold('h1', 'held'))
      await tx.insertHold(hold('h2', 'held', { guarded: true }))
      await tx.insertHold(hold('h3', 'released', { releasedAt: 500 }))
      await tx.insertHold(hold('h4', 'gone', { severity: 'decommission' }))
      await tx.insertHold(hold('h5', 'unplaced'))
      await tx.insertHold(hold('h6', 'unregistered'))
    })
    const by = (a: { idx: number }, b: { idx: number }) => a.idx - b.idx
    const held = placed('held', 1, 1, 2)
    const released = placed('released', 1, 2, 0, 500)
    const gone = placed('gone', 1, 3, 1)
    const all = await store.statusesOf(['gone', 'held', 'free', 'released', 'unplaced', 'nobody'])
    assert.deepEqual(all.sort(by), [placed('free', 1, 0, 0), held, released, gone])
    assert.deepEqual((await store.statusesToTell(500)).sort(by), [held, released, gone])
    assert.deepEqual((await store.statusesToTell(501)).sort(by), [held, gone])
    assert.deepEqual(await store.statusesOf([]), [])
  })
}
