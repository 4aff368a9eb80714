import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ConfirmInput, confirm } from '../../src/core/confirm.ts'
import { account, enabledRead, now, settle } from './accounts.ts'

const input = (fields: Partial<ConfirmInput> = {}): ConfirmInput => ({
  before: undefined,
  account: account(),
  sighting: enabledRead,
  begunMono: 50_000.25,
  settleMs: settle,
  confirmAfterMs: 30_000,
  ...fields,
})

test('the first read that says enabled begins, and asks for the second', () => {
  assert.deepEqual(confirm(input()), { confirmed: false, confirmation: { firstMono: 50_000.25 }, readInMs: 30_000 })
})

test('the second confirms only when it began late enough on the monotonic clock', () => {
  const before = { firstMono: 20_000.25 }
  assert.deepEqual(confirm(input({ before })), { confirmed: true })
  const early = confirm(input({ before, begunMono: 50_000.2 }))
  assert.deepEqual(early, { confirmed: false, confirmation: before, readInMs: 1 })
})

test('a row of a listing confirms nothing, and asks for a read by id at once', () => {
  const before = { firstMono: 0 }
  const listed = { ...enabledRead, byId: false }
  assert.deepEqual(confirm(input({ before, sighting: listed })), {
    confirmed: false,
    confirmation: before,
    readInMs: 0,
  })
})

for (const [what, fields, floor] of [
  ['our last disable', { disabledAckAt: now }, now],
  ['our last enable', { enabledAckAt: now }, now],
  ['the last disabled sighting, plus settle', { foreignSeenAt: now - settle }, now],
] as const) {
  test(`reads begun before ${what} start over`, () => {
    const before = { firstMono: 0 }
    const given = account(fields)
    const step = confirm(input({ before, account: given, sighting: { ...enabledRead, begunAt: floor } }))
    assert.deepEqual(step, { confirmed: false, confirmation: undefined, readInMs: 1 })
    const after = confirm(input({ before, account: given, sighting: { ...enabledRead, begunAt: floor + 1 } }))
    assert.deepEqual(after, { confirmed: true })
  })
}
