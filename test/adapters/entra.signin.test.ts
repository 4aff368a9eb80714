import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { selfSigned } from '../../sandbox/certificate.ts'
import { bridgeRoles } from '../../sandbox/entra/seed.ts'
import type { Adapter } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'
import { bench, SECRET, signal } from './tenant.ts'

function folder() {
  const path = mkdtempSync(join(tmpdir(), 'entra-'))
  return { path, file: (name: string) => join(path, name), [Symbol.dispose]: () => rmSync(path, { recursive: true }) }
}

async function works(adapter: Adapter, id: string): Promise<void> {
  const seen = await adapter.lookup([{ id, kind: 'servicePrincipal' }], signal())
  assert.equal(seen.get(id)?.state, 'enabled')
}
async function failure(run: Promise<unknown>): Promise<BridgeError> {
  const error = await run.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  assert.ok(error instanceof BridgeError)
  return error
}

describe('entra sign-in', () => {
  it('with a client secret, once for many calls, and with continuous access evaluation', async () => {
    await using it = await bench()
    const id = it.tenant.addServicePrincipal({ displayName: 'a' })
    await Promise.all(Array.from({ length: 10 }, () => works(it.adapter, id)))
    assert.equal(it.tenant.requests.filter((each) => each.surface === 'login').length, 1)
    assert.ok(it.tenant.requests.every((each) => !each.path.includes('discovery/instance')))
  })

  it('with a certificate', async () => {
    await using it = await bench()
    const id = it.tenant.addServicePrincipal({ displayName: 'a' })
    const { certificate, privateKey } = selfSigned()
    it.tenant.addCredential(it.bridge.appId, { certificate })
    const credential = {
      type: 'clientCertificate',
      clientId: it.bridge.appId,
      certificate: `${certificate}\n${privateKey}`,
    }
    await works(it.open({ credential }), id)
  })

  it('with the federated token of the platform', async () => {
    using files = folder()
    await using it = await bench()
    const id = it.tenant.addServicePrincipal({ displayName: 'a' })
    const app = it.tenant.registerApp({ name: 'federated', roles: [...bridgeRoles], federatedSubject: 'system:bridge' })
    writeFileSync(files.file('token'), it.tenant.workloadToken('system:bridge'))
    const credential = { type: 'workloadIdentity', clientId: app.appId, tokenFile: files.file('token') }
    await works(it.open({ credential }), id)
  })

  it('as a managed identity, by the address the platform names', async () => {
    await using it = await bench()
    const id = it.tenant.addServicePrincipal({ displayName: 'a' })
    const app = it.tenant.registerApp({ name: 'managed', roles: [...bridgeRoles], managedIdentity: true })
    const name = 'AZURE_POD_IDENTITY_AUTHORITY_HOST'
    process.env[name] = it.tenant.origin
    try {
      const credential = { type: 'managedIdentity', clientId: app.appId }
      await works(it.open({ credential }, { [name]: it.tenant.origin }), id)
      assert.equal(it.tenant.requests.filter((each) => each.surface === 'imds').length, 1)
    } finally {
      delete process.env[name]
    }
  })

  it('with the token in a file, read again when it changes', async () => {
    using files = folder()
    await using it = await bench()
    const id = it.tenant.addServicePrincipal({ displayName: 'a' })
    const token = (claims = {}) =>
      it.tenant.issueToken({
        kind: 'app',
        id: it.bridge.servicePrincipalId,
        audience: 'https://graph.microsoft.com',
        roles: [...bridgeRoles],
        claims,
      })
    writeFileSync(files.file('token'), 'stale')
    const adapter = it.open({ credential: { type: 'tokenFile', path: files.file('token') } })
    const look = () => adapter.lookup([{ id, kind: 'servicePrincipal' }], signal())
    assert.equal((await failure(look())).code, 'E_DIRECTORY_AUTH')
    writeFileSync(files.file('token'), `${token()}\n`)
    await works(adapter, id)
    writeFileSync(files.file('token'), token({ tid: '99999999-9999-4999-8999-999999999999' }))
    assert.match(String((await failure(look())).message), /another tenant/)
    rmSync(files.file('token'))
    assert.equal((await failure(look())).code, 'E_SECRET')
  })

  it('answers a claims challenge with a new token, once', async () => {
    await using it = await bench()
    const id = it.tenant.addServicePrincipal({ displayName: 'a' })
    await works(it.adapter, id)
    const claims = Buffer.from('{"access_token":{"nbf":{"essential":true,"value":"1"}}}').toString('base64')
    const challenge = `Bearer realm="", error="insufficient_claims", claims="${claims}"`
    const headers = { 'WWW-Authenticate': challenge }
    it.tenant.fail('/$batch', { status: 401, headers })
    await works(it.adapter, id)
    assert.equal(it.tenant.requests.filter((each) => each.surface === 'login').length, 2)
    it.tenant.fail('/$batch', { status: 401, headers, times: 2 })
    const error = await failure(it.adapter.lookup([{ id, kind: 'servicePrincipal' }], signal()))
    assert.equal(error.code, 'E_DIRECTORY_AUTH')
  })

  it('a token that the directory refuses is not used again', async () => {
    await using it = await bench()
    const id = it.tenant.addServicePrincipal({ displayName: 'a' })
    const refs = [{ id, kind: 'servicePrincipal' }]
    it.tenant.setClockOff(600_000)
    assert.equal((await it.adapter.lookup(refs, signal())).get(id)?.state, 'enabled')
    // The clock is right again: what it issued is not valid yet, for ten minutes.
    it.tenant.setClockOff(0)
    assert.equal((await it.adapter.lookup(refs, signal())).get(id)?.state, 'enabled')
    const signIns = () =>
      it.tenant.requests.filter(({ method, surface }) => surface === 'login' && method === 'POST').length
    assert.equal(signIns(), 2)
    it.tenant.fail('/$batch', { status: 401, times: Number.POSITIVE_INFINITY })
    await assert.rejects(it.adapter.lookup(refs, signal()), { code: 'E_DIRECTORY_AUTH' })
    assert.equal(signIns(), 3, 'once for each call that is refused')
  })

  it('says so when its own application is disabled, and what mends it', async () => {
    await using it = await bench()
    it.tenant.setEnabled(it.bridge.servicePrincipalId, false)
    const error = await failure(it.adapter.lookup([{ id: it.blueprint.id, kind: 'servicePrincipal' }], signal()))
    assert.equal(error.code, 'E_DIRECTORY_AUTH')
    assert.match(error.message, /AADSTS7000112/)
    assert.match(String(error.hint), /disabled in this tenant/)
  })

  it('shows no secret when the sign-in fails', async () => {
    await using it = await bench()
    it.tenant.removeSecret(it.bridge.appId, SECRET)
    const error = await failure(it.adapter.lookup([{ id: it.blueprint.id, kind: 'servicePrincipal' }], signal()))
    assert.match(String(error.hint), /client secret is wrong/)
    const said = `${error.message}${error.hint}${error.stack}${String(error.cause)}${it.logged()}`
    assert.ok(!said.includes(SECRET))
  })

  it('does not sign in until it is asked something', async () => {
    await using it = await bench()
    it.open({ credential: { type: 'tokenFile', path: '/nonexistent/token' } })
    assert.equal(it.tenant.requests.length, 0)
  })
})

describe('entra check', () => {
  it('names every missing permission with the command that grants it', async () => {
    await using it = await bench({ roles: ['AgentIdentity.Read.All'] })
    const findings = await it.adapter.check(signal())
    const missing = findings
      .filter((each) => each.code === 'permission')
      .map((each) => /permission (\S+)/.exec(each.text)?.[1])
    assert.deepEqual(missing.sort(), [
      'AgentIdentity.EnableDisable.All',
      'AgentIdentityBlueprintPrincipal.Read.All',
      'Application.Read.All',
      'Application.ReadWrite.OwnedBy',
      'AuditLog.Read.All',
      'User.EnableDisableAccount.All',
      'User.Read.All',
      'User.RevokeSessions.All',
    ])
    for (const each of findings.filter((one) => one.code === 'permission'))
      assert.match(String(each.mend), new RegExp(`az ad app permission add --id ${it.bridge.appId}`))
    assert.ok(findings.some((each) => each.code === 'E_DIRECTORY_FORBIDDEN'))
  })

  it('asks for no write permission where it only reads', async () => {
    const settings = { mirror: 'inbound', manage: { kinds: ['agentIdentity'] } }
    const roles = ['AgentIdentity.Read.All', 'AgentIdentityBlueprintPrincipal.Read.All']
    await using it = await bench({ roles, settings })
    assert.ok((await it.adapter.check(signal())).every((each) => each.level === 'ok'))
  })

  it('finds a mapped group that cannot be read and a clock that is off', async () => {
    await using it = await bench({ settings: { groups: { 'ffffffff-ffff-4fff-8fff-ffffffffffff': ['read:x'] } } })
    it.tenant.fail('/users', { status: 200, headers: { Date: 'Thu, 01 Jan 2026 00:00:00 GMT' }, body: { value: [] } })
    const findings = await it.adapter.check(signal())
    assert.ok(findings.some((each) => each.level === 'error' && each.text.includes('reading the group')))
  })

  it('warns of a token that voids agent permissions or is of an agent', async () => {
    using files = folder()
    await using it = await bench()
    const agent = it.tenant.addAgentIdentity({ displayName: 'a', blueprintAppId: it.blueprint.appId })
    const audience = 'https://graph.microsoft.com'
    const token = it.tenant.issueToken({
      kind: 'agent',
      id: agent,
      audience,
      claims: { scp: 'Directory.AccessAsUser.All' },
    })
    writeFileSync(files.file('token'), token)
    const adapter = it.open({ credential: { type: 'tokenFile', path: files.file('token') } })
    const codes = (await adapter.check(signal())).map((each) => each.code)
    assert.ok(codes.includes('self-agent') && codes.includes('access-as-user'))
    assert.equal(adapter.vet({ id: agent, kind: 'agentIdentity' })?.code, 'E_NEVER')
  })
})
