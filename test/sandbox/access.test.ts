import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { startEntraTenant } from '../../sandbox/entra/index.ts'
import { at, clock, code, GraphClient, requestToken, send, text } from './client.ts'

const denied = [403, 'Authorization_RequestDenied']
const guid = '/[0-9a-f-]{36}'

describe('who may call Graph', () => {
  it('401 without a token, with a foreign one, an expired one, and one for another audience', async () => {
    const time = clock()
    await using tenant = await startEntraTenant({ now: time.now })
    await using other = await startEntraTenant()
    const url = `${tenant.origin}/v1.0/users`
    const ask = (token: string) => send(url, { headers: { Authorization: `Bearer ${token}` } })
    const app = { kind: 'app', id: crypto.randomUUID(), roles: ['User.Read.All'] } as const
    const graph = 'https://graph.microsoft.com'
    const none = await send(url)
    assert.deepEqual(code(none), [401, 'InvalidAuthenticationToken'])
    assert.match(none.headers.get('www-authenticate') ?? '', /^Bearer realm="", authorization_uri=/)
    const good = tenant.issueToken({ ...app, audience: graph })
    assert.equal((await ask(good)).status, 200)
    assert.equal((await ask(tenant.issueToken({ ...app, audience: tenant.origin }))).status, 200)
    assert.equal((await ask(tenant.issueToken({ ...app, audience: 'api://other' }))).status, 401)
    assert.equal((await ask(other.issueToken({ ...app, audience: graph }))).status, 401)
    assert.equal((await ask(`${good.slice(0, -4)}AAAA`)).status, 401)
    assert.equal((await ask('nonsense')).status, 401)
    time.advance(3_600_000)
    assert.equal((await ask(good)).status, 401)
    const kept = tenant.issueToken({ ...app, audience: graph })
    assert.equal((await ask(kept)).status, 200)
    tenant.rotateKeys({ withdraw: true })
    assert.equal((await ask(kept)).status, 401)
  })

  it('a disabled app keeps its token, unless it takes part in continuous access evaluation', async () => {
    await using tenant = await startEntraTenant()
    const client = await GraphClient.signIn(tenant, 'User.Read.All')
    const reply = await requestToken(tenant, {
      client_id: client.appId,
      client_secret: client.secret,
      scope: 'https://graph.microsoft.com/.default',
      claims: JSON.stringify({ access_token: { xms_cc: { values: ['cp1'] } } }),
    })
    assert.ok(Number(at(reply.body, 'expires_in')) > 80_000)
    const cae = text(at(reply.body, 'access_token'))
    const ask = () => send(`${tenant.origin}/v1.0/users`, { headers: { Authorization: `Bearer ${cae}` } })
    assert.equal((await ask()).status, 200)
    tenant.setEnabled(client.servicePrincipalId, false)
    assert.equal((await client.get('/users')).status, 200)
    const challenge = await ask()
    assert.equal(challenge.status, 401)
    assert.match(challenge.headers.get('www-authenticate') ?? '', /error="insufficient_claims", claims="/)
  })

  it('refuses by the least-privilege table', async () => {
    await using tenant = await startEntraTenant()
    const blueprint = tenant.addBlueprintPrincipal({})
    const agent = tenant.addAgentIdentity({ displayName: 'agent', blueprintAppId: blueprint.appId })
    const plain = tenant.addServicePrincipal({ displayName: 'plain' })
    const user = tenant.addUser()
    const agentUser = tenant.addAgentUser({ identityParentId: agent })
    const group = tenant.addGroup()
    const cast = 'microsoft.graph.agentIdentity'
    const blueprintCast = 'microsoft.graph.agentIdentityBlueprintPrincipal'
    const off = { accountEnabled: false }
    const cases: [string, string, unknown, string[], string[]][] = [
      ['GET', `/servicePrincipals/${cast}`, undefined, ['AgentIdentity.Read.All'], ['Application.Read.All']],
      ['GET', `/servicePrincipals/${agent}/${cast}`, undefined, ['AgentIdentity.Read.All'], ['Application.Read.All']],
      ['GET', '/servicePrincipals', undefined, ['Application.Read.All'], ['AgentIdentity.Read.All']],
      ['GET', `/servicePrincipals/${agent}`, undefined, ['Application.Read.All'], ['AgentIdentity.Read.All']],
      ['GET', '/servicePrincipals/delta', undefined, ['Directory.Read.All'], ['AgentIdentity.Read.All']],
      [
        'PATCH',
        `/servicePrincipals/${agent}/${cast}`,
        off,
        ['AgentIdentity.EnableDisable.All'],
        ['AgentIdentity.Read.All'],
      ],
      [
        'PATCH',
        `/servicePrincipals/${cast}/${agent}`,
        off,
        ['AgentIdentity.EnableDisable.All'],
        ['User.ReadWrite.All'],
      ],
      ['PATCH', `/servicePrincipals/${agent}`, off, ['Application.ReadWrite.All'], ['AgentIdentity.EnableDisable.All']],
      [
        'PATCH',
        `/servicePrincipals/${agent}/${cast}`,
        { displayName: 'x' },
        ['AgentIdentity.ReadWrite.All'],
        ['AgentIdentity.EnableDisable.All'],
      ],
      [
        'PATCH',
        `/servicePrincipals/${blueprint.id}/${blueprintCast}`,
        off,
        ['AgentIdentityBlueprintPrincipal.EnableDisable.All'],
        ['AgentIdentity.EnableDisable.All'],
      ],
      [
        'GET',
        `/servicePrincipals/${blueprintCast}`,
        undefined,
        ['AgentIdentityBlueprintPrincipal.Read.All'],
        ['AgentIdentity.Read.All'],
      ],
      ['PATCH', `/servicePrincipals/${plain}`, off, ['Application.ReadWrite.All'], ['Application.ReadWrite.OwnedBy']],
      ['GET', '/users', undefined, ['User.Read.All'], ['Application.Read.All']],
      ['GET', '/users/delta', undefined, ['User.Read.All'], ['Group.Read.All']],
      [
        'PATCH',
        `/users/${user}`,
        off,
        ['User.EnableDisableAccount.All', 'User.Read.All'],
        ['User.EnableDisableAccount.All'],
      ],
      ['PATCH', `/users/${agentUser}`, off, ['AgentIdUser.ReadWrite.All'], ['User.Read.All']],
      ['PATCH', `/users/${user}`, off, ['User.ReadWrite.All'], ['AgentIdUser.ReadWrite.All']],
      ['POST', `/users/${user}/revokeSignInSessions`, undefined, ['User.RevokeSessions.All'], ['User.ReadWrite.All']],
      ['GET', '/groups', undefined, ['GroupMember.ReadBasic.All'], ['Application.Read.All']],
      ['GET', `/groups/${group}/members`, undefined, ['GroupMember.Read.All'], ['User.Read.All']],
      ['GET', '/groups/delta', undefined, ['Group.ReadBasic.All'], ['GroupMember.ReadBasic.All']],
      ['GET', '/groups/delta?$select=members', undefined, ['GroupMember.Read.All'], ['Group.ReadBasic.All']],
      ['GET', `/servicePrincipals/${agent}/memberOf`, undefined, ['Application.Read.All'], ['GroupMember.Read.All']],
      ['GET', `/servicePrincipals/${agent}/sponsors`, undefined, ['Application.Read.All'], ['AgentIdentity.Read.All']],
      ['GET', '/auditLogs/directoryAudits', undefined, ['AuditLog.Read.All'], ['Directory.Read.All']],
    ]
    for (const [method, path, body, enough, lacking] of cases) {
      const name = `${method} ${path.replaceAll(new RegExp(guid, 'g'), '/{id}')}`
      const refused = await (await GraphClient.signIn(tenant, ...lacking)).call(method, path, body)
      assert.deepEqual(code(refused), denied, `${name} with ${lacking.join()}`)
      assert.equal(at(refused.body, 'error', 'message'), 'Insufficient privileges to complete the operation.')
      assert.equal(typeof at(refused.body, 'error', 'innerError', 'request-id'), 'string')
      const allowed = await (await GraphClient.signIn(tenant, ...enough)).call(method, path, body)
      assert.ok(allowed.status < 300, `${name} with ${enough.join()}: ${JSON.stringify(allowed.body)}`)
    }
  })

  it('OwnedBy covers owned apps only, and nobody writes protected accounts', async () => {
    await using tenant = await startEntraTenant()
    const client = await GraphClient.signIn(tenant, 'Application.ReadWrite.OwnedBy', 'User.ReadWrite.All')
    const owned = tenant.addServicePrincipal({ displayName: 'mine', ownerIds: [client.servicePrincipalId] })
    const foreign = tenant.addServicePrincipal({ displayName: 'not mine' })
    const admin = tenant.addUser({ protected: true })
    assert.equal((await client.patch(`/servicePrincipals/${owned}`, { accountEnabled: false })).status, 204)
    assert.equal((await client.get(`/servicePrincipals/${owned}`)).status, 200)
    assert.deepEqual(code(await client.patch(`/servicePrincipals/${foreign}`, { accountEnabled: false })), denied)
    assert.deepEqual(code(await client.get(`/servicePrincipals/${foreign}`)), denied)
    assert.deepEqual(code(await client.patch(`/users/${admin}`, { accountEnabled: false })), denied)
  })

  it('echoes client-request-id and gives each answer a request-id', async () => {
    await using tenant = await startEntraTenant()
    const client = await GraphClient.signIn(tenant, 'User.Read.All')
    const id = crypto.randomUUID()
    const reply = await client.get('/users', { 'client-request-id': id })
    assert.equal(reply.headers.get('client-request-id'), id)
    assert.match(reply.headers.get('request-id') ?? '', /^[0-9a-f-]{36}$/)
    const missing = await client.get(`/users/${crypto.randomUUID()}`, { 'client-request-id': id })
    assert.equal(at(missing.body, 'error', 'innerError', 'client-request-id'), id)
  })
})
