import assert from 'node:assert/strict'
import type { Release } from '../../src/core/types.ts'
import type { StoreTest } from './contract.ts'
import { hold, place, register } from './fixture.ts'

const ids = (list: readonly { id: string }[]) => list.map((h) => h.id)

export const holdContract = (test: StoreTest): void => {
  test('a hold comes back as it went in, also for a DID that nobody registered', async (store) => {
    const full = hold('h1', 'did:mesh:unknown', {
      origin: 'runtime:agt-1',
      severity: 'kill',
      publicReason: 'p',
      onBehalfOf: 'soc@contoso.com',
      releasableAt: 0,
      guarded: true,
      evidence: { log: [1, { a: null }] },
    })
    await place(store, full, hold('h2', 'did:mesh:unknown'))
    assert.deepEqual(await store.hold('h1'), full)
    assert.deepEqual(await store.hold('h2'), hold('h2', 'did:mesh:unknown'))
    assert.equal(await store.hold('H1'), undefined)
    await assert.rejects(place(store, hold('h1', 'did:mesh:b')), { code: 'E_EXISTS' })
  })

  test('adapters, ancestors and policies have one open hold each; runtimes and operators many', async (store) => {
    const origins = ['adapter:contoso/p', 'cascade:did:mesh:p', 'policy:sponsor'] as const
    for (const [i, origin] of origins.entries()) {
      await place(store, hold(`a${i}`, 'did:mesh:a', { origin }))
      await assert.rejects(place(store, hold(`b${i}`, 'did:mesh:a', { origin })), { code: 'E_EXISTS' })
      await place(store, hold(`c${i}`, 'did:mesh:b', { origin }))
      await store.write((tx) => tx.closeHolds([`a${i}`], 20))
      await place(store, hold(`b${i}`, 'did:mesh:a', { origin }))
    }
    for (const origin of ['runtime:agt', 'operator:soc'] as const) {
      await place(store, hold(`${origin}1`, 'did:mesh:a', { origin }), hold(`${origin}2`, 'did:mesh:a', { origin }))
    }
    assert.equal((await store.openHolds('did:mesh:a')).length, 7)
  })

  test('closing is once; saving replaces', async (store) => {
    await place(store, hold('h', 'did:mesh:a'))
    await store.write((tx) => tx.saveHold(hold('h', 'did:mesh:a', { releasableAt: 15, guarded: true })))
    assert.equal((await store.hold('h'))?.releasableAt, 15)
    await store.write((tx) => tx.closeHolds(['h'], 20))
    await store.write((tx) => tx.closeHolds(['h'], 30))
    assert.equal((await store.hold('h'))?.releasedAt, 20)
    await assert.rejects(
      store.write((tx) => tx.closeHolds(['none'], 1)),
      { code: 'E_HOLD_UNKNOWN' },
    )
    await assert.rejects(
      store.write((tx) => tx.saveHold(hold('none', 'did:mesh:a'))),
      { code: 'E_HOLD_UNKNOWN' },
    )
  })

  test('the holds of a DID: open ones in order of placing, the history newest first', async (store) => {
    await place(
      store,
      hold('a', 'did:mesh:a', { placedAt: 1 }),
      hold('b', 'did:mesh:a', { placedAt: 2, releasedAt: 9 }),
      hold('c', 'did:mesh:a', { placedAt: 3 }),
      hold('d', 'did:mesh:a', { placedAt: 4, releasedAt: 9 }),
      hold('x', 'did:mesh:A', { placedAt: 4 }),
    )
    assert.deepEqual(ids(await store.openHolds('did:mesh:a')), ['a', 'c'])
    assert.deepEqual(ids(await store.holdsOf('did:mesh:a', 9)), ['c', 'a', 'd', 'b'])
    assert.deepEqual(ids(await store.holdsOf('did:mesh:a', 3)), ['c', 'a', 'd'])
  })

  test('an open hold by its origin', async (store) => {
    await place(store, hold('a', 'did:mesh:a', { origin: 'adapter:contoso/x', releasedAt: 5 }))
    assert.equal(await store.openHoldOfOrigin('did:mesh:a', 'adapter:contoso/x'), undefined)
    await place(store, hold('b', 'did:mesh:a', { origin: 'adapter:contoso/x' }))
    assert.equal((await store.openHoldOfOrigin('did:mesh:a', 'adapter:contoso/x'))?.id, 'b')
    assert.equal(await store.openHoldOfOrigin('did:mesh:a', 'adapter:contoso/X'), undefined)
    assert.equal(await store.openHoldOfOrigin('did:mesh:b', 'adapter:contoso/x'), undefined)
  })

  test('open holds by the beginning of their origin, in id order, page by page', async (store) => {
    await place(
      store,
      hold('5', 'did:mesh:a', { origin: 'adapter:contoso/a' }),
      hold('4', 'did:mesh:b', { origin: 'adapter:contoso/é😀' }),
      hold('3', 'did:mesh:c', { origin: 'adapter:contoso2/a' }),
      hold('2', 'did:mesh:d', { origin: 'adapter:contoso/d', releasedAt: 3 }),
      hold('1', 'did:mesh:e', { origin: 'adapter:contoso/%' }),
    )
    assert.deepEqual(ids(await store.openHoldsWithOrigin('adapter:contoso/', 9)), ['1', '4', '5'])
    assert.deepEqual(ids(await store.openHoldsWithOrigin('adapter:contoso/', 2)), ['1', '4'])
    assert.deepEqual(ids(await store.openHoldsWithOrigin('adapter:contoso/', 2, '4')), ['5'])
    assert.deepEqual(ids(await store.openHoldsWithOrigin('adapter:contoso/%', 9)), ['1'])
    assert.deepEqual(ids(await store.openHoldsWithOrigin('adapter:', 9)), ['1', '3', '4', '5'])
  })

  test('held DIDs in byte order with their holds, unregistered ones included', async (store) => {
    await register(store, 'did:mesh:b', [], { labels: { unit: 'x' } })
    await place(
      store,
      hold('1', 'did:mesh:b', { placedAt: 2 }),
      hold('2', 'did:mesh:b', { placedAt: 1 }),
      hold('3', 'did:mesh:C', { origin: 'cascade:did:mesh:b' }),
      hold('4', 'did:mesh:a', { releasedAt: 4 }),
      hold('5', 'did:mesh:z'),
    )
    const shape = async (after: string | undefined, limit: number) =>
      (await store.heldDids(after, limit)).map((h) => [h.did, h.labels, ids(h.holds)])
    const all = [
      ['did:mesh:C', undefined, ['3']],
      ['did:mesh:b', { unit: 'x' }, ['2', '1']],
      ['did:mesh:z', undefined, ['5']],
    ]
    assert.deepEqual(await shape(undefined, 9), all)
    assert.deepEqual(await shape(undefined, 2), all.slice(0, 2))
    assert.deepEqual(await shape('did:mesh:b', 9), all.slice(2))
    assert.equal(await store.countOpenHolds(), 4)
    assert.equal(await store.countHeldDids(), 3)
    await place(store, hold('6', 'did:mesh:z', { severity: 'kill' }))
    const bySeverity = (await store.countOpenHoldsBySeverity()).map((c) => [c.severity, c.n]).sort()
    assert.deepEqual(bySeverity, [
      ['kill', 1],
      ['suspend', 4],
    ])
    assert.equal(await store.openOwnHoldCount('did:mesh:b'), 2)
    assert.equal(await store.openOwnHoldCount('did:mesh:C'), 0)
  })

  test('releases', async (store) => {
    const release = (id: string, fields: Partial<Release> = {}): Release => ({
      id,
      holdId: 'h',
      did: 'did:mesh:a',
      kind: 'override',
      requestedBy: 'alice',
      requestedAt: 5,
      reason: 'r',
      status: 'awaiting',
      ...fields,
    })
    await place(store, hold('h', 'did:mesh:a'))
    await store.write((tx) => tx.insertRelease(release('r1', { status: 'void' })))
    assert.equal(await store.openReleaseOf('h'), undefined)
    await store.write((tx) => tx.insertRelease(release('r2')))
    assert.deepEqual(await store.openReleaseOf('h'), release('r2'))
    assert.deepEqual(await store.release('r2'), release('r2'))
    await store.write((tx) => tx.saveRelease(release('r2', { status: 'done' })))
    assert.equal(await store.openReleaseOf('h'), undefined)
    assert.equal(await store.release('none'), undefined)
    await assert.rejects(
      store.write((tx) => tx.insertRelease(release('r2'))),
      { code: 'E_EXISTS' },
    )
    await assert.rejects(
      store.write((tx) => tx.saveRelease(release('r9'))),
      { code: 'E_RELEASE_UNKNOWN' },
    )
    await assert.rejects(
      store.write((tx) => tx.insertRelease(release('r3', { holdId: 'none' }))),
      { code: 'E_HOLD_UNKNOWN' },
    )
  })
}
