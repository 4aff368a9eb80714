import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { oktaConfig } from '../../adapters/okta/config.ts'
import { identify, issuersOf } from '../../adapters/okta/tokens.ts'
import { freshAccount } from '../../src/core/account.ts'
import type { ScheduledPrincipal } from '../../src/core/store.ts'
import { createVerifier } from '../../src/engine/verify.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { createKeySource, type KeySource } from '../../src/lib/jwks.ts'
import { AUDIENCE, bench, type Org, withAgents } from './org.ts'

const ORG = 'https://contoso.okta.com'
const CUSTOM = 'https://login.contoso.com'
const human = '00u000000000000000H1'
const app = '0oa000000000000000A1'
const agent = 'wlp000000000000000A1'
const METADATA = 'https://agent.contoso.com/client.json'
const clients: Readonly<Record<string, string>> = { [METADATA]: agent, '0oa000000000000000L1': agent }

const said = (claims: Record<string, unknown>) => identify({ ver: 1, sub: 'joe@contoso.com', ...claims }, clients)
const tokensOf = (tokens: Record<string, unknown>) => {
  const credential = { type: 'apiToken', token: 'an-api-token-of-the-bridge' }
  const config = oktaConfig.parse({ kind: 'okta', orgUrl: ORG, credential, tokens })
  assert.ok(config.tokens)
  return config.tokens
}
const unused = () => Promise.reject(new Error('nothing is fetched'))

describe('who a token of a custom authorization server speaks for', () => {
  it('a client alone is the client', () => {
    assert.deepEqual(said({ cid: app, sub: app, scp: ['reports.read'] }), {
      principals: [app],
      onBehalfOf: undefined,
      act: [],
      scopes: ['reports.read'],
    })
    assert.deepEqual(said({ cid: agent })?.principals, [agent])
  })

  it('an agent whose client id is another is looked up by both', () => {
    assert.deepEqual(said({ cid: '0oa000000000000000L1' })?.principals, ['0oa000000000000000L1', agent])
    assert.deepEqual(said({ cid: METADATA })?.principals, [agent])
    assert.equal(said({ cid: 'https://agent.contoso.com/other.json' }), undefined)
    assert.equal(said({ cid: '__proto__' }), undefined)
    assert.equal(said({ cid: 'constructor' }), undefined)
  })

  it('a user with a client: the client first, the user a candidate and the one acted for', () => {
    const subject = said({ cid: app, uid: human })
    assert.deepEqual(subject?.principals, [app, human])
    assert.deepEqual(subject?.onBehalfOf, { id: human, kind: 'person' })
    assert.deepEqual(said({ cid: 'okta.a-client-of-okta-itself', uid: human })?.principals, [human])
  })

  it('a login or an address in the token names nobody', () => {
    assert.deepEqual(said({ cid: app, sub: human, login: human, email: human, oid: human })?.principals, [app])
    for (const uid of ['joe@contoso.com', '', 7, null, [human], app, `${human} `])
      assert.equal(said({ cid: app, uid }), undefined, 'a user that cannot be is not left out')
    assert.equal(said({ uid: human }), undefined, 'an ID token has no client id')
  })

  it('the chain is told as claimed, bounded', () => {
    const act = { sub: agent, act: { sub: app, act: 'broken' } }
    assert.deepEqual(said({ cid: app, act })?.act, [act, act.act])
    let deep: object = { sub: app }
    for (let at = 0; at < 100; at++) deep = { sub: agent, act: deep }
    assert.equal(said({ cid: app, act: deep })?.act.length, 16)
    for (const odd of [[], 'x', 7, null]) assert.deepEqual(said({ cid: app, act: odd })?.act, [])
  })

  it('scopes are a list, each once; groups and roles are nobody’s scopes', () => {
    assert.deepEqual(said({ cid: app, scp: ['a', 'b', 'a', ''] })?.scopes, ['a', 'b'])
    for (const scp of ['a b', undefined, 7, ['a', 7]]) assert.deepEqual(said({ cid: app, scp })?.scopes, [])
    assert.deepEqual(said({ cid: app, groups: ['admins'], scope: 'a', roles: ['b'] })?.scopes, [])
  })

  it('property: only ids that the token or the configuration names, the client before the user', () => {
    const any = fc.oneof(
      fc.constantFrom(human, app, agent, METADATA, 'joe@contoso.com', ''),
      fc.string(),
      fc.anything(),
    )
    const claims = fc.record({ uid: any, cid: any, sub: any, scp: any, act: any }, { requiredKeys: [] })
    fc.assert(
      fc.property(claims, (given) => {
        const subject = identify(given, clients)
        if (!subject) return
        const { principals, onBehalfOf } = subject
        assert.ok(principals.length > 0 && new Set(principals).size === principals.length)
        const named: unknown[] = [given.cid, given.uid, clients[String(given.cid)]]
        assert.ok(principals.every((id) => named.includes(id) && /^(00u|0oa|wlp)[0-9A-Za-z]{17}$/.test(id)))
        if (onBehalfOf) assert.equal(onBehalfOf.id, given.uid)
        if (given.uid === undefined) assert.ok(!onBehalfOf)
      }),
      { numRuns: 500 },
    )
  })
})

describe('issuers of an org', () => {
  it('are the custom servers at every origin, and the org server to be refused', () => {
    const tokens = tokensOf({
      audiences: ['api://agents'],
      authorizationServers: ['default', 'aus00000000000000001'],
      issuerOrigins: [CUSTOM],
    })
    const all = issuersOf(tokens, ORG, unused)
    assert.deepEqual(
      all.map(({ issuer, jwksUri, opaque = false }) => [issuer, jwksUri, opaque]),
      [
        [`${ORG}/oauth2/default`, `${ORG}/oauth2/default/v1/keys`, false],
        [`${ORG}/oauth2/aus00000000000000001`, `${ORG}/oauth2/aus00000000000000001/v1/keys`, false],
        [ORG, `${ORG}/oauth2/v1/keys`, true],
        [`${CUSTOM}/oauth2/default`, `${ORG}/oauth2/default/v1/keys`, false],
        [`${CUSTOM}/oauth2/aus00000000000000001`, `${ORG}/oauth2/aus00000000000000001/v1/keys`, false],
        [CUSTOM, `${ORG}/oauth2/v1/keys`, true],
      ],
    )
    for (const { algorithms, audiences, issuer, opaque } of all) {
      assert.deepEqual(algorithms, ['RS256'])
      assert.deepEqual(audiences, opaque ? [issuer] : ['api://agents'])
    }
  })

  it('the org server is not one that can be configured', () => {
    for (const server of ['', 'v1', '../oauth2', ORG, 'aus', 'default/../x'])
      assert.throws(() => tokensOf({ audiences: ['api://agents'], authorizationServers: [server] }), server)
  })
})

/** The verifier on the adapter of an org; `mapped` says which account is whose. */
async function verifying(mapped: (it: Org) => Record<string, string>) {
  const it = await bench({ ...withAgents, settings: { ...withAgents.settings, tokens: { audiences: [AUDIENCE] } } })
  const rows = Object.entries(mapped(it)).map(
    ([id, did]): ScheduledPrincipal => ({
      adapter: 'contoso',
      id,
      did,
      kind: 'user',
      appId: undefined,
      scopes: [],
      mappedAt: 0,
      shared: false,
      account: freshAccount,
      schedule: { nextAt: undefined, lane: 1 },
    }),
  )
  const sources = new Map<string, KeySource>()
  const verifier = createVerifier({
    adapters: () => [it.adapter],
    keys: ({ jwksUri: uri, fetch }) => {
      const source = sources.get(uri) ?? createKeySource({ uri, fetch, clock: systemClock })
      sources.set(uri, source)
      return source
    },
    clock: systemClock,
    store: {
      principalsById: async (_adapter, ids) => rows.filter(({ id }) => ids.includes(id)),
      principalsNamed: async () => [],
      sharersOf: async () => [],
    },
  })
  const verdict = async (token: string) => {
    const said = await verifier.verify(token)
    return said.valid ? [said.actor.did, said.actor.principal.id, said.onBehalfOf?.id] : said.codes
  }
  return { ...it, verdict, [Symbol.asyncDispose]: () => it[Symbol.asyncDispose]() }
}

describe('tokens of an org, over sockets', () => {
  const [APP, USER] = ['did:agentmesh:app', 'did:agentmesh:user']

  it('are the agent’s by the client or the user that is mapped, never by a person who is not', async () => {
    const ids = { app: '', user: '' }
    await using it = await verifying((each) => {
      const [one] = each.apps(1)
      const [two] = each.users(1)
      Object.assign(ids, { app: one?.id, user: two?.id })
      return { [ids.app]: APP, [ids.user]: USER }
    })
    const { org, verdict } = it
    const person = org.addUser({ login: 'joe@contoso.example' })
    const portal = org.addApp({ applicationType: 'web' })
    const token = (clientId: string, userId?: string) =>
      org.issueToken({ server: 'default', clientId, ...(userId === undefined ? {} : { userId }) })
    assert.deepEqual(await verdict(token(ids.app)), [APP, ids.app, undefined])
    assert.deepEqual(await verdict(token(ids.app, person)), [APP, ids.app, person])
    assert.deepEqual(await verdict(token(portal, ids.user)), [USER, ids.user, undefined])
    assert.deepEqual(await verdict(token(portal, person)), ['R_UNMAPPED'])
    assert.deepEqual(await verdict(token(ids.app, ids.user)), ['R_AMBIGUOUS'])
    assert.deepEqual(await verdict(token('not.an.okta.id')), ['R_NOT_AGENT'])
  })

  it('of the org server, bound ones and those of a neighbour are refused, each for what it is', async () => {
    const ids = { app: '' }
    await using it = await verifying((each) => {
      ids.app = each.apps(1)[0]?.id ?? ''
      return { [ids.app]: APP }
    })
    await using neighbour = await bench()
    const { org, verdict } = it
    const mine = { server: 'default', clientId: ids.app }
    org.clearRequests()
    assert.deepEqual(await verdict(org.issueToken({ clientId: ids.app })), ['R_OPAQUE'])
    assert.deepEqual(org.requests, [], 'no key was looked for')
    assert.deepEqual(await verdict(org.issueToken({ ...mine, jkt: 'thumbprint' })), ['R_CNF'])
    assert.deepEqual(await verdict(neighbour.org.issueToken(mine)), ['R_ISSUER'])
    assert.deepEqual(await verdict(neighbour.org.issueToken({ clientId: ids.app })), ['R_ISSUER'])
    const other = org.addServer({ audience: AUDIENCE })
    assert.deepEqual(await verdict(org.issueToken({ ...mine, server: other })), ['R_ISSUER'], 'not configured')
    assert.deepEqual(await verdict(org.issueToken({ ...mine, claims: { aud: 'api://other' } })), ['R_AUDIENCE'])
    const crossed = org.issueToken({ ...mine, server: other, claims: { iss: `${org.origin}/oauth2/default` } })
    assert.deepEqual(await verdict(crossed), ['R_KEY'], 'a server signs with its own keys only')
    const idToken = org.issueToken({ ...mine, claims: { cid: undefined } })
    assert.deepEqual(await verdict(idToken), ['R_NOT_AGENT'])
    assert.deepEqual(await verdict(org.issueToken(mine)), [APP, ids.app, undefined])
  })

  it('are verified with keys that were rotated', async () => {
    const ids = { app: '' }
    await using it = await verifying((each) => {
      ids.app = each.apps(1)[0]?.id ?? ''
      return { [ids.app]: APP }
    })
    it.org.rotateKeys({ server: 'default' })
    const token = it.org.issueToken({ server: 'default', clientId: ids.app })
    assert.deepEqual(await it.verdict(token), [APP, ids.app, undefined])
  })
})
