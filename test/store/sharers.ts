import assert from 'node:assert/strict'
import type { Store } from '../../src/core/store.ts'
import type { Sharer } from '../../src/core/types.ts'
import type { StoreTest } from './contract.ts'
import { account, agent, hold, idle, place, principal, register } from './fixture.ts'

const [a, b, c] = ['did:mesh:a', 'did:mesh:b', 'did:mesh:c'] as const
const p1 = { adapter: 'contoso', id: 'p1' }
const sharer = (did: string, fields: Partial<Sharer> = {}): Sharer => ({
  did,
  appId: undefined,
  scopes: [],
  mappedAt: 2,
  ...fields,
})

/** p1, shared by a and b; b has q of its own, c nothing. */
const shared = (store: Store) =>
  store.write(async (tx) => {
    for (const did of [a, b, c]) await tx.insertAgent(agent(did))
    await tx.insertPrincipal(principal(a, 'p1', { shared: true, appId: 'app', scopes: ['of a'] }), idle)
    await tx.addSharer(p1, sharer(b, { scopes: ['of b'] }))
    await tx.insertPrincipal(principal(b, 'q'), idle)
  })

const dids = async (store: Store) => (await store.sharersOf(p1)).map(({ did }) => did)
const summary = async (store: Store, did: string) =>
  (await store.principalsOf(did)).map((one) => [one.id, one.did, one.shared, one.appId, one.scopes, one.mappedAt])

export const sharerContract = (test: StoreTest): void => {
  test('a shared principal is one account, and each DID sees its own mapping of it', async (store) => {
    await shared(store)
    assert.deepEqual(await store.sharersOf(p1), [
      sharer(a, { appId: 'app', scopes: ['of a'], mappedAt: 1 }),
      sharer(b, { scopes: ['of b'] }),
    ])
    assert.deepEqual(await store.sharersOf({ adapter: 'contoso', id: 'q' }), [])
    assert.deepEqual(await summary(store, a), [['p1', a, true, 'app', ['of a'], 1]])
    assert.deepEqual(await summary(store, b), [
      ['p1', b, true, undefined, ['of b'], 2],
      ['q', b, false, undefined, [], 1],
    ])
    assert.deepEqual(await summary(store, c), [])
    assert.equal(await store.countPrincipals('contoso'), 2)
    assert.equal((await store.principal(p1))?.shared, true)
    const off = account({ observed: 'disabled', observedAt: 7, mark: 'ours' })
    await store.write((tx) => tx.saveAccount(p1, off, { nextAt: 5, lane: 3 }))
    for (const did of [a, b]) {
      const [seen] = await store.principalsOf(did)
      assert.deepEqual([seen?.account, seen?.schedule], [off, { nextAt: 5, lane: 3 }])
    }
    assert.deepEqual(
      (await store.due('contoso', 3, 5, 9)).map(({ id }) => id),
      ['p1'],
    )
  })

  test('a DID shares a principal once, and only one that is there', async (store) => {
    await shared(store)
    await assert.rejects(
      store.write((tx) => tx.addSharer(p1, sharer(b))),
      { code: 'E_PRINCIPAL_TAKEN' },
    )
    await assert.rejects(
      store.write((tx) => tx.addSharer({ adapter: 'contoso', id: 'none' }, sharer(c))),
      { code: 'E_NOT_FOUND' },
    )
    await assert.rejects(register(store, 'did:mesh:d', ['p1']), { code: 'E_PRINCIPAL_TAKEN' })
  })

  test('a shared principal goes with its last DID', async (store) => {
    await shared(store)
    await store.write((tx) => tx.unmapPrincipal(p1, c))
    assert.deepEqual(await dids(store), [a, b])
    await store.write((tx) => tx.unmapPrincipal(p1, a))
    assert.deepEqual(await dids(store), [b])
    assert.deepEqual(await summary(store, a), [])
    assert.equal((await store.principal(p1))?.did, b)
    await store.write((tx) => tx.addSharer(p1, sharer(a)))
    await store.write((tx) => tx.unmapPrincipal(p1, b))
    assert.equal((await store.principal(p1))?.did, a)
    await store.write((tx) => tx.unmapPrincipal(p1, a))
    assert.equal(await store.principal(p1), undefined)
    assert.deepEqual(await dids(store), [])
    assert.equal(await store.countPrincipals('contoso'), 1)
  })

  test("unmapping takes nobody else's principal", async (store) => {
    await shared(store)
    await store.write((tx) => tx.unmapPrincipal({ adapter: 'contoso', id: 'q' }, a))
    assert.equal((await store.principal({ adapter: 'contoso', id: 'q' }))?.did, b)
  })

  test('describing changes the kind of the account, and appId and scopes of one DID only', async (store) => {
    await shared(store)
    const fields = { kind: 'user', appId: 'x', scopes: ['s'], shared: true }
    await store.write((tx) => tx.describePrincipal(p1, b, fields))
    assert.deepEqual(await summary(store, a), [['p1', a, true, 'app', ['of a'], 1]])
    assert.deepEqual((await summary(store, b))[0], ['p1', b, true, 'x', ['s'], 2])
    assert.equal((await store.principalsOf(a))[0]?.kind, 'user')
  })

  test('the only DID of a principal makes it shared, and its own again', async (store) => {
    await shared(store)
    const q = { adapter: 'contoso', id: 'q' }
    const fields = { kind: 'user', appId: 'x', scopes: ['s'] }
    await store.write((tx) => tx.describePrincipal(q, b, { ...fields, shared: true }))
    assert.deepEqual(await store.sharersOf(q), [sharer(b, { appId: 'x', scopes: ['s'], mappedAt: 1 })])
    assert.deepEqual((await summary(store, b))[1], ['q', b, true, 'x', ['s'], 1])
    await store.write((tx) => tx.describePrincipal(q, b, { ...fields, shared: false }))
    assert.deepEqual(await store.sharersOf(q), [])
    assert.deepEqual((await summary(store, b))[1], ['q', b, false, 'x', ['s'], 1])
  })

  test('each DID wakes what it shares, and its hold engages the adapter', async (store) => {
    await shared(store)
    for (const did of [a, b]) {
      await store.write((tx) => tx.saveAccount(p1, account(), idle))
      await store.write((tx) => tx.wake([did], 10, 0))
      assert.deepEqual((await store.principal(p1))?.schedule, { nextAt: 10, lane: 0 })
      await store.write((tx) => tx.saveAccount(p1, account(), idle))
      assert.equal(await store.engaged('contoso'), false)
      await place(store, hold(`h of ${did}`, did))
      assert.equal(await store.engaged('contoso'), true)
      await store.write((tx) => tx.wakeEngaged('okta', 4))
      await store.write((tx) => tx.wakeEngaged('contoso', 5))
      assert.deepEqual((await store.principal(p1))?.schedule, { nextAt: 5, lane: 1 })
      await store.write((tx) => tx.closeHolds([`h of ${did}`], 20))
    }
    await store.write((tx) => tx.wake([c], 1, 0))
    assert.equal((await store.principal(p1))?.schedule.nextAt, 5)
  })

  test('agents of an adapter are those of shared principals too', async (store) => {
    await shared(store)
    const found = async (adapter: string) => (await store.agents({ adapter, limit: 9 })).map(({ did }) => did)
    assert.deepEqual([await found('contoso'), await found('okta')], [[a, b], []])
  })
}
