import assert from 'node:assert/strict'
import { type AuditEvent, genesis, verifyChain } from '../../src/core/audit.ts'
import type { AuditFilter } from '../../src/core/filters.ts'
import type { StoreTest } from './contract.ts'

const event = (time: number, fields: Partial<AuditEvent> = {}): AuditEvent => ({
  time,
  type: 'hold.placed',
  actor: 'soc',
  ...fields,
})

const full = event(1, {
  did: 'did:mesh:ü',
  principals: [{ adapter: 'contoso', id: 'p', realm: 't' }],
  sponsor: 'o-1',
  status: undefined,
  capabilities: ['a', 'b'],
  scopes: [],
  onBehalfOf: 'x',
  hold: 'h',
  requestId: 'r',
  details: { z: 1, a: [1.5, -0, null, { '\u20ac': '\u0007', '10': 1, '9': 2 }], gone: undefined },
  text: { reason: 'why\n"not" 😀', email: 'alice@contoso.com' },
})

export const auditContract = (test: StoreTest): void => {
  test('the chain verifies as read back, across a restart', async (store, { reopen }) => {
    assert.deepEqual(await store.auditHead(), { seq: 0, hash: genesis })
    const first = await store.write((tx) => tx.appendAudit(full))
    assert.equal(first.prev, genesis)
    const again = await reopen()
    await again.write(async (tx) => {
      await tx.appendAudit(event(2))
      await tx.appendAudit(event(1, { text: {} }))
    })
    const entries = await again.audit({ limit: 9 })
    const { fault, head } = verifyChain({ seq: 0, hash: genesis }, entries)
    assert.equal(fault, undefined)
    assert.deepEqual(head, await again.auditHead())
    assert.equal(head.seq, 3)
    assert.deepEqual(entries[0]?.text, full.text)
    assert.equal(entries[0]?.hash, first.hash)
    assert.deepEqual(Object.keys(entries[0]?.digests ?? {}).sort(), ['email', 'reason'])
    assert.equal(entries[1]?.text, undefined)
    assert.doesNotMatch(JSON.stringify({ ...entries[0], text: undefined }), /alice|why/)
  })

  test('equal texts have different digests: the salt stops guessing', async (store) => {
    const [a, b] = await store.write(async (tx) => [
      await tx.appendAudit(event(1, { text: { reason: 'same' } })),
      await tx.appendAudit(event(1, { text: { reason: 'same' } })),
    ])
    assert.notEqual(a?.digests.reason, b?.digests.reason)
  })

  test('a batch of entries continues the chain of the one before', async (store) => {
    await store.write(async (tx) => {
      for (let i = 0; i < 250; i += 1) await tx.appendAudit(event(i, { text: { n: `${i}` } }))
    })
    let head: { seq: number; hash: string } = { seq: 0, hash: genesis }
    for (;;) {
      const batch = await store.audit({ after: head.seq, limit: 100 })
      if (batch.length === 0) break
      const walked = verifyChain(head, batch)
      assert.equal(walked.fault, undefined)
      head = walked.head
    }
    assert.deepEqual(head, await store.auditHead())
    assert.equal(head.seq, 250)
  })

  test('the list filters, alone and together, in order of sequence', async (store) => {
    await store.write(async (tx) => {
      await tx.appendAudit(event(10, { did: 'a', hold: 'h1', actor: 'x' }))
      await tx.appendAudit(event(30, { did: 'b', hold: 'h1', actor: 'y' }))
      await tx.appendAudit(event(20, { did: 'a', hold: 'h2', actor: 'y' }))
      await tx.appendAudit(event(40, { did: 'a', actor: 'y' }))
    })
    const list = async (filter: Partial<AuditFilter>) => (await store.audit({ limit: 9, ...filter })).map((e) => e.seq)
    assert.deepEqual(await list({}), [1, 2, 3, 4])
    assert.deepEqual(await list({ after: 2, limit: 1 }), [3])
    assert.deepEqual(await list({ dids: ['a'] }), [1, 3, 4])
    assert.deepEqual(await list({ dids: ['a'], after: 1, limit: 1 }), [3])
    assert.deepEqual(await list({ hold: 'h1' }), [1, 2])
    assert.deepEqual(await list({ actor: 'y' }), [2, 3, 4])
    assert.deepEqual(await list({ dids: ['a'], actor: 'y', hold: 'h2' }), [3])
    assert.deepEqual(await list({ from: 20 }), [2, 3, 4])
    assert.deepEqual(await list({ to: 20 }), [1, 3])
    assert.deepEqual(await list({ from: 20, to: 30 }), [2, 3])
    assert.deepEqual(await list({ from: 20, to: 40, after: 2, limit: 1 }), [3])
    assert.deepEqual(await list({ from: 20, actor: 'y', dids: ['a'] }), [3, 4])
    assert.deepEqual(await list({ dids: ['A'] }), [])
    assert.deepEqual(await list({ dids: ['A', 'a'], limit: 2 }), [1, 3])
    assert.deepEqual(await list({ dids: ['b', 'a'] }), [1, 2, 3, 4])
  })

  test('entries are dropped behind a checkpoint, and nothing else ever is', async (store) => {
    await store.write(async (tx) => {
      for (const time of [10, 20, 15, 40, 30]) await tx.appendAudit(event(time, { text: { reason: `at ${time}` } }))
    })
    const [, , third] = await store.audit({ limit: 9 })
    assert.ok(third !== undefined)
    const { seq, hash } = third
    assert.equal(await store.auditOlder(10, 9), undefined)
    assert.deepEqual(await store.auditOlder(35, 9), { seq, hash }, 'an older one after a younger one is kept')
    assert.equal((await store.auditOlder(100, 2))?.seq, 2)
    assert.equal((await store.auditOlder(100, 9))?.seq, 5)
    assert.equal(await store.auditCheckpoint(), undefined)
    assert.equal(await store.write((tx) => tx.dropAudited(9)), 0, 'nothing without one')
    const checkpoint = { seq, hash, at: 50, jws: 'x.y.z' }
    await store.write((tx) => tx.putAuditCheckpoint(checkpoint))
    assert.deepEqual(await store.auditCheckpoint(), checkpoint)
    assert.equal(await store.write((tx) => tx.dropAudited(2)), 2)
    assert.equal(await store.write((tx) => tx.dropAudited(2)), 1)
    assert.equal(await store.write((tx) => tx.dropAudited(2)), 0)
    const left = await store.audit({ limit: 9 })
    assert.deepEqual(
      left.map((entry) => [entry.seq, entry.text]),
      [
        [4, { reason: 'at 40' }],
        [5, { reason: 'at 30' }],
      ],
    )
    assert.equal(verifyChain({ seq, hash }, left).fault, undefined)
    assert.equal((await store.auditOlder(35, 9))?.seq, undefined)
    const next = await store.write((tx) => tx.appendAudit(event(60)))
    assert.deepEqual([next.seq, next.prev], [6, left[1]?.hash])
  })
}
