import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AgentIdentity } from '@microsoft/agent-governance-sdk'
import { signDelegation } from '../../clients/agt/index.ts'
import type { BlueprintInput } from '../../src/engine/blueprintapi.ts'
import { alice, registrar, World } from './harness.ts'

const python = 'did:mesh:0123456789abcdef0123456789abcdef'
const child = 'did:mesh:child'

const define = (world: World, name: string, input: Partial<BlueprintInput>) =>
  world.bridge.defineBlueprint(name, { capabilities: [], requireSponsor: false, ...input }, registrar, undefined)

test('a delegation is signed by a key that was declared, under the spelling that the runtime has of its parent', async () => {
  await using world = await World.open()
  const [parent, stranger] = [AgentIdentity.generate('root', ['read:x']), AgentIdentity.generate('root', ['read:x'])]
  const keys = [parent.toJWK()]
  await world.bridge.register({ did: python, name: 'root', keys, capabilities: ['read:x'] }, registrar)
  await world.bridge.patch(python, { aliases: [parent.did] }, registrar, undefined)
  const terms = { child, capabilities: ['read:x'], depth: 1 }
  const register = (delegation: ReturnType<typeof signDelegation>, parentDid: string) =>
    world.bridge.register({ did: child, name: 'child', parentDid, delegation }, registrar)
  await assert.rejects(register(signDelegation(stranger, terms), parent.did), { code: 'E_DELEGATION_PROOF' })
  const { agent } = await register(signDelegation(parent, terms), parent.did)
  assert.deepEqual([agent.parentDid, agent.delegation?.signed?.binding], [python, 'declared'])
  const otherwise = signDelegation(parent, { ...terms, parent: python })
  await assert.rejects(register(otherwise, python), { code: 'E_EXISTS' }, 'another signature is another registration')
  const [, hop] = await world.bridge.delegation(child)
  assert.deepEqual([hop?.did, hop?.signed?.binding], [child, 'declared'])
  // A key that the parent has no more signed it all the same, and is told.
  await world.bridge.patch(python, { aliases: null, keys: null }, registrar, undefined)
  assert.equal((await world.bridge.agent(child, registrar)).delegation?.signed?.binding, undefined)
})

test('the same parent by another spelling is no move: the delegation stays', async () => {
  await using world = await World.open()
  const parent = AgentIdentity.generate('root', [])
  const whole = { name: 'root', keys: [parent.toJWK()], aliases: [parent.did], capabilities: ['read:*'] }
  await world.bridge.register({ did: python, ...whole }, registrar)
  const delegation = { capabilities: ['read:x'] }
  await world.bridge.register({ did: child, name: 'c', parentDid: parent.did, delegation }, registrar)
  const patched = await world.bridge.patch(child, { parentDid: parent.did, name: 'd' }, registrar, undefined)
  assert.deepEqual([patched.parentDid, patched.delegation?.capabilities], [python, ['read:x']])
  const moved = await world.bridge.patch(child, { parentDid: null }, registrar, undefined)
  assert.equal(moved.delegation, undefined)
})

test('a chain is told under every spelling of the agent', async () => {
  await using world = await World.open()
  const agent = AgentIdentity.generate('leaf', [])
  const root = await world.agent('root', {}, [])
  const whole = { did: agent.did, name: 'leaf', keys: [agent.toJWK()], aliases: [{ did: python }], parentDid: root }
  await world.bridge.register(whole, alice)
  assert.deepEqual(
    (await world.bridge.delegation(python)).map(({ did }) => did),
    [root, agent.did],
  )
})

test('a blueprint says how far its agents may delegate: at registration, at a move, and at every decision', async () => {
  await using world = await World.open()
  await define(world, 'Worker', { maxDelegationDepth: 1 })
  await define(world, 'Leaf', { maxDelegationDepth: 0 })
  const root = await world.agent('root', { blueprint: 'Worker', capabilities: ['read:x'] }, ['north'])
  const capabilities = ['read:x']
  const middle = await world.agent('middle', { parentDid: root, capabilities }, ['north'])
  await assert.rejects(world.agent('deep', { parentDid: middle }, ['north']), { code: 'E_DEPTH' })
  const leaf = await world.agent('leaf', { blueprint: 'Leaf' }, ['north'])
  await assert.rejects(world.agent('below', { parentDid: leaf }, ['north']), { code: 'E_DEPTH' })
  // With all that descends from it.
  const apart = await world.agent('apart', {}, ['north'])
  await world.agent('under', { parentDid: apart }, ['north'])
  await assert.rejects(world.bridge.patch(apart, { parentDid: root }, registrar, undefined), { code: 'E_DEPTH' })
  await world.full()
  const decide = (did: string) => world.bridge.decide({ did, capability: 'read:x' })
  assert.equal((await decide(middle)).allow, true)
  await define(world, 'Worker', { maxDelegationDepth: 0 })
  assert.deepEqual((await decide(middle)).codes, ['R_DEPTH'])
  assert.equal((await decide(root)).allow, true)
  const { issues } = await world.bridge.validate(middle, registrar)
  assert.ok(issues.some(({ code }) => code === 'V_DEPTH'))
  await define(world, 'Worker', { maxDelegationDepth: 1 })
  assert.equal((await decide(middle)).allow, true)
})
