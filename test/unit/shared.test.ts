import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Context, freshAccount } from '../../src/core/account.ts'
import { next } from '../../src/core/next.ts'
import { sharedHolds } from '../../src/core/shared.ts'
import type { Account, Hold } from '../../src/core/types.ts'
import { hold } from '../store/fixture.ts'

const origin = 'adapter:contoso/s'
const kill = hold('kill', 'a', { severity: 'kill' })
const guarded = hold('guarded', 'b', { guarded: true, origin: 'adapter:contoso/other' })
const own = hold('own', 'a', { origin })
const waits = hold('waits', 'b', { origin, releasableAt: 5 })
const ids = (open: readonly (readonly Hold[])[]) => {
  const { others, own, ownMissing } = sharedHolds(open, origin)
  return [own?.id, ownMissing, others.map(({ id }) => id)]
}

test('a shared account is wanted off only while every DID has a hold that drives', () => {
  assert.deepEqual(ids([[kill], []]), [undefined, true, []])
  assert.deepEqual(ids([[kill], [hold('x', 'b')]]), [undefined, true, ['kill', 'x']])
  assert.deepEqual(ids([[kill, guarded], [hold('x', 'b')]]), [undefined, true, ['kill', 'guarded', 'x']])
  assert.deepEqual(ids([[kill]]), [undefined, true, ['kill']])
})

test('held by all, but by one only behind the guard: no hold drives, and none is missing', () => {
  assert.deepEqual(ids([[kill], [guarded]]), [undefined, true, ['guarded']])
  assert.deepEqual(ids([[], [guarded]]), [undefined, true, []])
})

test('the own hold of any DID is that of the account; one that still counts goes before one that waits', () => {
  assert.deepEqual(ids([[own], []]), ['own', true, []])
  assert.deepEqual(ids([[waits], [own]]), ['own', false, []])
  assert.deepEqual(ids([[waits], []]), ['waits', true, []])
})

test('what is seen of an account does not drive it: its own hold counts for no DID', () => {
  assert.deepEqual(ids([[own], [kill]]), ['own', true, []])
  assert.deepEqual(
    ids([
      [own, kill],
      [waits, guarded],
    ]),
    ['own', false, ['guarded']],
  )
})

test('an override of one DID is watched in the log while the own hold of another is open', () => {
  const context = (part: Partial<Context>): Context => ({
    now: 1_000,
    settleMs: 10,
    writeTimeoutMs: 10,
    writes: true,
    inbound: true,
    hasLog: true,
    drift: 'reassert',
    own,
    others: [],
    ...part,
  })
  const overridden: Account = {
    ...freshAccount,
    observed: 'disabled',
    observedAt: 990,
    offReadAt: 990,
    overriddenAt: 950,
  }
  assert.deepEqual(next(overridden, context({ ownMissing: true })), { do: 'check-override' })
  assert.deepEqual(next(overridden, context({ ownMissing: false })), { do: 'rest' })
  assert.deepEqual(next(overridden, context({})), { do: 'rest' })
  assert.deepEqual(next(overridden, context({ ownMissing: true, hasLog: false })), { do: 'rest' })
  const lifted: Account = { ...freshAccount, observed: 'enabled', observedAt: 900, liftedFrom: 800 }
  assert.deepEqual(next(lifted, context({ ownMissing: true })), { do: 'check-lift' })
})
