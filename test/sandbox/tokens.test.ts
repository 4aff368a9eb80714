import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { type EntraTenant, startEntraTenant } from '../../sandbox/entra/index.ts'
import { text } from './client.ts'

function jwks(tenant: EntraTenant) {
  return createRemoteJWKSet(new URL(`${tenant.origin}/${tenant.tenantId}/discovery/v2.0/keys`), { cooldownDuration: 0 })
}

describe('issued tokens', () => {
  it('have the claims of their shape, in both versions', async () => {
    await using tenant = await startEntraTenant()
    const blueprint = tenant.addBlueprintPrincipal({})
    const agent = tenant.addAgentIdentity({ displayName: 'agent', blueprintAppId: blueprint.appId })
    const human = tenant.addUser()
    const agentUser = tenant.addAgentUser({ identityParentId: agent })
    const classic = tenant.addServicePrincipal({ displayName: 'classic' })
    const audience = crypto.randomUUID()
    const verify = async (token: string, version: 'v1' | 'v2') =>
      (await jwtVerify(token, jwks(tenant), { audience, issuer: issuerOf(tenant, version) })).payload
    const has = (claim: unknown, facet: string) => text(claim).split(' ').includes(facet)

    const autonomous = await verify(tenant.issueToken({ kind: 'agent', id: agent, audience, roles: ['Read'] }), 'v1')
    assert.deepEqual([autonomous.oid, autonomous.appid, autonomous.idtyp], [agent, agent, 'app'])
    assert.notEqual(autonomous.sub, agent)
    assert.equal(autonomous.xms_par_app_azp, blueprint.appId)
    assert.ok(has(autonomous.xms_act_fct, '11') && has(autonomous.xms_sub_fct, '11'))
    assert.deepEqual(autonomous.roles, ['Read'])

    const obo = await verify(
      tenant.issueToken({ kind: 'obo', version: 'v2', id: agent, user: human, audience, scopes: ['read'] }),
      'v2',
    )
    assert.deepEqual([obo.oid, obo.azp, obo.idtyp, obo.scp], [human, agent, 'user', 'read'])
    assert.ok(has(obo.xms_act_fct, '11') && !has(obo.xms_sub_fct, '11') && !has(obo.xms_sub_fct, '13'))

    const asUser = await verify(tenant.issueToken({ kind: 'agentUser', id: agent, user: agentUser, audience }), 'v1')
    assert.deepEqual([asUser.oid, asUser.appid, asUser.idtyp], [agentUser, agent, 'user'])
    assert.ok(has(asUser.xms_sub_fct, '13') && has(asUser.xms_act_fct, '11'))

    const app = await verify(tenant.issueToken({ kind: 'app', version: 'v2', id: classic, audience }), 'v2')
    assert.deepEqual([app.oid, app.idtyp, app.xms_act_fct, app.scp], [classic, 'app', undefined, undefined])

    const person = await verify(tenant.issueToken({ kind: 'human', id: 'client', user: human, audience }), 'v1')
    assert.deepEqual([person.oid, person.idtyp, person.xms_act_fct], [human, 'user', undefined])

    const edited = await verify(
      tenant.issueToken({ kind: 'agent', id: agent, audience, claims: { idtyp: undefined, cnf: { jkt: 'x' } } }),
      'v1',
    )
    assert.deepEqual([edited.idtyp, edited.cnf], [undefined, { jkt: 'x' }])
  })

  it('verify after a rotation, and no longer after a withdrawal', async () => {
    await using tenant = await startEntraTenant()
    const agent = tenant.addAgentIdentity({ displayName: 'agent', blueprintAppId: crypto.randomUUID() })
    const old = tenant.issueToken({ kind: 'agent', id: agent, audience: 'api://agents' })
    tenant.rotateKeys()
    const fresh = tenant.issueToken({ kind: 'agent', id: agent, audience: 'api://agents' })
    assert.notEqual(decodeProtectedHeader(old).kid, decodeProtectedHeader(fresh).kid)
    await jwtVerify(old, jwks(tenant))
    await jwtVerify(fresh, jwks(tenant))
    tenant.rotateKeys({ withdraw: true })
    await assert.rejects(jwtVerify(old, jwks(tenant)), { code: 'ERR_JWKS_NO_MATCHING_KEY' })
    await assert.rejects(jwtVerify(fresh, jwks(tenant)), { code: 'ERR_JWKS_NO_MATCHING_KEY' })
  })
})

function issuerOf(tenant: EntraTenant, version: 'v1' | 'v2'): string {
  const id = tenant.tenantId
  return version === 'v1' ? `https://sts.windows.net/${id}/` : `https://login.microsoftonline.com/${id}/v2.0`
}
