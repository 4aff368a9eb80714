import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Context } from '../../src/core/account.ts'
import type { LogEntry } from '../../src/core/adapter.ts'
import { checkLift, puttingBack } from '../../src/core/lift.ts'
import { attribute, checkOverride, type LogReading, logSkewMs, next } from '../../src/core/next.ts'
import type { Account } from '../../src/core/types.ts'
import {
  account,
  claimedAcked,
  claimedSent,
  claimedUnsent,
  context,
  kill,
  lifted,
  now,
  ours,
  own,
  past,
  settle,
  suspend,
  timeout,
} from './accounts.ts'

const held = { others: [kill] }
const guarded = { others: [{ ...kill, guarded: true }] }
const verified = { ...ours, observed: 'disabled', observedAt: past + settle + 1, offReadAt: past + settle + 1 } as const
const placed = (placedAt: number) => ({ others: [{ ...kill, placedAt }] })
const flying = { intent: 'disable', inFlightUntil: now + 7 } as const

const rows: readonly [string, Account, Partial<Context>, string, number?][] = [
  ['a hold, mark none', account({ observed: 'enabled' }), held, 'claim'],
  ['a hold, never read', account(), held, 'claim'],
  ['a hold, lifted', lifted, held, 'claim'],
  ['a hold, off already and not ours', account({ observed: 'disabled' }), held, 'read'],
  ['a hold, off already, settling', account({ observed: 'disabled' }), placed(now), 'rest', now + settle + 1],
  ['a hold, off already, read since', account({ observed: 'disabled', offReadAt: now }), held, 'rest'],
  ['a hold, absent', account({ observed: 'absent' }), held, 'read'],
  ['a hold that the guard keeps back', account(), guarded, 'rest'],
  ['a hold that the guard keeps back, ours from before', verified, guarded, 'rest'],
  ['a hold, claimed', claimedUnsent, held, 'disable'],
  ['a hold, claimed and sent, not answered', claimedSent, held, 'disable'],
  ['a hold, in flight', { ...claimedSent, ...flying }, held, 'rest', now + 8],
  ['a hold, in flight, a read is due', { ...claimedSent, ...flying, readDueAt: now }, held, 'read'],
  ['a hold, in flight, a read is due before', { ...claimedSent, ...flying, readDueAt: now + 3 }, held, 'rest', now + 3],
  ['a hold, was in flight', { ...claimedSent, intent: 'disable', inFlightUntil: now - 1 }, held, 'read'],
  [
    'in flight beyond what can be',
    { ...claimedSent, intent: 'disable', inFlightUntil: now + settle + timeout + 1 },
    held,
    'read',
  ],
  ['a hold, acknowledged, settling', { ...ours, disabledAckAt: now }, held, 'rest', now + settle + 1],
  ['a hold, acknowledged, settled', ours, held, 'read'],
  ['a hold, read after settle', verified, held, 'rest'],
  ['a hold, only listed after settle', { ...verified, offReadAt: undefined }, held, 'read'],
  ['a hold, read by id within settle', { ...verified, offReadAt: past + settle }, held, 'read'],
  ['a hold, read in a future that never was', { ...verified, offReadAt: now + 1 }, held, 'read'],
  ['a second hold, read for the first', verified, placed(now), 'rest', now + settle + 1],
  [
    'holds one after the other, none read: the earliest counts',
    { ...verified, offReadAt: undefined },
    { others: [kill, { ...kill, placedAt: now }] },
    'read',
  ],
  ['a hold, drift accepted', account({ driftAcceptedAt: now - 1 }), { others: [suspend] }, 'rest'],
  ['a newer hold than the drift accepted', account({ driftAcceptedAt: past - 1 }), { others: [suspend] }, 'claim'],
  ['a kill, drift accepted', account({ driftAcceptedAt: now - 1 }), held, 'claim'],
  ['contested', { ...verified, contested: true, drifts: [now - 1_000] }, held, 'rest', now - 1_000 + 600_000],
  ['contested long enough', { ...verified, contested: true, drifts: [now - 600_000] }, held, 'read'],
  ['own hold open', account(), { own }, 'rest'],
  ['own hold and others, not claimed', account(), { own, others: [kill] }, 'rest'],
  ['own hold and others, claimed', claimedUnsent, { own, others: [kill] }, 'rest'],
  ['own hold, off', account({ observed: 'disabled' }), { own }, 'read'],
  ['own hold, off, read since', account({ observed: 'disabled', offReadAt: now }), { own }, 'rest'],
  ['own hold, a read is due', account({ readDueAt: now }), { own }, 'read'],
  ['own hold, a read is due later', account({ readDueAt: now + 5 }), { own }, 'rest', now + 5],
  ['a disable goes before a read', { ...claimedUnsent, readDueAt: now }, held, 'disable'],
  ['a read goes before the log', { ...ours, readDueAt: now }, {}, 'read'],
  ['to be put back', account({ putBack: true }), { own }, 'disable'],
  ['to be put back, in flight', account({ putBack: true, ...flying }), { own }, 'rest', now + 8],
  ['released, mark none', account(), {}, 'rest'],
  ['released, claimed and nothing sent', claimedUnsent, {}, 'unclaim'],
  ['released, claimed and sent', claimedSent, {}, 'attribute'],
  ['released, claimed and acknowledged', claimedAcked, {}, 'attribute'],
  ['released, ours', ours, {}, 'attribute'],
  ['released, ours, an earlier lift unchecked', { ...ours, liftedFrom: past }, {}, 'check-lift'],
  ['released, claimed, an earlier lift unchecked', { ...claimedSent, liftedFrom: past }, {}, 'check-lift'],
  ['released, lifted, settling', { ...lifted, enabledAckAt: now }, {}, 'rest', now + settle + 1],
  ['released, lifted, settled', lifted, {}, 'read'],
  ['on again, the lift unchecked', account({ liftedFrom: past }), {}, 'check-lift'],
  ['held again, the lift unchecked', { ...verified, liftedFrom: past }, held, 'check-lift'],
  ['own hold open, the lift unchecked', account({ liftedFrom: past }), { own }, 'check-lift'],
  ['deleted, the lift unchecked', account({ liftedFrom: past, observed: 'absent' }), { own }, 'read'],
  ['overridden', account({ overriddenAt: past }), {}, 'check-override'],
  ['overridden, no log', account({ overriddenAt: past }), { hasLog: false }, 'rest'],
  ['not writing, held', account(), { ...held, writes: false }, 'rest'],
  ['not writing, held, off already', account({ observed: 'disabled' }), { ...held, writes: false }, 'read'],
  ['not writing, marked from before', ours, { writes: false }, 'rest'],
  ['not writing, a read is due', account({ readDueAt: now }), { writes: false }, 'read'],
  ['not writing, a read is due later', account({ readDueAt: now + 1 }), { writes: false }, 'rest', now + 1],
]

for (const [when, given, part, wanted, until] of rows) {
  test(`next: ${when}`, () => {
    const step = next(given, context(part))
    assert.deepEqual([step.do, step.do === 'rest' ? step.until : undefined], [wanted, until])
  })
}

const entry = (at: number, action: LogEntry['action'], by: 'ours' | 'theirs'): LogEntry => ({
  id: 'a',
  at,
  action,
  ours: by === 'ours',
  actor: by,
})
const complete = (...entries: LogEntry[]) => ({ entries, completeUntil: now })
const late = (...entries: LogEntry[]) => ({ entries, completeUntil: past })
const off = entry(past, 'disable', 'ours')

const verdicts: readonly [string, Account, ReturnType<typeof complete> | undefined, string][] = [
  ['no log, ours', ours, undefined, 'enable'],
  ['no log, claimed', claimedAcked, undefined, 'unproven'],
  ['the latest is ours', ours, complete(off), 'enable'],
  ['claimed, the latest is ours', claimedAcked, complete(off), 'enable'],
  ['the latest is theirs', ours, complete(off, entry(past + 1, 'disable', 'theirs')), 'disabled'],
  ['theirs came before ours', ours, complete(entry(past - 1, 'disable', 'theirs'), off), 'enable'],
  [
    'theirs was taken back',
    ours,
    complete(off, entry(past + 1, 'disable', 'theirs'), entry(past + 2, 'enable', 'theirs')),
    'enable',
  ],
  [
    'theirs, switched on only by us',
    ours,
    complete(off, entry(past + 1, 'disable', 'theirs'), entry(past + 2, 'enable', 'ours')),
    'disabled',
  ],
  ['nothing in the log', ours, complete(), 'unproven'],
  [
    'an older one of ours is out of the window',
    claimedAcked,
    complete(entry(past - logSkewMs - 1, 'disable', 'ours')),
    'unproven',
  ],
  ['the log is behind', ours, late(off), 'wait'],
  ['the log is behind, theirs from before ours', ours, late(entry(past - 1, 'disable', 'theirs')), 'wait'],
  ['the log is behind, theirs already after ours', ours, late(entry(past + 1, 'disable', 'theirs')), 'disabled'],
]

for (const [when, given, log, wanted] of verdicts) {
  test(`attribute: ${when}`, () => {
    const verdict = attribute(given, log, context())
    assert.equal(verdict.verdict === 'theirs' ? verdict.outcome.reason : verdict.verdict, wanted)
    if (verdict.verdict === 'enable') assert.equal(verdict.account.mark, 'ours')
    if (verdict.verdict === 'theirs') {
      const { own: does, account: became } = verdict.outcome
      assert.deepEqual([does, became.mark, became.foreignSeenAt], ['place', 'none', past])
    }
  })
}

test('the log is read once more after an enable: a foreign disable in the window is put back', () => {
  const since = { ...lifted, liftedFrom: past, enabledAckAt: past + 100 }
  const theirs = entry(past + 50, 'disable', 'theirs')
  assert.equal(checkLift(since, complete(off)), 'clean')
  assert.equal(checkLift(since, { entries: [off], completeUntil: past + 100 }), 'wait')
  assert.deepEqual(checkLift(since, complete(off, theirs)), theirs)
  assert.deepEqual(checkLift(since, { entries: [off, theirs], completeUntil: past }), theirs)
  assert.deepEqual(checkLift(since, complete(off, theirs, entry(past + 100, 'enable', 'ours'))), theirs)
  assert.equal(checkLift(since, complete(off, theirs, entry(past + 60, 'enable', 'theirs'))), 'clean')
  assert.equal(checkLift(since, complete(off, entry(past + 101 + logSkewMs, 'disable', 'theirs'))), 'clean')
  const { account: back, own: does, reason } = puttingBack(since, context())
  assert.deepEqual(
    [back.mark, back.putBack, back.liftedFrom, does, reason],
    ['none', true, undefined, 'place', 'disabled'],
  )
})

test('what our enable undid is told by the order of the log, and by the time only where it does not show our enable', () => {
  const since = { ...lifted, liftedFrom: past, enabledAckAt: past + 100_000 }
  const whole = (...entries: LogEntry[]) => ({ entries, completeUntil: past + 500_000 })
  const on = (at: number) => entry(past + at, 'enable', 'ours')
  const theirs = (at: number) => entry(past + at, 'disable', 'theirs')
  const found = (log: LogReading, given: Account = since) => checkLift(given, log)
  // Whatever the clocks say: dated long before and long after the answer to our enable.
  for (const at of [-200_000, 100_000, 390_000]) {
    const first = entry(past + at - 10_000, 'disable', 'ours')
    assert.equal(found(whole(first, on(at), theirs(at + 2_000))), 'clean')
    assert.deepEqual(found(whole(first, theirs(at - 2_000), on(at))), theirs(at - 2_000))
    assert.deepEqual(found(whole(first, on(at), theirs(at))), theirs(at), 'at the same time: on doubt it stays off')
    assert.deepEqual(found(whole(first, on(at), theirs(at + 1_000))), theirs(at + 1_000))
  }
  // One that comes later is looked for as long as the log may lack it.
  assert.equal(found({ entries: [off, on(20_000), theirs(22_000)], completeUntil: past + 100_000 }), 'wait')
  // Not shown: by the time, with the skew of the clocks.
  assert.deepEqual(found(whole(off, theirs(102_000))), theirs(102_000))
  assert.equal(found(whole(off, theirs(100_001 + logSkewMs))), 'clean')
  // That of an earlier lift is not this one's: our disable comes after it.
  const earlier = entry(past - 50_000, 'enable', 'ours')
  assert.deepEqual(found(whole(earlier, off, theirs(10_000))), theirs(10_000))
  assert.deepEqual(found(whole(earlier, off, theirs(10_000), on(20_000))), theirs(10_000))
  assert.equal(found(whole(earlier, off, on(20_000), theirs(30_000))), 'clean')
  // Switched off again by us, for another hold.
  const second = entry(past + 110_000, 'disable', 'ours')
  const again = { ...ours, liftedFrom: past, enabledAckAt: past + 100_000, disabledAckAt: past + 110_000 }
  assert.deepEqual(found(whole(off, theirs(90_000), on(100_000), second), again), theirs(90_000))
  assert.equal(found(whole(off, on(100_000), theirs(102_000), second), again), 'clean')
})

test('outbound: somebody else’s disable in the log leaves the account theirs, and holds nobody', () => {
  const outbound = context({ inbound: false })
  const theirs = entry(past + 1, 'disable', 'theirs')
  const found = attribute(ours, complete(off, theirs), outbound)
  assert.ok(found.verdict === 'theirs')
  assert.deepEqual([found.outcome.own, found.outcome.account.mark], ['keep', 'none'])
  // What our enable undid is put back all the same.
  const back = puttingBack({ ...lifted, liftedFrom: past }, outbound)
  assert.deepEqual([back.own, back.account.putBack], ['keep', true])
  // Nobody knows whose disable it is: that is for people to settle.
  const unknown = attribute(claimedAcked, complete(), outbound)
  assert.ok(unknown.verdict === 'theirs')
  assert.deepEqual([unknown.outcome.own, unknown.outcome.reason], ['place', 'unproven'])
})

test('after an override only a newer disable by somebody else counts', () => {
  const overridden = account({ overriddenAt: past })
  assert.equal(checkOverride(overridden, complete(entry(past, 'disable', 'theirs'))), undefined)
  assert.equal(checkOverride(overridden, complete(entry(past + 1, 'disable', 'ours'))), undefined)
  const newer = entry(past + 1, 'disable', 'theirs')
  assert.deepEqual(checkOverride(overridden, complete(newer)), newer)
  assert.equal(checkOverride(overridden, complete(newer, entry(past + 2, 'enable', 'theirs'))), undefined)
})
