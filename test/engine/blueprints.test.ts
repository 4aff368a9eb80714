import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Definition } from '../../src/core/blueprints.ts'
import { definitionOf } from '../../src/core/blueprints.ts'
import { BridgeError } from '../../src/core/errors.ts'
import type { BlueprintInput } from '../../src/engine/blueprintapi.ts'
import { defineConfigured, regrantAll } from '../../src/engine/regranting.ts'
import { alice, registrar, World } from './harness.ts'

const mail = { email: 'alice@contoso.com' }
const code = (wanted: string) => (error: unknown) => error instanceof BridgeError && error.code === wanted

const put = async (world: World, name: string, input: BlueprintInput = {}, revision?: number) =>
  (await world.bridge.defineBlueprint(name, input, registrar, revision)).blueprint
const configure = (world: World, given: Readonly<Record<string, Partial<Definition>>>) => {
  const none = {
    description: undefined,
    capabilities: [],
    requireSponsor: false,
    maxDelegationDepth: undefined,
    accessPolicy: undefined,
  }
  const entries = Object.entries(given).map(([name, part]) => [name, definitionOf({ ...none, ...part })] as const)
  return defineConfigured(world.deps, new Map(entries))
}
const sources = async (world: World, did: string) =>
  (await world.store.sourcesOf(did)).map(({ capability, source }) => `${capability} ${source}`)
const effective = async (world: World, did: string) => (await world.bridge.agent(did, registrar)).effective
const told = async (world: World, after: number) =>
  (await world.store.signalsAfter(after, 999)).map(({ did, capabilities }) => `${did} ${capabilities?.join(',')}`)
const head = async (world: World) => (await world.store.signalRange()).head

test('a blueprint gives its capabilities at registration, beside the manual ones, and goes with it', async () => {
  await using world = await World.open()
  await put(world, 'Analyst', { capabilities: ['write:x', 'read:x', 'read:x'] })
  await put(world, 'Writer', { capabilities: ['write:x', 'write:y'] })
  const a = await world.agent('a', { blueprint: 'Analyst', capabilities: ['read:x', 'own:x'] }, [])
  assert.deepEqual(await sources(world, a), [
    'own:x manual',
    'read:x blueprint:Analyst',
    'read:x manual',
    'write:x blueprint:Analyst',
  ])
  assert.deepEqual(await effective(world, a), ['own:x', 'read:x', 'write:x'])
  assert.equal((await world.bridge.decide({ did: a, capability: 'write:x' })).allow, true)
  const repeated = await world.bridge.register(
    { did: a, name: 'a', blueprint: 'Analyst', capabilities: ['own:x', 'read:x'] },
    registrar,
  )
  assert.equal(repeated.created, false)

  const before = await head(world)
  await world.bridge.patch(a, { blueprint: 'Writer', capabilities: ['own:x'] }, registrar, undefined)
  assert.deepEqual(await sources(world, a), ['own:x manual', 'write:x blueprint:Writer', 'write:y blueprint:Writer'])
  assert.deepEqual(await told(world, before), [`${a} own:x,write:x,write:y`])
  await world.bridge.patch(a, { blueprint: null }, registrar, undefined)
  assert.deepEqual(await sources(world, a), ['own:x manual'])
})

test('a blueprint that nobody defined is refused, by name and with those that are', async () => {
  await using world = await World.open()
  await put(world, 'Analyst')
  await put(world, 'Writer')
  const unknown = (error: unknown) =>
    error instanceof BridgeError && error.code === 'E_BLUEPRINT_UNKNOWN' && error.hint === 'Defined: Analyst, Writer.'
  await assert.rejects(world.agent('a', { blueprint: 'analyst' }), unknown)
  assert.deepEqual(world.north.readIds, [])
  assert.equal(await world.store.agent('did:mesh:a'), undefined)
  const a = await world.agent('a', {}, [])
  await assert.rejects(world.bridge.patch(a, { blueprint: 'Nobody' }, registrar, undefined), unknown)
  await assert.rejects(
    world.bridge.replace(a, { did: a, name: 'a', blueprint: 'Nobody' }, registrar, undefined),
    unknown,
  )
})

test('a sponsor that is asked for must be given, and cannot be taken away', async () => {
  await using world = await World.open()
  await put(world, 'Analyst', { requireSponsor: true })
  await assert.rejects(world.agent('a', { blueprint: 'Analyst' }, []), code('E_SPONSOR'))
  await assert.rejects(world.agent('a', { blueprint: 'Analyst', sponsor: {} }, []), code('E_SPONSOR'))
  const a = await world.agent('a', { blueprint: 'Analyst', sponsor: mail }, [])
  const patch = (did: string, change: Record<string, unknown>) => world.bridge.patch(did, change, registrar, undefined)
  await assert.rejects(patch(a, { sponsor: null }), code('E_SPONSOR'))
  await assert.rejects(patch(a, { sponsor: { email: null } }), code('E_SPONSOR'))
  await assert.rejects(
    world.bridge.replace(a, { did: a, name: 'a', blueprint: 'Analyst' }, registrar, undefined),
    code('E_SPONSOR'),
  )
  assert.deepEqual((await patch(a, { sponsor: { email: null, objectId: 'o-1' } })).sponsor, { objectId: 'o-1' })
  assert.equal((await patch(a, { sponsor: null, blueprint: null })).sponsor, undefined)
  await assert.rejects(patch(a, { blueprint: 'Analyst' }), code('E_SPONSOR'))
})

test('an agent from before a sponsor was asked for can be changed, but not to lose one', async () => {
  await using world = await World.open()
  await put(world, 'Analyst')
  const a = await world.agent('a', { blueprint: 'Analyst' }, [])
  await put(world, 'Analyst', { requireSponsor: true })
  const patch = (change: Record<string, unknown>) => world.bridge.patch(a, change, registrar, undefined)
  assert.deepEqual((await patch({ labels: { unit: 'x' } })).labels, { unit: 'x' })
  assert.deepEqual((await patch({ sponsor: mail })).sponsor, mail)
  await assert.rejects(patch({ sponsor: null }), code('E_SPONSOR'))
})

test('a changed definition reaches every agent that carries it, and each is told once', async () => {
  await using world = await World.open()
  await put(world, 'Analyst', { capabilities: ['read:x', 'old:x'] })
  const dids: string[] = []
  for (let n = 0; n < 230; n++) {
    dids.push(await world.agent(`a${String(n).padStart(3, '0')}`, { blueprint: 'Analyst' }, []))
  }
  const manual = await world.agent('m', { blueprint: 'Analyst', capabilities: ['new:x', 'old:x'] }, [])
  const other = await world.agent('o', { capabilities: ['old:x'] }, [])
  const before = await head(world)
  const { applied, revision } = await put(world, 'Analyst', { capabilities: ['new:x', 'read:x'] })
  assert.deepEqual({ applied, revision }, { applied: false, revision: 2 })
  // Whoever is registered meanwhile has what is in force.
  const late = await world.agent('z', { blueprint: 'Analyst' }, [])
  assert.deepEqual(await effective(world, late), ['new:x', 'read:x'])
  await regrantAll(world.deps)
  assert.equal((await world.bridge.blueprint('Analyst')).applied, true)
  const signals = (await told(world, before)).filter((line) => !line.startsWith(late))
  assert.deepEqual(
    signals,
    dids.map((did) => `${did} new:x,read:x`),
  )
  assert.deepEqual(await effective(world, manual), ['new:x', 'old:x', 'read:x'])
  assert.deepEqual(await effective(world, other), ['old:x'])
  const entry = (await world.store.audit({ dids: dids.slice(3, 4), limit: 99 })).at(-1)
  assert.deepEqual([entry?.type, entry?.actor], ['capabilities.changed', 'bridge'])
  assert.deepEqual(entry?.details, { cause: 'blueprint:Analyst', removed: ['old:x'] })
  assert.equal((await world.bridge.verifyAudit()).ok, true)
})

test('what narrows or widens a parent is told of its descendants in the same transaction', async () => {
  await using world = await World.open()
  await put(world, 'Lead', { capabilities: ['read:x'] })
  const lead = await world.agent('lead', { blueprint: 'Lead' }, [])
  const middle = await world.agent('middle', { parentDid: lead, capabilities: ['read:x', 'write:x'] }, [])
  const leaf = await world.agent('leaf', { parentDid: middle, capabilities: ['read:x', 'write:x'] }, [])
  const before = await head(world)
  await put(world, 'Lead', { capabilities: ['write:x'] })
  await regrantAll(world.deps)
  const changed = [lead, middle, leaf].map((did) => `${did} write:x`)
  assert.deepEqual((await told(world, before)).sort(), changed.sort())
  assert.equal((await world.bridge.decide({ did: leaf, capability: 'read:x' })).allow, false)
})

test('a daemon that dies in the middle goes on where it was; a definition that changes again begins anew', async () => {
  await using world = await World.open()
  await put(world, 'Analyst', { capabilities: ['read:x'] })
  const dids: string[] = []
  for (let n = 0; n < 250; n++) {
    dids.push(await world.agent(`a${String(n).padStart(3, '0')}`, { blueprint: 'Analyst' }, []))
  }
  await put(world, 'Analyst', { capabilities: ['write:x'] })
  world.dieAt = 'blueprint.regranted'
  await assert.rejects(regrantAll(world.deps))
  await world.restart()
  assert.deepEqual(await world.store.regrants(), [{ name: 'Analyst', after: dids[99] }])
  assert.deepEqual(await effective(world, dids[99] ?? ''), ['write:x'])
  assert.deepEqual(await effective(world, dids[100] ?? ''), ['read:x'])
  const before = await head(world)
  await regrantAll(world.deps)
  assert.equal((await told(world, before)).length, 150)

  await put(world, 'Analyst', { capabilities: ['read:x'] })
  world.dieAt = 'blueprint.regranted'
  await assert.rejects(regrantAll(world.deps))
  await world.restart()
  await put(world, 'Analyst', { capabilities: ['write:x'] })
  await regrantAll(world.deps)
  for (const did of [dids[0], dids[99], dids[100], dids[249]]) {
    assert.deepEqual(await effective(world, did ?? ''), ['write:x'])
  }
})

test('nothing is done at a start when the configuration says the same', async () => {
  await using world = await World.open()
  await configure(world, { Analyst: { capabilities: ['read:x'], requireSponsor: true } })
  const a = await world.agent('a', { blueprint: 'Analyst', sponsor: mail }, [])
  await regrantAll(world.deps)
  const { seq } = await world.store.auditHead()
  const signals = await head(world)
  await configure(world, { Analyst: { capabilities: ['read:x'], requireSponsor: true } })
  await regrantAll(world.deps)
  assert.equal((await world.store.auditHead()).seq, seq)
  assert.equal(await head(world), signals)
  await configure(world, { Analyst: { capabilities: ['read:x'], description: 'another text' } })
  assert.deepEqual(await world.store.regrants(), [])
  const blueprint = await world.bridge.blueprint('Analyst')
  assert.deepEqual([blueprint.origin, blueprint.revision, blueprint.description], ['config', 2, 'another text'])
  assert.deepEqual(await effective(world, a), ['read:x'])
})

test('one of the configuration is read-only, wins over one of the API, and gives way to it when it is gone', async () => {
  await using world = await World.open()
  await put(world, 'Analyst', { capabilities: ['read:x'] })
  const a = await world.agent('a', { blueprint: 'Analyst' }, [])
  await configure(world, { Analyst: { capabilities: ['write:x'] } })
  assert.deepEqual(
    world.alerts.map((alert) => alert.code),
    ['blueprint-shadowed'],
  )
  await regrantAll(world.deps)
  assert.deepEqual(await effective(world, a), ['write:x'])
  await assert.rejects(put(world, 'Analyst', { capabilities: ['more:x'] }), code('E_BLUEPRINT_CONFIG'))
  await assert.rejects(world.bridge.removeBlueprint('Analyst', registrar, undefined), code('E_BLUEPRINT_CONFIG'))
  assert.deepEqual(
    (await world.bridge.blueprints({ limit: 9 })).items.map(({ name, origin }) => [name, origin]),
    [['Analyst', 'config']],
  )
  await configure(world, {})
  await regrantAll(world.deps)
  assert.deepEqual(await effective(world, a), ['read:x'])
  assert.equal((await put(world, 'Analyst', { capabilities: ['more:x'] })).revision, 2)
})

test('an agent whose blueprint went away stays registered, can be changed, and validate says so', async () => {
  await using world = await World.open()
  await configure(world, { Analyst: { capabilities: ['read:x'], requireSponsor: true } })
  const a = await world.agent('a', { blueprint: 'Analyst', sponsor: mail, capabilities: ['own:x'] })
  await configure(world, {})
  await regrantAll(world.deps)
  const validated = await world.bridge.validate(a, registrar)
  assert.ok(validated.issues.some((issue) => issue.code === 'V_BLUEPRINT'))
  // What nobody defines grants nothing; what the agent has of its own stays.
  assert.deepEqual(await effective(world, a), ['own:x'])
  assert.equal((await world.bridge.decide({ did: a, capability: 'own:x' })).allow, true)
  const patched = await world.bridge.patch(a, { labels: { unit: 'x' }, sponsor: null }, registrar, undefined)
  assert.deepEqual([patched.blueprint, patched.sponsor], ['Analyst', undefined])
  await assert.rejects(world.agent('b', { blueprint: 'Analyst' }, []), code('E_BLUEPRINT_UNKNOWN'))
  await configure(world, { Analyst: { capabilities: ['read:x'] } })
  await regrantAll(world.deps)
  assert.deepEqual(await effective(world, a), ['own:x', 'read:x'])
  assert.ok(!(await world.bridge.validate(a, registrar)).issues.some((issue) => issue.code === 'V_BLUEPRINT'))
})

test('a blueprint that an agent carries is not removed; that of a tombstone is', async () => {
  await using world = await World.open()
  await put(world, 'Analyst')
  const a = await world.agent('a', { blueprint: 'Analyst' }, [])
  const remove = (revision?: number) => world.bridge.removeBlueprint('Analyst', registrar, revision)
  await assert.rejects(remove(), code('E_BLUEPRINT_USED'))
  await world.agent('b', {}, [])
  const carriers = async (blueprint: string) =>
    (await world.bridge.agents({ blueprint, limit: 9 }, registrar)).items.map(({ did }) => did)
  assert.deepEqual([await carriers('Analyst'), await carriers('Other')], [[a], []])
  await world.bridge.decommission(a, 'replaced', alice)
  await assert.rejects(remove(2), code('E_REVISION'))
  assert.equal((await remove(1)).name, 'Analyst')
  await assert.rejects(remove(), code('E_NOT_FOUND'))
  await assert.rejects(world.bridge.blueprint('Analyst'), code('E_NOT_FOUND'))
})

test('definitions are replaced whole, by revision, and each change has one entry', async () => {
  await using world = await World.open()
  await put(world, 'B', { description: 'x', capabilities: ['b:x', 'a:x', 'a:x'], maxDelegationDepth: 0 })
  const same = await world.bridge.defineBlueprint(
    'B',
    { description: 'x', capabilities: ['a:x', 'b:x'], maxDelegationDepth: 0 },
    registrar,
    1,
  )
  assert.deepEqual([same.created, same.blueprint.revision], [false, 1])
  await assert.rejects(put(world, 'B', {}, 2), code('E_REVISION'))
  await assert.rejects(put(world, 'C', {}, 1), code('E_REVISION'))
  const next = await put(world, 'B', { requireSponsor: true }, 1)
  assert.deepEqual(
    [next.description, next.capabilities, next.maxDelegationDepth, next.requireSponsor, next.revision],
    [undefined, [], undefined, true, 2],
  )
  await assert.rejects(put(world, 'D', { capabilities: ['nonsense'] }), code('E_CAPABILITY'))
  await assert.rejects(put(world, 'D', { maxDelegationDepth: 11 }), code('E_VALIDATION'))
  await assert.rejects(put(world, ' D'), code('E_VALIDATION'))
  await world.bridge.removeBlueprint('B', registrar, undefined)
  const entries = (await world.store.audit({ limit: 99 })).filter(({ type }) => type.startsWith('blueprint.'))
  assert.deepEqual(
    entries.map(({ type, actor, details }) => [type, actor, details?.['revision']]),
    [
      ['blueprint.defined', 'registrar', 1],
      ['blueprint.changed', 'registrar', 2],
      ['blueprint.removed', 'registrar', 2],
    ],
  )
})

test('the list goes page by page', async () => {
  await using world = await World.open()
  for (const name of ['c', 'a', 'b']) await put(world, name)
  const first = await world.bridge.blueprints({ limit: 2 })
  assert.deepEqual([first.items.map(({ name }) => name), first.nextCursor], [['a', 'b'], 'b'])
  const second = await world.bridge.blueprints({ limit: 2, cursor: 'b' })
  assert.deepEqual([second.items.map(({ name }) => name), second.nextCursor], [['c'], null])
})
