import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { oktaConfig } from '../../adapters/okta/config.ts'
import { identify, issuersOf } from '../../adapters/okta/tokens.ts'

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
