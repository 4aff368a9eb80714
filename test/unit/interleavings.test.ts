import assert from 'node:assert/strict'
import { test } from 'node:test'
import { claimed } from '../../src/core/account.ts'
import { BridgeError } from '../../src/core/errors.ts'
import { checkLift } from '../../src/core/lift.ts'
import { disabled, enabled, observe, sending } from '../../src/core/mirror.ts'
import { next } from '../../src/core/next.ts'
import { crossedOff, readWanted } from '../../src/core/reads.ts'
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
  assert.equal(later.account.mark, 'none')
})

test('our enable without an answer, read on: it may be somebody else who switched it on, and ours may land yet', () => {
  const under = sending({ ...ours, examinedUntil: past }, 'enable', context())
  const { account: after } = observe(under, { ...enabledRead, begunAt: now + 1 }, context({ now: now + 1 }))
  assert.deepEqual([after.mark, after.intent, after.liftedFrom], ['none', 'enable', past])
  const until = now + timeout + settle
  // The log would not show yet whose disable it undid; a new hold does not wait for that.
  assert.deepEqual(next(after, context({ now: now + 2 })), { do: 'rest', until: until + 1 })
  assert.equal(next(after, context({ now: now + 2, others: [kill] })).do, 'claim')
  const claim = claimed(after, now + 2)
  assert.equal(next(claim, context({ now: now + 2, others: [kill] })).do, 'disable')
  assert.equal(
    observe(claim, { ...enabledRead, begunAt: now + 3 }, context({ others: [kill] })).account.mark,
    'claimed',
  )
  const last = context({ now: until + 1 })
  assert.equal(next(after, last).do, 'read')
  const read = observe(after, { ...enabledRead, begunAt: until + 1 }, last).account
  assert.deepEqual([read.inFlightUntil, next(read, last).do], [undefined, 'check-lift'])
})

test('held for another reason since our enable: the foreign disable that it undid is put back all the same', () => {
  const on = account({ observed: 'enabled', observedAt: now, liftedFrom: past, enabledAckAt: past })
  for (const held of [own, { ...own, releasableAt: past }])
    assert.equal(next(on, context({ own: held })).do, 'check-lift')
  // Deleted: there is nothing to be put back before it is restored.
  assert.equal(next({ ...on, observed: 'absent' }, context({ own })).do, 'read')
})

test('a disable without answer, then read on: within settle a read that says off may show our own', () => {
  const on = observe({ ...claimedSent, inFlightUntil: now - 1 }, enabledRead, context({ others: [kill] })).account
  const off = observe(on, { ...disabledRead, begunAt: now + settle }, context({ now: now + settle, others: [kill] }))
  assert.deepEqual([off.own, off.readAt], ['keep', now + settle + 1])
  const after = { ...disabledRead, begunAt: now + settle + 1 }
  assert.equal(observe(on, after, context({ now: now + settle + 1, others: [kill] })).own, 'place')
})

test('deleted while our enable is under way: restored, the log tells whether it undid a foreign disable', () => {
  const under = sending({ ...ours, examinedUntil: past }, 'enable', context())
  const gone = { ...disabledRead, state: 'absent', switches: [] } as const
  const { account: after } = observe(under, gone, context())
  assert.deepEqual([after.mark, after.intent, after.liftedFrom, after.enabledAckAt], ['none', undefined, past, now])
  assert.equal(observe(ours, gone, context()).account.liftedFrom, undefined)
  // Deleted before a foreign disable could be put back: somebody may have switched it on when it is restored.
  const back = observe(account({ putBack: true }), gone, context({ own })).account
  assert.deepEqual([back.putBack, back.liftedFrom], [false, 0])
  const on = observe(back, { ...enabledRead, begunAt: now + 1 }, context({ own, now: now + 1 })).account
  assert.equal(next(on, context({ own, now: now + 1 })).do, 'check-lift')
})

test('a read under way answers what was asked before it was begun, not what was asked since', () => {
  const asked = readWanted(readWanted(account(), now - 2), now)
  const slow = crossedOff(asked, { ...enabledRead, begunAt: now - 1 }, () => settle)
  assert.deepEqual([slow.readDueAt, slow.readAgainAt], [now, undefined])
  const both = crossedOff(asked, { ...enabledRead, begunAt: now }, () => settle)
  assert.deepEqual([both.readDueAt, both.readAgainAt], [undefined, undefined])
  // Sooner than planned: that one read will do.
  assert.equal(readWanted(readWanted(account(), now + settle), now).readDueAt, now)
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

test('put back, and deleted before the answer: the answer claims nothing, and what cannot land any more is dropped', () => {
  const under = sending(account({ putBack: true }), 'disable', context({ own }))
  const gone = { ...disabledRead, state: 'absent', switches: [] } as const
  const read = observe(under, gone, context({ own })).account
  const { account: after } = disabled(read, { id: 'a', outcome: 'done', before: enabledRead }, true, context({ own }))
  assert.deepEqual([after.mark, after.putBack, after.liftedFrom], ['none', false, 0])
  const later = now + timeout + settle + 1
  const dropped = observe(read, { ...gone, begunAt: later }, context({ own, now: later })).account
  assert.deepEqual([dropped.putBack, dropped.inFlightUntil, dropped.liftedFrom], [false, undefined, 0])
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

test('an administrator’s off and on right after our enable, of which a late log shows half, holds nobody for ever', () => {
  const entry = (at: number, action: 'disable' | 'enable', mine: boolean) => ({
    ...{ id: 'a', at, action, ours: mine },
    actor: '',
  })
  const ourOff = entry(past, 'disable', true)
  const ourOn = entry(past + 10_000, 'enable', true)
  const theirOff = entry(past + 12_000, 'disable', false)
  const theirOn = entry(past + 14_000, 'enable', false)
  const at = (seen: number, fields = {}) => context({ now: seen, ...fields })
  const done = { id: 'a', outcome: 'done', before: undefined } as const

  const enabling = sending({ ...ours, examinedUntil: past }, 'enable', at(past + 9_000))
  const answered = enabled(enabling, done, at(past + 10_000)).account
  const on = observe(answered, { ...enabledRead, begunAt: past + 25_000 }, at(past + 25_000)).account
  assert.deepEqual(next(on, at(past + 25_000)), { do: 'check-lift' })
  // Our enable comes before it in the same log: not what our enable undid, whatever the clocks.
  assert.equal(checkLift(on, { entries: [ourOff, ourOn, theirOff], completeUntil: past + 5_000 }), 'wait')
  assert.equal(checkLift(on, { entries: [ourOff, ourOn, theirOff], completeUntil: past + 13_000 }), 'clean')

  const killed = at(past + 30_000, { others: [kill] })
  const sent = sending(claimed(on, killed.now), 'disable', killed)
  const again = disabled(sent, { ...done, before: { ...enabledRead, begunAt: killed.now } }, true, killed).account
  assert.equal(again.mark, 'ours')
  // Off by us again, nothing is urgent: it waits for what happened before our disable.
  for (const entries of [
    [ourOff, theirOff],
    [ourOff, ourOn, theirOff],
  ])
    assert.equal(checkLift(again, { entries, completeUntil: past + 13_000 }), 'wait')
  const ourSecond = entry(past + 30_000, 'disable', true)
  const whole = [ourOff, ourOn, theirOff, theirOn, ourSecond]
  assert.equal(checkLift(again, { entries: whole, completeUntil: past + 31_000 }), 'clean')
})

test('read on before the answer to our enable: the window to look through stays as long as it was', () => {
  const under = sending(ours, 'enable', context())
  const read = observe(under, { ...enabledRead, begunAt: now + 1 }, context({ now: now + 1 })).account
  assert.deepEqual([read.mark, read.liftedFrom], ['none', past])
  const after = enabled(read, { id: 'a', outcome: 'done', before: undefined }, context({ now: now + 2 })).account
  assert.deepEqual([after.mark, after.liftedFrom], ['lifted', past])
})
