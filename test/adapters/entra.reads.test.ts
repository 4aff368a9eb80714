import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { bridgeRoles } from '../../sandbox/entra/seed.ts'
import { logSkewMs } from '../../src/core/switchlog.ts'
import type { Sighting } from '../../src/core/types.ts'
import { bench, leaping, signal } from './tenant.ts'

const states = (sighting: Sighting | undefined) =>
  Object.fromEntries((sighting?.switches ?? []).map((each) => [each.name, each.state]))

describe('entra reads', () => {
  it('an agent identity has four switches, and any of them turns it off', async () => {
    await using it = await bench()
    const id = it.tenant.addAgentIdentity({ displayName: 'a', blueprintAppId: it.blueprint.appId })
    const read = async () => (await it.adapter.lookup([{ id, kind: 'agentIdentity' }], signal())).get(id)
    const on = { identity: 'on', application: 'on', vendor: 'on', blueprint: 'on' }
    const first = await read()
    assert.deepEqual([first?.state, first?.dependsOn, states(first)], ['enabled', it.blueprint.appId, on])
    it.tenant.setEnabled(it.blueprint.id, false)
    const second = await read()
    assert.deepEqual([second?.state, states(second)], ['disabled', { ...on, blueprint: 'off' }])
    it.tenant.setEnabled(it.blueprint.id, true)
    it.tenant.setIsDisabled(id, true)
    assert.deepEqual(states(await read()), { ...on, application: 'off' })
    it.tenant.setIsDisabled(id, false)
    it.tenant.setDisabledByMicrosoft(id, true)
    assert.deepEqual(states(await read()), { ...on, vendor: 'off' })
    it.tenant.setDisabledByMicrosoft(id, false)
    assert.equal((await read())?.state, 'enabled')
    it.tenant.update(id, { disabledByMicrosoftStatus: 'SomethingNew' })
    assert.equal((await read())?.state, 'disabled')
    it.tenant.remove(it.blueprint.id)
    it.tenant.restore(id)
    assert.equal(states(await read()).blueprint, 'off')
  })

  it('what cannot be read is unknown, and off stays off beside it', async () => {
    await using it = await bench({ roles: bridgeRoles.filter((role) => !role.startsWith('AgentIdentityBlueprint')) })
    const id = it.tenant.addAgentIdentity({ displayName: 'a', blueprintAppId: it.blueprint.appId })
    const read = async () => (await it.adapter.lookup([{ id, kind: 'agentIdentity' }], signal())).get(id)
    assert.deepEqual([(await read())?.state, states(await read()).blueprint], ['unknown', 'unknown'])
    it.tenant.setEnabled(id, false)
    assert.equal((await read())?.state, 'disabled')
  })

  it('a property that is left out is unknown', async () => {
    await using it = await bench()
    const id = it.tenant.addServicePrincipal({ displayName: 'a' })
    const ref = { id, kind: 'servicePrincipal' }
    const body = { id, isDisabled: null, disabledByMicrosoftStatus: null }
    for (const part of [{}, { accountEnabled: null }]) {
      it.tenant.fail(/^GET \/servicePrincipals/, { status: 200, body: { ...body, ...part } })
      assert.equal((await it.adapter.lookup([ref], signal())).get(id)?.state, 'unknown')
    }
    it.tenant.fail(/^GET \/servicePrincipals/, { status: 200, body: { id, accountEnabled: true, isDisabled: false } })
    assert.equal((await it.adapter.lookup([ref], signal())).get(id)?.state, 'unknown')
    it.tenant.fail(/^GET \/servicePrincipals/, { status: 200, body: { id: it.blueprint.id, accountEnabled: true } })
    assert.equal((await it.adapter.lookup([ref], signal())).get(id)?.state, 'unknown')
  })

  it('an agent user goes with its parent identity, and with that of the parent', async () => {
    await using it = await bench()
    const parent = it.tenant.addAgentIdentity({ displayName: 'p', blueprintAppId: it.blueprint.appId })
    const id = it.tenant.addAgentUser({ displayName: 'u', identityParentId: parent })
    const read = async () => (await it.adapter.lookup([{ id, kind: 'agentUser' }], signal())).get(id)
    assert.deepEqual([(await read())?.state, (await read())?.dependsOn], ['enabled', parent])
    it.tenant.setEnabled(parent, false)
    assert.deepEqual(states(await read()), { user: 'on', parent: 'off' })
    it.tenant.setEnabled(parent, true)
    it.tenant.setEnabled(it.blueprint.id, false)
    assert.deepEqual(states(await read()), { user: 'on', parent: 'off' })
    it.tenant.setEnabled(it.blueprint.id, true)
    it.tenant.remove(parent)
    assert.deepEqual(states(await read()), { user: 'on', parent: 'off' })
  })

  it('reads by id in batches of 20, blueprint once, and never from the lagging index', async () => {
    await using it = await bench()
    const refs = Array.from({ length: 45 }, (_, at) => {
      const id = it.tenant.addAgentIdentity({ displayName: `a${at}`, blueprintAppId: it.blueprint.appId })
      return { id, kind: 'agentIdentity' }
    })
    const first = await it.adapter.lookup(refs, signal())
    assert.ok([...first.values()].every((each) => each.state === 'enabled'))
    assert.equal(it.tenant.requests.filter((each) => each.path === '/$batch').length, 4)
    it.tenant.clearRequests()
    await it.adapter.lookup(refs, signal())
    assert.equal(it.tenant.requests.filter((each) => each.path === '/$batch').length, 3)
    assert.equal(it.tenant.requests.filter((each) => each.path.includes('BlueprintPrincipal')).length, 1)
    assert.ok(it.tenant.requests.every((each) => each.headers.consistencylevel === undefined))
  })

  it('asks throttled items of a batch again, and only those', async () => {
    await using it = await bench()
    const ids = ['a', 'b', 'c'].map((displayName) => it.tenant.addServicePrincipal({ displayName }))
    it.tenant.throttleNext(2, { retryAfter: '0.5', match: new RegExp(`^GET /servicePrincipals/${ids[1]}`) })
    const refs = ids.map((id) => ({ id, kind: 'servicePrincipal' }))
    const seen = await it.adapter.lookup(refs, signal())
    assert.ok([...seen.values()].every((each) => each.state === 'enabled'))
    const gets = it.tenant.requests.filter(
      (each) => each.method === 'GET' && each.path.startsWith('/servicePrincipals/'),
    )
    assert.deepEqual(
      ids.map((id) => gets.filter((each) => each.path.includes(id)).length),
      [1, 3, 1],
    )
  })

  it('repeats reads whose connection breaks, a bounded number of times', async () => {
    await using it = await bench()
    const id = it.tenant.addServicePrincipal({ displayName: 'a' })
    const refs = [{ id, kind: 'servicePrincipal' }]
    it.tenant.fail('/$batch', { mode: 'reset', times: 2 })
    assert.equal((await it.adapter.lookup(refs, signal())).get(id)?.state, 'enabled')
    it.tenant.fail('/$batch', { mode: 'truncate', times: Number.POSITIVE_INFINITY })
    it.tenant.clearRequests()
    await assert.rejects(it.adapter.lookup(refs, signal()), { code: 'E_DIRECTORY_DOWN' })
    assert.equal(it.tenant.requests.filter((each) => each.path === '/$batch').length, 4)
  })

  it('a blueprint that answers nonsense costs only its own agents', async () => {
    await using it = await bench()
    const agent = it.tenant.addAgentIdentity({ displayName: 'a', blueprintAppId: it.blueprint.appId })
    const classic = it.tenant.addServicePrincipal({ displayName: 'c' })
    it.tenant.fail(/^GET \/servicePrincipals\(appId=/, { status: 200, body: { id: 7 } })
    const refs = [
      { id: agent, kind: 'agentIdentity' },
      { id: classic, kind: 'servicePrincipal' },
    ]
    const seen = await it.adapter.lookup(refs, signal())
    assert.deepEqual([seen.get(agent)?.state, seen.get(classic)?.state], ['unknown', 'enabled'])
  })

  it('a malformed answer is a failure', async () => {
    await using it = await bench()
    const refs = [{ id: it.tenant.addServicePrincipal({ displayName: 'a' }), kind: 'servicePrincipal' }]
    for (const body of ['<html>', { responses: 'none' }, { responses: [] }]) {
      it.tenant.fail('/$batch', { status: 200, body })
      await assert.rejects(it.adapter.lookup(refs, signal()), { code: 'E_DIRECTORY_ANSWER' })
    }
  })

  it('a group row without id fails the whole group', async () => {
    await using it = await bench()
    const group = it.tenant.addGroup({ displayName: 'g' })
    it.tenant.fail(/^GET \/groups/, { status: 200, body: { value: [{ displayName: null }] } })
    const list = async () => {
      for await (const _ of it.adapter.groups?.members(group, signal()) ?? []);
    }
    await assert.rejects(list(), { code: 'E_DIRECTORY_ANSWER' })
    await list()
  })

  it('the log: real flips only, each once, with who did it, within the limit of the directory', async () => {
    const clock = leaping()
    await using it = await bench({ pageSize: 3, throttle: {}, clock, now: clock.now })
    const user = it.tenant.addUser({ displayName: 'u' })
    const from = clock.now() - 1000
    const { accounts } = it.adapter
    await accounts?.disable([{ id: user, kind: 'user' }], signal())
    it.tenant.update(user, { displayName: 'v' })
    it.tenant.setEnabled(user, false)
    it.tenant.setEnabled(user, true)
    it.tenant.setEnabled(user, false, { by: it.blueprint.appId })
    const read = await accounts?.log?.read({ from, to: clock.now() + 1000 }, signal())
    assert.deepEqual(
      read?.entries.map((each) => [each.id, each.action, each.ours]),
      [
        [user, 'disable', true],
        [user, 'enable', false],
        [user, 'disable', false],
      ],
    )
    assert.ok((read?.completeUntil ?? Number.NaN) <= clock.now() - 300_000)
    const asked = it.tenant.requests.filter((each) => each.path.startsWith('/auditLogs'))
    assert.ok(asked.length > 5)
    assert.ok(asked.every((each) => each.status === 200))
  })

  it('the log: what somebody did a moment ago is there, though the clocks are four minutes apart', async () => {
    for (const minutes of [-4, 4]) {
      const clock = leaping()
      await using it = await bench({ clock, now: clock.now, settings: { settle: '10s' } })
      const user = it.tenant.addUser({ displayName: 'u' })
      it.tenant.setClockOff(minutes * 60_000)
      // As whoever asks does: clocks may differ.
      const from = clock.now() - logSkewMs
      const at = clock.now()
      it.tenant.setEnabled(user, false)
      await clock.sleep(30_000)
      const read = await it.adapter.accounts?.log?.read({ from, to: clock.now() }, signal())
      assert.ok(at <= (read?.completeUntil ?? 0))
      assert.deepEqual(
        read?.entries.map(({ action, ours }) => [action, ours]),
        [['disable', false]],
        `${minutes} minutes`,
      )
    }
  })
})
