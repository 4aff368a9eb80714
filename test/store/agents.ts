import assert from 'node:assert/strict'
import type { AgentFilter } from '../../src/core/filters.ts'
import type { StoreTest } from './contract.ts'
import { agent, hold, idle, place, principal, register } from './fixture.ts'

export const agentContract = (test: StoreTest): void => {
  test('an agent comes back as it went in', async (store) => {
    const full = agent('did:mesh:a', {
      name: 'Zoë "the" agent',
      sponsor: { email: 'Alice@contoso.com', objectId: 'o-1' },
      blueprint: 'Analyst',
      parentDid: 'did:mesh:nobody-registered',
      labels: { unit: 'payments', 'a b': 'ü' },
      decommissioned: true,
      createdAt: 0,
      updatedAt: 2,
      revision: 7,
      lastActivity: 0,
      resumedAt: 3,
    })
    await store.write((tx) => tx.insertAgent(full))
    assert.deepEqual(await store.agent('did:mesh:a'), full)
    assert.equal(await store.agent('did:mesh:A'), undefined)
    await register(store, 'did:mesh:b')
    assert.deepEqual(await store.agent('did:mesh:b'), agent('did:mesh:b'))
  })

  test('saving replaces every field, labels too', async (store) => {
    await register(store, 'did:mesh:a', [], { labels: { unit: 'x', team: 'y' }, sponsor: { email: 'a@b.c' } })
    const changed = agent('did:mesh:a', { name: 'n', labels: { unit: 'z' }, revision: 2 })
    await store.write((tx) => tx.saveAgent(changed))
    assert.deepEqual(await store.agent('did:mesh:a'), changed)
    const labelled = async (key: string, value: string) =>
      (await store.agents({ limit: 9, label: { key, value } })).map((a) => a.did)
    assert.deepEqual(await labelled('unit', 'x'), [])
    assert.deepEqual(await labelled('team', 'y'), [])
    assert.deepEqual(await labelled('unit', 'z'), ['did:mesh:a'])
    assert.deepEqual(await store.agents({ limit: 9, sponsor: 'a@b.c' }), [])
  })

  test('activity is noted forward only, without a new revision, and for registered agents only', async (store) => {
    await register(store, 'did:mesh:a')
    const before = await store.agent('did:mesh:a')
    await store.write(async (tx) => {
      await tx.noteActivity('did:mesh:a', 500)
      await tx.noteActivity('did:mesh:a', 400)
      await tx.noteActivity('did:mesh:nobody', 500)
    })
    assert.deepEqual(await store.agent('did:mesh:a'), { ...before, lastActivity: 500 })
    assert.equal(await store.agent('did:mesh:nobody'), undefined)
  })

  test('inserting twice and saving what is not there are refused', async (store) => {
    await register(store, 'did:mesh:a')
    await assert.rejects(register(store, 'did:mesh:a'), { code: 'E_EXISTS' })
    await assert.rejects(
      store.write((tx) => tx.saveAgent(agent('did:mesh:b'))),
      { code: 'E_AGENT_UNKNOWN' },
    )
  })

  test('children are those that name the parent, registered or not', async (store) => {
    await register(store, 'did:mesh:c2', [], { parentDid: 'did:mesh:p' })
    await register(store, 'did:mesh:c1', [], { parentDid: 'did:mesh:p' })
    await register(store, 'did:mesh:other')
    assert.deepEqual(await store.children('did:mesh:p'), ['did:mesh:c1', 'did:mesh:c2'])
    assert.deepEqual(await store.children('did:mesh:c1'), [])
  })

  test('descendants come nearest first, at any depth; a cycle is followed once', async (store) => {
    await register(store, 'did:mesh:a2', [], { parentDid: 'did:mesh:a1' })
    await register(store, 'did:mesh:a3', [], { parentDid: 'did:mesh:a2' })
    await register(store, 'did:mesh:b1', [], { parentDid: 'did:mesh:p' })
    await register(store, 'did:mesh:a1', [], { parentDid: 'did:mesh:p' })
    await register(store, 'did:mesh:other')
    const below = ['did:mesh:a1', 'did:mesh:b1', 'did:mesh:a2', 'did:mesh:a3']
    assert.deepEqual(await store.descendants('did:mesh:p'), below)
    assert.deepEqual(await store.descendants('did:mesh:a3'), [])
    await register(store, 'did:mesh:x', [], { parentDid: 'did:mesh:y' })
    await register(store, 'did:mesh:y', [], { parentDid: 'did:mesh:x' })
    assert.deepEqual(await store.descendants('did:mesh:x'), ['did:mesh:y'])
  })

  test('the list filters by everything at once, in byte order, page by page', async (store) => {
    const dids = ['did:mesh:B', 'did:mesh:a', 'did:mesh:b', 'did:mesh:é', 'did:mesh:z', 'did:mesh:😀']
    await store.write(async (tx) => {
      for (const did of [...dids].reverse()) {
        const labels = { unit: did < 'did:mesh:c' ? 'payments' : 'ops' }
        const name = did === 'did:mesh:a' ? 'Hundred%_\\ ÄGENT' : `n ${did}`
        await tx.insertAgent(agent(did, { labels, name, decommissioned: did === 'did:mesh:z' }))
      }
      await tx.saveAgent(agent('did:mesh:b', { sponsor: { email: 'Bob@Contoso.com', objectId: 'O-1' } }))
      await tx.insertPrincipal(principal('did:mesh:a', 'p1'), idle)
      await tx.insertPrincipal(principal('did:mesh:a', 'p2'), idle)
      await tx.insertPrincipal(principal('did:mesh:z', 'p3', { adapter: 'other' }), idle)
    })
    await place(store, hold('h1', 'did:mesh:a'), hold('h2', 'did:mesh:a'), hold('h3', 'did:mesh:z'))
    await place(store, hold('h4', 'did:mesh:b', { releasedAt: 5 }))
    const list = async (filter: Partial<AgentFilter>) =>
      (await store.agents({ limit: 100, ...filter })).map((a) => a.did.slice('did:mesh:'.length))
    assert.deepEqual(await list({}), ['B', 'a', 'b', 'z', 'é', '😀'])
    assert.deepEqual(await list({ limit: 2 }), ['B', 'a'])
    assert.deepEqual(await list({ limit: 2, after: 'did:mesh:a' }), ['b', 'z'])
    assert.deepEqual(await list({ after: 'did:mesh:😀' }), [])
    assert.deepEqual(await list({ status: 'suspended' }), ['a'])
    assert.deepEqual(await list({ status: 'suspended', after: 'did:mesh:a' }), [])
    assert.deepEqual(await list({ status: 'decommissioned' }), ['z'])
    assert.deepEqual(await list({ status: 'active' }), ['B', 'b', 'é', '😀'])
    assert.deepEqual(await list({ sponsor: 'bOB@contoso.COM' }), ['b'])
    assert.deepEqual(await list({ sponsor: 'O-1' }), ['b'])
    assert.deepEqual(await list({ sponsor: 'bob' }), [])
    assert.deepEqual(await list({ adapter: 'contoso' }), ['a'])
    assert.deepEqual(await list({ adapter: 'contos_' }), [])
    assert.deepEqual(await list({ label: { key: 'unit', value: 'payments' } }), ['B', 'a'])
    assert.deepEqual(await list({ label: { key: 'unit', value: 'payments' }, status: 'active' }), ['B'])
    assert.deepEqual(await list({ q: 'MESH:B' }), ['B', 'b'])
    assert.deepEqual(await list({ q: '%_\\' }), ['a'])
    assert.deepEqual(await list({ q: 'ägent' }), ['a'])
    assert.deepEqual(await list({ q: '_' }), ['a'])
    assert.deepEqual(await list({ q: 'mesh', adapter: 'other', status: 'decommissioned' }), ['z'])
  })
}
