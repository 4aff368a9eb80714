import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { freshAccount } from '../../src/core/account.ts'
import type { Adapter, Issuer, TokenRefusal, TokenSubject } from '../../src/core/adapter.ts'
import type { RefusalCode } from '../../src/core/decide.ts'
import { codeOf } from '../../src/core/errors.ts'
import type { ScheduledPrincipal, StoreReads } from '../../src/core/store.ts'
import type { PrincipalKey, Sharer } from '../../src/core/types.ts'
import { createVerifier, type VerifierOptions } from '../../src/engine/verify.ts'
import { manualClock } from '../../src/lib/clock.ts'
import { createKeySource, type KeySource } from '../../src/lib/jwks.ts'
import { AUDIENCE, forge, ISSUER, KeyServer, makeKey, token } from './issuer.ts'

const DID = 'did:agentmesh:a7f3b2c1'
const OTHER = 'did:agentmesh:ffffffff'
const NEIGHBOUR = ISSUER.replace('11111111', '99999999')
const HOUR_MS = 3_600_000

const one = makeKey('k1')
const two = makeKey('k2')

const mapped = (id: string, did = DID, adapter = 'contoso'): ScheduledPrincipal => ({
  adapter,
  id,
  did,
  kind: 'agentIdentity',
  appId: undefined,
  scopes: [],
  mappedAt: 0,
  shared: false,
  account: freshAccount,
  schedule: { nextAt: undefined, lane: 1 },
})

const unused = () => {
  throw new Error('verification asks the directory nothing')
}

function directory(
  name: string,
  issuers: readonly Issuer[],
  identify: Adapter['identify'] = ({ oid, azp, obo, scp, act }) => ({
    principals: [oid, azp].filter((id) => typeof id === 'string'),
    onBehalfOf: typeof obo === 'string' ? { id: obo, kind: 'person' } : undefined,
    act: typeof act === 'object' && act !== null ? [{ ...act }] : [],
    scopes: typeof scp === 'string' ? scp.split(' ') : [],
  }),
): Adapter {
  const realm = `${name}-realm`
  return { name, kind: 'test', realm, issuers, identify, vet: unused, changes: unused, lookup: unused, check: unused }
}

async function rig(over: Partial<VerifierOptions> & { identify?: Adapter['identify'] } = {}) {
  const server = await KeyServer.start(one)
  const clock = manualClock()
  const sources = new Map<Issuer, KeySource>()
  const asked: { adapter: string; ids: readonly string[] }[] = []
  const state = {
    adapters: [directory('contoso', [server.issuer()], over.identify)],
    rows: [mapped('account-1')],
    sharers: [] as (PrincipalKey & Sharer)[],
  }
  const store: Pick<StoreReads, 'principalsById' | 'principalsNamed' | 'sharersOf'> = {
    principalsNamed: async (adapter, names) =>
      state.rows.filter((row) => row.adapter === adapter && names.some((name) => row.id.startsWith(`${name}#`))),
    sharersOf: async ({ adapter, id }) => state.sharers.filter((one) => one.adapter === adapter && one.id === id),
    async principalsById(adapter, ids) {
      asked.push({ adapter, ids })
      return state.rows.filter((row) => row.adapter === adapter && ids.includes(row.id))
    },
  }
  const keys = (issuer: Issuer) => {
    const source =
      sources.get(issuer) ?? createKeySource({ uri: issuer.jwksUri, fetch: issuer.fetch, clock, random: () => 0 })
    sources.set(issuer, source)
    return source
  }
  const verifier = createVerifier({ adapters: () => state.adapters, keys, clock, store, ...over })
  return {
    server,
    clock,
    state,
    asked,
    verifier,
    keys,
    token: (claims: object = {}, header: object = {}) => token(one, clock.now(), claims, header),
    async refused(text: string, ...codes: RefusalCode[]) {
      const result = await verifier.verify(text)
      assert.equal(result.valid, false)
      assert.deepEqual(!result.valid && result.codes, codes)
      return result
    },
    async accepted(text: string) {
      const result = await verifier.verify(text)
      assert.ok(result.valid, JSON.stringify(result))
      return result
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

describe('a verified token', () => {
  it('separates the actor, the one it acts for, and the chain', async () => {
    await using r = await rig()
    const act = { sub: 'earlier' }
    const { inForce: _, ...verified } = await r.accepted(r.token({ obo: 'alice', scp: 'Reports.Read Mail.Send', act }))
    const issuedAt = Math.floor(r.clock.now() / 1000) * 1000
    assert.deepEqual(verified, {
      valid: true,
      adapter: 'contoso',
      issuer: ISSUER,
      issuedAt,
      expiresAt: issuedAt + HOUR_MS,
      audiences: ['api://agents'],
      actor: { did: DID, principal: { adapter: 'contoso', id: 'account-1' } },
      principals: [mapped('account-1')],
      onBehalfOf: { id: 'alice', kind: 'person' },
      act: [{ sub: 'earlier' }],
      scopes: ['Reports.Read', 'Mail.Send'],
    })
  })

  it('is refused when its chain is malformed, or goes on beyond what the adapter followed', async () => {
    await using r = await rig()
    const longer = { sub: 'a', act: { sub: 'b' } }
    for (const act of ['text', null, 1, [], [{ sub: 'a' }], { sub: 'a', act: 'b' }, longer]) {
      await r.refused(r.token({ act }), 'R_ACT')
    }
    await r.accepted(r.token({ act: { sub: 'a' } }))
  })

  it('does not act for an account of its own', async () => {
    await using r = await rig()
    r.state.rows = [mapped('account-2')]
    const alone = await r.accepted(r.token({ azp: 'account-2', obo: 'account-2' }))
    assert.deepEqual([alone.actor.did, alone.onBehalfOf], [DID, undefined])
    r.state.rows = [mapped('account-1'), mapped('account-2', OTHER)]
    await r.refused(r.token({ obo: 'account-2' }), 'R_AMBIGUOUS')
  })

  it('of an issuer that nobody else can verify is refused without looking for a key', async () => {
    await using r = await rig()
    const org: Issuer = { ...r.server.issuer(), issuer: 'https://org.example', audiences: ['https://org.example'] }
    r.state.adapters = [directory('contoso', [r.server.issuer(), { ...org, opaque: true }])]
    r.verifier.reload()
    const before = r.server.hits
    await r.refused(r.token({ iss: org.issuer, aud: org.issuer }), 'R_OPAQUE')
    await r.refused(r.token({ iss: org.issuer }), 'R_AUDIENCE')
    assert.equal(r.server.hits, before)
    await r.accepted(r.token())
  })

  it('has all its accounts looked up in one call, the acting one first', async () => {
    await using r = await rig()
    r.state.rows = [mapped('account-2'), mapped('account-1')]
    const verified = await r.accepted(r.token({ azp: 'account-2' }))
    assert.deepEqual(r.asked, [{ adapter: 'contoso', ids: ['account-1', 'account-2'] }])
    assert.equal(verified.actor.principal.id, 'account-1')
    assert.deepEqual(
      verified.principals.map(({ id }) => id),
      ['account-1', 'account-2'],
    )
    r.state.rows = [mapped('account-2')]
    assert.equal((await r.accepted(r.token({ azp: 'account-2' }))).actor.principal.id, 'account-2')
  })

  it('speaks for one agent: none is unmapped, two are ambiguous', async () => {
    await using r = await rig()
    r.state.rows = [mapped('account-1', DID, 'fabrikam')]
    await r.refused(r.token(), 'R_UNMAPPED')
    r.state.rows = [mapped('account-1'), mapped('account-2', OTHER)]
    const ambiguous = await r.refused(r.token({ azp: 'account-2' }), 'R_AMBIGUOUS')
    assert.ok(!ambiguous.valid && ambiguous.principals.length === 2)
    r.state.rows = [mapped('account-1'), mapped('account-1', OTHER)]
    await r.refused(r.token(), 'R_AMBIGUOUS')
  })

  it('takes no shared account for a proof of the DID', async () => {
    await using r = await rig()
    const share = (did: string, id = 'account-1') => ({
      adapter: 'contoso',
      id,
      did,
      appId: 'x',
      scopes: [did],
      mappedAt: 1,
    })
    r.state.rows = [{ ...mapped('account-1'), shared: true }]
    r.state.sharers = [share(DID)]
    const alone = await r.refused(r.token(), 'R_AMBIGUOUS')
    assert.deepEqual(
      alone.principals.map(({ did, scopes }) => [did, scopes]),
      [[DID, [DID]]],
    )
    r.state.sharers = [share(DID), share(OTHER)]
    const several = await r.refused(r.token(), 'R_AMBIGUOUS')
    assert.deepEqual(
      several.principals.map(({ did }) => did),
      [DID, OTHER],
    )
    // Nor the one that it acts for.
    r.state.rows.push(mapped('account-2'))
    await r.refused(r.token({ obo: 'account-2' }), 'R_AMBIGUOUS')
    // Another account of the token that is one agent's alone is one, if that agent shares the account.
    const proven = await r.accepted(r.token({ azp: 'account-2' }))
    assert.deepEqual(proven.actor, { did: DID, principal: { adapter: 'contoso', id: 'account-1' } })
    assert.deepEqual(
      proven.principals.map(({ did, id, scopes }) => [id, did, scopes]),
      [
        ['account-1', DID, [DID]],
        ['account-2', DID, []],
      ],
    )
    r.state.sharers = [share(OTHER)]
    await r.refused(r.token({ azp: 'account-2' }), 'R_AMBIGUOUS')
  })

  it('looks up the one it acts for too: another agent makes it ambiguous, and never names the actor', async () => {
    await using r = await rig()
    r.state.rows = [mapped('account-1'), mapped('account-2', OTHER)]
    const ambiguous = await r.refused(r.token({ obo: 'account-2' }), 'R_AMBIGUOUS')
    assert.ok(!ambiguous.valid && ambiguous.principals.length === 2)
    r.state.rows = [mapped('account-2', OTHER)]
    await r.refused(r.token({ obo: 'account-2' }), 'R_UNMAPPED')
    r.state.rows = [mapped('account-2'), mapped('account-1')]
    const verified = await r.accepted(r.token({ obo: 'account-2' }))
    assert.equal(verified.actor.principal.id, 'account-1')
    assert.equal(verified.principals.length, 2)
  })

  it('is an agent’s, by the word of its adapter', async () => {
    let answer: TokenSubject | TokenRefusal | undefined
    await using r = await rig({ identify: () => answer })
    await r.refused(r.token(), 'R_NOT_AGENT')
    answer = { refused: 'R_TENANT' }
    await r.refused(r.token(), 'R_TENANT')
    answer = { refused: 'anything' }
    await assert.rejects(r.verifier.verify(r.token()), (error) => codeOf(error) === 'E_BUG')
    answer = { principals: [], onBehalfOf: undefined, act: [], scopes: [] }
    await r.refused(r.token(), 'R_UNMAPPED')
    assert.equal(r.asked.length, 0)
  })

  it('is not bound to a key that nobody proved', async () => {
    await using r = await rig()
    for (const cnf of [{ jkt: 'x' }, { jwk: {} }, {}, null, false]) await r.refused(r.token({ cnf }), 'R_CNF')
  })
})

describe('a token that does not verify', () => {
  it('is refused with the code of what is wrong, and the store is not asked', async () => {
    await using r = await rig()
    const stranger = makeKey('k1')
    const now = r.clock.now()
    const rows: [string, RefusalCode][] = [
      ['', 'R_TOKEN'],
      ['x'.repeat(20_000), 'R_TOO_LARGE'],
      [token(stranger, now), 'R_SIGNATURE'],
      [token(two, now), 'R_KEY'],
      [r.token({}, { alg: 'none' }), 'R_ALGORITHM'],
      [r.token({}, { alg: 'HS256' }), 'R_ALGORITHM'],
      [r.token({}, { crit: ['x'] }), 'R_CRIT'],
      [r.token({ iss: NEIGHBOUR }), 'R_ISSUER'],
      [r.token({ iss: undefined }), 'R_ISSUER'],
      [r.token({ iss: '__proto__' }), 'R_ISSUER'],
      [r.token({ iss: [ISSUER] }), 'R_ISSUER'],
      [r.token({ aud: 'other' }), 'R_AUDIENCE'],
      [r.token({ aud: undefined }), 'R_AUDIENCE'],
      [r.token({ aud: [AUDIENCE, 1] }), 'R_AUDIENCE'],
      [r.token({ exp: now / 1000 - 60 }), 'R_EXPIRED'],
      [r.token({ nbf: now / 1000 + 61 }), 'R_NOT_YET_VALID'],
      [r.token({ exp: 'never' }), 'R_CLAIMS'],
      [forge({ alg: 'RS256', kid: 'k1' }, '{"iss":1,"iss":2}', one), 'R_TOKEN'],
    ]
    for (const [text, code] of rows) await r.refused(text, code)
    assert.equal(r.asked.length, 0)
  })

  it('of an unknown issuer causes no fetch', async () => {
    await using r = await rig()
    await r.refused(r.token({ iss: 'https://evil.example' }, { jku: 'https://evil.example/keys' }), 'R_ISSUER')
    assert.equal(r.server.hits, 0)
  })

  it('may be checked by no other issuer’s keys', async () => {
    await using r = await rig()
    await using next = await KeyServer.start(two)
    r.state.adapters = [
      ...r.state.adapters,
      directory('fabrikam', [next.issuer({ issuer: NEIGHBOUR, audiences: ['api://fabrikam'] })]),
    ]
    r.state.rows = [mapped('account-1'), mapped('account-1', OTHER, 'fabrikam')]
    r.verifier.reload()
    const now = r.clock.now()
    const theirs = { iss: NEIGHBOUR, aud: 'api://fabrikam' }
    assert.equal((await r.accepted(token(one, now))).actor.did, DID)
    assert.equal((await r.accepted(token(two, now, theirs))).actor.did, OTHER)
    await r.refused(token(one, now, theirs), 'R_KEY')
    await r.refused(token({ ...one, kid: 'k2' }, now, theirs), 'R_SIGNATURE')
    await r.refused(token(one, now, { iss: NEIGHBOUR }), 'R_AUDIENCE')
    await r.refused(token(one, now, { aud: 'api://fabrikam' }), 'R_AUDIENCE')
    assert.equal((await r.accepted(token(one, now, { aud: ['api://fabrikam', AUDIENCE] }))).adapter, 'contoso')
  })
})

describe('(issuer, audience)', () => {
  it('selects exactly one adapter, or the configuration is refused', async () => {
    await using r = await rig()
    const isConfig = (error: unknown) => codeOf(error) === 'E_CONFIG'
    const options = {
      keys: r.keys,
      clock: r.clock,
      store: { principalsById: async () => [], principalsNamed: async () => [], sharersOf: async () => [] },
    }
    const twice = [directory('a', [r.server.issuer()]), directory('b', [r.server.issuer({ algorithms: ['ES256'] })])]
    assert.throws(() => createVerifier({ ...options, adapters: () => twice }), isConfig)
    const inOne = [directory('a', [r.server.issuer(), r.server.issuer({ audiences: ['x', AUDIENCE] })])]
    assert.throws(() => createVerifier({ ...options, adapters: () => inOne }), isConfig)
    const fine = [directory('a', [r.server.issuer({ audiences: ['x', 'x'] })]), directory('b', [r.server.issuer()])]
    createVerifier({ ...options, adapters: () => fine })

    const text = r.token()
    await r.accepted(text)
    r.state.adapters = twice
    assert.throws(() => r.verifier.reload(), isConfig)
    await r.accepted(text)
  })

  it('of one issuer may be two adapters’, and a token for both is nobody’s', async () => {
    await using r = await rig()
    r.state.adapters = [
      directory('contoso', [r.server.issuer()]),
      directory('second', [r.server.issuer({ audiences: ['api://second', 'api://alias'] })]),
    ]
    r.state.rows = [mapped('account-1'), mapped('account-1', OTHER, 'second')]
    r.verifier.reload()
    assert.equal((await r.accepted(r.token())).actor.did, DID)
    assert.equal((await r.accepted(r.token({ aud: ['api://second', 'api://alias'] }))).actor.did, OTHER)
    await r.refused(r.token({ aud: [AUDIENCE, 'api://second'] }), 'R_AUDIENCE')
  })
})

describe('a token seen before', () => {
  const counting = () => {
    let count = 0
    const identify: Adapter['identify'] = () => {
      count += 1
      return { principals: ['account-1'], onBehalfOf: undefined, act: [], scopes: [] }
    }
    return { identify, count: () => count }
  }

  it('is not verified again, but its mapping is read again', async () => {
    const { identify, count } = counting()
    await using r = await rig({ identify })
    const text = r.token()
    for (let at = 0; at < 5; at++) await r.accepted(text)
    assert.equal(count(), 1)
    assert.equal(r.asked.length, 5)
    r.state.rows = [mapped('account-1', OTHER)]
    assert.equal((await r.accepted(text)).actor.did, OTHER)
    r.state.rows = []
    await r.refused(text, 'R_UNMAPPED')
    assert.equal(count(), 1)
  })

  it('is refused once expired, once its key is withdrawn or replaced, and once the keys are a day old', async () => {
    await using r = await rig()
    const text = r.token({ exp: r.clock.now() / 1000 + 3 * 86_400 })
    const short = r.token()
    await r.accepted(text)
    await r.accepted(short)
    await r.clock.advance(HOUR_MS + 60_000)
    await r.refused(short, 'R_EXPIRED')

    const source = r.keys(r.state.adapters[0]?.issuers[0] ?? r.server.issuer())
    assert.ok('refresh' in source)
    // The hour that passed may have begun a fetch of the old keys, and a refresh joins the fetch under way.
    await source.refresh()
    r.server.publish(two)
    await source.refresh()
    await r.refused(text, 'R_KEY')
    r.server.publish(one)
    await source.refresh()
    await r.accepted(text)
    r.server.keys = [{ ...makeKey('k1').jwk }]
    await source.refresh()
    await r.refused(text, 'R_SIGNATURE')
    r.server.publish(one)
    await source.refresh()
    await r.accepted(text)

    r.server.down()
    await r.clock.advance(24 * HOUR_MS)
    await assert.rejects(r.verifier.verify(text), (error) => codeOf(error) === 'E_JWKS_DOWN')
  })

  it('is judged anew by a clock that was set back', async () => {
    await using r = await rig()
    const text = r.token()
    await r.accepted(text)
    r.clock.jump(-10 * 60_000)
    await r.refused(text, 'R_NOT_YET_VALID')
    r.clock.jump(10 * 60_000)
    await r.accepted(text)
  })

  it('is in force by what is known without asking, until expiry, rotation, a failing endpoint or a reload', async () => {
    await using r = await rig()
    const text = r.token()
    const inForce = async () => (await r.accepted(text)).inForce ?? (() => undefined)
    assert.equal((await inForce())(r.clock.now()), false, 'no keys were known when it began')
    const source = r.keys(r.state.adapters[0]?.issuers[0] ?? r.server.issuer())
    assert.ok('refresh' in source)

    const rotated = await inForce()
    assert.equal(rotated(r.clock.now()), true)
    r.server.publish(one, two)
    assert.equal(rotated(r.clock.now()), true, 'not known yet')
    await source.refresh()
    assert.equal(rotated(r.clock.now()), false)

    const failing = await inForce()
    assert.equal(failing(r.clock.now()), true)
    r.server.down()
    await assert.rejects(source.refresh())
    assert.equal(failing(r.clock.now()), false)
    assert.equal((await inForce())(r.clock.now()), false)
    r.server.answer = undefined
    await source.refresh()

    const reloaded = await inForce()
    assert.equal(reloaded(r.clock.now()), true)
    r.verifier.reload()
    assert.equal(reloaded(r.clock.now()), false)

    const expiring = await inForce()
    await r.clock.advance(50 * 60_000)
    assert.equal(expiring(r.clock.now()), true)
    await r.clock.advance(10 * 60_000)
    assert.equal(expiring(r.clock.now()), false)
  })

  it('is verified anew after a reload, against the new configuration', async () => {
    const { identify, count } = counting()
    await using r = await rig({ identify })
    const text = r.token()
    await r.accepted(text)
    r.verifier.reload()
    await r.accepted(text)
    assert.equal(count(), 2)
    r.state.adapters = []
    r.verifier.reload()
    await r.refused(text, 'R_ISSUER')
  })

  it('is forgotten when too many others came after it', async () => {
    const { identify, count } = counting()
    await using r = await rig({ identify, cacheSize: 10 })
    const texts = Array.from({ length: 11 }, (_, jti) => r.token({ jti }))
    for (const text of texts) await r.accepted(text)
    await r.accepted(texts[10] ?? '')
    assert.equal(count(), 11)
    await r.accepted(texts[0] ?? '')
    assert.equal(count(), 12)
  })

  it('does not lend its result to another: a changed signature or claim is another token', async () => {
    await using r = await rig()
    const text = r.token()
    await r.accepted(text)
    const [first, second] = text.split('.')
    const [, , third] = r.token({ jti: 'x' }).split('.')
    await r.refused(`${first}.${second}.${third}`, 'R_SIGNATURE')
    await r.refused(`${text}.`, 'R_TOKEN')
  })
})

describe('when the keys cannot be had', () => {
  it('a token is neither valid nor invalid', async () => {
    await using r = await rig()
    r.server.down()
    await assert.rejects(r.verifier.verify(r.token()), (error) => codeOf(error) === 'E_JWKS_DOWN')
    await r.refused('x', 'R_TOKEN')
  })
})
