import assert from 'node:assert/strict'
import type { Alias } from '../../src/core/aliases.ts'
import type { AgentKey } from '../../src/core/keys.ts'
import type { Store } from '../../src/core/store.ts'
import type { StoreTest } from './contract.ts'
import { hold, idle, place, principal, register } from './fixture.ts'

const a = 'did:mesh:a'
const b = 'did:mesh:b'
const key = (name: string, fields: Partial<AgentKey> = {}): AgentKey => ({
  key: name,
  thumbprint: `print of ${name}`,
  binding: 'declared',
  declaredAt: 1,
  provenAt: undefined,
  ...fields,
})
const alias = (name: string, did: string): Alias => ({ alias: name, did, how: 'asserted', at: 1 })
const declare = (store: Store, ...aliases: readonly Alias[]) =>
  store.write(async (tx) => {
    for (const one of aliases) await tx.insertAlias(one)
  })
const proof = { adapter: 'contoso', id: 'p', at: 5, thumbprint: 'print of k' }
const suspended = {
  type: 'suspended' as const,
  did: a,
  at: 1,
  holdId: 'h',
  severity: undefined,
  origin: undefined,
  reason: undefined,
  capabilities: undefined,
}

export const nameContract = (test: StoreTest): void => {
  test('keys of an agent, oldest first; who else has them', async (store) => {
    await register(store, a)
    await register(store, b)
    await store.write(async (tx) => {
      await tx.putKey(a, key('l', { declaredAt: 2 }))
      await tx.putKey(a, key('k'))
      await tx.putKey(b, key('k', { binding: 'fingerprint' }))
    })
    assert.deepEqual(await store.keysOf(a), [key('k'), key('l', { declaredAt: 2 })])
    assert.deepEqual(await store.holdersOf(['print of k', 'nothing']), [a, b])
    await store.write((tx) => tx.putKey(a, key('k', { binding: 'proven', provenAt: 9 })))
    assert.deepEqual((await store.keysOf(a))[0], key('k', { binding: 'proven', provenAt: 9 }))
    await store.write((tx) => tx.dropKey(a, 'print of k'))
    assert.deepEqual(await store.holdersOf(['print of k']), [b])
    await assert.rejects(store.write((tx) => tx.putKey('did:mesh:nobody', key('k'))))
  })

  test('a proof goes with its key and with its mapping', async (store) => {
    await register(store, a, ['p', 'q'])
    await store.write(async (tx) => {
      await tx.putKey(a, key('k'))
      await tx.putProof(a, proof)
      await tx.putProof(a, { ...proof, at: 7 })
      await tx.putProof(a, { ...proof, id: 'q' })
    })
    assert.deepEqual(await store.proofsOf(a), [
      { ...proof, at: 7 },
      { ...proof, id: 'q' },
    ])
    await store.write((tx) => tx.unmapPrincipal({ adapter: 'contoso', id: 'p' }, a))
    assert.deepEqual(await store.proofsOf(a), [{ ...proof, id: 'q' }])
    await store.write((tx) => tx.dropKey(a, 'print of k'))
    assert.deepEqual(await store.proofsOf(a), [])
    await assert.rejects(store.write((tx) => tx.putProof(a, proof)))
  })

  test('of a shared account each agent has a proof of its own', async (store) => {
    await register(store, a)
    await register(store, b)
    await store.write(async (tx) => {
      await tx.insertPrincipal(principal(a, 'p', { shared: true }), idle)
      await tx.addSharer({ adapter: 'contoso', id: 'p' }, { did: b, appId: undefined, scopes: [], mappedAt: 1 })
      await tx.putProof(a, proof)
      await tx.putProof(b, proof)
    })
    await store.write((tx) => tx.unmapPrincipal({ adapter: 'contoso', id: 'p' }, a))
    assert.deepEqual([await store.proofsOf(a), await store.proofsOf(b)], [[], [proof]])
  })

  test('an alias is of one registered agent', async (store) => {
    await register(store, a)
    await register(store, b)
    await declare(store, alias('did:mesh:z', a), alias('did:mesh:y', a))
    assert.equal(await store.aliased('did:mesh:z'), a)
    assert.equal(await store.aliased('did:mesh:Z'), undefined)
    assert.deepEqual(
      (await store.aliasesOf(a)).map((one) => one.alias),
      ['did:mesh:y', 'did:mesh:z'],
    )
    assert.deepEqual(await store.aliasesAmong(['did:mesh:z', a, 'did:mesh:x']), [alias('did:mesh:z', a)])
    assert.deepEqual(await store.aliasesAmong([]), [])
    await assert.rejects(declare(store, alias('did:mesh:z', b)), { code: 'E_EXISTS' })
    await assert.rejects(declare(store, alias('did:mesh:x', 'did:mesh:nobody')), { code: 'E_AGENT_UNKNOWN' })
    await store.write((tx) => tx.dropAlias('did:mesh:z'))
    assert.equal(await store.aliased('did:mesh:z'), undefined)
  })

  test('holds move, open or not, with the releases that wait', async (store) => {
    await register(store, a)
    await place(store, hold('h1', 'did:mesh:z'), hold('h2', 'did:mesh:z', { releasedAt: 12 }), hold('h3', b))
    const release = { did: 'did:mesh:z', kind: 'release', requestedBy: 'x', requestedAt: 1, reason: 'r' } as const
    await store.write(async (tx) => {
      await tx.insertRelease({ ...release, id: 'r1', holdId: 'h1', status: 'awaiting' })
      await tx.moveHolds('did:mesh:z', a)
    })
    assert.deepEqual(
      (await store.holdsOf(a, 9)).map(({ id }) => id),
      ['h1', 'h2'],
    )
    assert.deepEqual(await store.holdsOf('did:mesh:z', 9), [])
    assert.equal((await store.hold('h3'))?.did, b)
    assert.equal((await store.release('r1'))?.did, a)
  })

  test('a signal keeps the aliases of its moment; who is held is told with all names', async (store) => {
    await register(store, a)
    await place(store, hold('h', a), hold('i', b))
    await store.write((tx) => tx.appendSignal(suspended))
    await declare(store, alias('did:mesh:z', a), alias('did:mesh:y', a))
    await store.write(async (tx) => {
      await tx.appendSignals([suspended, { ...suspended, did: b }])
      await tx.dropAlias('did:mesh:z')
    })
    assert.deepEqual(
      (await store.signalsAfter(0, 9)).map(({ aliases }) => aliases),
      [[], ['did:mesh:y', 'did:mesh:z'], []],
    )
    assert.deepEqual(
      (await store.heldDids(undefined, 9)).map(({ did, aliases }) => [did, aliases]),
      [
        [a, ['did:mesh:y']],
        [b, []],
      ],
    )
  })

  test('the targets of a kill are those whose holds it placed', async (store) => {
    await register(store, a, ['p'])
    const kill = { at: 1, actor: 'x', origin: 'operator:x', requestId: undefined, reason: 'r', evidence: {} } as const
    await store.write(async (tx) => {
      await tx.insertKill({ ...kill, id: 'k', selector: undefined, agents: 2, placed: 1, doneAt: undefined }, [
        { n: 1, did: 'did:mesh:z', holdId: 'h1' },
        { n: 2, did: b, holdId: 'h2' },
      ])
      await tx.insertHold(hold('h1', 'did:mesh:z'))
      await tx.moveHolds('did:mesh:z', a)
    })
    assert.deepEqual(
      (await store.killItems('k', 0, 9)).map(({ did }) => did),
      [a, b],
    )
    assert.deepEqual(await store.killAccounts('k'), [
      { adapter: 'contoso', kind: 'agentIdentity', state: 'pending', n: 1 },
    ])
  })
}
