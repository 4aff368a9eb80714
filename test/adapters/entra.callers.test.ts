import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { callerOf } from '../../adapters/entra/callers.ts'
import { callerKinds, configs } from '../../adapters/index.ts'
import { startEntraTenant } from '../../sandbox/entra/index.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { opening } from './opening.ts'

const tenant = '11111111-2222-4333-8444-555555555555'
const account = 'aaaaaaaa-1111-4222-8333-444444444444'
const application = 'bbbbbbbb-1111-4222-8333-444444444444'
const person = 'cccccccc-1111-4222-8333-444444444444'
const v1 = { iss: `https://sts.windows.net/${tenant}/`, ver: '1.0', tid: tenant, aud: 'api://idp-bridge' }
const v2 = { ...v1, iss: `https://login.microsoftonline.com/${tenant}/v2.0`, ver: '2.0' }
const service = { oid: account, sub: account, idtyp: 'app', roles: ['Bridge.Gateway'] }
const human = { oid: person, sub: 'pairwise', idtyp: 'user', scp: 'access_as_user', roles: ['Bridge.Operator'] }
const who = (claims: Record<string, unknown>) => callerOf(claims, tenant)

describe('entra callers of the API', () => {
  it('an application by its own token, of both versions', () => {
    const expected = {
      id: account,
      kind: 'service',
      application,
      principals: [account, application],
      isAgent: false,
      roles: ['Bridge.Gateway'],
    }
    assert.deepEqual(who({ ...v1, ...service, appid: application.toUpperCase() }), expected)
    assert.deepEqual(who({ ...v2, ...service, azp: application }), expected)
    const { idtyp: _, ...older } = service
    assert.deepEqual(who({ ...v1, ...older, appid: application }), expected, 'it is its own subject')
    assert.deepEqual(who({ ...v2, ...service, azp: application, roles: undefined }), { ...expected, roles: [] })
  })

  it('a person through an application, by the roles assigned and never by what was delegated', () => {
    const found = who({ ...v2, ...human, azp: application, scp: 'Bridge.Approver access_as_user' })
    assert.deepEqual(found, {
      id: person,
      kind: 'person',
      application,
      principals: [person, application],
      isAgent: false,
      roles: ['Bridge.Operator'],
    })
    assert.deepEqual(who({ ...v1, ...human, idtyp: undefined, appid: application }), { ...found })
  })

  it('an agent says so itself, in every shape', () => {
    const isAgent = (claims: Record<string, unknown>) => {
      const found = who({ ...v2, azp: account, ...claims })
      return found !== undefined && 'isAgent' in found && found.isAgent
    }
    assert.equal(isAgent({ ...service, xms_act_fct: '3 9 11', xms_sub_fct: '9 3 11' }), true)
    assert.equal(isAgent({ ...human, xms_act_fct: '11', xms_sub_fct: '3' }), true, 'for a person')
    assert.equal(isAgent({ ...human, xms_sub_fct: '5 13' }), true, 'with an account like a person')
    assert.equal(isAgent({ ...service, xms_par_app_azp: application }), true, 'by the parent of its application')
    assert.equal(isAgent({ ...service, xms_act_fct: '3 111' }), false)
  })

  it('what is no access token is nobody', () => {
    const idToken = { ...v2, oid: person, sub: 'pairwise', nonce: 'n', roles: ['Bridge.Operator'] }
    const table: Record<string, Record<string, unknown>> = {
      'an ID token of a person': idToken,
      'an ID token that names an application': { ...idToken, azp: application },
      'of a person without a scope': { ...v2, ...human, azp: application, scp: '/' },
      'of an application with scopes': { ...v2, ...service, azp: application, scp: 'access_as_user' },
      'without an application': { ...v2, ...service },
      'with the application of the other version': { ...v2, ...service, appid: application },
      'without an account': { ...v2, ...service, azp: application, oid: undefined },
      'with an account that is none': { ...v2, ...service, azp: application, oid: '../etc' },
      'of another type': { ...v2, ...service, azp: application, idtyp: 'device' },
      'of another type in other letters': { ...v2, ...service, azp: application, idtyp: 'App' },
      'of a version that is none': { ...v2, ...service, azp: application, ver: '3.0' },
      'without a version': { ...v2, ...service, azp: application, ver: undefined },
      'with roles that are text': { ...v2, ...service, azp: application, roles: 'Bridge.Operator' },
      'with a role that is a list': { ...v2, ...service, azp: application, roles: [['Bridge.Operator']] },
      'without a tenant': { ...v2, ...service, azp: application, tid: undefined },
      'with scopes that are a list': { ...v2, ...human, azp: application, scp: ['a'] },
    }
    for (const [name, claims] of Object.entries(table)) assert.equal(who(claims), undefined, name)
  })

  it('refuses another tenant, Graph and a version of the other issuer', () => {
    const good = { ...v2, ...service, azp: application }
    assert.deepEqual(who({ ...good, tid: account }), { refused: 'R_TENANT' })
    assert.deepEqual(who({ ...good, aud: 'https://graph.microsoft.com' }), { refused: 'R_AUDIENCE' })
    assert.deepEqual(who({ ...good, ver: '1.0', appid: application }), { refused: 'R_CLAIMS' })
    assert.deepEqual(who({ ...good, iss: v1.iss }), { refused: 'R_CLAIMS' })
  })

  it('the kinds that a configuration may name for callers are those whose adapter has them', async () => {
    await using it = await startEntraTenant()
    await using opened = opening(systemClock)
    const config = configs.entra.parse({
      kind: 'entra',
      tenantId: it.tenantId,
      endpoints: { graph: it.origin, authority: it.origin },
      credential: { type: 'workloadIdentity' },
    })
    const adapter = opened.open(config, { AZURE_CLIENT_ID: application, AZURE_FEDERATED_TOKEN_FILE: '/none' })
    assert.deepEqual([adapter.callers !== undefined, ...callerKinds], [true, 'entra'])
    const issuers = adapter.callers?.issuers(['api://idp-bridge']) ?? []
    assert.ok(issuers.length >= 2)
    for (const { issuer, audiences, algorithms } of issuers) {
      assert.ok(issuer.includes(it.tenantId))
      assert.deepEqual([audiences, algorithms], [['api://idp-bridge'], ['RS256']])
    }
  })
})
