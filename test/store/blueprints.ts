import assert from 'node:assert/strict'
import type { Blueprint } from '../../src/core/blueprints.ts'
import type { StoreTest } from './contract.ts'
import { register } from './fixture.ts'

const blueprint = (name: string, fields: Partial<Blueprint> = {}): Blueprint => ({
  name,
  origin: 'api',
  description: undefined,
  capabilities: [],
  requireSponsor: false,
  maxDelegationDepth: undefined,
  accessPolicy: undefined,
  createdAt: 1,
  updatedAt: 2,
  revision: 1,
  ...fields,
})

export const blueprintContract = (test: StoreTest): void => {
  test('a blueprint comes back as it went in', async (store) => {
    const full = blueprint('Data Analyst Agent', {
      description: 'reads "all"',
      capabilities: ['read:x', 'write:ü'],
      requireSponsor: true,
      maxDelegationDepth: 0,
      accessPolicy: { adapter: 'contoso', id: 'p-1' },
      revision: 7,
    })
    await store.write(async (tx) => {
      await tx.putBlueprint(full)
      await tx.putBlueprint(blueprint('b'))
    })
    assert.deepEqual(await store.blueprint('Data Analyst Agent'), full)
    assert.deepEqual(await store.blueprint('b'), blueprint('b'))
    assert.equal(await store.blueprint('data analyst agent'), undefined)
    await store.write((tx) => tx.putBlueprint({ ...full, accessPolicy: undefined, revision: 8 }))
    assert.deepEqual(await store.blueprint(full.name), { ...full, accessPolicy: undefined, revision: 8 })
  })

  test('of two of one name that of the configuration is in force, until it is gone', async (store) => {
    const own = blueprint('b', { capabilities: ['read:x'] })
    const configured = blueprint('b', { origin: 'config' })
    await store.write(async (tx) => {
      for (const one of [own, configured, blueprint('a'), blueprint('c', { origin: 'config' })]) {
        await tx.putBlueprint(one)
      }
    })
    const listed = async (after: string, limit: number) =>
      (await store.blueprints(after, limit)).map(({ name, origin }) => `${name} ${origin}`)
    assert.deepEqual(await listed('', 9), ['a api', 'b config', 'c config'])
    assert.deepEqual(await listed('a', 1), ['b config'])
    assert.deepEqual(await store.blueprintsFrom('api'), [blueprint('a'), own])
    assert.deepEqual(await store.blueprint('b'), configured)
    await store.write((tx) => tx.dropBlueprint('b', 'config'))
    assert.deepEqual(await store.blueprint('b'), own)
    await store.write((tx) => tx.dropBlueprint('b', 'config'))
    assert.deepEqual(await listed('', 9), ['a api', 'b api', 'c config'])
  })

  test('who carries a blueprint, page by page', async (store) => {
    await register(store, 'did:mesh:b', [], { blueprint: 'x' })
    await register(store, 'did:mesh:a', [], { blueprint: 'x', decommissioned: true })
    await register(store, 'did:mesh:c', [], { blueprint: 'X' })
    await register(store, 'did:mesh:d', [], { blueprint: 'y', decommissioned: true })
    assert.deepEqual(await store.carriers('x', '', 9), ['did:mesh:a', 'did:mesh:b'])
    assert.deepEqual(await store.carriers('x', '', 1), ['did:mesh:a'])
    assert.deepEqual(await store.carriers('x', 'did:mesh:a', 9), ['did:mesh:b'])
    assert.deepEqual(await Promise.all(['x', 'X', 'y', 'z'].map((name) => store.isCarried(name))), [
      true,
      true,
      false,
      false,
    ])
  })

  test('grants by the set touch only that source, and leave what was confirmed', async (store) => {
    for (const did of ['a', 'b', 'c']) await register(store, did)
    const source = 'blueprint:x'
    const put = (did: string, capability: string, from = source) =>
      store.write((tx) => tx.putSource({ did, capability, source: from, confirmedAt: 1 }))
    await put('a', 'read:x')
    await put('a', 'old:x')
    await put('b', 'read:x', 'manual')
    await put('c', 'read:x')
    await put('c', 'write:x')
    const wanted = ['read:x', 'write:x']
    assert.deepEqual((await store.misgranted(['c', 'b', 'a', 'nobody'], source, wanted)).sort(), ['a', 'b', 'nobody'])
    await store.write((tx) => tx.grantFrom(source, ['a', 'b'], wanted, 5))
    const of = async (did: string) =>
      (await store.sourcesOf(did)).map((one) => `${one.capability} ${one.source} ${one.confirmedAt}`)
    assert.deepEqual(await of('a'), ['read:x blueprint:x 1', 'write:x blueprint:x 5'])
    assert.deepEqual(await of('b'), ['read:x blueprint:x 5', 'read:x manual 1', 'write:x blueprint:x 5'])
    assert.deepEqual(await store.misgranted(['a', 'b', 'c'], source, wanted), [])
    await store.write((tx) => tx.grantFrom(source, ['a', 'b', 'c'], [], 6))
    assert.deepEqual([await of('a'), await of('b'), await of('c')], [[], ['read:x manual 1'], []])
    assert.deepEqual(await store.misgranted(['a', 'b', 'c'], source, []), [])
    assert.deepEqual(await store.sourcesBefore('blueprint:', 99, 9), [])
  })

  test('what is left to grant is kept by name', async (store) => {
    await store.write(async (tx) => {
      await tx.putRegrant({ name: 'y', after: '' })
      await tx.putRegrant({ name: 'x', after: '' })
      await tx.putRegrant({ name: 'x', after: 'did:mesh:a' })
    })
    assert.deepEqual(await store.regrants(), [
      { name: 'x', after: 'did:mesh:a' },
      { name: 'y', after: '' },
    ])
    await store.write((tx) => tx.dropRegrant('x'))
    assert.deepEqual(await store.regrants(), [{ name: 'y', after: '' }])
  })
}
