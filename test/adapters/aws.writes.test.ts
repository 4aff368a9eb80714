import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ListRolesCommand } from '@aws-sdk/client-iam'
import { revocation, suspension } from '../../sandbox/aws/policies.ts'
import type { PrincipalRef, WriteResult } from '../../src/core/adapter.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { clients, refusal } from '../sandbox/awsclient.ts'
import { type Bench, bench, documented, MANAGED, SCIM_TOKEN } from './awscloud.ts'
import { hasty, leaping, signal } from './tenant.ts'

const everything = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] }
/** Fills the inline space of a role to so many characters. */
const filler = (size: number) => {
  const empty = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 'x:y', Resource: '' }] }
  const left = size - JSON.stringify(empty).length
  return { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 'x:y', Resource: 'a'.repeat(left) }] }
}

const disable = async ({ adapter }: Pick<Bench, 'adapter'>, ref: PrincipalRef): Promise<WriteResult | undefined> =>
  (await adapter.accounts?.disable([ref], signal()))?.[0]
const enable = async (
  { adapter }: Pick<Bench, 'adapter'>,
  ref: PrincipalRef,
  wanted?: () => Promise<void>,
): Promise<WriteResult | undefined> => (await adapter.accounts?.enable([ref], signal(), wanted))?.[0]
const read = async ({ adapter }: Pick<Bench, 'adapter'>, ref: PrincipalRef) =>
  (await adapter.lookup([ref], signal())).get(ref.id)
const switchesOf = async (it: Pick<Bench, 'adapter'>, ref: PrincipalRef) =>
  Object.fromEntries((await read(it, ref))?.switches.map(({ name, state }) => [name, state]) ?? [])
const writes = ({ cloud }: Bench) =>
  cloud.requests.filter(({ path }) => /\/iam\/(Put|Delete|Attach|Detach)/.test(path)).map(({ path }) => path.slice(5))

describe('suspending a role', () => {
  it('writes the documented policy under our name, reads it back, and sessions can do nothing', async () => {
    await using it = await bench()
    const { cloud } = it
    const ref = { id: cloud.addRole({ inline: { work: everything } }), kind: 'iamRole' }
    using session = clients(cloud, cloud.session(ref.id))
    assert.equal(await refusal(session.iam.send(new ListRolesCommand({}))), 'none')
    const done = await disable(it, ref)
    assert.deepEqual([done?.outcome, done?.before?.state], ['done', 'unknown'])
    const document: unknown = JSON.parse(cloud.role(ref.id)?.inline.get('AgentMeshSuspended') ?? '')
    assert.deepEqual(document, documented('managed'))
    assert.equal(await refusal(session.iam.send(new ListRolesCommand({}))), 'AccessDenied')
    const paths = cloud.requests.map(({ path }) => path)
    assert.ok(paths.lastIndexOf('/iam/GetRolePolicy') > paths.indexOf('/iam/PutRolePolicy'), 'read back')
    assert.deepEqual(await switchesOf(it, ref), { policy: 'off', deny: 'on', boundary: 'on', trust: 'on' })
  })

  it('lifted, sessions from before stay without power: they are revoked first', async () => {
    await using it = await bench()
    const { cloud } = it
    const ref = { id: cloud.addRole({ inline: { work: everything } }), kind: 'iamRole' }
    using before = clients(cloud, cloud.session(ref.id))
    await disable(it, ref)
    assert.equal((await enable(it, ref))?.outcome, 'done')
    assert.deepEqual(writes(it).slice(1), ['PutRolePolicy', 'DeleteRolePolicy', 'DetachRolePolicy'])
    assert.deepEqual([...(cloud.role(ref.id)?.inline.keys() ?? [])], ['work', 'AWSRevokeOlderSessions'])
    assert.equal(await refusal(before.iam.send(new ListRolesCommand({}))), 'AccessDenied')
    assert.equal((await read(it, ref))?.state, 'enabled', 'a condition suspends nobody')
  })

  it('is not lifted where old sessions cannot be revoked, nor while the revocation does not show', async () => {
    await using it = await bench({ clock: leaping() })
    const { cloud } = it
    const ref = { id: cloud.addRole({ inline: { work: filler(10_100) } }), kind: 'iamRole' }
    assert.equal((await disable(it, ref))?.outcome, 'done')
    const refused = await enable(it, ref)
    assert.deepEqual([refused?.outcome, refused?.error?.code], ['unsent', 'E_DIRECTORY_REFUSED'])
    assert.match(refused?.error?.hint ?? '', /shorten its inline policies/)
    assert.equal(cloud.get(ref.id)?.enabled, false)

    const other = it.role()
    await disable(it, other)
    cloud.fail('/iam/GetRolePolicy', { status: 500, times: Number.POSITIVE_INFINITY })
    assert.deepEqual((await enable(it, other))?.error?.code, 'E_DIRECTORY_DOWN')
    assert.equal(cloud.get(other.id)?.enabled, false)
  })

  it('takes nothing from what others wrote under the name that revokes sessions', async () => {
    await using it = await bench()
    const { cloud } = it
    const kept = async (document: object) => {
      const ref = it.role()
      await disable(it, ref)
      cloud.putPolicy(ref.id, 'AWSRevokeOlderSessions', document)
      const lifted = await enable(it, ref)
      const now: unknown = JSON.parse(cloud.role(ref.id)?.inline.get('AWSRevokeOlderSessions') ?? '')
      assert.deepEqual(now, document)
      return [lifted?.outcome, lifted?.error?.code]
    }
    const tomorrow = revocation(Date.now() + 86_400_000).document
    assert.deepEqual(await kept(tomorrow), ['done', undefined])
    const denied = { Effect: 'Deny', Action: '*', Resource: '*' }
    assert.deepEqual(await kept({ Version: '2012-10-17', Statement: [denied] }), ['unsent', 'E_DIRECTORY_REFUSED'])
    const more = [...revocation(0).document.Statement, { ...denied, Action: 's3:*' }]
    assert.deepEqual(await kept({ Version: '2012-10-17', Statement: more }), ['unsent', 'E_DIRECTORY_REFUSED'])
  })

  it('created anew while old sessions were being revoked, it keeps the suspension that the new one has', async () => {
    let meanwhile = () => {}
    const sleep: Clock['sleep'] = (ms, aborted) => {
      meanwhile()
      return hasty.sleep(ms, aborted)
    }
    await using it = await bench({ clock: { ...hasty, sleep } })
    const { cloud } = it
    const old = it.role()
    let anew: string | undefined
    meanwhile = () => {
      if (anew !== undefined) return
      anew = cloud.recreateRole(old.id)
      cloud.setSwitch(anew, false)
    }
    await disable(it, old)
    const lifted = await enable(it, old)
    assert.deepEqual([lifted?.outcome, anew && cloud.get(anew)?.enabled], ['unsent', false])
  })

  it('is not lifted when it is no longer wanted at the last moment', async () => {
    await using it = await bench()
    const ref = it.role()
    await disable(it, ref)
    const result = await enable(it, ref, () => Promise.reject(new Error('held again')))
    assert.equal(result?.outcome, 'unsent')
    assert.equal(it.cloud.get(ref.id)?.enabled, false)
  })

  it('falls back to the managed policy where the inline space is full, and takes it back', async () => {
    await using it = await bench()
    const { cloud } = it
    const revoked = revocation(0)
    const inline = { work: filler(10_060), [revoked.name]: revoked.document }
    const ref = { id: cloud.addRole({ inline }), kind: 'iamRole' }
    const done = await disable(it, ref)
    assert.equal(done?.outcome, 'done')
    assert.deepEqual(cloud.role(ref.id)?.attached, ['arn:aws:iam::111122223333:policy/AgentMeshSuspended'])
    assert.equal((await read(it, ref))?.state, 'disabled')
    assert.deepEqual((await disable(it, ref))?.outcome, 'unsent', 'it is off by us')
    assert.equal((await enable(it, ref))?.outcome, 'done')
    assert.deepEqual([cloud.get(ref.id)?.enabled, (await read(it, ref))?.state], [true, 'enabled'])
  })

  it('a managed policy that does not deny everything is not relied on, before and after it is attached', async () => {
    const clock = leaping()
    await using it = await bench({ clock })
    const { cloud } = it
    const ref = { id: cloud.addRole({ inline: { work: filler(10_200) } }), kind: 'iamRole' }
    cloud.addManagedPolicy(MANAGED, everything)
    const refused = await disable(it, ref)
    assert.deepEqual([refused?.outcome, refused?.error?.code], ['refused', 'E_DIRECTORY_REFUSED'])
    assert.match(refused?.error?.message ?? '', /does not deny everything/)
    cloud.addManagedPolicy(MANAGED, documented('managed'))
    assert.equal((await disable(it, ref))?.outcome, 'done')
    cloud.addManagedPolicy(MANAGED, everything)
    await clock.sleep(120_000)
    assert.equal((await read(it, ref))?.state, 'enabled', 'it suspends nobody any more')
  })

  it('without a managed policy a full role is refused with what mends it', async () => {
    await using it = await bench({ settings: { suspension: {} } })
    const ref = { id: it.cloud.addRole({ inline: { work: filler(10_200) } }), kind: 'iamRole' }
    const refused = await disable(it, ref)
    assert.deepEqual([refused?.outcome, refused?.error?.code], ['refused', 'E_DIRECTORY_REFUSED'])
    assert.match(refused?.error?.hint ?? '', /suspension\.managedPolicy/)
    const findings = await it.adapter.check(signal())
    assert.ok(findings.some(({ code }) => code === 'no-managed-policy'))
  })

  it('a role created anew is another principal: never suspended, lifted or read as the old one', async () => {
    await using it = await bench()
    const { cloud } = it
    const old = it.role()
    await disable(it, old)
    const anew = { id: cloud.recreateRole(old.id), kind: 'iamRole' }
    cloud.setSwitch(anew.id, false)
    assert.equal((await read(it, old))?.state, 'absent')
    assert.equal((await read(it, anew))?.state, 'disabled')
    const lifted = await enable(it, old)
    assert.equal(lifted?.outcome, 'unsent')
    assert.equal(cloud.get(anew.id)?.enabled, false, 'the suspension of the new one stays')
    cloud.setSwitch(anew.id, true)
    const again = await disable(it, old)
    assert.deepEqual([again?.outcome, again?.before?.state], ['unsent', 'absent'])
    assert.equal(cloud.get(anew.id)?.enabled, true)
  })

  it('recognises what others suspend by, and lifts only its own', async () => {
    await using it = await bench()
    const { cloud } = it
    const ref = it.role()
    const deny = (over: object) => ({
      Version: '2012-10-17',
      Statement: { Effect: 'Deny', Action: ['*'], Resource: '*', ...over },
    })
    cloud.putPolicy(ref.id, 'conditional', deny({ Condition: { StringEquals: { 'aws:PrincipalAccount': '1' } } }))
    cloud.putPolicy(ref.id, 'some', deny({ Action: ['s3:*'] }))
    assert.equal((await read(it, ref))?.state, 'enabled')
    cloud.putPolicy(ref.id, 'theirs', deny({}))
    assert.deepEqual(await switchesOf(it, ref), { policy: 'on', deny: 'off', boundary: 'on', trust: 'on' })
    await disable(it, ref)
    await enable(it, ref)
    assert.equal((await read(it, ref))?.state, 'disabled')
    cloud.deletePolicy(ref.id, 'theirs')
    cloud.attachPolicy(ref.id, 'arn:aws:iam::aws:policy/AWSDenyAll')
    assert.equal((await switchesOf(it, ref)).deny, 'off')
    cloud.detachPolicy(ref.id, 'arn:aws:iam::aws:policy/AWSDenyAll')
    cloud.setBoundary(ref.id, 'arn:aws:iam::aws:policy/AWSDenyAll')
    assert.equal((await switchesOf(it, ref)).boundary, 'off')
    cloud.setBoundary(ref.id, undefined)
    const trust = { Version: '2012-10-17', Statement: [{ Effect: 'Deny', Principal: '*', Action: 'sts:AssumeRole' }] }
    cloud.setTrust(ref.id, trust)
    assert.equal((await switchesOf(it, ref)).trust, 'off')
  })

  it('a policy of our name that does not deny everything is no suspension, and is written again', async () => {
    await using it = await bench()
    const ref = it.role()
    it.cloud.putPolicy(ref.id, suspension.name, revocation(Date.now()).document)
    assert.equal((await read(it, ref))?.state, 'enabled')
    assert.equal((await disable(it, ref))?.outcome, 'done')
    assert.equal(it.cloud.get(ref.id)?.enabled, false)
  })

  it('while IAM does not show the write yet it is acknowledged, and readings say what IAM says', async () => {
    let ahead = 0
    const clock = leaping()
    await using it = await bench({ staleMs: 60_000, now: () => Date.now() + ahead, clock })
    const ref = it.role()
    const done = await disable(it, ref)
    assert.deepEqual([done?.outcome, done?.error], ['done', undefined])
    assert.equal((await read(it, ref))?.state, 'enabled', 'settle is what waits for it')
    ahead = 61_000
    assert.equal((await read(it, ref))?.state, 'disabled')
    // A lift right after finds nothing to delete at a server that is behind: not taken for done.
    const second = it.role()
    await disable(it, second)
    const lifted = await enable(it, second)
    assert.notEqual(lifted?.outcome, 'done')
    it.cloud.settle()
    assert.equal(it.cloud.get(second.id)?.enabled, false)
  })

  it('an answer that is lost is lost, a throttle is told with when to try again, and one at fault keeps no other', async () => {
    await using it = await bench()
    const { cloud } = it
    const [lost, slow] = [it.role(), it.role()]
    cloud.fail('/iam/PutRolePolicy', { mode: 'reset-after-body' })
    assert.equal((await disable(it, lost))?.outcome, 'lost')
    assert.equal(cloud.get(lost.id)?.enabled, false)
    cloud.throttleNext(1, { match: '/iam/PutRolePolicy' })
    const turned = await disable(it, slow)
    assert.deepEqual([turned?.outcome, turned?.error?.code], ['refused', 'E_DIRECTORY_THROTTLED'])
    assert.ok((turned?.error?.retryAfterMs ?? 0) >= 1000)
    assert.equal((await disable(it, slow))?.outcome, 'done')
  })
})

describe('roles that nobody can suspend', () => {
  it('are refused when registered, with what to do instead', async () => {
    await using it = await bench({ settings: { manage: { paths: ['/'] } } })
    const { cloud } = it
    const linked = cloud.addRole({ path: '/aws-service-role/ecs.amazonaws.com/', name: 'AWSServiceRoleForECS' })
    const set = cloud.addRole({ path: '/aws-reserved/sso.amazonaws.com/eu-west-1/', name: 'AWSReservedSSO_Agent_abc' })
    const refusals = [linked, set].map((id) => it.adapter.vet({ id, kind: 'iamRole' }))
    assert.deepEqual(
      refusals.map((each) => each?.code),
      ['E_NOT_SWITCHABLE', 'E_NOT_SWITCHABLE'],
    )
    assert.match(refusals[0]?.hint ?? '', /at the service/)
    assert.match(refusals[1]?.hint ?? '', /identityCenterUser/)
    assert.equal((await disable(it, { id: linked, kind: 'iamRole' }))?.error?.code, 'E_NOT_SWITCHABLE')
    for await (const page of it.adapter.changes(undefined, signal()))
      assert.ok(page.sightings.every(({ id }) => id !== linked && id !== set))
  })

  it('the role with which the bridge assumes the one it works by is the bridge itself, too', async () => {
    await using it = await bench()
    const { cloud } = it
    const Principal = { AWS: 'arn:aws:iam::111122223333:root' }
    const trust = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal, Action: 'sts:AssumeRole' }] }
    cloud.addRole({ name: 'worker', path: '/', trust, inline: { work: everything } })
    const own = cloud.addRole({ name: 'the-bridge', inline: { work: everything } })
    const adapter = it.open({
      credential: { type: 'accessKey', ...cloud.session(own) },
      accounts: { '111122223333': { assumeRole: { roleArn: 'arn:aws:iam::111122223333:role/worker' } } },
      manage: { kinds: ['iamRole'], paths: ['/agents/'] },
    })
    const ref = { id: own, kind: 'iamRole' }
    assert.equal((await adapter.lookup([ref], signal())).get(own)?.state, 'enabled')
    assert.equal(adapter.vet(ref)?.code, 'E_NEVER')
    const [result] = (await adapter.accounts?.disable([ref], signal())) ?? []
    assert.deepEqual([result?.outcome, result?.error?.code], ['unsent', 'E_NEVER'])
  })

  it('the bridge itself, what is on the never list, and what is under other paths are refused', async () => {
    await using it = await bench()
    const { cloud } = it
    const own = cloud.addRole({ name: 'the-bridge', inline: { work: everything } })
    const adapter = it.open({
      credential: { type: 'accessKey', ...cloud.session(own) },
      never: ['arn:aws:iam::111122223333:role/agents/spared'],
    })
    const [agent, spared] = [it.role(), it.role('spared')]
    await adapter.lookup([agent], signal())
    const elsewhere = cloud.addRole({ path: '/people/', name: 'admin' })
    const codeFor = (id: string) => adapter.vet({ id, kind: 'iamRole' })?.code
    assert.deepEqual([own, spared.id, elsewhere, agent.id].map(codeFor), [
      'E_NEVER',
      'E_NEVER',
      'E_KIND_REFUSED',
      undefined,
    ])
    const [result] = (await adapter.accounts?.disable([{ id: own, kind: 'iamRole' }], signal())) ?? []
    assert.equal(result?.outcome, 'unsent')
    const otherAccount = 'arn:aws:iam::999988887777:role/agents/a#AROAAAAAAAAAAAAAAAAAA'
    assert.equal(codeFor(otherAccount), 'E_PRINCIPAL_ID')
  })
})

describe('users of Identity Center', () => {
  it('are switched over SCIM, and their sessions are known to go on', async () => {
    await using it = await bench()
    const ref = it.user()
    assert.equal((await disable(it, ref))?.outcome, 'done')
    assert.equal((await read(it, ref))?.state, 'disabled')
    assert.equal((await enable(it, ref))?.outcome, 'done')
    assert.equal((await read(it, ref))?.state, 'enabled')
    assert.equal(it.adapter.accounts?.tailMs?.(ref.id), 13 * 3_600_000)
    assert.equal(it.adapter.accounts?.tailMs?.(it.role().id), undefined)
    assert.ok(!`${it.logged()}${JSON.stringify(it.cloud.requests.map(({ path }) => path))}`.includes(SCIM_TOKEN))
  })

  it('without a SCIM endpoint are never said to be switched', async () => {
    const center = { identityStoreId: 'd-1234567890', region: 'us-east-1' }
    await using it = await bench({ settings: { identityCenter: center } })
    const ref = it.user()
    assert.equal(it.adapter.accounts?.unswitched?.(ref.kind)?.code, 'E_NOT_SWITCHABLE')
    assert.equal(it.adapter.accounts?.unswitched?.('iamRole'), undefined)
    const result = await disable(it, ref)
    assert.deepEqual([result?.outcome, result?.error?.code], ['unsent', 'E_NOT_SWITCHABLE'])
    assert.ok((await it.adapter.check(signal())).some(({ code }) => code === 'users-unswitched'))
  })

  it('of a store that tells no status are unknown, and suspended all the same', async () => {
    await using it = await bench()
    const { cloud } = it
    cloud.addStore({ scimTokens: { other: SCIM_TOKEN }, tellsStatus: false })
    const ref = it.user()
    assert.equal((await read(it, ref))?.state, 'unknown')
    for await (const page of it.adapter.changes(undefined, signal())) {
      assert.ok(page.sightings.every(({ id }) => id !== ref.id))
    }
  })

  it('an answer that does not say what was asked for is lost, and one without an answer too', async () => {
    await using it = await bench()
    const { cloud } = it
    const ref = it.user()
    cloud.fail(/^PATCH \/scim/, { status: 200, body: { id: ref.id.split('/')[1], active: true } })
    assert.equal((await disable(it, ref))?.outcome, 'lost')
    cloud.fail(/^PATCH \/scim/, { mode: 'reset-after-body' })
    assert.equal((await disable(it, ref))?.outcome, 'lost')
    cloud.fail(/^PATCH \/scim/, { status: 401 })
    const refused = await disable(it, it.user())
    assert.deepEqual([refused?.outcome, refused?.error?.code], ['refused', 'E_DIRECTORY_AUTH'])
    assert.match(refused?.error?.hint ?? '', /lives a year/)
  })
})
