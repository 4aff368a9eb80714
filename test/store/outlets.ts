import assert from 'node:assert/strict'
import type { OutletState, SetAside } from '../../src/core/outlet.ts'
import type { StoreTest } from './contract.ts'

const state = (name: string, fields: Partial<OutletState> = {}): OutletState => ({
  name,
  identity: 'here',
  generation: 'g1',
  urgentSeq: 7,
  restSeq: 5,
  snapshot: undefined,
  round: 1,
  disabledAt: undefined,
  failingSince: undefined,
  lastError: undefined,
  takenAt: undefined,
  ...fields,
})

const item = (outlet: string, seq: number, fields: Partial<SetAside> = {}): SetAside => ({
  outlet,
  seq,
  type: 'suspended',
  did: 'did:mesh:a',
  holdId: 'hold-1',
  at: 10,
  attempts: 1,
  nextAt: 100,
  deadAt: undefined,
  error: 'HTTP 400',
  body: '{}',
  ...fields,
})

export const outletContract = (test: StoreTest): void => {
  test('where an outlet is stays, snapshot under way included', async (store, opened) => {
    const full = state('b', {
      snapshot: { seq: 9, page: 2, after: 'did:mesh:m' },
      disabledAt: 1,
      failingSince: 2,
      lastError: 'HTTP 500',
      takenAt: 3,
    })
    await store.write(async (tx) => {
      await tx.saveOutlet(state('a'))
      await tx.saveOutlet(state('b'))
      await tx.saveOutlet(full)
    })
    const reopened = await opened.reopen()
    assert.deepEqual(await reopened.outlet('a'), state('a'))
    assert.deepEqual(await reopened.outlet('b'), full)
    assert.equal(await reopened.outlet('c'), undefined)
  })

  test('what was set aside is due by lane and time; dead letters are apart, and come back when they are revived', async (store) => {
    await store.write(async (tx) => {
      await tx.saveSetAside(item('a', 1, { nextAt: 300 }))
      await tx.saveSetAside(item('a', 2))
      await tx.saveSetAside(item('a', 3, { type: 'resumed', nextAt: 50 }))
      for (const seq of [4, 5, 6]) await tx.saveSetAside(item('a', seq, { nextAt: undefined, deadAt: 200 + seq }))
      await tx.saveSetAside(item('b', 1, { nextAt: undefined, deadAt: 1 }))
    })
    const due = async (lane: 'urgent' | 'rest', now: number) =>
      (await store.setAsideDue('a', lane, now, 10)).map(({ seq }) => seq)
    assert.deepEqual(await due('urgent', 100), [2])
    assert.deepEqual(await due('urgent', 300), [2, 1])
    assert.deepEqual(await due('rest', 300), [3])
    assert.equal(await store.nextSetAside('a', 'urgent'), 100)
    assert.equal(await store.nextSetAside('b', 'urgent'), undefined)
    assert.deepEqual(await store.countSetAside('a'), { waiting: 3, dead: 3 })
    assert.deepEqual(await store.countSetAside('none'), { waiting: 0, dead: 0 })
    assert.deepEqual(await store.deadLetters('a', 4, 1), [item('a', 5, { nextAt: undefined, deadAt: 205 })])
    const revived = await store.write((tx) => tx.revive('a', [5, 1, 99], 400))
    assert.equal(revived, 1)
    assert.deepEqual(
      (await store.setAsideDue('a', 'urgent', 400, 10)).find(({ seq }) => seq === 5),
      item('a', 5, { at: 400, nextAt: 400, attempts: 0 }),
    )
    assert.equal(await store.write((tx) => tx.revive('a', undefined, 500)), 2)
    assert.equal((await store.countSetAside('b')).dead, 1)
  })

  test('dropping takes one, or all that wait; pruning takes old dead letters only', async (store) => {
    await store.write(async (tx) => {
      for (const seq of [1, 2, 3]) await tx.saveSetAside(item('a', seq))
      for (const seq of [4, 5]) await tx.saveSetAside(item('a', seq, { nextAt: undefined, deadAt: seq }))
      await tx.dropSetAside('a', 2)
    })
    assert.deepEqual(await store.countSetAside('a'), { waiting: 2, dead: 2 })
    const before = { signals: 0, inbox: 0, idempotency: 0, guard: 0, receipts: 0 }
    await store.write((tx) => tx.prune({ ...before, deadLetters: 5 }))
    assert.deepEqual(await store.countSetAside('a'), { waiting: 2, dead: 1 })
    await store.write((tx) => tx.dropWaiting('a'))
    assert.deepEqual(await store.countSetAside('a'), { waiting: 0, dead: 1 })
  })

  test('whether capabilities were told anew is known by DID', async (store) => {
    const seqs = await store.write(async (tx) => {
      const told: number[] = []
      for (const [type, did] of [
        ['capabilities', 'a'],
        ['resumed', 'a'],
        ['capabilities', 'b'],
      ] as const) {
        const none = { holdId: undefined, severity: undefined, origin: undefined, reason: undefined }
        told.push(await tx.appendSignal({ type, did, at: 1, capabilities: [], ...none }))
      }
      return told
    })
    const [first = 0, , last = 0] = seqs
    assert.equal(await store.capabilitiesSince('a', first - 1), true)
    assert.equal(await store.capabilitiesSince('a', first), false)
    assert.equal(await store.capabilitiesSince('b', first), true)
    assert.equal(await store.capabilitiesSince('b', last), false)
  })
}
