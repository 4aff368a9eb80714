import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { BridgeError } from '../../src/core/errors.ts'
import { topics } from '../../src/engine/bus.ts'
import { createTending } from '../../src/engine/tending.ts'
import { SecretRef } from '../../src/lib/secret.ts'
import { STATE } from '../adapters/watching.ts'
import { until } from '../e2e/until.ts'
import { directory } from '../store/fixture.ts'
import { watchWorld } from './watchworld.ts'

const day = 24 * 3_600_000

test('a notification alone brings the hold, and one that is lost is noticed, made again and made up for', async () => {
  await using it = await watchWorld()
  const { world, alerts } = it
  const { deps, runner, tenant } = world
  const first = await it.user('first')
  const second = await it.user('second')
  const third = await it.user('third')
  await runner.sync.changes(world.signal)
  const running = runner.tender.run(world.signal)
  await until('both are made', () => tenant.subscriptions.list.length === 2)
  it.disable(first)
  await until('the notification rang', async () => {
    await it.work()
    return it.isHeld(first)
  })
  assert.equal(await it.isHeld(second), false)

  for (const { id } of tenant.subscriptions.list) tenant.subscriptions.lose(id)
  it.disable(second)
  await it.clock.advance(day)
  assert.equal(await it.isHeld(second), false)
  deps.bus.wake(topics.tending('contoso'))
  await until('everything was read again', () => it.isHeld(second))
  assert.equal(tenant.subscriptions.list.length, 2)
  assert.deepEqual(
    alerts.map(({ code }) => code),
    ['subscription-lost', 'subscription-lost'],
  )

  // What Graph itself says that it left out is made up for too.
  const dropped = tenant.subscriptions.list.find(({ resource }) => resource === 'users')?.id ?? ''
  await it.clock.advance(day)
  tenant.subscriptions.drop(() => it.disable(third))
  tenant.subscriptions.tell(dropped, 'missed')
  await until('and again', async () => {
    await it.clock.advance(1000)
    return it.isHeld(third)
  })

  const { adapters } = await world.bridge.status()
  assert.deepEqual(
    adapters[0]?.subscriptions?.map(({ resource, error }) => [resource, error]),
    [
      ['users', undefined],
      ['groups', undefined],
    ],
  )
  const told = await deps.metrics.text()
  assert.match(told, /subscription_changes_total\{adapter="contoso",resource="users",outcome="lost"\} 1/)
  assert.match(told, /subscription_changes_total\{adapter="contoso",resource="users",outcome="created"\} 2/)
  const [, ends] = /subscription_expires_seconds\{adapter="contoso",resource="users"\} (\d+)/.exec(told) ?? []
  assert.ok(Number(ends) * 1000 > it.clock.now())
  void running
})

test('a refusal is told once with its mend, and again when it is over and comes back', async () => {
  await using it = await watchWorld()
  const { tenant, runner, signal, deps } = it.world
  const fault = { status: 403, times: Number.POSITIVE_INFINITY }
  tenant.fail(/^POST \/subscriptions/, fault)
  await runner.tender.once(signal)
  await runner.tender.once(signal)
  const failing = () => it.alerts.filter(({ code }) => code === 'subscription-failing')
  assert.equal(failing().length, 2)
  assert.match(failing()[0]?.text ?? '', /users.*E_DIRECTORY_FORBIDDEN.*grant the bridge .* User\.Read\.All/)
  assert.match(await deps.metrics.text(), /subscription_expires_seconds\{adapter="contoso",resource="users"\} 0/)
  tenant.clearFaults()
  await runner.tender.once(signal)
  assert.equal(deps.bus.count(topics.missed('contoso')), 1)
  for (const { id } of tenant.subscriptions.list) tenant.subscriptions.lose(id)
  await it.clock.advance(day)
  tenant.fail(/^POST \/subscriptions/, fault)
  await runner.tender.once(signal)
  assert.equal(failing().length, 4)
})

test('a reading that makes up for what was missed is tried again when the directory asks for it, and ever later', async () => {
  await using it = await watchWorld()
  const { deps, runner, signal } = it.world
  let tries = 0
  const full = async () => {
    tries += 1
    throw new BridgeError('E_DIRECTORY_THROTTLED', 'Later.', { retryAfterMs: 600_000 })
  }
  const tender = createTending(deps, runner.mount, { ...runner.sync, full }, runner.groups)
  const stop = new AbortController()
  const running = tender.run(AbortSignal.any([signal, stop.signal]))
  deps.bus.wake(topics.missed('contoso'))
  await until('it was tried', () => tries === 1)
  await it.clock.advance(599_000)
  assert.equal(tries, 1)
  await until('it is tried again', async () => {
    await it.clock.advance(10_000)
    return tries === 2
  })
  stop.abort()
  await running
})

test('a doctor tells which resources the directory does not tell of, and that nobody looked yet', async () => {
  await using it = await watchWorld()
  const { bridge, runner, signal, tenant } = it.world
  const told = async () => {
    const { findings } = await bridge.doctor('contoso')
    return findings.filter(({ text }) => /changes to \w+/.test(text))
  }
  const codes = async () => (await told()).map(({ about, code, level }) => `${about} ${code} ${level}`)
  assert.deepEqual(await codes(), Array(2).fill('adapter:contoso subscription-pending unknown'))
  tenant.fail(/^POST \/subscriptions/, { status: 403 })
  await runner.tender.once(signal)
  assert.deepEqual(await codes(), ['adapter:contoso E_DIRECTORY_FORBIDDEN warning', 'adapter:contoso ok ok'])
  assert.match((await told())[0]?.mend ?? '', /User\.Read\.All/)
})

test('while the client state cannot be read deliveries are put off, not refused, and none is told where it is kept', async () => {
  using folder = directory()
  const file = join(folder.path, 'client-state')
  writeFileSync(file, STATE)
  const old = join(folder.path, 'old-client-state')
  writeFileSync(old, 'the-client-state-of-before')
  await using it = await watchWorld([SecretRef.file(file), SecretRef.file(old)])
  const { tenant, runner, signal } = it.world
  const first = await it.user('first')
  await runner.sync.changes(signal)
  await runner.tender.once(signal)
  const [one] = tenant.subscriptions.list
  rmSync(old)
  rmSync(file)
  const answer = await fetch(one?.notificationUrl ?? '', { method: 'POST', body: '{"value":[{}]}' })
  const text = await answer.text()
  assert.deepEqual([answer.status, /"code":"(\w+)"/.exec(text)?.[1]], [503, 'E_HOOK_CANNOT_CHECK'])
  assert.ok(!text.includes(file))
  it.disable(first)
  await tenant.subscriptions.wait(({ outcome, status }) => outcome === 'retrying' && status === 503)
  writeFileSync(file, STATE)
  await tenant.subscriptions.wait(({ outcome, what }) => outcome === 'delivered' && what.startsWith('updated'))
  await it.work()
  assert.ok(await it.isHeld(first))
})

test('deliveries that leave something out, one after the other, are told once, and of which directory', async () => {
  await using it = await watchWorld()
  const { bridge, runner, signal, tenant } = it.world
  await runner.tender.once(signal)
  const [one] = tenant.subscriptions.list
  const { searchParams } = new URL(one?.notificationUrl ?? '')
  const body = new TextEncoder().encode(JSON.stringify({ value: [{ clientState: STATE }] }))
  const request = { method: 'POST', headers: {}, query: Object.fromEntries(searchParams), body }
  for (let n = 0; n < 3; n += 1) assert.equal((await bridge.hook('contoso', request, signal)).status, 202)
  assert.deepEqual(
    it.alerts.map(({ code, text }) => [code, text.slice(0, 9)]),
    [['hook-skipped', 'contoso: ']],
  )
})
