import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { TokenCaller } from '../../src/core/caller.ts'
import type { RefusalCode } from '../../src/core/decide.ts'
import { createVerifier } from '../../src/engine/verify.ts'
import { manualClock } from '../../src/lib/clock.ts'
import { createKeySource } from '../../src/lib/jwks.ts'
import { AUDIENCE, ISSUER, KeyServer, makeKey, token } from './issuer.ts'

const OURS = 'api://idp-bridge'
const one = makeKey('k1')
const other = makeKey('k1')

/** An adapter whose agents' tokens are for one audience, and its callers' for another. */
async function rig(more: { audiences?: readonly string[]; cacheSize?: number } = {}) {
  const server = await KeyServer.start(one)
  const clock = manualClock()
  const source = createKeySource({ uri: server.uri, fetch: server.fetch, clock, random: () => 0 })
  let identified = 0
  const contoso = {
    name: 'contoso',
    issuers: [server.issuer()],
    identify: () => ({ principals: ['account-1'], onBehalfOf: undefined, act: [], scopes: [] }),
  }
  const directory = {
    name: 'contoso',
    audiences: more.audiences ?? [OURS],
    roles: {},
    applications: [],
    callers: {
      issuers: (audiences: readonly string[]) => [server.issuer({ audiences })],
      identify: ({ oid }: Record<string, unknown>): TokenCaller | undefined => {
        identified += 1
        if (typeof oid !== 'string') return undefined
        return { id: oid, kind: 'service', application: 'app', principals: [oid], isAgent: false, roles: [] }
      },
    },
  }
  const none = async () => []
  const verifier = createVerifier({
    adapters: () => [contoso],
    callers: [directory],
    keys: () => source,
    clock,
    store: { principalsById: none, principalsNamed: none, sharersOf: none },
    cacheSize: more.cacheSize ?? 100,
  })
  const made = (claims: object = {}, header: object = {}) => token(one, clock.now(), { aud: OURS, ...claims }, header)
  const codes = async (text: string): Promise<readonly RefusalCode[] | 'accepted'> => {
    const found = await verifier.caller(text)
    return found.valid ? 'accepted' : found.codes
  }
  return {
    server,
    clock,
    verifier,
    directory,
    made,
    codes,
    get identified() {
      return identified
    },
    [Symbol.asyncDispose]: async () => {
      source.close()
      await server[Symbol.asyncDispose]()
    },
  }
}

describe('tokens of callers', () => {
  it('are for callers alone, and those of agents are for agents alone', async () => {
    await using it = await rig()
    const found = await it.verifier.caller(it.made())
    assert.ok(found.valid)
    assert.deepEqual([found.directory, found.caller.id], [it.directory, 'account-1'])
    const agents = it.made({ aud: AUDIENCE })
    // Twice: what is remembered is held to the same.
    for (let at = 0; at < 2; at += 1) {
      for (const judged of [await it.verifier.verify(it.made()), await it.verifier.subject(it.made())]) {
        assert.deepEqual(!judged.valid && judged.codes, ['R_AUDIENCE'])
      }
      assert.equal((await it.verifier.subject(agents)).valid, true)
      assert.deepEqual(await it.codes(agents), ['R_AUDIENCE'])
    }
  })

  it('come from one issuer by one adapter, or one person would be two', async () => {
    await using it = await rig()
    const again = { ...it.directory, audiences: ['urn:bridge'] }
    it.verifier.reload([it.directory, again])
    const twin = { ...again, name: 'contoso-too' }
    assert.throws(() => it.verifier.reload([it.directory, twin]), {
      code: 'E_CONFIG',
      message: /one person would be two/,
    })
    assert.equal(await it.codes(it.made({ aud: 'urn:bridge' })), 'accepted', 'all is as it was')
  })

  it('are for no other audience besides', async () => {
    await using it = await rig({ audiences: [OURS, 'urn:bridge'] })
    assert.equal(await it.codes(it.made({ aud: [OURS, 'urn:bridge'] })), 'accepted')
    for (const aud of [[OURS, AUDIENCE], [OURS, 'api://elsewhere'], [OURS, 1], [], '', `${OURS}/`, undefined]) {
      assert.deepEqual(await it.codes(it.made({ aud })), ['R_AUDIENCE'], JSON.stringify(aud))
    }
    const both = await it.verifier.subject(it.made({ aud: [OURS, AUDIENCE] }))
    assert.deepEqual(!both.valid && both.codes, ['R_AUDIENCE'], 'nor does it speak for an agent')
  })

  it('are held to what every token is held to', async () => {
    await using it = await rig()
    const seconds = Math.floor(it.clock.now() / 1000)
    const table: [string, readonly RefusalCode[]][] = [
      [it.made({ exp: seconds - 61 }), ['R_EXPIRED']],
      [it.made({ nbf: seconds + 120 }), ['R_NOT_YET_VALID']],
      [it.made({ exp: undefined }), ['R_CLAIMS']],
      [it.made({ iat: undefined }), ['R_CLAIMS']],
      [it.made({ cnf: { jkt: 'x' } }), ['R_CNF']],
      [it.made({ act: { sub: 'someone' } }), ['R_ACT']],
      [it.made({ oid: undefined }), ['R_CLAIMS']],
      [it.made({ iss: `${ISSUER}/` }), ['R_ISSUER']],
      [it.made({}, { alg: 'HS256' }), ['R_ALGORITHM']],
      [it.made({}, { alg: 'none' }), ['R_ALGORITHM']],
      [it.made({}, { kid: 'k9' }), ['R_KEY']],
      [it.made({}, { crit: ['exp'] }), ['R_CRIT']],
      [token(other, it.clock.now(), { aud: OURS }), ['R_SIGNATURE']],
      [`${it.made().slice(0, -4)}AAAA`, ['R_SIGNATURE']],
      ['a.b.c', ['R_TOKEN']],
    ]
    for (const [text, codes] of table) assert.deepEqual(await it.codes(text), codes, codes.join())
  })

  it('are remembered no longer than they last, by a bounded memory, and forgotten at a reload', async () => {
    await using it = await rig({ cacheSize: 2 })
    const first = it.made()
    const exp = Math.floor(it.clock.now() / 1000) + 3600
    await it.codes(first)
    await it.codes(first)
    assert.equal(it.identified, 1)
    it.verifier.reload()
    await it.codes(first)
    assert.equal(it.identified, 2)
    for (const oid of ['a', 'b']) await it.codes(it.made({ oid }))
    await it.codes(first)
    assert.equal(it.identified, 5, 'pushed out by two others')
    it.clock.advance(3_600_000 + 61_000)
    await it.server.publish(one)
    assert.deepEqual(await it.codes(first), ['R_EXPIRED'], String(exp))
  })

  it('follow a reload, and an audience that two have is refused as a whole', async () => {
    await using it = await rig()
    const text = it.made()
    assert.equal(await it.codes(text), 'accepted')
    const clash = { ...it.directory, audiences: [AUDIENCE] }
    assert.throws(() => it.verifier.reload([clash]), { code: 'E_CONFIG' })
    assert.equal(await it.codes(text), 'accepted', 'all is as it was')
    assert.throws(() => it.verifier.reload([it.directory, { ...it.directory }]), { code: 'E_CONFIG' })
    it.verifier.reload([])
    assert.deepEqual(await it.codes(text), ['R_AUDIENCE'])
    it.verifier.reload()
    assert.deepEqual(await it.codes(text), ['R_AUDIENCE'], 'as before')
  })

  it('cannot be told while the keys cannot be had', async () => {
    await using it = await rig()
    it.server.down()
    await assert.rejects(it.verifier.caller(it.made()), { code: 'E_JWKS_DOWN' })
  })
})
