import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Context } from '../../src/core/account.ts'
import {
  type AccountCase,
  accountVerdict,
  isClosed,
  legReasons,
  legStates,
  runtimeVerdict,
  statusOf,
  worst,
} from '../../src/core/receipts.ts'
import type { Account } from '../../src/core/types.ts'
import {
  account,
  claimedAcked,
  claimedSent,
  claimedUnsent,
  context,
  hold,
  kill,
  lifted,
  now,
  ours,
  own,
  past,
  settle,
  timeout,
} from './accounts.ts'

const proven = past + settle + 1
const off = { observed: 'disabled', observedAt: proven, offReadAt: proven } as const
const on = { observed: 'enabled', observedAt: now } as const
const sentNow = { intent: 'disable', inFlightUntil: now + timeout + settle } as const
const sentBefore = { intent: 'disable', inFlightUntil: now + settle - 1 } as const

interface Row {
  readonly when: string
  readonly account: Account
  readonly context?: Partial<Context>
  readonly input?: Partial<AccountCase>
  readonly is: string
  readonly error?: string
}

const mirror = { unwritable: { reason: 'mirror' } } as const
const guarded = { ...kill, guarded: true }
const releasable = { ...own, releasableAt: now }

const rows: readonly Row[] = [
  { when: 'ours, read by id past settle', account: { ...ours, ...off }, is: 'closed disabled' },
  { when: 'claimed and acknowledged, read since', account: { ...claimedAcked, ...off }, is: 'closed disabled' },
  { when: 'off by others, read since', account: account(off), is: 'closed off-by-others' },
  { when: 'gone, read since', account: account({ ...off, observed: 'absent' }), is: 'closed deleted' },
  { when: 'ours, only listed', account: { ...ours, ...off, offReadAt: undefined }, is: 'pending settling' },
  { when: 'ours, read within settle', account: { ...ours, ...off, offReadAt: past + settle }, is: 'pending settling' },
  {
    when: 'read for an older hold only',
    account: { ...ours, ...off },
    input: { hold: { ...kill, placedAt: now } },
    is: 'pending settling',
  },
  {
    when: 'read before our enable was answered',
    account: account({ ...off, enabledAckAt: past + 2 }),
    is: 'pending settling',
  },
  { when: 'read in a future that never was', account: { ...ours, ...off, offReadAt: now + 1 }, is: 'pending settling' },
  { when: 'off, but a write is on the wire', account: { ...claimedSent, ...off, ...sentNow }, is: 'pending sent' },
  {
    when: 'off, but an answer was lost',
    account: { ...claimedSent, ...off, ...sentBefore },
    is: 'indeterminate answer-lost',
  },
  { when: 'sent just now', account: { ...claimedSent, ...sentNow }, is: 'pending sent' },
  {
    when: 'no answer, said so',
    account: { ...claimedSent, ...sentNow, attempts: 1, lastError: 'E_OUTBOUND_TIMEOUT' },
    is: 'indeterminate answer-lost',
    error: 'E_OUTBOUND_TIMEOUT',
  },
  { when: 'no answer within the timeout', account: { ...claimedSent, ...sentBefore }, is: 'indeterminate answer-lost' },
  {
    when: 'in flight beyond what can be',
    account: { ...claimedSent, intent: 'disable', inFlightUntil: now + settle + timeout + 1 },
    is: 'indeterminate answer-lost',
  },
  {
    when: 'an enable without answer',
    account: { ...lifted, ...off, intent: 'enable', inFlightUntil: now },
    is: 'indeterminate answer-lost',
  },
  { when: 'contested', account: { ...ours, ...on, contested: true }, is: 'contested drift' },
  { when: 'drift accepted', account: account({ ...on, driftAcceptedAt: past }), is: 'contested drift-accepted' },
  { when: 'shared with a free DID', account: account(on), input: { sharedWithFree: true }, is: 'shared shared' },
  { when: 'shared, but off', account: account(off), input: { sharedWithFree: true }, is: 'closed off-by-others' },
  {
    when: 'its directory is gone',
    account: { ...ours, ...off },
    input: { context: undefined },
    is: 'unsupported adapter-absent',
  },
  { when: 'not written', account: account(on), input: mirror, is: 'unsupported mirror' },
  {
    when: 'cannot be written',
    account: account(on),
    input: { unwritable: { reason: 'read-only' } },
    is: 'unsupported read-only',
  },
  {
    when: 'not written, off already',
    account: account({ observed: 'disabled' }),
    input: mirror,
    is: 'pending settling',
  },
  {
    when: 'refused',
    account: account(),
    input: { unwritable: { reason: 'refused', error: 'E_NEVER' } },
    is: 'unsupported refused',
    error: 'E_NEVER',
  },
  {
    when: 'the write failed',
    account: { ...claimedUnsent, attempts: 2, lastError: 'E_DIRECTORY_DOWN' },
    is: 'failed retrying',
    error: 'E_DIRECTORY_DOWN',
  },
  { when: 'the verifying read fails', account: { ...ours, attempts: 1 }, is: 'failed retrying' },
  { when: 'acknowledged, not read', account: { ...ours, observed: 'enabled' }, is: 'pending settling' },
  { when: 'claimed', account: claimedUnsent, is: 'pending queued' },
  {
    when: 'claimed while a replica still says off',
    account: { ...claimedUnsent, ...off, offReadAt: past },
    is: 'pending queued',
  },
  {
    when: 'enabled by us, a replica still says off',
    account: { ...lifted, ...off, offReadAt: past },
    is: 'pending queued',
  },
  {
    when: 'on again, being confirmed',
    account: account(on),
    context: { own, others: [] },
    input: { hold: own },
    is: 'pending on-again',
  },
  { when: 'never read', account: account(), is: 'pending queued' },
  {
    when: 'kept back by the guard',
    account: account(on),
    context: { others: [guarded] },
    input: { hold: guarded },
    is: 'pending guard',
  },
  {
    when: 'kept back by the guard, another hold drives',
    account: claimedUnsent,
    context: { others: [guarded, kill] },
    input: { hold: guarded },
    is: 'pending queued',
  },
  {
    when: 'on again, waits for people',
    account: account(on),
    context: { own: releasable, others: [] },
    input: { hold: releasable },
    is: 'pending on-again',
  },
  { when: 'writes are paused', account: claimedUnsent, input: { paused: true }, is: 'pending paused' },
  {
    when: 'writes are paused, done before',
    account: { ...ours, ...off },
    input: { paused: true },
    is: 'closed disabled',
  },
]

for (const { when, account: given, context: part, input, is, error } of rows) {
  test(`leg: ${when}`, () => {
    const told = accountVerdict({
      hold: kill,
      account: given,
      context: context({ others: [kill], ...part }),
      unwritable: undefined,
      sharedWithFree: false,
      paused: false,
      ...input,
    })
    assert.equal(`${told.state} ${told.reason}`, is)
    assert.equal(told.error, error)
  })
}

test('every state and reason of an account is reached by a row, but those of other legs', () => {
  const seen = new Set(rows.map(({ is }) => is))
  const others = [
    'closed acknowledged',
    'closed origin',
    'closed unmapped',
    'pending unacknowledged',
    'unsupported unmapped',
  ]
  const missing = Object.entries(legReasons)
    .flatMap(([state, reasons]) => reasons.map((reason) => `${state} ${reason}`))
    .filter((one) => !seen.has(one) && !others.includes(one))
  assert.deepEqual(missing, [])
})

test('the very moment of settle proves nothing, the one after does', () => {
  const at = (offReadAt: number) => isClosed({ ...ours, ...off, offReadAt }, kill, context())
  assert.deepEqual([at(past + settle), at(past + settle + 1)], [false, true])
})

test('a runtime: its own kill, or its acknowledgement', () => {
  const told = (given: typeof kill, client: string, ackedAt?: number) => {
    const { state, reason } = runtimeVerdict(given, client, ackedAt)
    return `${state} ${reason}`
  }
  assert.equal(told(kill, 'agt-1'), 'closed origin')
  assert.equal(told(kill, 'agt-2'), 'pending unacknowledged')
  assert.equal(told(kill, 'agt-2', 5), 'closed acknowledged')
  assert.equal(told(hold('runtime:agt-1'), 'agt-1'), 'pending unacknowledged')
  assert.equal(told(hold('operator:agt-1', { severity: 'kill' }), 'agt-1'), 'pending unacknowledged')
  assert.equal(told({ ...own, guarded: true }, 'agt-1'), 'pending guard')
})

test('the state to look at first, and the status of the whole', () => {
  assert.equal(worst([]), undefined)
  assert.equal(worst(['closed', 'pending', 'failed', 'shared']), 'failed')
  assert.equal(statusOf([]), 'closed')
  assert.equal(statusOf(['closed', 'closed']), 'closed')
  assert.equal(statusOf(['closed', 'unsupported', 'shared']), 'partial')
  for (const state of ['pending', 'failed', 'contested', 'indeterminate'] as const) {
    assert.equal(statusOf(['closed', 'shared', state]), 'open')
  }
  assert.equal(new Set(legStates).size, 7)
})
