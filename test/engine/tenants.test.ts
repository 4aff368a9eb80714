import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Provisioning, tenantSide } from '../../sandbox/provisioning.ts'
import { manualClock, systemClock } from '../../src/lib/clock.ts'
import { type Bench, bench } from '../adapters/tenant.ts'
import { type AdapterOptions, minute, registrar, soc, World } from './harness.ts'

const hour = 60 * minute

/** A tenant over sockets that lives by the clock of the world. */
const tenantOn = (clock: ReturnType<typeof manualClock>): Promise<Bench> =>
  bench({
    now: () => clock.now(),
    clock: {
      now: () => clock.now(),
      mono: () => clock.mono(),
      sleep: (ms, signal) => systemClock.sleep(Math.min(ms, 2), signal),
    },
  })

const named = (name: string, { adapter }: Bench, settings: AdapterOptions['settings'] = {}): AdapterOptions => ({
  adapter: () => ({ ...adapter, name }),
  settings,
})

const logRequests = ({ tenant }: Bench): number =>
  tenant.requests.filter(({ path }) => path.startsWith('/auditLogs/directoryAudits')).length

test('a tenant that follows another: killed and freed, flipped and flipped back, neither deadlock nor echo', async () => {
  const clock = manualClock()
  await using contoso = await tenantOn(clock)
  await using okta = await tenantOn(clock)
  const service = okta.tenant.registerApp({ name: 'provisioning', roles: [] })
  await using world = await World.open({
    clock,
    policy: { resume: 'automatic' },
    adapters: {
      north: named('north', contoso),
      south: named('south', okta, { follows: 'north', trustedWriters: [service.servicePrincipalId] }),
    },
  })
  const source = contoso.tenant.addAgentIdentity({ displayName: 'agent', blueprintAppId: contoso.blueprint.appId })
  const copy = okta.tenant.addUser()
  const scim = new Provisioning({
    source: tenantSide(contoso.tenant),
    target: tenantSide(okta.tenant),
    accounts: new Map([[source, copy]]),
    actor: service.servicePrincipalId,
  })
  const did = 'did:mesh:a'
  const principals = [
    { adapter: 'north', id: source, kind: 'agentIdentity' },
    { adapter: 'south', id: copy, kind: 'user' },
  ]
  await world.bridge.register({ did, name: 'a', principals }, registrar)
  const on = () => [contoso.tenant.get(source)?.enabled, okta.tenant.get(copy)?.enabled]
  const rest = async () => {
    for (let cycle = 0; cycle < 3; cycle++) {
      await world.settleAll(15 * minute)
      scim.run()
    }
    await world.settleAll(2 * hour)
  }
  await world.run(hour)

  for (const first of ['north', 'south'] as const) {
    const hold = await world.bridge.place(did, { severity: 'suspend', reason: 'r' }, soc)
    await world.runner(first).mirror.suspendOnce(world.signal)
    await world.runner(first).mirror.drained()
    scim.run()
    await world.settleAll(10 * minute)
    assert.deepEqual([on(), await world.origins(did)], [[false, false], ['operator:soc']])
    await world.bridge.release(did, hold.id, 'r', soc)
    await rest()
    assert.deepEqual([on(), await world.origins(did)], [[true, true], []])
  }

  contoso.tenant.setEnabled(source, false)
  scim.run()
  await rest()
  assert.deepEqual([on(), await world.origins(did)], [[false, false], [`adapter:north/${source}`]])
  contoso.tenant.setEnabled(source, true)
  await rest()
  assert.deepEqual([on(), await world.origins(did)], [[true, true], []])

  // A person, right beside the service: by the log it is told apart.
  contoso.tenant.setEnabled(source, false)
  okta.tenant.setEnabled(copy, false)
  await rest()
  assert.deepEqual(await world.origins(did), [`adapter:north/${source}`, `adapter:south/${copy}`])
  assert.deepEqual(world.violations, [])
})

test('releasing a fleet reads pages of the audit log, and none for each account', async () => {
  const clock = manualClock()
  await using contoso = await tenantOn(clock)
  await using world = await World.open({ clock, adapters: { north: named('north', contoso) } })
  const fleet = Array.from({ length: 220 }, () =>
    contoso.tenant.addAgentIdentity({ displayName: 'agent', blueprintAppId: contoso.blueprint.appId }),
  )
  const holds = new Map<string, string>()
  for (const id of fleet) {
    const did = `did:mesh:${id}`
    await world.bridge.register(
      { did, name: id, principals: [{ adapter: 'north', id, kind: 'agentIdentity' }] },
      registrar,
    )
  }
  await world.clock.advance(hour)
  for (const id of fleet) {
    const did = `did:mesh:${id}`
    holds.set(did, (await world.bridge.place(did, { severity: 'suspend', reason: 'r' }, soc)).id)
  }
  await world.run(hour)
  assert.ok(fleet.every((id) => contoso.tenant.get(id)?.enabled === false))
  assert.equal(logRequests(contoso), 0)
  for (const [did, hold] of holds) await world.bridge.release(did, hold, 'r', soc)
  await world.run(minute)
  assert.ok(fleet.every((id) => contoso.tenant.get(id)?.enabled === true))
  assert.ok(logRequests(contoso) <= 2, `${logRequests(contoso)} requests`)
  await world.run(hour)
  assert.equal((await world.account('north', fleet[0] ?? '')).mark, 'none')
  const requests = logRequests(contoso)
  assert.ok(requests <= 5, `${requests} requests`)
})
