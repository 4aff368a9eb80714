import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BridgeError } from '../../src/core/errors.ts'
import { writtenServer } from '../../src/core/tools.ts'
import { createDecider } from '../../src/engine/deciding.ts'
import { createKnown } from '../../src/engine/known.ts'
import { defineConfiguredServers } from '../../src/engine/toolservers.ts'
import type { Verifier } from '../../src/engine/verify.ts'
import { registrar, soc, World } from './harness.ts'

type Written = Partial<Parameters<typeof writtenServer>[0]>

const code = (wanted: string) => (error: unknown) => error instanceof BridgeError && error.code === wanted
const rule = (capability: string) => ({ capability, otherParameters: 'deny' as const })
const written = (given: Written) => writtenServer({ unlisted: 'deny', tools: {}, ...given })

const put = (world: World, name: string, given: Written = {}, revision?: number) =>
  world.bridge.defineToolServer(name, written(given), registrar, revision)
const configure = (world: World, given: Readonly<Record<string, Written>>) =>
  defineConfiguredServers(world.deps, new Map(Object.entries(given).map(([name, one]) => [name, written(one)])))
const entries = async (world: World) =>
  (await world.store.audit({ limit: 99 }))
    .filter(({ type }) => type.startsWith('toolserver.'))
    .map(({ type, actor, details }) => `${type} ${details?.name} ${details?.origin} ${details?.revision} ${actor}`)
const call = async (world: World, did: string, tool: string, server = 'crm') =>
  (await world.bridge.decide({ did, tool, server })).codes

test('a tool server is defined, changed and removed, each once in the record, and counts for the very next decision', async () => {
  await using world = await World.open()
  const did = await world.agent('a', { capabilities: ['read:x'] })
  assert.deepEqual(await call(world, did, 'get'), ['R_TOOL'])
  const first = await put(world, 'crm', { tools: { get: rule('read:x') } })
  assert.deepEqual([first.created, first.server.revision], [true, 1])
  assert.deepEqual(await call(world, did, 'get'), [])
  const repeated = await put(world, 'crm', { tools: { get: rule('read:x') } })
  assert.deepEqual(repeated, { created: false, server: first.server })
  await put(world, 'crm', { tools: { get: rule('write:x') } })
  assert.deepEqual(await call(world, did, 'get'), ['R_CAPABILITY'])
  await put(world, 'crm', { unlisted: 'read:x' })
  assert.deepEqual(await call(world, did, 'get'), [])
  assert.deepEqual((await world.bridge.removeToolServer('crm', registrar, 3)).unlisted, 'read:x')
  assert.deepEqual(await call(world, did, 'get'), ['R_TOOL'])
  await assert.rejects(world.bridge.toolServer('crm'), code('E_NOT_FOUND'))
  await assert.rejects(world.bridge.removeToolServer('crm', registrar, undefined), code('E_NOT_FOUND'))
  assert.deepEqual(await entries(world), [
    'toolserver.defined crm api 1 registrar',
    'toolserver.changed crm api 2 registrar',
    'toolserver.changed crm api 3 registrar',
    'toolserver.removed crm api 3 registrar',
  ])
  const [, changed] = (await world.store.audit({ limit: 99 })).filter(({ type }) => type.startsWith('toolserver.'))
  assert.partialDeepStrictEqual(changed?.details, { tools: [{ name: 'get', capability: 'write:x' }], unlisted: null })
  assert.equal((await world.bridge.verifyAudit()).ok, true)
})

test('a remembered answer to a call is forgotten with the rule that it rests on', async () => {
  await using world = await World.open()
  const did = await world.agent('a', { capabilities: ['read:x', 'use:y'] })
  const reads: string[] = []
  const toolServer = (called: string) => {
    reads.push(called)
    return world.store.toolServer(called)
  }
  let decided = 0
  const store = { ...world.store, toolServer }
  const known = createKnown(store)
  const auditHead = () => {
    decided += 1
    return known.auditHead()
  }
  const verifier: Verifier = {
    verify: async () => ({ valid: false, codes: [], principals: [] }),
    subject: async () => ({ valid: false, codes: [], principals: [] }),
    reload: () => undefined,
  }
  const decider = createDecider({ ...world.deps, store }, verifier, world.activity, { ...known, auditHead })
  const asked = { did, tool: 'get', server: 'crm' }
  await put(world, 'crm', { tools: { get: rule('read:x') } })
  for (let times = 0; times < 3; times++) assert.equal((await decider.decide(asked)).allow, true)
  assert.equal(decided, 1, 'a question without parameters is remembered')
  await put(world, 'crm', { tools: { get: rule('write:x') } })
  assert.equal((await decider.decide(asked)).allow, false)
  await configure(world, { crm: { unlisted: 'use:y' } })
  assert.equal((await decider.decide(asked)).allow, true)
  await configure(world, {})
  assert.equal((await decider.decide(asked)).allow, false)
  await put(world, 'crm', { tools: { get: rule('read:x') } })
  reads.length = 0
  decided = 0
  for (const part of [{ parameters: { id: 1 } }, { parameters: { id: 2 } }, { parameters: {} }, { resource: 'r' }]) {
    assert.equal((await decider.decide({ ...asked, ...part })).allow, true)
    assert.equal((await decider.decide({ ...asked, ...part })).allow, true)
  }
  assert.equal(decided, 8, 'one with parameters or a resource is never remembered')
  assert.deepEqual(reads, ['crm'], 'the rules are, until anything is committed')
  const long = { ...asked, capability: 'x'.repeat(2000) }
  await world.agent('all', { capabilities: ['*'] })
  for (let times = 0; times < 2; times++) {
    assert.equal((await decider.decide({ ...long, did: 'did:mesh:all' })).allow, true)
  }
  assert.equal(decided, 10, 'and so is none that could fill the memory')
  const { id } = await world.bridge.place(did, { severity: 'suspend', reason: 'r' }, soc)
  assert.deepEqual((await decider.decide(asked)).codes, ['R_SUSPENDED'])
  await world.bridge.release(did, id, 'r', soc)
})

test('those of the configuration are in force whatever a registrar puts, and nothing is recorded when nothing differs', async () => {
  await using world = await World.open()
  const did = await world.agent('a', { capabilities: ['read:x'] })
  await put(world, 'crm', { tools: { get: rule('read:x') } })
  await put(world, 'own', { resource: 'urn:mcp:x', tools: { get: rule('read:x') } })
  const file = { crm: { tools: { get: rule('write:x') } }, erp: { resource: 'urn:mcp:x' } }
  await configure(world, file)
  assert.deepEqual(
    world.alerts.map(({ code, text }) => [code, text.split(' ')[3]]),
    [
      ['toolserver-shadowed', 'crm'],
      ['toolserver-shadowed', 'own'],
    ],
  )
  assert.deepEqual(await call(world, did, 'get'), ['R_CAPABILITY'])
  assert.deepEqual(await call(world, did, 'get', 'urn:mcp:x'), ['R_TOOL'])
  assert.deepEqual(await call(world, did, 'get', 'own'), [])
  await assert.rejects(put(world, 'crm', {}), code('E_TOOLSERVER_CONFIG'))
  await assert.rejects(world.bridge.removeToolServer('crm', registrar, undefined), code('E_TOOLSERVER_CONFIG'))
  await assert.rejects(put(world, 'evil', { resource: 'urn:mcp:x', unlisted: 'read:x' }), code('E_TOOLSERVER_RESOURCE'))
  const before = (await entries(world)).length
  await configure(world, file)
  assert.equal((await entries(world)).length, before)
  await configure(world, { erp: { tools: { get: rule('read:x') }, resource: 'urn:mcp:x' } })
  assert.deepEqual(await call(world, did, 'get'), [], 'that of the registrar is in force again')
  assert.deepEqual(await call(world, did, 'get', 'urn:mcp:x'), [])
  assert.deepEqual((await entries(world)).slice(before), [
    'toolserver.removed crm config 1 bridge',
    'toolserver.changed erp config 2 bridge',
  ])
  await configure(world, {})
  await world.restart()
  assert.deepEqual(await call(world, did, 'get', 'urn:mcp:x'), [])
})

test('a resource identifier is of one server, and may go over to another one', async () => {
  await using world = await World.open()
  await put(world, 'a', { resource: 'urn:mcp:x' })
  await assert.rejects(put(world, 'b', { resource: 'urn:mcp:x' }), code('E_TOOLSERVER_RESOURCE'))
  await put(world, 'a', {})
  await put(world, 'b', { resource: 'urn:mcp:x' })
  await put(world, 'b', { resource: 'urn:mcp:x', description: 'the same one may keep it' })
  await configure(world, { one: { resource: 'urn:mcp:y' } })
  await configure(world, { other: { resource: 'urn:mcp:y' } })
  assert.equal((await world.store.toolServer('urn:mcp:y'))?.name, 'other')
})

test('a change that expects a revision is refused when it was changed', async () => {
  await using world = await World.open()
  await assert.rejects(put(world, 'crm', {}, 1), code('E_REVISION'))
  await put(world, 'crm')
  await put(world, 'crm', { unlisted: 'use:x' }, 1)
  await assert.rejects(put(world, 'crm', {}, 1), code('E_REVISION'))
  await assert.rejects(world.bridge.removeToolServer('crm', registrar, 1), code('E_REVISION'))
  for (const name of ['', 'urn:x', 'a/b', 'x'.repeat(65)]) await assert.rejects(put(world, name), code('E_VALIDATION'))
  await assert.rejects(put(world, 'crm', { description: 'x'.repeat(70_000) }), code('E_VALIDATION'))
  const pages = [await world.bridge.toolServers({ limit: 1 })]
  await put(world, 'erp')
  pages.push(await world.bridge.toolServers({ limit: 1 }), await world.bridge.toolServers({ limit: 1, cursor: 'crm' }))
  assert.deepEqual(
    pages.map(({ items, nextCursor }) => [items.map(({ name }) => name), nextCursor]),
    [
      [['crm'], null],
      [['crm'], 'crm'],
      [['erp'], null],
    ],
  )
})

test('what a tool takes may come from a blueprint or a parent, and is narrowed by every ancestor', async () => {
  await using world = await World.open()
  await put(world, 'crm', { tools: { get: rule('read:x'), set: rule('write:x') } })
  await world.bridge.defineBlueprint('Clerk', { capabilities: ['read:x', 'write:x'] }, registrar, undefined)
  const parent = await world.agent('p', { blueprint: 'Clerk' }, [])
  const child = await world.agent('c', { parentDid: parent, capabilities: ['read:*'] }, [])
  const asked = { did: child, server: 'crm' }
  const get = await world.bridge.decide({ ...asked, tool: 'get' })
  assert.deepEqual([get.allow, get.checks], [true, ['mapping', 'holds', 'capability', 'delegation', 'tool']])
  assert.deepEqual(
    get.grants.map(({ did, source }) => `${did} ${source}`),
    [`${child} manual`, `${parent} blueprint:Clerk`],
  )
  assert.deepEqual((await world.bridge.decide({ ...asked, tool: 'set' })).codes, ['R_CAPABILITY'])
  await world.bridge.patch(parent, { blueprint: null }, registrar, undefined)
  assert.deepEqual((await world.bridge.decide({ ...asked, tool: 'get' })).codes, ['R_CAPABILITY'])
  await world.bridge.place(parent, { severity: 'suspend', reason: 'r' }, soc)
  const held = await world.bridge.decide({ ...asked, tool: 'get', parameters: { a: 1 } })
  assert.deepEqual([held.codes, held.grants], [['R_SUSPENDED', 'R_CAPABILITY'], []])
})
