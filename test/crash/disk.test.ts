import assert from 'node:assert/strict'
import { chmodSync, existsSync } from 'node:fs'
import { getuid } from 'node:process'
import { describe, test } from 'node:test'
import {
  agentOf,
  analystDid,
  assertAllowed,
  assertDenied,
  kill,
  path,
  registerAll,
  scoutDid,
  settledOff,
} from '../e2e/agents.ts'
import type { Answer } from '../e2e/client.ts'
import { at, listAt, textAt } from '../e2e/json.ts'
import { run } from '../e2e/process.ts'
import { until } from '../e2e/until.ts'
import { type Daemon, startWorld } from '../e2e/world.ts'
import { diskFaults, type Fault, faultyDaemon, noFaults, noSmallDisk, smallDisk } from './disk.ts'
import { assertAudit, maybe, patchesOf, patienceMs } from './parts.ts'

const ask = ({ as }: Daemon, did: string): Promise<Answer> =>
  as('runtime').post('/v1/kill', { agentId: did, reason: 'loop' })

/** Kills of the DID are refused with the code, and it is said when to come back. */
const assertRefused = async (daemon: Daemon, did: string, code: string): Promise<void> => {
  const answer = await ask(daemon, did)
  assert.equal(answer.status, 503, answer.text)
  assert.equal(at(answer.body, 'code'), code)
  assert.ok(Number(answer.headers['retry-after']) > 0, 'Retry-After')
  assert.ok(textAt(answer.body, 'hint').length > 0)
}

const ready = async ({ nobody }: Daemon) => {
  const { body, status } = await nobody.get('/readyz')
  return { status, text: String(at(body, 'checks', 0, 'text')) }
}

const alertsOf = async ({ as }: Daemon): Promise<readonly unknown[]> => {
  const { body } = await as('alice').get('/v1/status')
  return listAt(body, 'alerts').map((alert) => at(alert, 'code'))
}

const writable = async ({ nobody }: Daemon): Promise<string | undefined> =>
  /^idp_bridge_store_writable (\d)$/m.exec((await nobody.get('/metrics')).text)?.[1]

describe('a full disk', { concurrency: 1 }, () => {
  test('a daemon on it decides, refuses what it cannot record, and goes on when there is space', async (t) => {
    await using world = await startWorld({ auth: { killBudget: { max: 100_000, per: '10m' } } })
    await using disk = await smallDisk(world)
    if (disk === undefined) return t.skip(noSmallDisk)
    const daemon = await disk.daemon()
    await registerAll(daemon, world)
    await kill(daemon, scoutDid)
    await settledOff(daemon, scoutDid, world.contoso.agents.scout, ['ours'], patienceMs)
    assert.deepEqual(await ready(daemon), { status: 200, text: 'reads and writes' })
    assert.equal(await writable(daemon), '1')

    disk.fill()
    // What the log has already taken from the disk can still be written; these stand.
    const stored = new Set<string>()
    const refused = await until('a kill that cannot be recorded', async () => {
      const did = `did:mesh:unregistered-${stored.size}`
      const answer = await ask(daemon, did)
      if (answer.status !== 202) return answer
      stored.add(did)
      return undefined
    })
    assert.equal(at(refused.body, 'code'), 'E_STORE_FULL', refused.text)
    await assertRefused(daemon, analystDid, 'E_STORE_FULL')
    await assertDenied(daemon, { did: scoutDid })
    for (const did of stored) await assertDenied(daemon, { did })
    const release = path(scoutDid, `/holds/${textAt(await agentOf(daemon, scoutDid), 'holds', 0, 'id')}/release`)
    assert.equal((await daemon.as('alice').post(release, { reason: 'no' })).status, 503)
    await assertDenied(daemon, { did: scoutDid })
    const state = await ready(daemon)
    assert.equal(state.status, 503)
    assert.match(state.text, /E_STORE_FULL/)
    assert.equal((await daemon.nobody.get('/healthz')).status, 200)
    assert.equal(await writable(daemon), '0')
    assert.equal((await alertsOf(daemon)).filter((code) => code === 'store-full').length, 1)

    disk.free()
    const hold = await kill(daemon, analystDid)
    await until('ready again', async () => (await ready(daemon)).status === 200)
    await until('writable again', async () => (await writable(daemon)) === '1', 60_000)
    await until('the analyst is off', () => world.tenant.get(world.contoso.agents.analyst)?.enabled === false)

    daemon.process.signal('SIGKILL')
    await daemon.process.ended()
    disk.fill()
    const full = await disk.run('run', '--config', world.configFile)
    assert.equal(full.code, 75, full.err)
    assert.match(full.err, /E_STORE_FULL/, full.out)
    disk.free()
    const next = await disk.daemon()
    for (const did of [scoutDid, analystDid, ...stored]) await assertDenied(next, { did })
    assert.equal(at(await agentOf(next, analystDid), 'holds', 0, 'id'), hold)
    const verified = await disk.run('audit', 'verify', '--config', world.configFile)
    assert.equal(verified.code, 0, verified.err)
  })

  test('a backup that does not fit says so and leaves nothing behind', async (t) => {
    await using world = await startWorld()
    await using disk = await smallDisk(world)
    if (disk === undefined) return t.skip(noSmallDisk)
    const daemon = await disk.daemon()
    await registerAll(daemon, world)
    disk.fill()
    const copy = disk.database.replace('bridge.db', 'copy.db')
    const ended = await disk.run('backup', copy, '--config', world.configFile)
    assert.equal(ended.code, 75, ended.err)
    assert.match(ended.err, /E_STORE_FULL/)
    disk.free()
    const again = await disk.run('backup', copy, '--config', world.configFile)
    assert.equal(again.code, 0, again.err)
    await assertAllowed(daemon, { did: scoutDid })
  })
})

describe('a disk that cannot be written', { concurrency: 1 }, () => {
  test('mounted read-only: run refuses with exit 78 and how to mend it', async (t) => {
    await using world = await startWorld()
    await using disk = await smallDisk(world)
    if (disk === undefined) return t.skip(noSmallDisk)
    const refuses = async () => {
      disk.remount('ro')
      const ended = await disk.run('run', '--config', world.configFile)
      assert.equal(ended.code, 78, ended.err)
      assert.match(ended.err, /E_STORE_READONLY/)
      assert.match(ended.err, /mounted read-only\?/)
      disk.remount('rw')
    }
    await refuses()
    const daemon = await disk.daemon()
    await registerAll(daemon, world)
    await kill(daemon, scoutDid)
    daemon.process.signal('SIGTERM')
    assert.equal((await daemon.process.ended()).code, 0)
    await refuses()
    await assertDenied(await disk.daemon(), { did: scoutDid })
  })

  test('without permission: the same', async (t) => {
    if (getuid?.() === 0) return t.skip('permissions do not bind the superuser')
    await using world = await startWorld()
    const daemon = await world.daemon()
    daemon.process.signal('SIGTERM')
    await daemon.process.ended()
    chmodSync(world.databaseFile, 0o400)
    const ended = await run(['run', '--config', world.configFile])
    assert.equal(ended.code, 78, ended.err)
    assert.match(ended.err, /E_STORE_READONLY/)
  })

  const passing: readonly (readonly [Fault, string, string])[] = [
    ['readonly', 'E_STORE_READONLY', 'store-read-only'],
    ['full', 'E_STORE_FULL', 'store-full'],
  ]
  for (const [fault, code, alert] of passing) {
    test(`becoming ${fault} under a daemon: it decides, refuses, and goes on afterwards`, async (t) => {
      await using world = await startWorld()
      const faults = diskFaults(world)
      if (faults === undefined) return t.skip(noFaults)
      const daemon = await faultyDaemon(world, faults)
      await registerAll(daemon, world)
      await kill(daemon, scoutDid)
      await settledOff(daemon, scoutDid, world.contoso.agents.scout, ['ours'], patienceMs)
      faults.set(fault)
      await assertRefused(daemon, analystDid, code)
      await assertDenied(daemon, { did: scoutDid })
      const state = await ready(daemon)
      assert.equal(state.status, 503)
      assert.match(state.text, new RegExp(code))
      assert.ok((await alertsOf(daemon)).includes(alert))
      faults.set('none')
      await kill(daemon, analystDid)
      await assertDenied(daemon, { did: analystDid })
      await until('ready again', async () => (await ready(daemon)).status === 200)
      daemon.process.signal('SIGTERM')
      assert.equal((await daemon.process.ended()).code, 0)
      await assertAudit(world)
    })
  }
})

test('a sync that fails ends the process; what was acknowledged denies after the restart', async (t) => {
  await using world = await startWorld()
  const faults = diskFaults(world)
  if (faults === undefined) return t.skip(noFaults)
  const dying = await faultyDaemon(world, faults)
  await registerAll(dying, world)
  const hold = await kill(dying, scoutDid)
  await settledOff(dying, scoutDid, world.contoso.agents.scout, ['ours'], patienceMs)
  faults.set('fsync')
  const answer = await maybe(ask(dying, analystDid))
  assert.notEqual(answer?.status, 202, 'acknowledged without being on the disk')
  const ended = await dying.process.ended()
  assert.equal(ended.code, 70, ended.out.slice(-3000))
  assert.match(ended.out, /can no longer be trusted/)
  const stillBad = await run(['run', '--config', world.configFile], { env: faults.env })
  assert.equal(stillBad.code, 70, stillBad.err)
  faults.set('none')
  const daemon = await faultyDaemon(world, faults)
  await assertDenied(daemon, { did: scoutDid })
  assert.equal(at(await agentOf(daemon, scoutDid), 'holds', 0, 'id'), hold)
  assert.deepEqual(patchesOf(world, world.contoso.agents.scout, true), [])
  assert.ok(existsSync(world.databaseFile))
  await assertAudit(world)
})
