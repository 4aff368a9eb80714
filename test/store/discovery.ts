import assert from 'node:assert/strict'
import type { StoreTest } from './contract.ts'
import { account, agent, idle, principal } from './fixture.ts'

const ids = (list: readonly { id: string }[]) => list.map(({ id }) => id)

export const discoveryContract = (test: StoreTest): void => {
  test('mapped accounts come in byte order, a page at a time, with the name of their agent', async (store) => {
    await store.write(async (tx) => {
      await tx.insertAgent(agent('did:mesh:a', { name: 'Ä' }))
      await tx.insertAgent(agent('did:mesh:b', { decommissioned: true }))
      for (const id of ['b', 'a', 'B']) await tx.insertPrincipal(principal('did:mesh:a', id, { appId: 'x' }), idle)
      await tx.insertPrincipal(principal('did:mesh:b', 'c'), idle)
      await tx.insertPrincipal({ ...principal('did:mesh:a', 'd'), adapter: 'other' }, idle)
    })
    assert.deepEqual(ids(await store.mappedAfter('contoso', '', 3)), ['B', 'a', 'b'])
    const [last, ...more] = await store.mappedAfter('contoso', 'b', 3)
    assert.deepEqual([last?.id, last?.decommissioned, last?.appId, more], ['c', true, undefined, []])
    const [first] = await store.mappedAfter('contoso', 'B', 1)
    const base = { id: 'a', kind: 'agentIdentity', did: 'did:mesh:a', shared: false, decommissioned: false }
    assert.deepEqual(first, { ...base, agent: 'Ä', appId: 'x' })
  })

  test('missing ones are found by application, by name and by what their id has before #', async (store) => {
    await store.write(async (tx) => {
      await tx.insertAgent(agent('did:mesh:a', { name: 'one' }))
      await tx.insertAgent(agent('did:mesh:b', { name: 'two' }))
      const put = (did: string, id: string, fields: object = {}, observed: 'absent' | 'enabled' = 'absent') =>
        tx.insertPrincipal(principal(did, id, { ...fields, account: account({ observed }) }), idle)
      await put('did:mesh:a', 'named')
      await put('did:mesh:b', 'app', { appId: 'x' })
      await put('did:mesh:b', 'there', { appId: 'x' }, 'enabled')
      await put('did:mesh:b', 'role#1')
    })
    const none = { appIds: [], names: [], stems: [] }
    const like = async (some: object, limit = 9) => ids(await store.missingLike('contoso', { ...none, ...some }, limit))
    assert.deepEqual(await like({}), [])
    assert.deepEqual(await like({ names: ['one', 'x'] }), ['named'])
    assert.deepEqual(await like({ appIds: ['x'] }), ['app'])
    assert.deepEqual(await like({ stems: ['role', 'app', ''] }), ['role#1'])
    assert.deepEqual(await like({ names: ['one'], appIds: ['x'], stems: ['role'] }, 2), ['app', 'named'])
    assert.deepEqual(ids(await store.missingLike('other', { ...none, names: ['one'] }, 9)), [])
  })
}
