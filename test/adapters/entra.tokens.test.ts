import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { cloudOf, clouds } from '../../adapters/entra/clouds.ts'
import { identify, issuersOf } from '../../adapters/entra/tokens.ts'

const tenant = '11111111-2222-4333-8444-555555555555'
const agent = 'aaaaaaaa-1111-4222-8333-444444444444'
const account = 'bbbbbbbb-1111-4222-8333-444444444444'
const human = 'cccccccc-1111-4222-8333-444444444444'
const base = { tid: tenant, aud: 'api://agents' }
const subject = (principals: string[], person?: string, scopes: string[] = []) => ({
  principals,
  onBehalfOf: person ? { id: person, kind: 'person' } : undefined,
  act: [],
  scopes,
})
const who = (claims: Record<string, unknown>) => identify({ ...base, ...claims }, tenant)

describe('entra tokens', () => {
  it('autonomous agent: its object id, v1 and v2, facets in any order', () => {
    const v1 = {
      idtyp: 'app',
      oid: agent,
      appid: agent,
      xms_act_fct: '3 9 11',
      xms_sub_fct: '9 3 11',
      roles: ['X.Read'],
    }
    assert.deepEqual(who(v1), subject([agent], undefined, ['X.Read']))
    const v2 = { idtyp: 'app', oid: account, azp: agent, xms_act_fct: '11 3', xms_sub_fct: '11', scp: '/' }
    assert.deepEqual(who(v2), subject([account, agent]))
  })

  it('on behalf of a human: the agent is azp or appid, never the oid', () => {
    const claims = { idtyp: 'user', oid: human, xms_act_fct: '9 11', xms_sub_fct: '3', scp: 'a  b /' }
    assert.deepEqual(who({ ...claims, azp: agent }), subject([agent], human, ['a', 'b']))
    assert.deepEqual(who({ ...claims, appid: agent.toUpperCase() }), subject([agent], human, ['a', 'b']))
    assert.equal(who(claims), undefined)
    const { idtyp: _, ...older } = { ...claims, azp: agent, scp: 'a', roles: ['a'] }
    assert.deepEqual(who(older), subject([agent], human, ['a']))
  })

  it("agent's user account: both ids", () => {
    const claims = { idtyp: 'user', oid: account, azp: agent, xms_act_fct: '11', xms_sub_fct: '5 13', scp: 'a' }
    assert.deepEqual(who(claims), subject([agent, account], undefined, ['a']))
  })

  it('classic service principal: oid; older tokens without idtyp too', () => {
    assert.deepEqual(who({ idtyp: 'app', oid: account, appid: agent }), subject([account, agent]))
    assert.deepEqual(who({ oid: account, appid: agent, roles: ['R'] }), subject([account, agent], undefined, ['R']))
  })

  it('a human is nobody, and looks like 11 only as a whole word', () => {
    assert.equal(who({ idtyp: 'user', oid: human, azp: agent, scp: 'a' }), undefined)
    assert.equal(who({ idtyp: 'user', oid: human, azp: agent, scp: 'a', xms_act_fct: '111 3' }), undefined)
    assert.equal(who({ oid: human, azp: agent, scp: 'a' }), undefined)
  })

  it('refuses another tenant, no tenant and Graph as audience', () => {
    const app = { idtyp: 'app', oid: agent }
    assert.deepEqual(who({ ...app, tid: human }), { refused: 'R_TENANT' })
    assert.deepEqual(who({ ...app, tid: undefined }), { refused: 'R_TENANT' })
    for (const aud of [
      'https://graph.microsoft.com',
      'https://graph.microsoft.com/',
      ['00000003-0000-0000-c000-000000000000'],
    ])
      assert.deepEqual(who({ ...app, aud }), { refused: 'R_AUDIENCE' })
  })

  it('claims of the wrong type are no ids', () => {
    assert.equal(who({ idtyp: 'app', oid: 7, appid: ['x'], azp: 'not-a-guid' }), undefined)
  })

  it('pins issuers, keys and algorithm in each cloud', () => {
    const fetch = async () => new Response()
    for (const [name, cloud] of Object.entries(clouds)) {
      const issuers = issuersOf(cloud, tenant, ['api://agents'], fetch)
      assert.ok(issuers.length >= 2, name)
      for (const issuer of issuers) {
        assert.match(issuer.issuer, /^https:\/\/[^/]+\/11111111-2222-4333-8444-555555555555(\/|\/v2\.0)$/)
        assert.deepEqual(issuer.algorithms, ['RS256'])
        const keys = issuer.issuer.endsWith('/v2.0') ? 'v2.0/keys' : 'keys'
        assert.equal(issuer.jwksUri, `${cloud.authority}/${tenant}/discovery/${keys}`)
      }
      assert.match(cloud.graph, /^https:\/\/[^/]+$/)
    }
    const hosts = Object.values(clouds).map((cloud) => cloud.graph)
    assert.equal(new Set(hosts).size, 4)
  })

  it('endpoints override those of the cloud', () => {
    const endpoints = { graph: 'http://127.0.0.1:1', authority: 'http://127.0.0.1:2' }
    const cloud = cloudOf({ cloud: 'usgov', endpoints })
    assert.deepEqual([cloud.graph, cloud.authority], ['http://127.0.0.1:1', 'http://127.0.0.1:2'])
    assert.ok(cloud.v2Issuers.includes('https://login.microsoftonline.us'))
  })
})
