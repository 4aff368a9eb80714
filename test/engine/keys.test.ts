import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AgentIdentity } from '@microsoft/agent-governance-sdk'
import { mergePatch } from '../../src/engine/patching.ts'
import { fitOf, parseAgentKey } from '../../src/lib/agentkey.ts'
import { alice, registrar, World } from './harness.ts'

const code = (wanted: string) => ({ code: wanted })
const keyed = (name = 'billing-bot') => AgentIdentity.generate(name, [])
const base = (identity: AgentIdentity) => ({ did: identity.did, name: 'billing-bot' })

test('every export of a real identity is the key of its DID', async () => {
  await using world = await World.open()
  const identity = keyed('billing bot:é'.replace(' ', '-'))
  const method: unknown = identity.toDIDDocument().verificationMethod
  const [{ publicKeyBase64 = '' } = {}] = Array.isArray(method) ? method : []
  const forms = [identity.toJWK(), ...identity.toJWKS().keys, identity.toJSON().publicKey, publicKeyBase64]
  const { agent } = await world.bridge.register({ ...base(identity), keys: forms }, registrar)
  const key = parseAgentKey(identity.toJWK())
  assert.deepEqual(
    agent.keys.map(({ key, binding }) => ({ key, binding })),
    [{ key, binding: 'fingerprint' }],
  )
  for (const form of forms) {
    const again = await world.bridge.register({ ...base(identity), keys: [form] }, registrar)
    assert.equal(again.created, false)
  }
})

test('a key of another DID is refused whatever its kid says, and nothing is registered', async () => {
  await using world = await World.open()
  const mine = keyed()
  const theirs = keyed()
  const lied = { ...mine.toJWK(), kid: theirs.did }
  await assert.rejects(world.bridge.register({ ...base(theirs), keys: [lied] }, alice), code('E_KEY'))
  assert.equal(await world.store.agent(theirs.did), undefined)
  // The kid of the agent itself does not make it its key either.
  const imported = AgentIdentity.fromJWK(lied)
  assert.equal(imported.did, theirs.did)
  await assert.rejects(world.bridge.register({ ...base(imported), keys: [imported.toJWK()] }, alice), code('E_KEY'))
})

test('a DID that is random or a name has keys that are declared, and no more', async () => {
  await using world = await World.open()
  const identity = keyed()
  const dids = ['did:mesh:0123456789abcdef0123456789abcdef', 'did:agentmesh:billing-bot', 'did:mesh:researcher-1']
  for (const did of dids) {
    const { agent } = await world.bridge.register({ did, name: 'n', keys: [identity.toJWK()] }, registrar)
    assert.deepEqual(
      agent.keys.map(({ binding }) => binding),
      ['declared'],
    )
  }
})

test('keys are left alone, replaced whole, or taken away', async () => {
  await using world = await World.open()
  const did = 'did:agentmesh:billing-bot'
  const [a, b] = [keyed(), keyed()].map((one) => parseAgentKey(one.toJWK()))
  await world.bridge.register({ did, name: 'n', keys: [a] }, registrar)
  const keys = async () => (await world.store.keysOf(did)).map(({ key }) => key)
  await world.bridge.replace(did, { did, name: 'm' }, registrar, undefined)
  assert.deepEqual(await keys(), [a])
  await world.bridge.patch(did, { labels: { unit: 'x' } }, registrar, undefined)
  assert.deepEqual(await keys(), [a])
  await world.bridge.patch(did, { keys: [b, a] }, registrar, undefined)
  assert.deepEqual(new Set(await keys()), new Set([a, b]))
  await world.bridge.replace(did, { did, name: 'm', keys: [b] }, registrar, undefined)
  assert.deepEqual(await keys(), [b])
  await world.bridge.patch(did, { keys: null }, registrar, undefined)
  assert.deepEqual(await keys(), [])
  await assert.rejects(
    world.bridge.patch(
      did,
      {
        keys: Array(9)
          .fill(0)
          .map(() => keyed().toJWK()),
      },
      registrar,
      undefined,
    ),
    {
      code: 'E_VALIDATION',
    },
  )
})

test('a change of something else takes no key away that came meanwhile', () => {
  const input = { did: 'did:mesh:a', name: 'n', keys: ['k'], aliases: ['did:mesh:b'] }
  const { keys, aliases, name } = mergePatch(input, { name: 'm' })
  assert.deepEqual([keys, aliases, name], [undefined, undefined, 'm'])
  const none = mergePatch(input, { keys: null, aliases: [] })
  assert.deepEqual([none.keys, none.aliases], [[], []])
})

test('a private key is refused, and its text is in no error and no entry', async () => {
  await using world = await World.open()
  const identity = keyed()
  const secret = String(identity.toJWK(true).d)
  for (const key of [identity.toJWK(true), identity.exportJSON(), identity.exportJSON().privateKey]) {
    const error = await world.bridge.register({ ...base(identity), keys: [key] }, registrar).catch((thrown) => thrown)
    assert.equal(error.code, 'E_KEY')
    assert.ok(!JSON.stringify([error.message, error.hint, error.details, `${error.stack}`]).includes(secret))
  }
  assert.ok(!JSON.stringify(await world.store.audit({ limit: 100 })).includes(secret))
})

test('the fingerprint is what the SDK computes', () => {
  for (const name of ['a', 'a:b', '', 'ünïcode']) {
    const identity = keyed(name)
    assert.equal(fitOf(identity.did, parseAgentKey(identity.toJWK())), 'fits')
  }
})
