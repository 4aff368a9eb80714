import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkCopy, copiesUntil, copyOf, heldAsCopy } from '../../src/core/follow.ts'
import { disabled, observe } from '../../src/core/mirror.ts'
import { attribute, logSkewMs, next } from '../../src/core/next.ts'
import type { JudgedEntry } from '../../src/core/switchlog.ts'
import type { Account, Sighting } from '../../src/core/types.ts'
import {
  account,
  bothRead,
  claimedAcked,
  claimedSent,
  claimedUnsent,
  context,
  disabledRead,
  enabledRead,
  hold,
  kill,
  lifted,
  now,
  othersRead,
  ours,
  own,
  past,
  settle,
} from './accounts.ts'

const within = 3_600_000
const ever = Number.POSITIVE_INFINITY

const leaders: readonly [string, Account, number | undefined][] = [
  ['never read', account(), undefined],
  ['on', account({ observed: 'enabled', observedAt: past }), undefined],
  ['claimed, nothing sent', claimedUnsent, undefined],
  ['claimed and sent', claimedSent, ever],
  ['ours', ours, ever],
  ['lifted', lifted, ever],
  ['off by somebody else', account({ observed: 'disabled', observedAt: past }), ever],
  ['absent', account({ observed: 'absent', observedAt: past }), ever],
  ['on again', account({ observed: 'enabled', offUntil: past }), past + within],
  ['enabled by us', account({ observed: 'enabled', enabledAckAt: past }), past + within],
  ['both', account({ observed: 'enabled', offUntil: past, enabledAckAt: past + 1 }), past + 1 + within],
  ['on again just so long ago', account({ offUntil: now - within }), now],
  ['on again longer ago', account({ offUntil: now - within - 1 }), undefined],
  ['on again in the future of a clock set back', account({ offUntil: now + 9 * within }), now + within],
]

for (const [what, leader, until] of leaders) {
  test(`a follower that reads off is a copy of an account that is ${what}: ${until ?? 'no'}`, () => {
    assert.equal(copiesUntil(leader, within, now), until)
  })
}

test('an account that reads on after it read off remembers when', () => {
  const seen = observe(account({ observed: 'disabled', observedAt: past }), enabledRead, context())
  assert.equal(seen.account.offUntil, now)
  assert.equal(observe({ ...seen.account, observed: 'enabled' }, enabledRead, context()).account.offUntil, now)
})

const copied = { copied: true }
const reads: readonly [
  string,
  Account,
  Sighting,
  Parameters<typeof context>[0],
  'copy' | 'place' | 'cleared' | 'echo',
][] = [
  ['mark none', account({ observed: 'enabled', observedAt: past }), disabledRead, copied, 'copy'],
  ['mark none, not a copy', account({ observed: 'enabled', observedAt: past }), disabledRead, {}, 'place'],
  ['claimed, nothing sent', claimedUnsent, disabledRead, { ...copied, others: [kill] }, 'copy'],
  ['lifted, after settle', lifted, disabledRead, copied, 'copy'],
  ['ours', ours, disabledRead, { ...copied, others: [kill] }, 'echo'],
  ['somebody else’s switch', account(), othersRead, copied, 'place'],
  ['both switches', account(), bothRead, copied, 'place'],
  ['its own hold open', account({ observed: 'disabled' }), disabledRead, { ...copied, own }, 'place'],
  [
    'its own hold waits for people',
    account(),
    disabledRead,
    { ...copied, own: hold('adapter:north/a', { releasableAt: past }) },
    'copy',
  ],
]

for (const [what, given, sighting, fields, wanted] of reads) {
  test(`a copy reads off: ${what}: ${wanted}`, () => {
    const { account: became, echo, own: does } = observe(given, sighting, context(fields))
    if (wanted === 'copy') {
      assert.deepEqual([does, echo, became.mark, became.copiedAt], ['keep', true, 'none', now])
    } else if (wanted === 'echo') assert.deepEqual([does, echo, became.mark], ['keep', true, given.mark])
    else assert.deepEqual([does, became.copiedAt], [wanted, undefined])
  })
}

test('the proving read says off: a copy is not ours and not somebody else’s', () => {
  const result = { id: 'a', before: disabledRead, outcome: 'unsent' } as const
  const outcome = disabled(claimedSent, result, true, context({ ...copied, others: [kill] }))
  assert.deepEqual([outcome.own, outcome.account.mark, outcome.account.copiedAt], ['keep', 'none', now])
  assert.equal(disabled(claimedSent, result, true, context({ others: [kill] })).own, 'place')
})

test('a copy that is none any more is held, and said to be overdue', () => {
  const outcome = observe(account({ observed: 'disabled', copiedAt: past }), disabledRead, context())
  assert.deepEqual([outcome.own, outcome.alert, outcome.account.copiedAt], ['place', 'copy-overdue', undefined])
  const back = observe(account({ observed: 'disabled', copiedAt: past }), enabledRead, context())
  assert.deepEqual([back.own, back.alert, back.account.copiedAt], ['keep', undefined, undefined])
})

const copy = account({ observed: 'disabled', copiedAt: past, examinedUntil: past - 1, offReadAt: now })
const day = 86_400_000

test('what is done with a copy', () => {
  const logged = { copyLog: true, logReachMs: 7 * day, others: [kill] }
  assert.deepEqual(next(copy, context()), { do: 'check-copy' })
  assert.deepEqual(next(copy, context({ writes: false })), { do: 'check-copy' })
  assert.deepEqual(next(copy, context({ others: [kill] })), { do: 'rest' })
  assert.deepEqual(next(copy, context(logged)), { do: 'check-copy' })
  const examined = { ...copy, examinedUntil: now }
  assert.deepEqual(next(examined, context(logged)), { do: 'rest', until: now + 3.5 * day })
  assert.deepEqual(next(copy, context({ own })), { do: 'rest' })
})

const entry = (at: number, action: 'disable' | 'enable', by: 'ours' | 'scim' | 'mallory'): JudgedEntry => ({
  id: 'a',
  at,
  action,
  ours: by === 'ours',
  actor: by,
  ...(by === 'scim' && { trusted: true }),
})
const complete = (...entries: JudgedEntry[]) => ({ entries, completeUntil: now })

test('in the log of a follower only a person’s switch-off counts, and only without an enable after it', () => {
  const person = entry(past, 'disable', 'mallory')
  assert.equal(checkCopy(copy, complete(entry(past, 'disable', 'scim'))), undefined)
  assert.equal(checkCopy(copy, complete(entry(past, 'disable', 'ours'))), undefined)
  assert.deepEqual(checkCopy(copy, complete(person)), person)
  assert.deepEqual(checkCopy(copy, complete(person, entry(past, 'disable', 'scim'))), person)
  assert.equal(checkCopy(copy, complete(person, entry(past, 'enable', 'scim'))), undefined)
  assert.deepEqual(checkCopy(copy, complete(entry(past, 'enable', 'scim'), person)), person)
  assert.equal(checkCopy(copy, complete(entry(past - 2, 'disable', 'mallory'))), undefined)
})

test('the log is looked through from when the copy was last on', () => {
  const { examinedUntil } = copyOf(account({ observed: 'enabled', observedAt: past }), now)
  assert.equal(examinedUntil, past - logSkewMs)
  assert.deepEqual(copyOf(copy, now), { copiedAt: past, examinedUntil: past - 1 })
})

const held = hold('adapter:south/a', { placedAt: past, evidence: { cause: 'disabled' } })
const leader = (before: Account, since?: number) => ({ before, since, settleMs: settle })

const withdrawals: readonly [string, boolean, Parameters<typeof heldAsCopy>][] = [
  ['read on before', true, [held, leader(account({ observed: 'enabled', observedAt: past - 1 }))]],
  [
    'read on after, past settle',
    false,
    [held, leader(account({ observed: 'enabled', observedAt: past + settle + 1 }))],
  ],
  ['never read', true, [held, leader(account())]],
  ['claimed for it, off when we came', true, [held, leader({ ...claimedSent, observedAt: past })]],
  ['switched off for it by us', false, [held, leader(ours)]],
  ['switched off for it, unproven', false, [held, leader(claimedAcked)]],
  ['off before by the log', true, [held, leader(ours, past - 1)]],
  ['off only after by the log', false, [held, leader(account(), past + 1)]],
  [
    'held for somebody else’s switch',
    false,
    [{ ...held, evidence: { cause: 'disabled', byOthers: ['vendor'] } }, leader(account())],
  ],
  ['held as unproven', false, [{ ...held, evidence: { cause: 'unproven' } }, leader(account())]],
  ['waits for people', false, [{ ...held, releasableAt: past }, leader(account())]],
]

for (const [what, wanted, given] of withdrawals) {
  test(`a follower held first, the account it follows ${what}: ${wanted ? 'an echo' : 'stands'}`, () => {
    assert.equal(heldAsCopy(...given), wanted)
  })
}

test('attribution: a trusted writer vetoes nothing, takes nothing back, and proves nothing', () => {
  const off = entry(past, 'disable', 'ours')
  const verdict = (...entries: JudgedEntry[]) => {
    const found = attribute(ours, complete(...entries), context())
    return found.verdict === 'theirs' ? found.outcome.reason : found.verdict
  }
  assert.equal(verdict(off, entry(past + 1, 'disable', 'scim')), 'enable')
  assert.equal(verdict(off, entry(past + 1, 'enable', 'scim'), entry(past + 2, 'disable', 'scim')), 'enable')
  assert.equal(verdict(off, entry(past + 1, 'disable', 'mallory'), entry(past + 2, 'enable', 'scim')), 'disabled')
  assert.equal(verdict(entry(past, 'disable', 'scim')), 'unproven')
})

test('attribution: switched off by provisioning in the instant of our write: a copy, not ours to enable', () => {
  const found = attribute(ours, complete(entry(past, 'disable', 'scim')), context(), { copied: true })
  assert.ok(found.verdict === 'theirs')
  const { account: became, own: does } = found.outcome
  assert.deepEqual([does, became.mark, became.copiedAt], ['keep', 'none', past])
})

test('a claim is proven again when half of what the log reaches back has passed', () => {
  const reach = { logReachMs: 4 * day, others: [kill] }
  const at = (since: number): Account => ({
    ...ours,
    disabledAckAt: since,
    observedAt: since + settle + 1,
    offReadAt: now,
  })
  assert.deepEqual(next(at(now - day), context(reach)), { do: 'rest', until: now + day })
  assert.deepEqual(next(at(now - 2 * day), context(reach)), { do: 'prove' })
  assert.deepEqual(next({ ...at(now - 2 * day), examinedUntil: now - day }, context(reach)), {
    do: 'rest',
    until: now + day,
  })
  // Too late: nothing is asked in vain.
  assert.deepEqual(next(at(now - 4 * day), context(reach)), { do: 'rest' })
  assert.deepEqual(next(at(now - 2 * day), context({ ...reach, hasLog: false })), { do: 'rest' })
  // Also while somebody else’s switch keeps it off.
  assert.deepEqual(next(at(now - 2 * day), context({ logReachMs: 4 * day, own })), { do: 'prove' })
})

test('what was looked through stays proven as long as the log reaches back to there', () => {
  const examined = { ...ours, claimedAt: now - 30 * day, disabledAckAt: now - 30 * day, examinedUntil: past }
  const found = attribute(examined, { entries: [], completeUntil: now, from: past }, context())
  assert.ok(found.verdict === 'enable')
  assert.equal(found.account.examinedUntil, Math.max(past, now - logSkewMs))
  const gap = attribute(examined, { entries: [], completeUntil: now, from: past + 1 }, context())
  assert.deepEqual(gap.verdict === 'theirs' && gap.outcome.evidence, {
    why: 'before-log',
    sentAt: past,
    logFrom: past + 1,
  })
})
