import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { memoryConfig, open as openMemory } from '../../adapters/memory/index.ts'
import type { Finding } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'
import { createDoctor } from '../../src/engine/doctor.ts'
import type { DoctorHost } from '../../src/engine/doctorapi.ts'
import { alice, World } from './harness.ts'

const mebibyte = 1024 ** 2
const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
const healthy: DoctorHost = {
  warnings: [],
  room: async () => ({ free: 4096 * mebibyte, total: 8192 * mebibyte, used: 100 * mebibyte }),
  signingKeys: () => [{ read: () => pem }],
  publicUrl: () => 'https://bridge.contoso.com/',
  resolve: async () => [{ address: '20.50.2.1', reach: 'public' }],
  ask: async () => true,
}

/** What is not ok, as `about: code level`. */
const told = async (world: World, host: Partial<DoctorHost> = {}, adapter?: string) => {
  const { findings, ok } = await createDoctor(world.deps, { ...healthy, ...host }, (name) =>
    world.runners.get(name),
  ).doctor(adapter)
  assert.equal(
    ok,
    findings.every(({ level }) => level !== 'error'),
  )
  return findings.filter(({ level }) => level !== 'ok').map(({ about, code, level }) => `${about}: ${code} ${level}`)
}
const both = (...what: string[]) => ['north', 'south'].flatMap((name) => what.map((one) => `hook:${name}: ${one}`))

test('a healthy daemon has nothing to mend', async () => {
  await using world = await World.open()
  const { at, findings, ok } = await createDoctor(world.deps, healthy, (name) => world.runners.get(name)).doctor(
    undefined,
  )
  assert.deepEqual([ok, at], [true, world.clock.now()])
  assert.deepEqual([...new Set(findings.map(({ level }) => level))], ['ok'])
  assert.deepEqual(
    [...new Set(findings.map(({ about }) => about))],
    ['store', 'disk', 'keys', 'adapter:north', 'adapter:south', 'hook:north', 'hook:south'],
  )
})

test('too little room is told: an error when it is almost none, a warning when an upgrade could not copy the store', async () => {
  await using world = await World.open()
  const room = (free: number, used: number) => ({
    room: async () => ({ free: free * mebibyte, total: 8192 * mebibyte, used: used * mebibyte }),
  })
  assert.deepEqual(await told(world, room(63, 1)), ['disk: disk error'])
  assert.deepEqual(await told(world, room(65, 1)), ['disk: disk warning'])
  assert.deepEqual(await told(world, room(4000, 4001)), ['disk: disk warning'])
  assert.deepEqual(await told(world, room(4001, 4000)), [])
})

test('keys that are not there or cannot be used, and an odd place of the store, are told', async () => {
  await using world = await World.open()
  assert.deepEqual(await told(world, { signingKeys: () => [] }), ['keys: no-signing-key warning'])
  const unread = () => {
    throw new BridgeError('E_SECRET', 'The file cannot be read.')
  }
  const keys = [{ read: () => pem }, { read: unread }, { read: () => 'a text' }]
  assert.deepEqual(await told(world, { signingKeys: () => keys }), [
    'keys: signing-key error',
    'keys: signing-key error',
  ])
  assert.deepEqual(await told(world, { warnings: ['FUSE'] }), ['store: store-place warning'])
})

test('a store that refuses writes is an error with its code, and paused writes are told', async () => {
  await using world = await World.open()
  await world.bridge.pause(true, 'maintenance', alice)
  assert.deepEqual(await told(world), ['writes: paused warning'])
  const ping = () => Promise.reject(new BridgeError('E_STORE_FULL', 'Full.', { hint: 'Free space.' }))
  const deps = { ...world.deps, store: { ...world.store, ping } }
  const { findings, ok } = await createDoctor(deps, healthy, (name) => world.runners.get(name)).doctor(undefined)
  const store = findings.find(({ about }) => about === 'store')
  assert.deepEqual([ok, store?.code, store?.level, store?.mend], [false, 'E_STORE_FULL', 'error', 'Free space.'])
  const lost = () => Promise.reject(new BridgeError('E_LEASE_LOST', 'Lost.'))
  const other = { ...world.deps, store: { ...world.store, ping: lost } }
  const again = await createDoctor(other, healthy, (name) => world.runners.get(name)).doctor(undefined)
  assert.equal(again.findings.find(({ about }) => about === 'store')?.code, 'E_LEASE_LOST')
})

test('a place that fails is a finding about that place, and the others are looked at all the same', async () => {
  await using world = await World.open()
  const errors = { north: new BridgeError('E_DIRECTORY_DOWN', 'Down.', { hint: 'Wait.' }), south: new Error('secret') }
  const mounts = new Map(
    Object.entries(errors).map(([name, error]) => {
      const mount = world.deps.mounts().get(name)
      assert.ok(mount)
      const check = () => Promise.reject(error)
      return [name, { settings: mount.settings, adapter: { ...mount.adapter, check } }]
    }),
  )
  const host = { ...healthy, room: () => Promise.reject(new Error('statfs')) }
  const doctor = createDoctor({ ...world.deps, mounts: () => mounts }, host, (name) => world.runners.get(name))
  const { findings, ok } = await doctor.doctor(undefined)
  assert.equal(ok, false)
  const roomHint =
    'let the user of the bridge into the folder of the store, and see what the system logged about the disk'
  assert.deepEqual(
    findings.filter(({ level }) => level === 'error').map(({ about, code, mend, text }) => [about, code, text, mend]),
    [
      ['disk', 'E_STORE', 'The disk of the store does not say how much room it has.', roomHint],
      ['adapter:north', 'E_DIRECTORY_DOWN', 'Down.', 'Wait.'],
      ['adapter:south', 'E_BUG', 'Looking at it failed.', undefined],
    ],
  )
  assert.deepEqual(
    [...new Set(findings.filter(({ level }) => level === 'ok').map(({ about }) => about))],
    ['store', 'keys', 'hook:north', 'hook:south'],
  )
})

test('a hook is looked for at the public URL, and what nobody here can tell is not called ok', async () => {
  await using world = await World.open()
  const at = (address: string, reach: 'loopback' | 'private' | 'public') => ({
    resolve: async () => [{ address, reach }],
  })
  assert.deepEqual(await told(world, { publicUrl: () => undefined }), both('no-public-url unknown'))
  assert.deepEqual(await told(world, { publicUrl: () => 'http://127.0.0.1:1' }), both('hook-plain error'))
  assert.deepEqual(await told(world, at('10.0.0.1', 'private')), both('hook-private warning'))
  assert.deepEqual(await told(world, at('127.0.0.1', 'loopback')), both('hook-private error'))
  assert.deepEqual(await told(world, { resolve: async () => [] }), both('hook-unresolved error'))
  const nowhere = { resolve: () => Promise.reject(new Error('ENOTFOUND')) }
  assert.deepEqual(await told(world, nowhere), both('hook-unresolved error'))
  assert.deepEqual(await told(world, { ask: async () => false }), both('hook-elsewhere error'))
  const failing = (code: 'E_OUTBOUND_NETWORK' | 'E_OUTBOUND_REDIRECT') => ({
    ask: () => Promise.reject(new BridgeError(code, 'No.')),
  })
  assert.deepEqual(await told(world, failing('E_OUTBOUND_NETWORK')), both('hook-unreached warning'))
  assert.deepEqual(await told(world, failing('E_OUTBOUND_REDIRECT')), both('hook-elsewhere error'))
  const asked: string[] = []
  const ask = async (path: string, id: string) => {
    asked.push(path)
    assert.ok(id.length > 0)
    return true
  }
  assert.deepEqual(await told(world, { ask }, 'south'), [])
  assert.deepEqual(asked, ['/hooks/south'])
})

test('one directory is looked at alone, an unknown one is refused, and who asks meanwhile gets the same look', async () => {
  let checks = 0
  const gate = Promise.withResolvers<void>()
  const missing: Finding = { code: 'permission', level: 'error', text: 'lacks a right', mend: 'grant it' }
  await using world = await World.open({
    adapters: {
      north: {
        adapter: (clock) => {
          const config = memoryConfig.parse({ kind: 'memory' })
          const check = async () => {
            checks += 1
            await gate.promise
            return [missing]
          }
          return { ...openMemory('north', config, { clock }), check }
        },
      },
    },
  })
  const { doctor } = createDoctor(world.deps, healthy, (name) => world.runners.get(name))
  const both = [doctor('north'), doctor('north')]
  gate.resolve()
  const [one, other] = await Promise.all(both)
  assert.deepEqual([one, checks], [other, 1])
  assert.equal(one?.ok, false)
  assert.deepEqual(one?.findings.slice(0, 1), [{ about: 'adapter:north', ...missing }])
  await doctor('north')
  assert.equal(checks, 2)
  await assert.rejects(doctor('nowhere'), { code: 'E_ADAPTER_UNKNOWN' })
})

test('without a host the store and the directories are looked at', async () => {
  await using world = await World.open()
  const { findings } = await world.bridge.doctor(undefined)
  assert.deepEqual([...new Set(findings.map(({ about }) => about))], ['store', 'adapter:north', 'adapter:south'])
})
