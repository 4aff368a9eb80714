import assert from 'node:assert/strict'
import { type Delegation, type Link, mostHops } from '../../src/core/delegation.ts'
import type { Store } from '../../src/core/store.ts'
import type { StoreTest } from './contract.ts'
import { agent } from './fixture.ts'

const delegation = (did: string, parentDid: string, fields: Partial<Delegation> = {}): Delegation => ({
  did,
  parentDid,
  capabilities: ['read:x', 'read:y'],
  grantedAt: 3,
  grantedBy: 'registrar',
  expiresAt: undefined,
  endedAt: undefined,
  key: undefined,
  signature: undefined,
  ...fields,
})

/** Each DID with its parent, in an order in which no agent has to be there for another. */
const grow = (store: Store, parents: Readonly<Record<string, string | undefined>>) =>
  store.write(async (tx) => {
    for (const [did, parentDid] of Object.entries(parents)) {
      await tx.insertAgent(agent(did, { parentDid, blueprint: `of ${did}` }))
    }
  })

const line = (length: number) =>
  Object.fromEntries(Array.from({ length }, (_, at) => [`n${at}`, at === 0 ? undefined : `n${at - 1}`]))

export const delegationContract = (test: StoreTest): void => {
  test('a delegation is kept as it was put, one for each agent, until it is deleted', async (store, opened) => {
    await grow(store, { a: undefined, b: 'a', c: 'a' })
    const signed = delegation('b', 'a', { expiresAt: 9, endedAt: 10, key: 'thumb', signature: 'sig' })
    await store.write(async (tx) => {
      await tx.putDelegation(delegation('b', 'a', { expiresAt: 5 }))
      await tx.putDelegation(signed)
      await tx.putDelegation(delegation('c', 'a', { capabilities: [] }))
    })
    const reopened = await opened.reopen()
    assert.deepEqual(await reopened.delegation('b'), signed)
    assert.deepEqual(await reopened.delegation('c'), delegation('c', 'a', { capabilities: [] }))
    assert.equal(await reopened.delegation('a'), undefined)
    await reopened.write((tx) => tx.deleteDelegation('b'))
    assert.equal(await reopened.delegation('b'), undefined)
  })

  test('a chain leads from the agent to its root, with all that narrowing needs', async (store) => {
    await grow(store, { a: undefined, b: 'a', c: 'b', other: 'a', lost: 'nobody' })
    await store.write(async (tx) => {
      for (const source of ['manual', 'group:north/g']) {
        await tx.putSource({ did: 'b', capability: 'read:x', source, confirmedAt: 1 })
      }
      await tx.putSource({ did: 'b', capability: 'read:y', source: 'manual', confirmedAt: 1 })
      await tx.putDelegation(delegation('b', 'a', { expiresAt: 7, endedAt: 8 }))
    })
    const link = (did: string, parentDid: string | undefined, fields = {}) => ({
      did,
      parentDid,
      blueprint: `of ${did}`,
      own: [],
      expiresAt: undefined,
      endedAt: undefined,
      ...fields,
    })
    const b = link('b', 'a', { own: ['read:x', 'read:y'], expiresAt: 7, endedAt: 8 })
    const sorted = (links: readonly Link[]) => links.map((one) => ({ ...one, own: [...one.own].sort() }))
    assert.deepEqual(sorted(await store.chain('c')), [link('c', 'b'), b, link('a', undefined)])
    assert.deepEqual(await store.chain('nobody'), [])
    assert.deepEqual(await store.chain('lost'), [link('lost', 'nobody')])
    const around = async (...dids: string[]) => (await store.linksAround(dids)).map(({ did }) => did).sort()
    assert.deepEqual(await around('b'), ['a', 'b', 'c'])
    assert.deepEqual(await around('a'), ['a', 'b', 'c', 'other'])
    assert.deepEqual(await around('c', 'other', 'c', 'nobody', 'lost'), ['a', 'b', 'c', 'lost', 'other'])
    assert.deepEqual(
      sorted(await store.linksAround(['b'])).find(({ did }) => did === 'b'),
      b,
    )
  })

  test('chains that are too long and cycles are cut off', async (store) => {
    await grow(store, { ...line(mostHops + 5), x: 'y', y: 'x' })
    const dids = async (did: string) => (await store.chain(did)).map((one) => one.did)
    assert.deepEqual((await dids(`n${mostHops}`)).at(-1), 'n0')
    assert.equal((await dids(`n${mostHops + 1}`)).length, mostHops + 2)
    assert.equal((await dids(`n${mostHops + 4}`)).length, mostHops + 2)
    assert.equal((await dids('x')).length, mostHops + 2)
    assert.deepEqual((await store.linksAround(['x'])).map(({ did }) => did).sort(), ['x', 'y'])
    assert.equal(await store.heightBelow(`n${mostHops + 4}`), 0)
    assert.equal(await store.heightBelow(`n${mostHops}`), 4)
    assert.equal(await store.heightBelow('n0'), mostHops + 1)
    assert.equal(await store.heightBelow('x'), mostHops + 1)
    assert.equal(await store.heightBelow('nobody'), 0)
  })

  test('what ended and was not told is found, the oldest first, until it is told', async (store) => {
    await grow(store, { a: undefined, b: 'a', c: 'a', d: 'a', e: 'a' })
    await store.write(async (tx) => {
      await tx.putDelegation(delegation('b', 'a', { expiresAt: 20 }))
      await tx.putDelegation(delegation('c', 'a', { expiresAt: 10 }))
      await tx.putDelegation(delegation('d', 'a', { expiresAt: 30 }))
      await tx.putDelegation(delegation('e', 'a'))
    })
    assert.deepEqual(await store.dueDelegations(9, 9), [])
    assert.deepEqual(await store.dueDelegations(20, 9), ['c', 'b'])
    assert.deepEqual(await store.dueDelegations(99, 2), ['c', 'b'])
    assert.equal(await store.nextDelegationEnd(), 10)
    await store.write((tx) => tx.endDelegations(['b', 'c', 'nobody'], 40))
    await store.write((tx) => tx.endDelegations(['b'], 50))
    assert.deepEqual(await store.dueDelegations(99, 9), ['d'])
    assert.equal(await store.nextDelegationEnd(), 30)
    assert.deepEqual([(await store.delegation('b'))?.endedAt, (await store.delegation('d'))?.endedAt], [40, undefined])
  })
}
