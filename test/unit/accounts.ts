import { type Context, freshAccount } from '../../src/core/account.ts'
import type { Account, AccountState, Hold, Sighting, Switch } from '../../src/core/types.ts'

/** Times of the tables, in ms: settle is 10 s, a write may land for 5 s. */
export const now = 1_000_000
export const settle = 10_000
export const timeout = 5_000
/** Longer ago than anything may settle. */
export const past = now - 60_000

export const hold = (origin: Hold['origin'], fields: Partial<Hold> = {}): Hold => ({
  id: `hold of ${origin}`,
  did: 'did:mesh:a',
  origin,
  severity: 'suspend',
  reason: 'because',
  publicReason: undefined,
  actor: 'somebody',
  onBehalfOf: undefined,
  placedAt: past,
  releasedAt: undefined,
  releasableAt: undefined,
  guarded: false,
  evidence: {},
  ...fields,
})

export const own = hold('adapter:north/a')
export const kill = hold('runtime:agt-1', { severity: 'kill' })
export const suspend = hold('runtime:agt-1')

export const context = (fields: Partial<Context> = {}): Context => ({
  now,
  settleMs: settle,
  writeTimeoutMs: timeout,
  writes: true,
  inbound: true,
  hasLog: true,
  drift: 'reassert',
  own: undefined,
  others: [],
  ...fields,
})

export const account = (fields: Partial<Account> = {}): Account => ({ ...freshAccount, ...fields })

export const switches = (ours: Switch['state'], vendor: Switch['state'] = 'on'): Switch[] => [
  { name: 'identity', state: ours, ours: true },
  { name: 'vendor', state: vendor, ours: false },
]

export const sighting = (fields: Partial<Sighting> & { state: AccountState }): Sighting => ({
  id: 'a',
  kind: 'account',
  switches: [],
  byId: true,
  begunAt: now,
  ...fields,
})

export const enabledRead = sighting({ state: 'enabled', switches: switches('on') })
export const disabledRead = sighting({ state: 'disabled', switches: switches('off') })
export const othersRead = sighting({ state: 'disabled', switches: switches('on', 'off') })
export const bothRead = sighting({ state: 'disabled', switches: switches('off', 'off') })
export const absentRead = sighting({ state: 'absent' })
export const unknownRead = sighting({ state: 'unknown' })

export const claimedUnsent = account({ mark: 'claimed', claimedAt: past })
export const claimedSent = account({ mark: 'claimed', claimedAt: past, sentAt: past })
export const claimedAcked = account({ mark: 'claimed', claimedAt: past, sentAt: past, disabledAckAt: past })
export const ours = account({ mark: 'ours', claimedAt: past, sentAt: past, disabledAckAt: past })
export const lifted = account({ mark: 'lifted', enabledAckAt: past, liftedFrom: past - 1_000 })
