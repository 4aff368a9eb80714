import assert from 'node:assert/strict'
import type { StoreTest } from './contract.ts'
import { account, idle, principal, register } from './fixture.ts'

const none = { signals: 0, inbox: 0, idempotency: 0, guard: 0, receipts: 0 }
const key = (id: string, adapter = 'contoso') => ({ adapter, id })

export const guardContract = (test: StoreTest): void => {
  test('the guard counts weights since a time, per adapter and direction', async (store) => {
    assert.equal(await store.guardCount('contoso', 'suspend', 0), 0)
    await store.write(async (tx) => {
      await tx.addGuardEvent('contoso', 'suspend', 10, 1, 'did:mesh:1')
      await tx.addGuardEvent('contoso', 'suspend', 20, 5, 'did:mesh:2')
      await tx.addGuardEvent('contoso', 'resume', 20, 7, 'did:mesh:2')
      await tx.addGuardEvent('okta', 'suspend', 20, 9, 'did:mesh:3')
    })
    assert.equal(await store.guardCount('contoso', 'suspend', 0), 6)
    assert.equal(await store.guardCount('contoso', 'suspend', 11), 5)
    assert.equal(await store.guardCount('contoso', 'suspend', 20), 5)
    assert.equal(await store.guardCount('contoso', 'suspend', 21), 0)
    await store.write((tx) => tx.clearGuardEvents('contoso', 'suspend'))
    assert.equal(await store.guardCount('contoso', 'suspend', 0), 0)
    assert.equal(await store.guardCount('contoso', 'resume', 0), 7)
    assert.equal(await store.write((tx) => tx.prune({ ...none, guard: 21 })), 2)
  })

  test('absences: the first reading stays, pending ones outlive pruning, unmapping ends them', async (store) => {
    await register(store, 'did:mesh:a', ['p1', 'p2', 'p3'])
    assert.equal(await store.absence(key('p1')), undefined)
    await store.write(async (tx) => {
      await tx.putAbsence(key('p1'), { at: 10, believed: false })
      await tx.putAbsence(key('p2'), { at: 20, believed: true })
      await tx.putAbsence(key('p3'), { at: 30, believed: false })
      await tx.putAbsence(key('p1', 'okta'), { at: 30, believed: false })
    })
    assert.deepEqual(await store.absence(key('p1')), { at: 10, believed: false })
    assert.deepEqual(await store.countAbsences('contoso', 0), { recent: 1, pending: 2 })
    assert.deepEqual(await store.countAbsences('contoso', 21), { recent: 0, pending: 2 })
    await store.write((tx) => tx.putAbsence(key('p1'), { at: 40, believed: true }))
    assert.deepEqual(await store.absence(key('p1')), { at: 40, believed: true })
    assert.equal(await store.write((tx) => tx.prune({ ...none, guard: 99 })), 2)
    assert.deepEqual(await store.countAbsences('contoso', 0), { recent: 0, pending: 1 })
    await store.write((tx) => tx.unmapPrincipal(key('p3'), 'did:mesh:a'))
    assert.deepEqual(await store.countAbsences('contoso', 0), { recent: 0, pending: 0 })
    await store.write((tx) => tx.deleteAbsence(key('p1', 'okta')))
    assert.deepEqual(await store.countAbsences('okta', 0), { recent: 0, pending: 0 })
  })

  test('what a clock that was set back left in the future is of now', async (store) => {
    await register(store, 'did:mesh:a', ['p1', 'p2'])
    await store.write(async (tx) => {
      await tx.saveAccount(key('p1'), account({ readDueAt: 6_000 }), { nextAt: 6_000, lane: 3 })
      await tx.addGuardEvent('contoso', 'suspend', 50, 1, 'did:mesh:1')
      await tx.addGuardEvent('contoso', 'suspend', 5_000, 2, 'did:mesh:2')
      await tx.addGuardEvent('contoso', 'resume', 5_000, 4, 'did:mesh:2')
      await tx.addGuardEvent('okta', 'suspend', 5_000, 8, 'did:mesh:3')
      await tx.putAbsence(key('p1'), { at: 5_000, believed: false })
      await tx.rebaseGuard('contoso', 100)
    })
    assert.equal(await store.guardCount('contoso', 'suspend', 51), 2)
    assert.equal(await store.guardCount('contoso', 'suspend', 101), 0)
    assert.equal(await store.guardCount('contoso', 'resume', 101), 0)
    assert.equal(await store.guardCount('okta', 'suspend', 101), 8)
    assert.deepEqual(await store.absence(key('p1')), { at: 100, believed: false })
    const asked = await store.principal(key('p1'))
    assert.deepEqual([asked?.account.readDueAt, asked?.schedule], [100, { nextAt: 100, lane: 1 }])
    assert.equal((await store.principal(key('p2')))?.account.readDueAt, undefined)
  })

  test('no listing is expected to have what was never read or is gone', async (store) => {
    await register(store, 'did:mesh:a', ['never'])
    for (const observed of ['enabled', 'disabled', 'absent'] as const) {
      const row = principal('did:mesh:a', observed, { account: account({ observed, observedAt: 5 }) })
      await store.write((tx) => tx.insertPrincipal(row, idle))
    }
    assert.equal(await store.countUnseen('contoso'), 2)
    assert.equal(await store.countUnseen('okta'), 0)
  })

  test('mapped since, and there, is what was neither mapped before nor is gone', async (store) => {
    await register(store, 'did:mesh:a', ['never'])
    for (const [id, mappedAt, observed, observedAt] of [
      ['before', 9, 'enabled', 20],
      ['at-once', 10, 'enabled', 10],
      ['off', 15, 'disabled', 20],
      ['gone', 15, 'absent', 20],
      ['last', 30, 'enabled', 30],
      ['ahead', 31, 'enabled', 31],
    ] as const) {
      const row = { ...principal('did:mesh:a', id, { account: account({ observed, observedAt }) }), mappedAt }
      await store.write((tx) => tx.insertPrincipal(row, idle))
    }
    assert.equal(await store.countMappedSince('contoso', 10, 30), 3)
    assert.equal(await store.countMappedSince('okta', 10, 30), 0)
  })
}
