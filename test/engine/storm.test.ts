import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SeenRequest } from '../../sandbox/entra/index.ts'
import { alice, bob } from './harness.ts'
import { type TenantWorld, tenantWorld } from './tenantworld.ts'

/** Every call but the outer one of a batch, the token's aside. */
const directory = /^(GET|PATCH|POST) \/(servicePrincipals|users|groups|auditLogs|organization|directoryObjects)\b/

const storm = ({ tenant }: TenantWorld, retryAfter: string | undefined): (() => void) =>
  tenant.fail(directory, {
    status: 429,
    code: 'TooManyRequests',
    ...(retryAfter !== undefined && { headers: { 'Retry-After': retryAfter } }),
    times: Number.POSITIVE_INFINITY,
  })

const isPatchOf = (id: string) => (one: SeenRequest) => one.method === 'PATCH' && one.path.includes(id)

/** All that was sent on behalf of these accounts, batches around it included. */
const isFor =
  (ids: readonly string[]) =>
  ({ path }: SeenRequest): boolean =>
    path.startsWith('/$batch') || ids.some((id) => path.includes(id))

for (const retryAfter of [undefined, '7', '30']) {
  test(`a 429 storm (Retry-After ${retryAfter ?? 'absent'}): a kill leaves at once and is the first to go when it lifts`, async () => {
    await using world = await tenantWorld()
    const { bridge, runner, signal, tenant } = world
    const resumed = await world.agents(3, 'resumed')
    const failing = await world.agents(25, 'failing')
    const [victim] = await world.agents(1, 'victim')
    assert.ok(victim)
    const running: Promise<unknown>[] = [runner.mirror.run(signal)]
    const place = (did: string) => bridge.place(did, { severity: 'suspend', reason: 'r' }, alice)
    const holds = await Promise.all(resumed.map(({ did }) => place(did)))
    await world.pass('they are off', () => resumed.every(({ id }) => tenant.get(id)?.enabled === false))
    await world.still()

    const lift = storm(world, retryAfter)
    running.push(runner.sync.full(signal).catch(() => undefined))
    running.push(runner.groups.sync(signal).catch(() => undefined))
    for (const [at, hold] of holds.entries()) await bridge.release(resumed[at]?.did ?? '', hold.id, 'r', alice)
    for (const { did } of failing) await bridge.kill({ did, reason: 'r' }, bob)
    const start = world.last()
    const refused = (pattern: RegExp) =>
      tenant.requests.some(({ status, method, path }) => status === 429 && pattern.test(`${method} ${path}`))
    await world.pass(
      'all of it meets the storm',
      () =>
        [
          /^GET \/servicePrincipals[^/]*\$|^GET \/servicePrincipals\/(microsoft|delta|\$)/,
          /^GET \/groups/,
          /^PATCH /,
        ].every(refused) && failing.every(({ id }) => tenant.requests.some(isPatchOf(id))),
    )
    await world.still()
    assert.ok(world.last() > start)

    const before = world.last()
    await bridge.kill({ did: victim.did, reason: 'r' }, bob)
    await tenant.waitForRequest((one) => one.seq > before && isPatchOf(victim.id)(one), 60_000)
    await world.still()
    const [first] = world.since(before)
    assert.equal(first?.path, '/$batch')
    assert.deepEqual(
      world.since(before).filter((one) => !isFor([victim.id])(one)),
      [],
      'no clock moved, so nothing else may have left',
    )

    lift()
    const lifted = world.last()
    const isDone = (one: SeenRequest) => one.seq > lifted && isPatchOf(victim.id)(one) && (one.status ?? 500) < 300
    await world.pass('the account is off', () => tenant.requests.some(isDone))
    const done = tenant.requests.find(isDone)
    const suspensions = isFor([victim, ...failing].map(({ id }) => id))
    assert.deepEqual(
      world.since(lifted).filter((one) => one.seq < (done?.seq ?? 0) && !suspensions(one)),
      [],
      'suspensions are the first that the directory sees when it takes requests again',
    )
    await world.pass('all are off', () => failing.every(({ id }) => tenant.get(id)?.enabled === false))
    await world.pass('reading goes on', () => world.since(done?.seq ?? 0).some((one) => !suspensions(one)))
  })
}

test('one write that keeps failing, and one whose answer never comes, delay no other kill', async () => {
  await using world = await tenantWorld()
  const { bridge, runner, signal, tenant } = world
  const [bad, hung, victim, second] = await world.agents(4, 'a')
  assert.ok(bad && hung && victim && second)
  void runner.mirror.run(signal)
  tenant.fail(new RegExp(`^PATCH .*${bad.id}`), { status: 403, times: Number.POSITIVE_INFINITY })
  await bridge.kill({ did: bad.did, reason: 'r' }, bob)
  await world.pass('it failed twice', () => tenant.requests.filter(isPatchOf(bad.id)).length > 1)
  await world.still()
  const held = tenant.hold((target) => target.path.startsWith('/$batch'))
  await bridge.kill({ did: hung.did, reason: 'r' }, bob)
  await held.reached(60_000)
  const before = world.last()
  await Promise.all([victim, second].map(({ did }) => bridge.kill({ did, reason: 'r' }, bob)))
  await tenant.waitForRequest(({ seq, path }) => seq > before && path === '/$batch', 60_000)
  held.release()
  for (const { id } of [victim, second]) {
    await tenant.waitForRequest((one) => isPatchOf(id)(one) && one.status === 204, 60_000)
  }
})
