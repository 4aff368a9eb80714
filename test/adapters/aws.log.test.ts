import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { IAMClient, PutRolePolicyCommand } from '@aws-sdk/client-iam'
import { mainAccount } from '../../sandbox/aws/index.ts'
import { suspension } from '../../sandbox/aws/policies.ts'
import type { Adapter } from '../../src/core/adapter.ts'
import { codeOf } from '../../src/core/errors.ts'
import { clock } from '../sandbox/client.ts'
import { bench, elsewhere, otherAccount } from './awscloud.ts'
import { signal } from './tenant.ts'

const roles = { kinds: ['iamRole'], paths: ['/agents/'] }
const everything = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] }

async function entriesOf(adapter: Adapter, id: string) {
  const read = await adapter.accounts?.log?.read({ from: Date.now() - 3_600_000, to: Date.now() }, signal())
  return read?.entries.filter((entry) => entry.id === id) ?? []
}
const said = (entries: readonly { action: string; ours: boolean }[]) =>
  entries.map(({ action, ours }) => `${action} ${ours}`)

describe('who switched a role, from the event history', () => {
  it('tells our changes from those of people, and counts every session of our role as us', async () => {
    // The event history tells whole seconds: of what happened in one nobody knows the order.
    const time = clock(Date.now() - 60_000)
    await using it = await bench({ now: time.now, settings: { accounts: elsewhere, manage: roles } })
    const ref = it.role(undefined, otherAccount)
    await it.adapter.accounts?.disable([ref], signal())
    time.advance(5000)
    // Another process, another day: another session of the same role.
    const later = it.open({ accounts: elsewhere, manage: roles, sessionName: 'idp-bridge-2' })
    await later.accounts?.enable([ref], signal())
    time.advance(5000)
    it.cloud.setSwitch(ref.id, false, { by: 'carol' })
    const entries = await entriesOf(it.adapter, ref.id)
    assert.deepEqual(said(entries).sort(), ['disable false', 'disable true', 'enable true'])
    const theirs = entries.find(({ ours }) => !ours)
    assert.match(theirs?.actor ?? '', /user\/carol$/)
    assert.ok(theirs?.actorIds?.includes('arn:aws:iam::444455556666:user/carol'))
  })

  it('only our own switch counts, calls that failed do not, and a role created anew has no past', async () => {
    await using it = await bench({ settings: { manage: roles } })
    const { cloud, adapter } = it
    const ref = it.role('agent')
    cloud.putPolicy(ref.id, 'other', suspension.document)
    cloud.setIamPolicies('idp-bridge', [])
    await adapter.accounts?.disable([ref], signal())
    cloud.setIamPolicies('idp-bridge', [everything])
    assert.deepEqual(await entriesOf(adapter, ref.id), [])
    cloud.setSwitch(ref.id, false)
    assert.deepEqual(said(await entriesOf(adapter, ref.id)), ['disable false'])

    const neighbour = it.open({ manage: roles })
    cloud.recreateRole(ref.id)
    assert.deepEqual(await entriesOf(neighbour, ref.id), [], 'its name is another role’s now')
  })

  it('an account that is away is told of, and keeps nothing of the others unknown', async () => {
    const away = { assumeRole: { ...elsewhere[otherAccount].assumeRole, externalId: 'somebody-else' } }
    const accounts = { [mainAccount]: {}, [otherAccount]: away }
    await using it = await bench({ settings: { manage: roles, accounts } })
    const ref = it.role('agent')
    const other = it.role('other', otherAccount)
    it.cloud.setSwitch(ref.id, false)
    it.cloud.setSwitch(other.id, false)
    const read = await it.adapter.accounts?.log?.read({ from: Date.now() - 3_600_000, to: Date.now() }, signal())
    assert.deepEqual(
      read?.entries.map(({ id }) => id),
      [ref.id],
    )
    assert.deepEqual(
      [ref.id, other.id].map((id) => read?.unread?.(id)),
      [false, true],
    )
    assert.match(it.logged(), /event history not read/)

    const alone = it.open({ manage: roles, accounts: { [otherAccount]: away } })
    const window = { from: Date.now() - 3_600_000, to: Date.now() }
    await assert.rejects(async () => alone.accounts?.log?.read(window, signal()), { code: 'E_DIRECTORY_AUTH' })
  })

  it('says that what is younger than the lag may be missing, and asks no faster than it may', async () => {
    await using it = await bench({ settings: { manage: roles, attribution: { lag: '10m' } } })
    const now = Date.now()
    const read = await it.adapter.accounts?.log?.read({ from: now - 3_600_000, to: now }, signal())
    const behind = now - (read?.completeUntil ?? 0)
    assert.ok(behind >= 9 * 60_000 && behind <= 12 * 60_000, `${behind} ms`)
    assert.equal(it.adapter.accounts?.log?.retentionMs, 90 * 86_400_000)
    it.cloud.fail('/cloudtrail/LookupEvents', { altered: 'looping', times: 1 })
    it.cloud.fail('/cloudtrail/LookupEvents', { status: 403, times: 20 })
    const failed = it.adapter.accounts?.log?.read({ from: 0, to: now }, signal())
    await assert.rejects(
      async () => failed,
      (error) => codeOf(error) === 'E_DIRECTORY_FORBIDDEN',
    )
  })

  it('is absent where nobody is to be asked', async () => {
    await using it = await bench({ settings: { attribution: 'none' } })
    assert.equal(it.adapter.accounts?.log, undefined)
  })

  it('a managed policy of ours counts as the inline one', async () => {
    await using it = await bench({ settings: { manage: roles } })
    const { cloud, adapter } = it
    const ref = it.role()
    const [arn] = ['arn:aws:iam::111122223333:policy/AgentMeshSuspended']
    cloud.attachPolicy(ref.id, arn, { by: 'dave' })
    cloud.detachPolicy(ref.id, arn, { by: 'dave' })
    cloud.attachPolicy(ref.id, 'arn:aws:iam::aws:policy/AdministratorAccess', { by: 'dave' })
    assert.deepEqual(said(await entriesOf(adapter, ref.id)).sort(), ['disable false', 'enable false'])
  })

  it('another user of the account is not us, whatever it writes', async () => {
    await using it = await bench({ settings: { manage: roles } })
    const ref = it.role('agent')
    const keys = it.cloud.addIamUser({ name: 'mallory', policies: [everything] })
    const iam = new IAMClient({ region: 'us-east-1', endpoint: it.cloud.origin, credentials: keys, maxAttempts: 1 })
    const PolicyDocument = JSON.stringify(suspension.document)
    await iam.send(new PutRolePolicyCommand({ RoleName: 'agent', PolicyName: suspension.name, PolicyDocument }))
    iam.destroy()
    assert.deepEqual(said(await entriesOf(it.adapter, ref.id)), ['disable false'])
  })
})

describe('who switched a user', () => {
  it('is told for the console and for SCIM: ours by our token, in this process and after it', async () => {
    await using it = await bench()
    const [ours, theirs] = [it.user(), it.user()]
    await it.adapter.accounts?.disable([ours], signal())
    it.cloud.setEnabled(theirs.id, false, { by: 'carol' })
    const fresh = it.open({})
    for (const adapter of [it.adapter, fresh]) {
      assert.deepEqual(said(await entriesOf(adapter, ours.id)), ['disable true'])
      assert.deepEqual(said(await entriesOf(adapter, theirs.id)), ['disable false'])
    }
    await fresh.accounts?.enable([ours], signal())
    assert.deepEqual(said(await entriesOf(fresh, ours.id)).sort(), ['disable true', 'enable true'])
  })
})
