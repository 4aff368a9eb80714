import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Context } from '../../src/core/account.ts'
import type { WriteResult } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'
import { disabled, enabled, type Outcome, observe, sending } from '../../src/core/mirror.ts'
import type { Account, Sighting } from '../../src/core/types.ts'
import {
  absentRead,
  account,
  bothRead,
  claimedAcked,
  claimedSent,
  claimedUnsent,
  context,
  disabledRead,
  enabledRead,
  kill,
  lifted,
  now,
  othersRead,
  ours,
  own,
  past,
  settle,
  suspend,
  switches,
  timeout,
  unknownRead,
} from './accounts.ts'

interface Row {
  readonly when: string
  readonly account: Account
  readonly read: Sighting
  readonly context?: Partial<Context>
  readonly own: Outcome['own']
  readonly mark: Account['mark']
  readonly reason?: Outcome['reason']
  readonly alert?: Outcome['alert']
  readonly echo?: true
  readonly readAt?: number
  readonly also?: Partial<Account>
}

const held = { others: [kill] }
const acked = (at: number): Partial<Account> => ({ disabledAckAt: at })
const before = (read: Sighting, begunAt: number): Sighting => ({ ...read, begunAt })
const listed = (read: Sighting): Sighting => ({ ...read, byId: false })
const inFlight = { intent: 'disable', inFlightUntil: now + settle } as const
const enabling = { intent: 'enable', inFlightUntil: now + settle } as const
const drifts = [now - 500_000, now - 400_000, now - 300_000, now - 200_000, now - 100_000]

/** One row for each of DESIGN §3, and for each exception. */
const rows: readonly Row[] = [
  // read: disabled
  {
    when: 'disabled, mark none',
    account: account(),
    read: disabledRead,
    own: 'place',
    mark: 'none',
    reason: 'disabled',
    also: { foreignSeenAt: now, observed: 'disabled', observedAt: now },
  },
  {
    when: 'disabled, only listed',
    account: account(),
    read: listed(disabledRead),
    own: 'place',
    mark: 'none',
    reason: 'disabled',
  },
  {
    when: 'disabled, claimed and nothing sent',
    account: claimedUnsent,
    read: disabledRead,
    context: held,
    own: 'place',
    mark: 'none',
    reason: 'disabled',
  },
  {
    when: 'disabled, claimed and sent',
    account: claimedSent,
    read: disabledRead,
    context: held,
    own: 'keep',
    mark: 'claimed',
    echo: true,
    also: acked(now),
  },
  {
    when: 'disabled, ours',
    account: ours,
    read: disabledRead,
    context: held,
    own: 'keep',
    mark: 'ours',
    echo: true,
    also: acked(past),
  },
  {
    when: 'disabled, ours, contested before',
    account: { ...ours, contested: true },
    read: disabledRead,
    context: held,
    own: 'keep',
    mark: 'ours',
    echo: true,
    also: { contested: false },
  },
  {
    when: 'disabled, ours, own hold open: the others let go',
    account: ours,
    read: disabledRead,
    context: { own, others: [kill] },
    own: 'cleared',
    mark: 'ours',
    echo: true,
  },
  {
    when: 'disabled after settle, lifted',
    account: lifted,
    read: disabledRead,
    own: 'place',
    mark: 'none',
    reason: 'disabled',
  },
  {
    when: 'disabled within settle, lifted',
    account: { ...lifted, enabledAckAt: now - settle },
    read: disabledRead,
    own: 'keep',
    mark: 'lifted',
    readAt: now + 1,
    also: { observed: 'unknown' },
  },
  {
    when: 'disabled just past settle, lifted',
    account: { ...lifted, enabledAckAt: now - settle - 1 },
    read: disabledRead,
    own: 'place',
    mark: 'none',
    reason: 'disabled',
  },
  {
    when: 'disabled within settle of our enable, seen on since',
    account: account({ enabledAckAt: now }),
    read: disabledRead,
    own: 'keep',
    mark: 'none',
    readAt: now + settle + 1,
  },
  {
    when: 'disabled within settle of our enable, claimed anew',
    account: { ...claimedUnsent, enabledAckAt: now },
    read: disabledRead,
    context: held,
    own: 'keep',
    mark: 'claimed',
    readAt: now + settle + 1,
  },
  {
    when: 'disabled, overridden',
    account: account({ overriddenAt: past }),
    read: disabledRead,
    own: 'keep',
    mark: 'none',
    also: { overriddenAt: past, observed: 'disabled' },
  },
  {
    when: 'disabled, not mirrored inward',
    account: account(),
    read: disabledRead,
    context: { inbound: false },
    own: 'keep',
    mark: 'none',
  },
  {
    when: 'disabled, to be put back',
    account: account({ putBack: true }),
    read: disabledRead,
    context: { own },
    own: 'place',
    mark: 'none',
    reason: 'disabled',
    also: { putBack: false },
  },

  // read by id: absent
  {
    when: 'absent, mark none',
    account: account(),
    read: absentRead,
    own: 'place',
    mark: 'none',
    reason: 'deleted',
    also: { observed: 'absent' },
  },
  {
    when: 'absent, ours',
    account: ours,
    read: absentRead,
    context: held,
    own: 'place',
    mark: 'none',
    reason: 'deleted',
  },
  {
    when: 'absent, in flight',
    account: { ...claimedSent, ...inFlight },
    read: absentRead,
    context: held,
    own: 'place',
    mark: 'none',
    reason: 'deleted',
    also: { inFlightUntil: undefined, intent: undefined },
  },
  {
    when: 'absent, only listed',
    account: ours,
    read: listed(absentRead),
    context: held,
    own: 'keep',
    mark: 'ours',
    readAt: now,
    also: { observed: 'unknown' },
  },

  // somebody else's switch
  { when: 'byOthers, mark none', account: account(), read: othersRead, own: 'place', mark: 'none', reason: 'disabled' },
  {
    when: 'byOthers, claimed and nothing sent',
    account: claimedUnsent,
    read: othersRead,
    context: held,
    own: 'place',
    mark: 'none',
    reason: 'disabled',
  },
  {
    when: 'byOthers and ours off, mark ours',
    account: ours,
    read: bothRead,
    context: held,
    own: 'place',
    mark: 'ours',
    reason: 'disabled',
  },
  {
    when: 'byOthers, our switch contradicts within settle',
    account: { ...ours, ...acked(now) },
    read: othersRead,
    context: held,
    own: 'place',
    mark: 'ours',
    reason: 'disabled',
  },

  {
    when: 'byOthers, lifted: ours is seen on',
    account: { ...lifted, overriddenAt: past },
    read: othersRead,
    own: 'keep',
    mark: 'none',
    also: { overriddenAt: past, liftedFrom: past - 1_000 },
  },
  {
    when: 'byOthers, ours from before is on',
    account: ours,
    read: othersRead,
    context: held,
    own: 'place',
    mark: 'none',
    reason: 'disabled',
    also: { enabledAckAt: now },
  },
  {
    when: 'byOthers, our switch cannot be read, ours',
    account: ours,
    read: { ...othersRead, switches: switches('unknown', 'off') },
    context: held,
    own: 'place',
    mark: 'ours',
    reason: 'disabled',
  },

  // read: enabled
  {
    when: 'enabled, own hold, mark none',
    account: account({ foreignSeenAt: past }),
    read: enabledRead,
    context: { own },
    own: 'cleared',
    mark: 'none',
    also: { foreignSeenAt: past },
  },
  {
    when: 'enabled, own hold, others too',
    account: account(),
    read: enabledRead,
    context: { own, others: [kill] },
    own: 'cleared',
    mark: 'none',
  },
  {
    when: 'enabled, own hold, ours: not written',
    account: ours,
    read: enabledRead,
    context: { own, others: [kill] },
    own: 'cleared',
    mark: 'none',
  },
  {
    when: 'enabled, to be put back',
    account: account({ putBack: true }),
    read: enabledRead,
    context: { own },
    own: 'keep',
    mark: 'none',
    also: { putBack: true },
  },
  {
    when: 'enabled, to be put back, but not writing',
    account: account({ putBack: true }),
    read: enabledRead,
    context: { own, writes: false },
    own: 'cleared',
    mark: 'none',
    also: { putBack: false },
  },
  {
    when: 'enabled, lifted',
    account: lifted,
    read: enabledRead,
    own: 'keep',
    mark: 'none',
    also: { liftedFrom: past - 1_000 },
  },
  {
    when: 'enabled, lifted, a hold open',
    account: lifted,
    read: enabledRead,
    context: held,
    own: 'keep',
    mark: 'none',
  },
  {
    when: 'enabled, ours, no hold open',
    account: ours,
    read: enabledRead,
    own: 'keep',
    mark: 'none',
    also: { enabledAckAt: now },
  },
  { when: 'enabled, claimed, no hold open', account: claimedAcked, read: enabledRead, own: 'keep', mark: 'none' },
  {
    when: 'enabled, overridden',
    account: account({ overriddenAt: past }),
    read: enabledRead,
    own: 'keep',
    mark: 'none',
    also: { overriddenAt: undefined },
  },
  {
    when: 'enabled, claimed and nothing sent',
    account: claimedUnsent,
    read: enabledRead,
    context: held,
    own: 'keep',
    mark: 'claimed',
  },
  {
    when: 'enabled, claimed, sent and never acknowledged',
    account: claimedSent,
    read: enabledRead,
    context: held,
    own: 'keep',
    mark: 'claimed',
    also: { sentAt: undefined },
  },
  {
    when: 'enabled after settle, ours: drift',
    account: ours,
    read: enabledRead,
    context: held,
    own: 'keep',
    mark: 'claimed',
    alert: 'drift',
    also: { sentAt: undefined, disabledAckAt: undefined, drifts: [now], enabledAckAt: now },
  },
  {
    when: 'enabled within settle, ours',
    account: { ...ours, ...acked(now - settle) },
    read: enabledRead,
    context: held,
    own: 'keep',
    mark: 'ours',
    also: { observed: 'unknown' },
  },
  {
    when: 'enabled just past settle, ours',
    account: { ...ours, ...acked(now - settle - 1) },
    read: enabledRead,
    context: held,
    own: 'keep',
    mark: 'claimed',
    alert: 'drift',
  },
  {
    when: 'enabled after settle, ours by the log though no answer came: drift too',
    account: { ...claimedSent, mark: 'ours' },
    read: enabledRead,
    context: held,
    own: 'keep',
    mark: 'claimed',
    alert: 'drift',
    also: { sentAt: undefined, disabledAckAt: undefined, drifts: [now], enabledAckAt: now },
  },
  {
    when: 'the fifth drift',
    account: { ...ours, drifts: drifts.slice(1) },
    read: enabledRead,
    context: held,
    own: 'keep',
    mark: 'claimed',
    alert: 'drift',
  },
  {
    when: 'the sixth drift',
    account: { ...ours, drifts },
    read: enabledRead,
    context: held,
    own: 'keep',
    mark: 'ours',
    alert: 'contested',
    also: { contested: true, drifts },
  },
  {
    when: 'the seventh: said once',
    account: { ...ours, drifts, contested: true },
    read: enabledRead,
    context: held,
    own: 'keep',
    mark: 'ours',
    also: { contested: true },
  },
  {
    when: 'drifts out of the window',
    account: { ...ours, drifts: [now - 600_000, ...drifts.slice(1)] },
    read: enabledRead,
    context: held,
    own: 'keep',
    mark: 'claimed',
    alert: 'drift',
  },
  {
    when: 'drift accepted',
    account: ours,
    read: enabledRead,
    context: { others: [suspend], drift: 'accept' },
    own: 'keep',
    mark: 'none',
    alert: 'drift-accepted',
    also: { driftAcceptedAt: now },
  },
  {
    when: 'drift is never accepted for a kill',
    account: ours,
    read: enabledRead,
    context: { others: [suspend, kill], drift: 'accept' },
    own: 'keep',
    mark: 'claimed',
    alert: 'drift',
  },

  // unknown, old, in flight
  { when: 'unknown', account: ours, read: unknownRead, context: held, own: 'keep', mark: 'ours', also: ours },
  {
    when: 'older than one that counted',
    account: account({ observedAt: now, observed: 'enabled' }),
    read: before(disabledRead, now - 1),
    own: 'keep',
    mark: 'none',
    also: { observed: 'enabled' },
  },
  {
    when: 'as new as one that counted',
    account: account({ observedAt: now, observed: 'enabled' }),
    read: disabledRead,
    own: 'place',
    mark: 'none',
    reason: 'disabled',
  },
  {
    when: 'newer than one of a clock set back',
    account: account({ observedAt: now + 1, observed: 'enabled' }),
    read: disabledRead,
    own: 'place',
    mark: 'none',
    reason: 'disabled',
  },
  {
    when: 'enabled, a disable in flight',
    account: { ...claimedSent, ...inFlight },
    read: enabledRead,
    context: held,
    own: 'keep',
    mark: 'claimed',
    also: { inFlightUntil: now + settle, observed: 'unknown' },
  },
  {
    when: 'disabled, a disable in flight: it may land again',
    account: { ...claimedSent, ...inFlight },
    read: disabledRead,
    context: held,
    own: 'keep',
    mark: 'claimed',
    echo: true,
    also: { inFlightUntil: now + settle },
  },
  {
    when: 'disabled, read begun before the disable was sent',
    account: { ...claimedSent, ...inFlight },
    read: before(disabledRead, now - timeout - 1),
    context: held,
    own: 'keep',
    mark: 'claimed',
    readAt: now + settle + 1,
    also: { disabledAckAt: undefined },
  },
  {
    when: 'enabled, the disable cannot land any more',
    account: { ...claimedSent, intent: 'disable', inFlightUntil: now - 1 },
    read: enabledRead,
    context: held,
    own: 'keep',
    mark: 'claimed',
    also: { inFlightUntil: undefined, sentAt: undefined },
  },
  {
    when: 'in flight for longer than can be: the clock was set back',
    account: { ...claimedSent, intent: 'disable', inFlightUntil: now + settle + timeout + 1 },
    read: enabledRead,
    context: held,
    own: 'keep',
    mark: 'claimed',
    also: { inFlightUntil: undefined, sentAt: undefined },
  },
  {
    when: 'disabled, an enable in flight',
    account: { ...ours, ...enabling },
    read: disabledRead,
    own: 'keep',
    mark: 'ours',
    readAt: now + settle + 1,
    also: { inFlightUntil: now + settle },
  },
  {
    when: 'enabled, an enable in flight: it landed',
    account: { ...ours, ...enabling },
    read: enabledRead,
    own: 'keep',
    mark: 'none',
    also: { intent: 'enable', enabledAckAt: now, liftedFrom: past },
  },
  {
    when: 'enabled, an enable in flight, held since: no drift',
    account: { ...ours, ...enabling },
    read: enabledRead,
    context: { others: [suspend], drift: 'accept' },
    own: 'keep',
    mark: 'none',
    also: { driftAcceptedAt: undefined },
  },
]

for (const { when, account: given, read, context: part, also, ...wanted } of rows) {
  test(`read: ${when}`, () => {
    const { account: became, own: does, reason, alert, echo, readAt } = observe(given, read, context(part))
    assert.deepEqual(
      { own: does, mark: became.mark, reason, alert, echo, readAt },
      { reason: undefined, alert: undefined, echo: undefined, readAt: undefined, ...wanted },
    )
    for (const [key, value] of Object.entries(also ?? {})) {
      assert.deepEqual(Object.entries(became).find(([name]) => name === key)?.[1], value, key)
    }
  })
}

test('sending a first disable records when, and what is in flight until when', () => {
  const sent = sending(claimedUnsent, 'disable', context())
  assert.deepEqual([sent.sentAt, sent.intent, sent.inFlightUntil], [now, 'disable', now + timeout + settle])
  assert.equal(sending(claimedSent, 'disable', context()).sentAt, past)
  const on = sending(ours, 'enable', context())
  assert.deepEqual([on.sentAt, on.intent, on.inFlightUntil], [past, 'enable', now + timeout + settle])
})

const failure = new BridgeError('E_DIRECTORY_DOWN', 'down')
const result = (outcome: WriteResult['outcome'], read?: Sighting, error?: BridgeError): WriteResult => ({
  id: 'a',
  before: read,
  outcome,
  ...(error && { error }),
})
const sent = { ...claimedSent, sentAt: now, ...inFlight }

interface Answer {
  readonly when: string
  readonly result: WriteResult
  readonly first: boolean
  readonly account?: Account
  readonly own: Outcome['own']
  readonly mark: Account['mark']
  readonly also: Partial<Account>
}

const answers: readonly Answer[] = [
  {
    when: 'done, the read before said enabled: proven ours',
    result: result('done', enabledRead),
    first: true,
    own: 'keep',
    mark: 'ours',
    also: { disabledAckAt: now, attempts: 0, intent: undefined, inFlightUntil: undefined },
  },
  {
    when: "done, the read before shows somebody else's switch too",
    result: result('done', othersRead),
    first: true,
    own: 'place',
    mark: 'ours',
    also: {},
  },
  {
    when: 'done, the read before said disabled, nothing sent before',
    result: result('done', disabledRead),
    first: true,
    own: 'place',
    mark: 'none',
    also: {},
  },
  {
    when: 'done, the read before said disabled, sent before',
    result: result('done', disabledRead),
    first: false,
    own: 'keep',
    mark: 'claimed',
    also: { disabledAckAt: now },
  },
  {
    when: 'done, disabled before, but our enable may not be visible yet',
    account: { ...sent, enabledAckAt: now - 1 },
    result: result('done', disabledRead),
    first: true,
    own: 'keep',
    mark: 'claimed',
    also: { disabledAckAt: now },
  },
  {
    when: 'done, unreadable before: to be proven',
    result: result('done'),
    first: true,
    own: 'keep',
    mark: 'claimed',
    also: { disabledAckAt: now },
  },
  {
    when: 'done, our switch was not in the read before: to be proven',
    result: result('done', { ...unknownRead, switches: switches('unknown') }),
    first: true,
    own: 'keep',
    mark: 'claimed',
    also: { disabledAckAt: now },
  },
  {
    when: 'done, put back: no claim',
    account: { ...sent, mark: 'none', putBack: true },
    result: result('done', enabledRead),
    first: true,
    own: 'keep',
    mark: 'none',
    also: { putBack: false, foreignSeenAt: now },
  },
  {
    when: 'lost: stays in flight',
    result: result('lost', enabledRead, failure),
    first: true,
    own: 'keep',
    mark: 'claimed',
    also: { inFlightUntil: now + timeout + settle, attempts: 1, lastError: 'E_DIRECTORY_DOWN', sentAt: now },
  },
  {
    when: 'refused: nothing was sent',
    result: result('refused', enabledRead, failure),
    first: true,
    own: 'keep',
    mark: 'claimed',
    also: { inFlightUntil: undefined, attempts: 1, lastError: 'E_DIRECTORY_DOWN', sentAt: undefined },
  },
  {
    when: 'refused, one before it may have landed',
    result: result('refused', undefined, failure),
    first: false,
    own: 'keep',
    mark: 'claimed',
    also: { sentAt: now },
  },
  {
    when: 'unsent, off already',
    result: result('unsent', disabledRead),
    first: true,
    own: 'place',
    mark: 'none',
    also: {},
  },
  {
    when: 'unsent, off already by an earlier write of ours',
    result: result('unsent', disabledRead),
    first: false,
    own: 'keep',
    mark: 'claimed',
    also: { disabledAckAt: now, attempts: 0, lastError: undefined },
  },
  {
    when: 'unsent, off already, but our enable may not be visible yet',
    account: { ...sent, enabledAckAt: now },
    result: result('unsent', disabledRead),
    first: true,
    own: 'keep',
    mark: 'claimed',
    also: { attempts: 1 },
  },
  {
    when: 'unsent, absent',
    result: result('unsent', absentRead),
    first: true,
    own: 'place',
    mark: 'none',
    also: { observed: 'absent' },
  },
]

for (const { when, result: given, first, account: at = sent, also, ...wanted } of answers) {
  test(`disable: ${when}`, () => {
    const { account: became, own: does } = disabled(at, given, first, context(held))
    assert.deepEqual({ own: does, mark: became.mark }, wanted)
    for (const [key, value] of Object.entries(also)) {
      assert.deepEqual(Object.entries(became).find(([name]) => name === key)?.[1], value, key)
    }
  })
}

test('enable: done lifts the mark and opens the window that the log is read for', () => {
  const became = enabled({ ...ours, ...enabling }, result('done'), context()).account
  assert.deepEqual(
    [became.mark, became.enabledAckAt, became.liftedFrom, became.inFlightUntil, became.disabledAckAt],
    ['lifted', now, past, undefined, undefined],
  )
  assert.equal(
    enabled({ ...ours, ...enabling }, result('done'), context({ hasLog: false })).account.liftedFrom,
    undefined,
  )
})

test('enable: lost stays in flight, refused stays ours', () => {
  const lost = enabled({ ...ours, ...enabling }, result('lost', undefined, failure), context()).account
  assert.deepEqual(
    [lost.mark, lost.intent, lost.inFlightUntil, lost.attempts],
    ['ours', 'enable', now + timeout + settle, 1],
  )
  const refused = enabled({ ...ours, ...enabling }, result('refused', undefined, failure), context()).account
  assert.deepEqual(
    [refused.mark, refused.intent, refused.attempts, refused.lastError],
    ['ours', undefined, 1, 'E_DIRECTORY_DOWN'],
  )
})
