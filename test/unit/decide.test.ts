import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { freshAccount } from '../../src/core/account.ts'
import { covers } from '../../src/core/covers.ts'
import { decide, isRefusalCode, type Question, refusals } from '../../src/core/decide.ts'
import { soundChain } from '../../src/core/delegation.ts'
import type { Account, Agent, Hold, Principal } from '../../src/core/types.ts'

const NOW = Date.UTC(2026, 0, 1, 12)
const DAY_MS = 86_400_000
const DID = 'did:agentmesh:a7f3b2c1'
const OTHER = 'did:agentmesh:ffffffff'

const agent = (over: Partial<Agent> = {}): Agent => ({
  did: DID,
  name: 'analyst',
  sponsor: undefined,
  blueprint: undefined,
  parentDid: undefined,
  labels: {},
  decommissioned: false,
  createdAt: 0,
  updatedAt: 0,
  revision: 1,
  lastActivity: undefined,
  resumedAt: undefined,
  ...over,
})

const account = (over: Partial<Account> = {}): Account => ({
  ...freshAccount,
  observed: 'enabled',
  observedAt: NOW - 1000,
  ...over,
})

const principal = (over: Partial<Principal> = {}): Principal => ({
  adapter: 'contoso',
  id: 'p1',
  did: DID,
  kind: 'agentIdentity',
  appId: undefined,
  scopes: ['https://graph.microsoft.com/.default'],
  mappedAt: 0,
  shared: false,
  account: account(),
  ...over,
})

const hold = (over: Partial<Hold> = {}): Hold => ({
  id: 'h1',
  did: DID,
  origin: 'operator:soc',
  severity: 'suspend',
  reason: 'secret reason',
  publicReason: 'under review',
  actor: 'soc',
  onBehalfOf: undefined,
  placedAt: NOW - 5,
  releasedAt: undefined,
  releasableAt: undefined,
  guarded: false,
  evidence: {},
  ...over,
})

const question = (over: Partial<Question> = {}): Question => ({
  did: DID,
  agent: agent(),
  holds: [],
  principals: [principal()],
  accounts: over.principals ?? [principal()],
  token: undefined,
  chain: soundChain,
  capability: undefined,
  scope: undefined,
  capabilities: ['read:reports'],
  now: NOW,
  denyAfterMs: DAY_MS,
  ...over,
})

const byToken = (over: Partial<Question> = {}) =>
  question({ did: undefined, token: { issuedAt: NOW - 1000, scopes: ['Reports.Read'] }, ...over })

const allowed = { allow: true, did: DID, codes: [], holds: [], toolCapability: undefined }

const codes = (asked: Question) => decide(asked).codes

describe('decide', () => {
  it('allows an agent without holds whose accounts are fresh', () => {
    assert.deepEqual(decide(question()), { ...allowed, checks: ['mapping', 'holds', 'observed'] })
    const checks = ['signature', 'mapping', 'holds', 'release', 'observed']
    assert.deepEqual(decide(byToken()), { ...allowed, checks })
  })

  it('denies with any open hold and shows of it only what gateways may see', () => {
    assert.deepEqual(decide(question({ holds: [hold()] })), {
      allow: false,
      did: DID,
      codes: ['R_SUSPENDED'],
      holds: [{ origin: 'operator:soc', publicReason: 'under review', severity: 'suspend', placedAt: NOW - 5 }],
      checks: ['mapping', 'observed'],
      toolCapability: undefined,
    })
    assert.deepEqual(codes(question({ holds: [hold({ releasedAt: NOW })] })), [])
    assert.deepEqual(codes(question({ holds: [hold({ guarded: true })] })), ['R_SUSPENDED'])
    assert.deepEqual(codes(question({ holds: [hold({ releasableAt: NOW })] })), ['R_SUSPENDED'])
  })

  it('denies a decommissioned agent', () => {
    assert.deepEqual(codes(question({ holds: [hold({ severity: 'decommission' })] })), [
      'R_SUSPENDED',
      'R_DECOMMISSIONED',
    ])
    assert.deepEqual(codes(question({ agent: agent({ decommissioned: true }) })), ['R_DECOMMISSIONED'])
  })

  it('refuses tokens from before the latest release, the whole second of it included', () => {
    const resumed = agent({ resumedAt: NOW + 500 })
    const issued = (issuedAt: number) => codes(byToken({ agent: resumed, token: { issuedAt, scopes: [] } }))
    assert.deepEqual(issued(NOW - 1000), ['R_BEFORE_RESUME'])
    assert.deepEqual(issued(NOW), ['R_BEFORE_RESUME'])
    assert.deepEqual(issued(NOW + 900), ['R_BEFORE_RESUME'])
    assert.deepEqual(issued(NOW + 1000), [])
    assert.deepEqual(codes(byToken({ agent: agent({ resumedAt: NOW }), token: { issuedAt: NOW, scopes: [] } })), [
      'R_BEFORE_RESUME',
    ])
    assert.deepEqual(codes(question({ agent: resumed })), [], 'a question without a token has no such age')
  })

  it('believes nothing unseen and nothing stale', () => {
    const seen = (...observedAt: (number | undefined)[]) =>
      codes(question({ principals: observedAt.map((at) => principal({ account: account({ observedAt: at }) })) }))
    assert.deepEqual(seen(undefined), ['R_UNOBSERVED'])
    assert.deepEqual(seen(NOW - DAY_MS), [])
    assert.deepEqual(seen(NOW - DAY_MS - 1), ['R_STALE'])
    assert.deepEqual(seen(NOW, undefined, 0), ['R_UNOBSERVED', 'R_STALE'])
    assert.deepEqual(seen(), [], 'an agent without accounts')
    assert.deepEqual(seen(Number.NaN), ['R_STALE'])
    assert.deepEqual(seen(NOW + 60_000), [])
    assert.deepEqual(seen(NOW, NOW + 60_001), ['R_STALE'], 'the clock was ahead: how old it is nobody can tell')
    const unread = principal({ id: 'p2', account: account({ observedAt: NOW - DAY_MS - 1 }) })
    assert.deepEqual(codes(byToken({ accounts: [principal(), unread] })), ['R_STALE'], 'one the token does not name')
  })

  it('does not deny for a reading alone: an overridden account has no hold', () => {
    for (const observed of ['disabled', 'absent', 'enabled'] as const) {
      assert.deepEqual(codes(question({ principals: [principal({ account: account({ observed }) })] })), [])
    }
  })

  it('names who is missing', () => {
    assert.deepEqual(codes(question({ agent: undefined, principals: [] })), ['R_UNKNOWN_DID'])
    assert.deepEqual(codes(question({ agent: undefined, principals: [], holds: [hold({ severity: 'kill' })] })), [
      'R_UNKNOWN_DID',
      'R_SUSPENDED',
    ])
    const unmapped = decide(byToken({ agent: undefined, principals: [] }))
    assert.deepEqual(unmapped.codes, ['R_UNMAPPED'])
    assert.equal(unmapped.did, undefined)
    assert.deepEqual(codes(byToken({ agent: undefined })), ['R_UNKNOWN_DID'])
    assert.deepEqual(codes(byToken({ did: DID, principals: [] })), ['R_UNMAPPED'])
  })

  it('refuses a token of two agents and shows the holds of both', () => {
    const decision = decide(
      byToken({
        agent: undefined,
        principals: [principal(), principal({ id: 'p2', did: OTHER })],
        holds: [hold({ did: OTHER })],
      }),
    )
    assert.deepEqual(decision.codes, ['R_AMBIGUOUS', 'R_SUSPENDED'])
    assert.equal(decision.did, undefined)
    assert.equal(decision.holds.length, 1)
  })

  it('refuses a shared account that nothing proves the DID of, whether one agent has it or several', () => {
    const own = principal({ shared: true })
    assert.deepEqual(codes(question({ did: undefined, principals: [own], unproven: true })), ['R_AMBIGUOUS'])
    assert.equal(decide(question({ did: undefined, principals: [own], unproven: true })).did, undefined)
    const both = [own, principal({ shared: true, did: OTHER })]
    const held = decide(question({ did: undefined, principals: both, unproven: true, holds: [hold({ did: OTHER })] }))
    assert.deepEqual(held.codes, ['R_AMBIGUOUS', 'R_SUSPENDED'])
    assert.deepEqual(codes(question({ did: DID, principals: [own], unproven: true })), ['R_AMBIGUOUS'])
    assert.deepEqual(codes(question({ principals: [own] })), [])
  })

  it('refuses a token of another agent than the one asked about', () => {
    const asked = byToken({ did: OTHER, agent: agent({ did: OTHER }) })
    assert.deepEqual(codes(asked), ['R_MISMATCH'])
    assert.equal(decide(asked).did, OTHER)
    assert.deepEqual(codes(question({ agent: agent({ did: OTHER }) })), ['R_MISMATCH'])
  })

  it('takes scopes from the token, or without one from the registration, and only exact ones', () => {
    assert.deepEqual(codes(byToken({ scope: 'Reports.Read' })), [])
    for (const scope of ['reports.read', 'Reports', '', '*', 'https://graph.microsoft.com/.default']) {
      assert.deepEqual(codes(byToken({ scope })), ['R_SCOPE'], scope)
    }
    assert.deepEqual(codes(question({ scope: 'https://graph.microsoft.com/.default' })), [])
    for (const scope of ['https://graph.microsoft.com/User.Read', 'https://graph.microsoft.com', '', 'Reports.Read']) {
      assert.deepEqual(codes(question({ scope })), ['R_SCOPE'], scope)
    }
    assert.deepEqual(codes(question({ scope: '', principals: [principal({ scopes: [''] })] })), ['R_SCOPE'])
  })

  it('takes capabilities from the effective ones', () => {
    assert.deepEqual(codes(question({ capability: 'read:reports' })), [])
    assert.deepEqual(codes(question({ capability: 'write:reports' })), ['R_CAPABILITY'])
    assert.deepEqual(codes(question({ capability: '' })), ['R_CAPABILITY'])
    assert.deepEqual(codes(question({ capability: 'read:reports', capabilities: [] })), ['R_CAPABILITY'])
  })

  it('lists everything that failed, in the order of the table', () => {
    const all = codes(
      byToken({
        did: OTHER,
        agent: agent({ decommissioned: true, resumedAt: NOW }),
        principals: [
          principal({ account: account({ observedAt: undefined }) }),
          principal({ id: 'p2', did: 'x', account: account({ observedAt: 0 }) }),
        ],
        holds: [hold()],
        chain: { over: true, tooDeep: true },
        scope: 'S',
        capability: 'c',
      }),
    )
    assert.deepEqual(all, [
      'R_AMBIGUOUS',
      'R_MISMATCH',
      'R_SUSPENDED',
      'R_DECOMMISSIONED',
      'R_BEFORE_RESUME',
      'R_UNOBSERVED',
      'R_STALE',
      'R_DELEGATION',
      'R_DEPTH',
      'R_SCOPE',
      'R_CAPABILITY',
    ])
  })

  it('never allows while a hold is open, whatever else is true', () => {
    const some = fc.record({
      did: fc.constantFrom(DID, OTHER, undefined),
      agent: fc.constantFrom(agent(), undefined),
      principals: fc.array(fc.constantFrom(principal(), principal({ did: OTHER })), { maxLength: 3 }),
      capabilities: fc.constantFrom<string[]>(['*'], []),
      capability: fc.constantFrom('read:x', undefined),
      scope: fc.constantFrom('Reports.Read', undefined),
      token: fc.constantFrom({ issuedAt: NOW, scopes: ['Reports.Read'] }, undefined),
    })
    fc.assert(
      fc.property(some, fc.constantFrom('suspend', 'kill', 'disable', 'decommission'), (over, severity) => {
        const decision = decide(question({ ...over, holds: [hold({ severity })] }))
        assert.equal(decision.allow, false)
        assert.ok(decision.codes.includes('R_SUSPENDED'))
      }),
    )
  })
})

describe('refusals', () => {
  it('has a sentence for each code and knows its own', () => {
    for (const [code, sentence] of Object.entries(refusals)) {
      assert.match(code, /^R_[A-Z_]+$/)
      assert.match(sentence, /^[A-Z].*\.$/)
      assert.ok(isRefusalCode(code))
    }
    for (const code of ['toString', '__proto__', 'E_BUG', 'R_']) assert.equal(isRefusalCode(code), false)
  })
})

describe('covers', () => {
  const rows: [granted: string, asked: string, covered: boolean][] = [
    ['read:x', 'read:x', true],
    ['read:x', 'read:X', false],
    ['read:x', 'read:x:y', false],
    ['*', 'anything:at:all', true],
    ['*', '', false],
    ['read:*', 'read:x', true],
    ['read:*', 'read:x:y', true],
    ['read:*', 'read:*', true],
    ['read:*', 'readx', false],
    ['read:*', 'read', false],
    ['read:*', 'read:', false],
    ['read*', 'readx', false],
    ['read:x*', 'read:xy', false],
    ['*:x', 'read:x', false],
    [':*', ':x', false],
    ['read:x', 'read:*', false],
    ['read:*', '*', false],
  ]
  for (const [granted, asked, covered] of rows) {
    it(`${granted} ${covered ? 'includes' : 'does not include'} ${asked || 'the empty one'}`, () => {
      assert.equal(covers(granted, asked), covered)
    })
  }
})
