import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { bridgeRoles } from '../../sandbox/entra/seed.ts'
import type { Adapter } from '../../src/core/adapter.ts'
import { allKinds, bench, never, SECRET, signal } from './tenant.ts'

const doctorOf = ({ doctor }: Adapter) => {
  assert.ok(doctor?.person)
  return { ...doctor, person: doctor.person }
}
const errors = (findings: Awaited<ReturnType<Adapter['check']>>) => findings.filter(({ level }) => level === 'error')

describe('entra doctor', () => {
  it('names each permission that is missing, one by one, with the command that grants it', async () => {
    for (const role of bridgeRoles) {
      const group = 'aaaaaaaa-1111-4222-8333-444444444444'
      const settings = { groups: { [group]: ['read:x'] } }
      await using it = await bench({ roles: bridgeRoles.filter((one) => one !== role), settings })
      const findings = await doctorOf(it.adapter).permissions(allKinds, signal())
      const [missing, ...more] = findings.filter(({ code }) => code === 'permission')
      assert.match(missing?.text ?? '', new RegExp(`lacks the application permission ${role} `), role)
      assert.deepEqual(more, [], role)
      assert.equal(missing?.level, role === 'User.RevokeSessions.All' ? 'warning' : 'error', role)
      assert.match(
        missing?.mend ?? '',
        new RegExp(`^az ad app permission add --id ${it.bridge.appId} .*'${role}'.*admin-consent`),
      )
    }
  })

  it('does not call proven what reaches only what the bridge owns', async () => {
    await using it = await bench()
    const findings = await doctorOf(it.adapter).permissions(allKinds, signal())
    assert.deepEqual(errors(findings), [])
    const [owned, ...more] = findings.filter(({ level }) => level === 'unknown')
    assert.deepEqual(more, [])
    assert.match(owned?.text ?? '', /Application\.ReadWrite\.OwnedBy.* cannot be told without a write$/)
    assert.ok(owned?.mend?.includes(`directoryObjects/${it.bridge.servicePrincipalId}`))
    await using wide = await bench({ roles: [...bridgeRoles, 'Application.ReadWrite.All'] })
    assert.ok((await doctorOf(wide.adapter).permissions(allKinds, signal())).every(({ level }) => level === 'ok'))
  })

  it('with a token that cannot be read, tries every read and calls no write proven', async () => {
    const path = mkdtempSync(join(tmpdir(), 'entra-'))
    using _ = { [Symbol.dispose]: () => rmSync(path, { recursive: true }) }
    const file = join(path, 'token')
    for (const roles of [bridgeRoles, bridgeRoles.filter((role) => role !== 'AuditLog.Read.All')]) {
      await using it = await bench({ roles })
      const token = it.tenant.issueToken({
        kind: 'app',
        id: it.bridge.servicePrincipalId,
        audience: 'https://graph.microsoft.com',
        roles: [...roles],
      })
      writeFileSync(file, it.tenant.disguiseToken(token))
      const adapter = it.open({ credential: { type: 'tokenFile', path: file } })
      const findings = await doctorOf(adapter).permissions(['agentIdentity', 'user'], signal())
      const failed = errors(findings)
      if (roles === bridgeRoles) assert.deepEqual(failed, [])
      else
        assert.deepEqual(
          failed.map(({ code }) => code),
          ['E_DIRECTORY_FORBIDDEN'],
        )
      const writes = findings.filter(({ level }) => level === 'unknown').map(({ text }) => text)
      assert.deepEqual(
        writes.map((text) => /\((\S+)\)/.exec(text)?.[1]),
        ['AgentIdentity.EnableDisable.All', 'User.EnableDisableAccount.All', 'User.RevokeSessions.All'],
      )
      assert.ok((await adapter.check(signal())).some(({ code }) => code === 'token-opaque'))
    }
  })

  it('finds a clock that is off: from half a minute a warning, from a minute an error', async () => {
    for (const [seconds, level] of [
      [20, 'ok'],
      [-45, 'warning'],
      [45, 'warning'],
      [90, 'error'],
      [-3600, 'error'],
    ] as const) {
      await using it = await bench()
      it.tenant.setClockOff(seconds * 1000)
      const findings = await it.adapter.check(signal())
      const clock = findings.find(({ code, text }) => code === 'clock' || text === 'comparing the clocks')
      assert.equal(clock?.level, level, `${seconds} s`)
    }
  })

  it('a directory that is down is a finding, and no secret is in any', async () => {
    await using it = await bench()
    await it.tenant.close()
    const doctor = doctorOf(it.adapter)
    const all = [
      ...(await it.adapter.check(signal())),
      ...(await doctor.permissions(allKinds, signal())),
      ...(await doctor.groups([never], signal())),
    ]
    const { finding, state } = await doctor.person({ objectId: never, email: undefined }, signal())
    assert.equal(state, 'unknown')
    assert.ok(finding)
    assert.ok([...all, finding].every(({ code, level }) => level === 'error' && code.startsWith('E_DIRECTORY_')))
    assert.ok(!JSON.stringify([...all, finding]).includes(SECRET))
  })

  it('tells whether the sponsor is there and enabled, by object id or by address, and writes nothing', async () => {
    await using it = await bench()
    const { tenant } = it
    const alice = tenant.addUser({ displayName: 'Alice', userPrincipalName: "alice.o'neil@contoso.com" })
    const gone = tenant.addUser({ displayName: 'Gone', userPrincipalName: 'gone@contoso.com' })
    tenant.setEnabled(gone, false)
    const ask = async (objectId?: string, email?: string) =>
      (await doctorOf(it.adapter).person({ objectId, email }, signal())).state
    assert.equal(await ask(alice), 'enabled')
    assert.equal(await ask(undefined, "alice.o'neil@contoso.com"), 'enabled')
    assert.equal(await ask(gone), 'disabled')
    assert.equal(await ask(undefined, 'gone@contoso.com'), 'disabled')
    assert.equal(await ask(never), 'absent')
    assert.equal(await ask(undefined, 'nobody@contoso.com'), 'absent')
    assert.equal(await ask('no-object-id-of-this-tenant'), 'absent')
    assert.ok(tenant.requests.filter(({ surface }) => surface === 'graph').every(({ method }) => method === 'GET'))
  })

  it('without the permission to read people nothing is told of them', async () => {
    const roles = bridgeRoles.filter((role) => role !== 'User.Read.All')
    await using it = await bench({ roles, settings: { manage: { kinds: ['agentIdentity'] } } })
    const alice = it.tenant.addUser({ displayName: 'Alice' })
    const { finding, state } = await doctorOf(it.adapter).person({ objectId: alice, email: undefined }, signal())
    assert.deepEqual([state, finding?.code], ['unknown', 'E_DIRECTORY_FORBIDDEN'])
    assert.match(finding?.mend ?? '', /User\.Read\.All/)
  })

  it('tells which groups cannot be read', async () => {
    await using it = await bench()
    const group = it.tenant.addGroup({ displayName: 'readers' })
    const findings = await doctorOf(it.adapter).groups([group, never], signal())
    assert.deepEqual(
      findings.map(({ level }) => level),
      ['ok', 'error'],
    )
  })
})
