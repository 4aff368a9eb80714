import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BridgeError } from '../../src/core/errors.ts'
import { disabled, enabled, observe, sending } from '../../src/core/mirror.ts'
import { checkLift, next } from '../../src/core/next.ts'
import { stillEnables } from '../../src/core/sending.ts'
import {
  account,
  claimedSent,
  claimedUnsent,
  context,
  disabledRead,
  enabledRead,
  kill,
  now,
  ours,
  own,
  past,
  settle,
  timeout,
} from './accounts.ts'

/** Orders of events in which the search of `test/model` found a rule broken, each as it was mended. */

test('our enable is under way: a read that may be older than our disable does not say that it landed', () => {
  const held = { ...ours, disabledAckAt: now - settle }
  const under = sending(held, 'enable', context())
  const { account: after } = observe(under, enabledRead, context())
  assert.deepEqual([after.mark, after.intent], ['ours', 'enable'])
  const later = observe(under, { ...enabledRead, begunAt: now + 1 }, context({ now: now + 1 }))
  assert.equal(later.account.intent, undefined)
})

test('a disable without answer, then read on: within settle a read that says off may show our own', () => {
  const on = observe({ ...claimedSent, inFlightUntil: now - 1 }, enabledRead, context({ others: [kill] })).account
  const off = observe(on, { ...disabledRead, begunAt: now + settle }, context({ now: now + settle, others: [kill] }))
  assert.deepEqual([off.own, off.readAt], ['keep', now + settle + 1])
  const after = { ...disabledRead, begunAt: now + settle + 1 }
  assert.equal(observe(on, after, context({ now: now + settle + 1, others: [kill] })).own, 'place')
})

test('a slow read says on: settle counts from its answer, for it may have been switched on since it was begun', () => {
  const slow = { ...enabledRead, begunAt: now - settle }
  assert.equal(observe(ours, slow, context({ others: [kill] })).account.enabledAckAt, now)
  const under = sending(ours, 'enable', context({ now: past }))
  assert.equal(observe(under, slow, context()).account.enabledAckAt, now)
})

test('put back, and read off before the answer: the answer claims nothing', () => {
  const under = sending(account({ putBack: true }), 'disable', context({ own }))
  const read = observe(under, disabledRead, context({ own })).account
  const { account: after } = disabled(read, { id: 'a', outcome: 'done', before: enabledRead }, true, context({ own }))
  assert.deepEqual([after.mark, after.putBack, after.disabledAckAt], ['none', false, undefined])
})

test('a first disable that was never sent: a read that said off meanwhile does not stand for its answer', () => {
  const under = sending(claimedUnsent, 'disable', context({ now: now - 10, others: [kill] }))
  const read = observe(under, disabledRead, context({ others: [kill] })).account
  for (const before of [undefined, { ...disabledRead, begunAt: now - 5 }]) {
    const { account: after } = disabled(read, { id: 'a', outcome: 'unsent', before }, true, context({ others: [kill] }))
    assert.deepEqual([after.sentAt, after.disabledAckAt], [undefined, undefined])
    assert.equal(next(after, context({ others: [kill] })).do, 'disable')
  }
})

test('no answer: how long the write may still land counts from then, not from the record', () => {
  const error = new BridgeError('E_OUTBOUND_TIMEOUT', 'late')
  const result = { id: 'a', outcome: 'lost', before: undefined, error } as const
  const late = context({ now: now + timeout })
  for (const after of [
    disabled(sending(claimedUnsent, 'disable', context()), result, true, late),
    enabled(sending(ours, 'enable', context()), result, late),
  ])
    assert.equal(after.account.inFlightUntil, now + timeout + timeout + settle)
})

test('the second look: no hold, still ours, and still meant to be switched on', () => {
  const under = sending(ours, 'enable', context())
  assert.equal(stillEnables(under, false), true)
  assert.equal(stillEnables(under, true), false)
  assert.equal(
    stillEnables(observe(under, { ...enabledRead, begunAt: now + 1 }, context({ now: now + 1 })).account, false),
    false,
  )
  assert.equal(stillEnables({ ...under, mark: 'claimed' }, false), false)
})

test('a foreign disable that we undid is found though we switched the account off again since', () => {
  const entry = (at: number, action: 'disable' | 'enable', mine: boolean) => ({
    id: 'a',
    at,
    action,
    ours: mine,
    actor: '',
  })
  const entries = [
    entry(past, 'disable', true),
    entry(past + 1, 'enable', false),
    entry(past + 2, 'disable', false),
    entry(past + 3, 'enable', true),
    entry(past + 4, 'disable', true),
  ]
  const undone = { ...ours, liftedFrom: past, enabledAckAt: past + 3 }
  assert.equal(checkLift(undone, { entries, completeUntil: now }), entries[2])
})

test('read on before the answer to our enable: the window to look through stays as long as it was', () => {
  const under = sending(ours, 'enable', context())
  const read = observe(under, { ...enabledRead, begunAt: now + 1 }, context({ now: now + 1 })).account
  assert.deepEqual([read.mark, read.liftedFrom], ['none', past])
  const after = enabled(read, { id: 'a', outcome: 'done', before: undefined }, context({ now: now + 2 })).account
  assert.deepEqual([after.mark, after.liftedFrom], ['lifted', past])
})
