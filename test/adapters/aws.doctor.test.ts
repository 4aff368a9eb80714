import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { z } from 'zod'
import type { Adapter } from '../../src/core/adapter.ts'
import { bench, granted, MANAGED } from './awscloud.ts'
import { signal } from './tenant.ts'

const policy = z.object({
  Version: z.string(),
  Statement: z.array(z.looseObject({ Action: z.union([z.string(), z.array(z.string())]) })),
})

/** The documented policies without one action. */
const without = (action: string): object[] =>
  granted().map((document) => {
    const { Statement, ...rest } = policy.parse(document)
    const left = Statement.map((one) => ({ ...one, Action: [one.Action].flat().filter((each) => each !== action) }))
    return { ...rest, Statement: left.filter(({ Action }) => Action.length > 0) }
  })

const doctorOf = ({ doctor }: Adapter) => {
  assert.ok(doctor?.person)
  return { ...doctor, person: doctor.person }
}
const kinds = ['iamRole', 'identityCenterUser']
const reads = [
  'iam:GetAccountAuthorizationDetails',
  'iam:GetRole',
  'iam:GetRolePolicy',
  'iam:ListRolePolicies',
  'iam:ListAttachedRolePolicies',
  'iam:GetPolicy',
  'iam:GetPolicyVersion',
  'cloudtrail:LookupEvents',
  'identitystore:ListUsers',
  'identitystore:DescribeUser',
]

describe('aws doctor', () => {
  it('names each action to read that is missing, one by one, with the command that allows it', async () => {
    for (const action of reads) {
      await using it = await bench({ policies: without(action) })
      it.role()
      it.user()
      const findings = await doctorOf(it.adapter).permissions(kinds, signal())
      const [missing, ...more] = findings.filter(({ level }) => level === 'error')
      assert.deepEqual([missing?.code, more], ['E_DIRECTORY_FORBIDDEN', []], action)
      const command = /^allow (.*): aws iam put-user-policy --user-name idp-bridge .*--policy-document '(\{.*\})'/
      const [, actions, document] = command.exec(missing?.mend ?? '') ?? []
      assert.ok(actions?.split(' and ').includes(action), missing?.mend)
      // What it tells to allow is what was missing: with it the finding is gone.
      it.cloud.setIamPolicies('idp-bridge', [...without(action), ...allowing(document)])
      const mended = await doctorOf(it.open({})).permissions(kinds, signal())
      assert.deepEqual(
        mended.filter(({ level }) => level === 'error'),
        [],
        action,
      )
    }
  })

  it('calls no right to write proven, whether it is there or not', async () => {
    const writes = ['iam:PutRolePolicy', 'iam:DeleteRolePolicy', 'iam:AttachRolePolicy', 'iam:DetachRolePolicy']
    for (const action of [undefined, ...writes]) {
      await using it = await bench({ policies: action === undefined ? granted() : without(action) })
      it.role()
      it.user()
      const findings = await doctorOf(it.adapter).permissions(kinds, signal())
      const told = findings.filter(({ level }) => level === 'unknown')
      assert.ok(told.every(({ code, text }) => code === 'unproven' && text.endsWith('cannot be told without a write')))
      assert.deepEqual(
        told.map(({ text }) => /\((.*)\)/.exec(text)?.[1]),
        [...writes, 'the access token of automatic provisioning'],
      )
    }
    await using reading = await bench({ settings: { mirror: 'inbound' } })
    reading.role()
    reading.user()
    const findings = await doctorOf(reading.adapter).permissions(kinds, signal())
    assert.ok(findings.every(({ level }) => level === 'ok'))
  })

  it('without a role under the managed paths, reading one is not called proven', async () => {
    await using it = await bench()
    const findings = await doctorOf(it.adapter).permissions(['iamRole'], signal())
    const untold = findings.filter(({ text }) => text.includes('there is no role here to try it on'))
    assert.deepEqual(new Set(untold.map(({ level }) => level)), new Set(['unknown']))
    assert.equal(untold.length, 4)
  })

  it('tells of people what the identity store tells', async () => {
    await using it = await bench()
    const id = it.cloud.addUser({ userName: 'alice@contoso.example' })
    const gone = it.cloud.addUser({ userName: 'gone@contoso.example' })
    it.cloud.setSwitch(gone, false)
    const own = (full: string) => full.slice(full.indexOf('/') + 1)
    const ask = async (objectId?: string, email?: string) =>
      (await doctorOf(it.adapter).person({ objectId, email }, signal())).state
    assert.equal(await ask(own(id)), 'enabled')
    assert.equal(await ask(own(gone)), 'disabled')
    assert.equal(await ask(undefined, 'gone@contoso.example'), 'disabled')
    assert.equal(await ask('ffffffff-ffff-4fff-8fff-ffffffffffff'), 'absent')
    assert.equal(await ask(undefined, 'else@contoso.example'), 'unknown', 'it may be the address of another user name')
    assert.equal(it.open({ identityCenter: undefined, manage: { kinds: ['iamRole'] } }).doctor?.person, undefined)
  })

  it('an account that does not let the bridge in fails alone, and no key is shown', async () => {
    await using it = await bench()
    it.role()
    const accounts = {
      '111122223333': {},
      '444455556666': { assumeRole: { roleArn: 'arn:aws:iam::444455556666:role/idp-bridge', externalId: 'wrong' } },
    }
    const findings = await doctorOf(it.open({ accounts })).permissions(['iamRole'], signal())
    const failed = findings.filter(({ level }) => level === 'error')
    assert.deepEqual(
      failed.map(({ text }) => /the account (\d+)/.exec(text)?.[1]),
      ['444455556666'],
    )
    assert.ok(!JSON.stringify(findings).includes(it.secret))
  })

  it('finds a clock that is off', async () => {
    await using it = await bench()
    it.cloud.setClockOff(-90_000)
    assert.equal((await it.adapter.check(signal())).find(({ code }) => code === 'clock')?.level, 'error')
  })

  it('a managed policy that may not be read is told by its ARN', async () => {
    await using it = await bench({ settings: { suspension: { managedPolicy: `${MANAGED}Not` } } })
    const findings = await doctorOf(it.adapter).permissions(['iamRole'], signal())
    const [denied] = findings.filter(({ level }) => level === 'error')
    assert.ok(denied?.mend?.includes('arn:aws:iam::111122223333:policy/AgentMeshSuspendedNot'), denied?.mend)
  })
})

const allowing = (document: string | undefined): object[] => {
  const { Statement, ...rest } = policy.parse(JSON.parse(document ?? ''))
  return [{ ...rest, Statement }]
}
