import assert from 'node:assert/strict'
import type { NewSignal } from '../../src/core/types.ts'
import type { StoreTest } from './contract.ts'
import { hold, place, register } from './fixture.ts'

const signal = (at: number, fields: Partial<NewSignal> = {}): NewSignal => ({
  type: 'suspended',
  did: 'did:mesh:a',
  at,
  holdId: undefined,
  severity: undefined,
  origin: undefined,
  reason: undefined,
  capabilities: undefined,
  ...fields,
})
const none = { signals: 0, inbox: 0, idempotency: 0, guard: 0, receipts: 0 }

export const recordContract = (test: StoreTest): void => {
  test('capability sources', async (store) => {
    await register(store, 'did:mesh:a')
    const put = (capability: string, source: string, confirmedAt: number) =>
      store.write((tx) => tx.putSource({ did: 'did:mesh:a', capability, source, confirmedAt }))
    await put('read:x', 'manual', 1)
    await put('read:x', 'group:contoso/g1', 5)
    await put('read:y', 'group:contoso/g1', 6)
    await put('read:y', 'group:okta/g2', 7)
    await put('read:x', 'group:contoso/g1', 8)
    const names = (list: readonly { capability: string; source: string }[]) => list.map((s) => [s.capability, s.source])
    assert.deepEqual(names(await store.sourcesOf('did:mesh:a')), [
      ['read:x', 'group:contoso/g1'],
      ['read:x', 'manual'],
      ['read:y', 'group:contoso/g1'],
      ['read:y', 'group:okta/g2'],
    ])
    assert.deepEqual(
      (await store.sourcesNamed('group:contoso/g1')).map((s) => s.confirmedAt),
      [8, 6],
    )
    assert.deepEqual(names(await store.sourcesBefore('group:', 8, 9)), [
      ['read:y', 'group:contoso/g1'],
      ['read:y', 'group:okta/g2'],
    ])
    assert.deepEqual(names(await store.sourcesBefore('group:', 8, 1)), [['read:y', 'group:contoso/g1']])
    assert.deepEqual(names(await store.sourcesBefore('group:okta/', 8, 9)), [['read:y', 'group:okta/g2']])
    assert.deepEqual(names(await store.sourcesBefore('man', 8, 9)), [['read:x', 'manual']])
    await store.write((tx) => tx.confirmSources('group:contoso/g1', 20))
    assert.deepEqual(
      (await store.sourcesNamed('group:contoso/g1')).map((s) => s.confirmedAt),
      [20, 20],
    )
    await store.write((tx) => tx.deleteSource('did:mesh:a', 'read:y', 'group:okta/g2'))
    assert.deepEqual(await store.sourcesNamed('group:okta/g2'), [])
  })

  test('signals are numbered upwards for ever, whatever is pruned', async (store, { reopen }) => {
    assert.deepEqual(await store.signalRange(), { oldest: 1, head: 0 })
    const full = signal(1, {
      holdId: 'h',
      severity: 'kill',
      origin: 'operator:soc',
      reason: 'r',
      capabilities: ['read:x'],
    })
    assert.equal(await store.write((tx) => tx.appendSignal(full)), 1)
    assert.equal(await store.write((tx) => tx.appendSignal(signal(2))), 2)
    assert.deepEqual(await store.signal(1), { ...full, seq: 1, aliases: [] })
    assert.deepEqual(await store.signal(2), { ...signal(2), seq: 2, aliases: [] })
    assert.equal(await store.signal(3), undefined)
    assert.deepEqual(
      (await store.signalsAfter(0, 9)).map((s) => s.seq),
      [1, 2],
    )
    assert.deepEqual(
      (await store.signalsAfter(0, 1)).map((s) => s.seq),
      [1],
    )
    assert.equal(await store.write((tx) => tx.prune({ ...none, signals: 2 })), 1)
    assert.deepEqual(await store.signalRange(), { oldest: 2, head: 2 })
    await store.write((tx) => tx.prune({ ...none, signals: 9 }))
    const again = await reopen()
    assert.deepEqual(await again.signalRange(), { oldest: 3, head: 2 })
    assert.equal(await again.write((tx) => tx.appendSignal(signal(3))), 3)
  })

  test('acknowledging: a signal that is kept, any number of times', async (store) => {
    const seq = await store.write((tx) => tx.appendSignal(signal(1, { holdId: 'h' })))
    assert.equal(await store.write((tx) => tx.ackSignal(seq, 'agt-1', 5)), true)
    assert.equal(await store.write((tx) => tx.ackSignal(seq, 'agt-1', 6)), true)
    assert.equal(await store.write((tx) => tx.ackSignal(seq + 1, 'agt-1', 6)), false)
    await store.write((tx) => tx.ackHold('h', 'agt-1', 7))
    await store.write((tx) => tx.ackHold('h', 'agt-1', 8))
  })

  test('acknowledgements of a hold are kept while it is open, and after its release for the receipts', async (store) => {
    await place(store, hold('open', 'did:mesh:a'))
    await place(store, hold('closed', 'did:mesh:a'))
    await store.write(async (tx) => {
      for (const id of ['open', 'closed']) await tx.ackHold(id, 'agt-1', 5)
      await tx.closeHolds(['closed'], 7)
    })
    assert.equal(await store.write((tx) => tx.prune({ ...none, receipts: 7 })), 0)
    assert.equal(await store.write((tx) => tx.prune({ ...none, receipts: 8 })), 1)
    assert.equal(await store.write((tx) => tx.prune({ ...none, receipts: 99 })), 0)
  })

  test('checkpoints, meta and idempotency keys', async (store, { reopen }) => {
    await store.write(async (tx) => {
      await tx.putCheckpoint('contoso', 'accounts', 'one', 1)
      await tx.putCheckpoint('contoso', 'accounts', 'two', 2)
      await tx.putCheckpoint('contoso', 'groups', 'three', 3)
      await tx.putMeta('k', 'v1')
      await tx.putMeta('k', 'v2')
      await tx.putMeta('gone', 'v')
      await tx.putMeta('gone', undefined)
      await tx.putIdempotent('c', 'r', 'k', { bodyHash: 'b', status: 201, ref: '{}' }, 5)
    })
    const again = await reopen()
    assert.deepEqual(await again.checkpoint('contoso', 'accounts'), { value: 'two', at: 2 })
    await again.write((tx) => tx.deleteCheckpoint('contoso', 'accounts'))
    assert.equal(await again.checkpoint('contoso', 'accounts'), undefined)
    assert.equal((await again.checkpoint('contoso', 'groups'))?.value, 'three')
    assert.equal(await again.meta('k'), 'v2')
    assert.equal(await again.meta('gone'), undefined)
    assert.deepEqual(await again.idempotent('c', 'r', 'k'), { bodyHash: 'b', status: 201, ref: '{}' })
    assert.equal(await again.idempotent('c', 'r', 'K'), undefined)
    assert.equal(await again.write((tx) => tx.prune({ ...none, idempotency: 5 })), 0)
    assert.equal(await again.write((tx) => tx.prune({ ...none, idempotency: 6 })), 1)
    assert.equal(await again.idempotent('c', 'r', 'k'), undefined)
  })

  test('a delivery is claimed once, until pruned', async (store) => {
    const claim = (adapter: string, at: number) => store.write((tx) => tx.claimDelivery(adapter, 'd1', at))
    assert.equal(await claim('contoso', 1), true)
    assert.equal(await claim('contoso', 2), false)
    assert.equal(await claim('okta', 2), true)
    assert.equal(await store.write((tx) => tx.prune({ ...none, inbox: 2 })), 1)
    assert.equal(await claim('contoso', 3), true)
  })

  test('pruning leaves holds and the audit alone', async (store) => {
    await place(store, hold('h', 'did:mesh:a', { releasedAt: 11 }))
    await store.write((tx) => tx.appendAudit({ time: 1, type: 'hold.placed', actor: 'soc', hold: 'h' }))
    assert.equal(
      await store.write((tx) => tx.prune({ signals: 99, inbox: 99, idempotency: 99, guard: 99, receipts: 99 })),
      0,
    )
    assert.equal((await store.hold('h'))?.id, 'h')
    assert.equal((await store.audit({ limit: 9 })).length, 1)
  })
}
