import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BridgeError } from '../../src/core/errors.ts'
import type { AgentInput, PrincipalInput } from '../../src/engine/agentapi.ts'
import type { ImportView, RowInput } from '../../src/engine/importapi.ts'
import { workOffImports } from '../../src/engine/imports.ts'
import { createRecall } from '../../src/engine/recall.ts'
import { alice, Death, registrar, World } from './harness.ts'

const did = (name: string) => `did:agentmesh:${name}`
const account = (id: string, more: Partial<PrincipalInput> = {}): PrincipalInput => ({
  adapter: 'north',
  id,
  kind: 'agent',
  ...more,
})
const row = (line: number, agent: AgentInput): RowInput => ({ line, agent, did: agent.did, fault: undefined })
const agent = (name: string, more: Partial<AgentInput> = {}): AgentInput => ({ did: did(name), name, ...more })

const work = async (world: World): Promise<void> => {
  const recallOf = (name: string) => world.runners.get(name)?.mirror.recall ?? createRecall()
  const full = (name: string) => world.runner(name).sync.full(world.signal)
  await workOffImports({ deps: world.deps, recallOf, full }, world.signal)
}

const staged = async (world: World, rows: readonly RowInput[]): Promise<string> => {
  const { id } = await world.bridge.openImport('agents.csv', registrar)
  await world.bridge.stageRows(id, rows, registrar)
  return id
}

const checked = async (world: World, rows: readonly RowInput[]): Promise<ImportView> => {
  const id = await staged(world, rows)
  assert.equal((await world.bridge.checkImport(id, registrar)).state, 'checking')
  await work(world)
  return world.bridge.importOf(id)
}

const faults = async (world: World, id: string) =>
  (await world.bridge.importFaults(id, -1, 1_000)).items.map(({ code, line }) => `${line} ${code}`)

const isCode = (code: string) => (error: unknown) => error instanceof BridgeError && error.code === code

test('an import registers children below parents that come later in the file, and nothing before it is applied', async () => {
  await using world = await World.open()
  world.north.add({ id: 'a-1' }).add({ id: 'b-1' })
  const head = await world.store.auditHead()
  const rows = [
    row(2, agent('child', { parentDid: did('parent'), principals: [account('a-1')], capabilities: ['read:x'] })),
    row(3, agent('grandchild', { parentDid: did('child') })),
    row(4, agent('parent', { principals: [account('b-1')], capabilities: ['read:x'] })),
  ]
  const view = await checked(world, rows)
  assert.deepEqual(await faults(world, view.id), [])
  assert.equal(view.state, 'checked')
  assert.equal(view.rows.good, 3)
  assert.deepEqual(await world.store.auditHead(), head, 'the check left something behind')
  assert.equal((await world.store.signalRange()).head, 0)
  await assert.rejects(world.bridge.agent(did('parent'), alice), isCode('E_AGENT_UNKNOWN'))

  await world.bridge.applyImport(view.id, registrar)
  await work(world)
  const done = await world.bridge.importOf(view.id)
  assert.equal(done.state, 'done')
  assert.equal(done.rows.registered, 3)
  assert.equal((await world.bridge.agent(did('grandchild'), alice)).depth, 2)
  const types = (await world.store.audit({ after: head.seq, limit: 99 })).map(({ type }) => type)
  assert.deepEqual([types[0], types.at(-1)], ['import.begun', 'import.done'])
  assert.equal(types.filter((type) => type === 'agent.registered').length, 3)
  const [kept] = await world.store.importRows(view.id, -1, 1)
  assert.equal(kept?.body, undefined, 'what was given is kept after it is registered')
})

test('every bad row is told with its line and code, and none is registered while there is one', async () => {
  await using world = await World.open()
  for (const id of ['a-1', 'a-2', 'a-3', 'a-4']) world.north.add({ id })
  await world.bridge.register(agent('there'), registrar)
  await world.bridge.register(agent('mapped', { principals: [account('a-4')] }), registrar)
  const shared = { shared: true }
  const view = await checked(world, [
    row(2, agent('good', { principals: [account('a-1')] })),
    { line: 3, agent: undefined, did: did('shape'), fault: { code: 'E_VALIDATION', detail: '/name is required' } },
    row(4, agent('gone', { principals: [account('nobody')] })),
    row(5, agent('good')),
    row(6, agent('thief', { principals: [account('a-1')] })),
    row(7, agent('taken', { principals: [account('a-4')] })),
    row(8, agent('elsewhere', { principals: [account('x', { adapter: 'west' })] })),
    row(9, agent('orphan', { parentDid: did('nobody') })),
    row(10, agent('below', { parentDid: did('gone') })),
    row(11, agent('round', { parentDid: did('about') })),
    row(12, agent('about', { parentDid: did('round') })),
    row(13, { did: 'nonsense', name: 'x' }),
    row(14, agent('capable', { capabilities: ['no colon'] })),
    row(15, agent('printed', { blueprint: 'undefined one' })),
    row(16, agent('twin-1', { principals: [account('a-2', shared)] })),
    row(17, agent('twin-2', { principals: [account('a-2', shared)] })),
    row(18, agent('wider', { parentDid: did('good'), delegation: { capabilities: ['write:x'] } })),
    row(19, { ...agent('there'), name: 'another' }),
  ])
  assert.deepEqual(await faults(world, view.id), [
    '3 E_VALIDATION',
    '4 E_PRINCIPAL_ABSENT',
    '5 E_EXISTS',
    '6 E_PRINCIPAL_TAKEN',
    '7 E_PRINCIPAL_TAKEN',
    '8 E_ADAPTER_UNKNOWN',
    '9 E_PARENT',
    '10 E_PARENT',
    '11 E_CYCLE',
    '12 E_CYCLE',
    '13 E_DID',
    '14 E_CAPABILITY',
    '15 E_BLUEPRINT_UNKNOWN',
    '18 E_WIDENING',
    '19 E_EXISTS',
  ])
  assert.equal(view.rows.good, 3)
  await assert.rejects(world.bridge.applyImport(view.id, registrar), isCode('E_IMPORT_STATE'))
  assert.equal((await world.store.agents({ limit: 99 })).length, 2)

  // Mended lines take the place of the bad ones.
  const mended = (await faults(world, view.id)).map((one, n) => row(Number.parseInt(one, 10), agent(`mended-${n}`)))
  await world.bridge.stageRows(view.id, mended, registrar)
  await world.bridge.checkImport(view.id, registrar)
  await work(world)
  assert.deepEqual(await faults(world, view.id), [])
  await world.bridge.applyImport(view.id, registrar)
  await work(world)
  assert.equal((await world.bridge.importOf(view.id)).rows.registered, 18)
})

test('accounts are checked against one listing, and only what it does not tell is read by id', async () => {
  await using world = await World.open()
  const rows: RowInput[] = []
  for (let n = 0; n < 150; n++) {
    world.north.add({ id: `a-${n}` })
    rows.push(row(n, agent(`n${n}`, { principals: [account(`a-${n}`)] })))
  }
  rows.push(row(150, agent('gone', { principals: [account('gone')] })))
  const mount = world.deps.mounts().get('north')
  assert.ok(mount)
  const asked: string[] = []
  const { changes, lookup } = mount.adapter
  let listings = 0
  Object.assign(mount.adapter, {
    changes: (...of: Parameters<typeof changes>) => {
      listings += 1
      return changes(...of)
    },
    lookup: (...of: Parameters<typeof lookup>) => {
      asked.push(...of[0].map(({ id }) => id))
      return lookup(...of)
    },
  })
  const view = await checked(world, rows)
  assert.deepEqual(await faults(world, view.id), ['150 E_PRINCIPAL_ABSENT'])
  assert.deepEqual([listings, asked], [1, ['gone']])
})

test('what ends the process in the middle leaves an import that goes on, and registers nobody twice', async () => {
  await using world = await World.open()
  const rows = Array.from({ length: 200 }, (_, n) => row(n, agent(`n${n}`)))
  const { id } = await checked(world, rows)
  await world.bridge.applyImport(id, registrar)
  world.dieAt = 'import.advanced'
  await assert.rejects(work(world), Death)
  await world.restart()
  const half = await world.bridge.importOf(id)
  assert.equal(half.state, 'applying')
  assert.ok(half.rows.registered > 0 && half.rows.good > 0, JSON.stringify(half.rows))
  await work(world)
  assert.deepEqual((await world.bridge.importOf(id)).rows.registered, 200)
  const entries = await world.store.audit({ after: 0, limit: 1_000 })
  assert.equal(entries.filter(({ type }) => type === 'agent.registered').length, 200)

  const again = await checked(world, rows)
  await world.bridge.applyImport(again.id, registrar)
  await work(world)
  assert.deepEqual((await world.bridge.importOf(again.id)).rows.unchanged, 200)
})

test('an imported account decides deny until a pass has read it, and one that is off is held', async () => {
  await using world = await World.open()
  for (let n = 0; n < 30; n++) world.north.add({ id: `a-${n}`, enabled: n !== 7 })
  const rows = Array.from({ length: 30 }, (_, n) => row(n, agent(`n${n}`, { principals: [account(`a-${n}`)] })))
  const { id } = await checked(world, rows)
  await world.bridge.applyImport(id, registrar)
  const { deps } = world
  const passes: string[] = []
  const full = async (name: string) => void passes.push(name)
  await workOffImports({ deps, recallOf: createRecall, full }, world.signal)
  assert.deepEqual(passes, ['north'])
  const codes = async (name: string) => (await world.bridge.decide({ did: did(name) })).codes
  assert.deepEqual(await codes('n1'), ['R_UNOBSERVED'])
  await world.runner('north').sync.full(world.signal)
  assert.deepEqual(await codes('n1'), [])
  assert.deepEqual(await codes('n7'), ['R_SUSPENDED'])
})

test('a row for which something came in between fails alone, and says so', async () => {
  await using world = await World.open()
  const view = await checked(world, [
    row(1, agent('a')),
    row(2, agent('b')),
    row(3, agent('c', { parentDid: did('a') })),
  ])
  await world.bridge.register({ ...agent('a'), name: 'quicker' }, registrar)
  await world.bridge.applyImport(view.id, registrar)
  await work(world)
  assert.deepEqual(await faults(world, view.id), ['1 E_EXISTS'])
  const { rows, state } = await world.bridge.importOf(view.id)
  assert.deepEqual([state, rows.registered, rows.failed], ['done', 2, 1])
})

test('a directory that cannot be listed leaves the import as it was, to be checked again', async () => {
  await using world = await World.open()
  const rows: RowInput[] = []
  for (let n = 0; n < 30; n++) {
    world.north.add({ id: `a-${n}` })
    rows.push(row(n, agent(`n${n}`, { principals: [account(`a-${n}`)] })))
  }
  world.north.feed.add({ mode: 'down' })
  const view = await checked(world, rows)
  assert.equal(view.state, 'staging')
  assert.match(view.failure?.code ?? '', /^E_DIRECTORY_/)
  await assert.rejects(world.bridge.applyImport(view.id, registrar), isCode('E_IMPORT_STATE'))
  world.north.feed.clear()
  await world.bridge.checkImport(view.id, registrar)
  await work(world)
  assert.equal((await world.bridge.importOf(view.id)).rows.good, 30)
})

test('what nobody goes on with is dropped after a day, and what is discarded at once', async () => {
  await using world = await World.open()
  const view = await checked(world, [row(1, agent('a'))])
  const other = await staged(world, [row(1, agent('b'))])
  await world.bridge.discardImport(other, registrar)
  await assert.rejects(world.bridge.importOf(other), isCode('E_NOT_FOUND'))
  await work(world)
  assert.deepEqual(
    (await world.store.importJobs(9)).map(({ id }) => id),
    [view.id],
  )
  await world.clock.advance(86_400_000)
  await work(world)
  assert.deepEqual(await world.store.importJobs(9), [])
  assert.deepEqual(await world.store.importRows(view.id, -1, 9), [])
  for (let n = 0; n < 20; n++) await world.bridge.openImport(undefined, registrar)
  await assert.rejects(world.bridge.openImport(undefined, registrar), isCode('E_BUDGET'))
})

test('an import is worked off and dropped however many were done since', async () => {
  await using world = await World.open()
  const waits = await staged(world, [row(1, agent('b'))])
  const old = await checked(world, [row(1, agent('a'))])
  await world.bridge.applyImport(old.id, registrar)
  await world.clock.advance(1)
  await world.store.write(async (tx) => {
    const job = await tx.importJob(old.id)
    assert.ok(job)
    const at = world.clock.now()
    for (let n = 0; n < 1_000; n++) {
      await tx.putImport({ ...job, id: `later-${n}`, at, state: 'done', changedAt: at + 8 * 86_400_000 })
    }
  })
  await work(world)
  assert.equal((await world.bridge.importOf(old.id)).state, 'done')
  for (let n = 1; n < 20; n++) await world.bridge.openImport(undefined, registrar)
  await assert.rejects(world.bridge.openImport(undefined, registrar), isCode('E_BUDGET'))
  await world.clock.advance(86_400_000)
  await work(world)
  await assert.rejects(world.bridge.importOf(waits), isCode('E_NOT_FOUND'))
  await world.clock.advance(6 * 86_400_000)
  await work(world)
  await assert.rejects(world.bridge.importOf(old.id), isCode('E_NOT_FOUND'))
})

test('an import that somebody goes on with while it is dropped is whole, or gone', async () => {
  await using world = await World.open()
  const rows = Array.from({ length: 2_500 }, (_, n) => row(n, agent(`n${n}`)))
  const { id } = await world.bridge.openImport(undefined, registrar)
  await world.bridge.stageRows(id, rows, registrar)
  await world.store.write((tx) =>
    tx.judgeImportRows(
      id,
      rows.map(({ line }) => ({ line, depth: 0, state: 'good', fault: undefined })),
    ),
  )
  const job = await world.store.importJob(id)
  assert.ok(job)
  await world.store.write((tx) => tx.putImport({ ...job, state: 'checked' }))
  await world.clock.advance(86_400_000)
  const { store } = world
  const applied: unknown[] = []
  const write: typeof store.write = async (task) => {
    const done = await store.write(task)
    if ((await store.importRows(id, -1, 1))[0]?.line !== 0 && applied.length === 0) {
      applied.push(await world.bridge.applyImport(id, registrar).catch((error: unknown) => error))
    }
    return done
  }
  const deps = { ...world.deps, store: { ...store, write } }
  await workOffImports({ deps, recallOf: () => createRecall(), full: async () => undefined }, world.signal)
  assert.equal(applied.length, 1)
  assert.ok(isCode('E_NOT_FOUND')(applied[0]))
})

test('a file that is imported again is as it was, though an account of it is gone by now', async () => {
  await using world = await World.open()
  world.north.add({ id: 'a-1' })
  const rows = [row(1, agent('a', { principals: [account('a-1')] })), row(2, agent('b'))]
  const { id } = await checked(world, rows.slice(0, 1))
  await world.bridge.applyImport(id, registrar)
  await work(world)
  world.north.remove('a-1')
  const again = await checked(world, rows)
  assert.deepEqual(await faults(world, again.id), [])
  await world.bridge.applyImport(again.id, registrar)
  await work(world)
  assert.partialDeepStrictEqual(await world.bridge.importOf(again.id), {
    state: 'done',
    rows: { registered: 1, unchanged: 1, failed: 0 },
  })
})

test('an account that is never to be mapped since the check is not', async () => {
  const never: string[] = []
  await using world = await World.open({ adapters: { north: { never } } })
  world.north.add({ id: 'a-1' })
  const { id } = await checked(world, [row(1, agent('a', { principals: [account('a-1')] }))])
  await world.bridge.applyImport(id, registrar)
  never.push('a-1')
  await world.restart()
  await work(world)
  assert.deepEqual(await faults(world, id), ['1 E_NEVER'])
  assert.equal(await world.store.principal({ adapter: 'north', id: 'a-1' }), undefined)
})

test('an import is discarded in the middle of its check, and stays so', async () => {
  await using world = await World.open()
  const id = await staged(world, [row(1, agent('a')), row(2, agent('b', { parentDid: did('a') }))])
  await world.bridge.checkImport(id, registrar)
  const { store } = world
  const importRowsIn: typeof store.importRowsIn = async (...given) => {
    await world.bridge.discardImport(id, registrar).catch(() => undefined)
    return store.importRowsIn(...given)
  }
  const deps = { ...world.deps, store: { ...store, importRowsIn } }
  await workOffImports({ deps, recallOf: () => createRecall(), full: async () => undefined }, world.signal)
  await assert.rejects(world.bridge.importOf(id), isCode('E_NOT_FOUND'))
  assert.deepEqual(await store.importRows(id, -1, 9), [])
})
