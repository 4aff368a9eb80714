import assert from 'node:assert/strict'
import type { LegRecord } from '../../src/core/receipts.ts'
import type { StoreTest } from './contract.ts'
import { hold, place, register } from './fixture.ts'

const leg = (holdId: string, id: string, fields: Partial<LegRecord> = {}): LegRecord => ({
  holdId,
  type: 'account',
  adapter: 'contoso',
  id,
  at: 5,
  answeredAt: undefined,
  closedAt: undefined,
  reopenedAt: undefined,
  ended: undefined,
  ...fields,
})
const none = { signals: 0, inbox: 0, idempotency: 0, guard: 0, receipts: 0 }
const cascade = (id: string, did: string, placedAt: number, releasedAt?: number) =>
  hold(id, did, { origin: 'cascade:did:mesh:p', placedAt, releasedAt })

export const receiptContract = (test: StoreTest): void => {
  test('legs come back as they went in, and are replaced whole', async (store, { reopen }) => {
    const ended = { state: 'failed', reason: 'retrying', error: 'E_DIRECTORY_DOWN' } as const
    const full = leg('h1', 'b', { answeredAt: 1, closedAt: 2, reopenedAt: 3, ended })
    const runtime = leg('h1', 'a', { type: 'runtime', adapter: '' })
    await store.write(async (tx) => {
      await tx.saveLeg(leg('h1', 'b', { closedAt: 9 }))
      await tx.saveLeg(full)
      await tx.saveLeg(runtime)
      await tx.saveLeg(leg('h1', 'a', { ended: { state: 'closed', reason: 'disabled', error: undefined } }))
      await tx.saveLeg(leg('h2', 'a'))
    })
    const again = await reopen()
    const a = leg('h1', 'a', { ended: { state: 'closed', reason: 'disabled', error: undefined } })
    assert.deepEqual(await again.legsOf(['h1']), [a, full, runtime])
    assert.deepEqual(
      (await again.legsOf(['h2', 'h1', 'none'])).map(({ holdId }) => holdId),
      ['h1', 'h1', 'h1', 'h2'],
    )
    assert.deepEqual(await again.legsOf([]), [])
  })

  test('legs are kept while the hold is open, and after its release for as long as receipts are', async (store) => {
    await place(store, hold('open', 'did:mesh:a'), hold('closed', 'did:mesh:a', { releasedAt: 7 }))
    await store.write(async (tx) => {
      for (const id of ['open', 'closed']) await tx.saveLeg(leg(id, 'p'))
    })
    assert.equal(await store.write((tx) => tx.prune({ ...none, receipts: 7 })), 0)
    assert.equal(await store.write((tx) => tx.prune({ ...none, receipts: 8 })), 1)
    assert.equal((await store.legsOf(['open', 'closed']))[0]?.holdId, 'open')
  })

  test('who acknowledged a hold, and when first: its own signal or the hold itself', async (store) => {
    await store.write(async (tx) => {
      const signal = { did: 'd', at: 1, severity: undefined, origin: undefined, reason: undefined } as const
      const told = await tx.appendSignal({ ...signal, type: 'suspended', holdId: 'h1', capabilities: undefined })
      const over = await tx.appendSignal({ ...signal, type: 'resumed', holdId: 'h1', capabilities: undefined })
      await tx.ackSignal(told, 'agt-2', 7)
      await tx.ackHold('h1', 'agt-2', 6)
      await tx.ackHold('h1', 'agt-1', 9)
      await tx.ackHold('h2', 'agt-1', 4)
      await tx.ackSignal(over, 'agt-3', 8)
    })
    assert.deepEqual(await store.acksOf(['h1']), [
      { holdId: 'h1', client: 'agt-1', at: 9 },
      { holdId: 'h1', client: 'agt-2', at: 6 },
    ])
    assert.equal((await store.acksOf(['h1', 'h2'])).length, 3)
  })

  test('many DIDs at once: agents, principals and open holds', async (store) => {
    await register(store, 'did:mesh:a', ['p2', 'p1'], { labels: { unit: 'x' } })
    await register(store, 'did:mesh:b', ['p3'])
    await place(store, hold('h1', 'did:mesh:a'), hold('h2', 'did:mesh:a', { releasedAt: 11 }), hold('h3', 'did:mesh:c'))
    const dids = ['did:mesh:c', 'did:mesh:b', 'did:mesh:a']
    assert.deepEqual((await store.agentsByDid(dids)).map(({ did, labels }) => [did, labels]).sort(), [
      ['did:mesh:a', { unit: 'x' }],
      ['did:mesh:b', {}],
    ])
    assert.deepEqual(
      (await store.principalsByDid(dids)).map(({ id }) => id),
      ['p1', 'p2', 'p3'],
    )
    assert.deepEqual(
      (await store.openHoldsByDid(dids)).map(({ id }) => id),
      ['h1', 'h3'],
    )
    for (const found of [store.agentsByDid([]), store.principalsByDid([]), store.openHoldsByDid([])]) {
      assert.deepEqual(await found, [])
    }
  })

  test('the cascades that were open in a span, by DID and page by page', async (store) => {
    await place(
      store,
      cascade('before', 'did:mesh:a', 1, 10),
      cascade('during', 'did:mesh:a', 10, 20),
      cascade('still', 'did:mesh:b', 5),
      cascade('later', 'did:mesh:c', 31),
      hold('elsewhere', 'did:mesh:d', { origin: 'cascade:did:mesh:pp' }),
      hold('own', 'did:mesh:p'),
    )
    const origin = 'cascade:did:mesh:p'
    const ids = async (from: number, until: number | undefined, after?: string, limit = 9) =>
      (await store.cascadesOf(origin, { from, until }, after, limit)).map(({ id }) => id)
    assert.deepEqual(await ids(10, 30), ['during', 'still'])
    assert.deepEqual(await ids(10, 31), ['during', 'still', 'later'])
    assert.deepEqual(await ids(9, undefined), ['before', 'during', 'still', 'later'])
    assert.deepEqual(await ids(9, undefined, 'did:mesh:a', 1), ['still'])
    assert.deepEqual(await ids(20, 30), ['still'])
    assert.equal(await store.countCascades(origin, { from: 9, until: undefined }), 3)
    assert.equal(await store.countCascades(origin, { from: 10, until: 30 }), 2)
    assert.equal(await store.countCascades('cascade:none', { from: 0, until: undefined }), 0)
  })
}
