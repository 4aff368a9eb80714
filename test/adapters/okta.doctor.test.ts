import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Adapter } from '../../src/core/adapter.ts'
import { bench, nobody, pair, permissions, scopes, withAgents } from './org.ts'
import { signal } from './tenant.ts'

const doctorOf = ({ doctor }: Adapter) => {
  assert.ok(doctor?.person)
  return { ...doctor, person: doctor.person }
}
const kinds = ['user', 'serviceApp']
const group = '00g00000000000000000'
const groups = { settings: { groups: { [group]: ['read:x'] } } }

describe('okta doctor', () => {
  it('names each scope that is missing, one by one, with the call that grants it', async () => {
    for (const scope of scopes) {
      await using it = await bench({ ...groups, scopes: scopes.filter((one) => one !== scope) })
      const findings = await doctorOf(it.adapter).permissions(kinds, signal())
      const [missing, ...more] = findings.filter(({ level }) => level === 'error')
      assert.deepEqual([missing?.code, more], ['permission', []], scope)
      assert.ok(missing?.text.includes(`lacks the scope ${scope} `))
      assert.ok(missing?.mend?.includes(`/api/v1/apps/${it.bridge}/grants`) && missing.mend.includes(`"${scope}"`))
    }
  })

  it('names each role that is missing where reading tells, and calls no right to write proven', async () => {
    const reads = [
      [{ permissions: permissions.filter((one) => one !== 'okta.users.read') }, 'reading users'],
      [{ permissions: permissions.filter((one) => !one.startsWith('okta.apps.')) }, 'reading apps'],
      [{ roles: [] }, 'reading the System Log'],
    ] as const
    for (const [rights, what] of reads) {
      await using it = await bench(rights)
      const findings = await doctorOf(it.adapter).permissions(kinds, signal())
      const [missing, ...more] = findings.filter(({ level }) => level === 'error')
      assert.deepEqual([missing?.code, more], ['E_DIRECTORY_FORBIDDEN', []], what)
      assert.ok(missing?.text.startsWith(what))
      const console = `Admin Console, Applications › ${it.bridge} › Admin roles`
      assert.ok(missing?.mend?.includes(what === 'reading the System Log' ? '"REPORT_ADMIN"' : console), missing?.mend)
    }
    for (const right of permissions.filter((one) => !one.endsWith('.read'))) {
      await using it = await bench({ permissions: permissions.filter((one) => one !== right) })
      const findings = await doctorOf(it.adapter).permissions(kinds, signal())
      const told = findings.find(({ text }) => text.includes(`the permission ${right}:`))
      assert.deepEqual([told?.code, told?.level], ['unproven', 'unknown'], right)
      assert.ok(told?.text.endsWith('cannot be told without a write'))
      assert.ok(it.org.requests.every(({ method, surface }) => method === 'GET' || surface === 'oauth'))
    }
  })

  it('AI agents take a super administrator, which is told by the call that makes one', async () => {
    await using it = await bench({ ...withAgents, roles: ['REPORT_ADMIN'] })
    const findings = await doctorOf(it.adapter).permissions(['aiAgent'], signal())
    const [missing] = findings.filter(({ level }) => level === 'error')
    assert.ok(missing?.text.startsWith('reading AI agents') && missing.mend?.includes('"SUPER_ADMIN"'))
  })

  it('tells whether the sponsor is there and active, by id or by address', async () => {
    await using it = await bench()
    const alice = it.org.addUser({ login: 'alice@contoso.example' })
    const gone = it.org.addUser({ login: 'gone@contoso.example' })
    it.org.setEnabled(gone, false)
    const ask = async (objectId?: string, email?: string) =>
      (await doctorOf(it.adapter).person({ objectId, email }, signal())).state
    assert.equal(await ask(alice), 'enabled')
    assert.equal(await ask(undefined, 'alice@contoso.example'), 'enabled')
    assert.equal(await ask(gone), 'disabled')
    assert.equal(await ask(undefined, 'gone@contoso.example'), 'disabled')
    assert.equal(await ask(nobody), 'absent')
    assert.equal(await ask('11111111-2222-4333-8444-555555555555'), 'absent')
    assert.equal(await ask(undefined, 'nobody" or status eq "ACTIVE'), 'absent')
    it.org.setRights(it.bridge, { permissions: [], roles: [] })
    const { finding, state } = await doctorOf(it.adapter).person({ objectId: alice, email: undefined }, signal())
    assert.deepEqual([state, finding?.code], ['unknown', 'E_DIRECTORY_FORBIDDEN'])
  })

  it('tells which groups cannot be read, and shows no key when the org is down', async () => {
    await using it = await bench()
    const readable = it.org.addGroup({ name: 'readers' })
    const doctor = doctorOf(it.adapter)
    assert.deepEqual(
      (await doctor.groups([readable, group], signal())).map(({ level }) => level),
      ['ok', 'error'],
    )
    await it.org.close()
    const findings = [...(await it.open({}).check(signal())), ...(await doctor.permissions(kinds, signal()))]
    assert.ok(findings.some(({ code }) => code === 'E_DIRECTORY_DOWN'))
    assert.ok(!JSON.stringify(findings).includes(String(pair.privateJwk.d)))
  })
})
