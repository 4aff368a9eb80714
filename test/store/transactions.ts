import assert from 'node:assert/strict'
import { BridgeError } from '../../src/core/errors.ts'
import type { StoreTx } from '../../src/core/store.ts'
import type { StoreTest } from './contract.ts'
import { agent, hold, idle, principal, register } from './fixture.ts'

export const transactionContract = (test: StoreTest): void => {
  test('a failing transaction leaves nothing of itself and hands its error back', async (store) => {
    const own = new BridgeError('E_CYCLE', 'No.')
    const failing = store.write(async (tx) => {
      await tx.insertAgent(agent('did:mesh:a'))
      await tx.appendSignal({
        type: 'suspended',
        did: 'did:mesh:a',
        at: 1,
        holdId: undefined,
        severity: undefined,
        origin: undefined,
        reason: undefined,
        capabilities: undefined,
      })
      await tx.appendAudit({ time: 1, type: 't', actor: 'a', text: { reason: 'r' } })
      throw own
    })
    await assert.rejects(failing, (error) => error === own)
    assert.equal(await store.agent('did:mesh:a'), undefined)
    assert.equal((await store.auditHead()).seq, 0)
    assert.equal((await store.signalRange()).head, 0)
  })

  test('a transaction reads its own writes; others see them after the commit only', async (store) => {
    await store.write(async (tx) => {
      await tx.insertAgent(agent('did:mesh:a'))
      await tx.insertPrincipal(principal('did:mesh:a', 'p'), idle)
      await tx.insertHold(hold('h', 'did:mesh:a'))
      assert.equal((await tx.openHolds('did:mesh:a')).length, 1)
      assert.equal(await store.agent('did:mesh:a'), undefined)
      assert.equal((await store.openHolds('did:mesh:a')).length, 0)
    })
    assert.equal((await store.openHolds('did:mesh:a')).length, 1)
  })

  test('reads do not wait for a running transaction', async (store) => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>()
    const slow = store.write(async (tx) => {
      await tx.insertAgent(agent('did:mesh:slow'))
      await gate
    })
    assert.equal(await store.agent('did:mesh:slow'), undefined)
    open()
    await slow
    assert.notEqual(await store.agent('did:mesh:slow'), undefined)
  })

  test('calls made at once run in order, each sees those before it, a failure takes back only its own', async (store) => {
    const seen: number[] = []
    const results = await Promise.allSettled(
      Array.from({ length: 200 }, (_, i) =>
        store.write(async (tx) => {
          seen.push(i)
          await tx.appendAudit({ time: i, type: 't', actor: `${i}` })
          await tx.putMeta('last', `${i}`)
          if (i % 7 === 3) throw new BridgeError('E_CYCLE', `${i}`)
          return (await tx.auditHead()).seq
        }),
      ),
    )
    assert.deepEqual(seen, [...seen.keys()])
    const kept = results.flatMap((r) => (r.status === 'fulfilled' ? [r.value] : []))
    assert.deepEqual(
      kept,
      kept.map((_, i) => i + 1),
    )
    const actors = (await store.audit({ limit: 1000 })).map((e) => Number(e.actor))
    assert.deepEqual(
      actors,
      [...Array(200).keys()].filter((i) => i % 7 !== 3),
    )
    assert.equal(await store.meta('last'), '198')
  })

  test('an error that a work catches takes back that statement only', async (store) => {
    await register(store, 'did:mesh:a')
    await store.write(async (tx) => {
      await tx.putMeta('k', 'v')
      await assert.rejects(tx.insertAgent(agent('did:mesh:a')), { code: 'E_EXISTS' })
    })
    assert.equal(await store.meta('k'), 'v')
  })

  test('a transaction that ended cannot be used any more', async (store) => {
    const kept: StoreTx[] = []
    await store.write(async (tx) => {
      kept.push(tx)
    })
    const [old] = kept
    assert.ok(old)
    await assert.rejects(old.agent('did:mesh:a'), { code: 'E_BUG' })
    await store.write(async () => {
      await assert.rejects(old.putMeta('k', 'v'), { code: 'E_BUG' })
    })
    assert.equal(await store.meta('k'), undefined)
  })

  test('closing runs what was asked for, and refuses the rest', async (store, { reopen }) => {
    const asked = Array.from({ length: 100 }, (_, i) => store.write((tx) => tx.putMeta(`k${i}`, 'v')))
    const again = await reopen()
    await Promise.all(asked)
    assert.equal(await again.meta('k99'), 'v')
    await assert.rejects(store.meta('k1'), { code: 'E_SHUTTING_DOWN' })
    await assert.rejects(
      store.write((tx) => tx.putMeta('late', 'v')),
      { code: 'E_SHUTTING_DOWN' },
    )
    assert.equal(await again.meta('late'), undefined)
  })

  test('the epoch grows at every opening', async (store, { reopen }) => {
    const first = store.epoch
    const second = (await reopen()).epoch
    assert.ok(second > first)
    assert.ok((await reopen()).epoch > second)
  })

  test('ping says yes', async (store) => {
    await store.ping()
  })
}
