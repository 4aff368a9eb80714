import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runtime, soc } from '../engine/harness.ts'
import { faceWorld } from './faceworld.ts'

test('an annotation is one object: whether the agent may act, what it is, and where its accounts are', async () => {
  await using faces = await faceWorld()
  const { world, post } = faces
  const did = await world.agent('a', { capabilities: ['read:reports'] })
  const fields = { capability: 'read:reports', timeout_ms: 100 }
  for (const input of [did, JSON.stringify(did), ` ${did}\n`]) {
    const { status, json } = await post('/annotate', { input, fields })
    assert.equal(status, 200)
    assert.partialDeepStrictEqual(json, {
      allow: true,
      did,
      codes: [],
      status: 'active',
      name: 'a',
      capabilities: ['read:reports'],
      accounts: { north: ['a'], south: ['a'] },
      grants: [{ capability: 'read:reports', source: 'manual' }],
      generation: 'generation',
    })
  }
  const narrower = await post('/annotate', { input: did, fields: { capability: 'write:reports' } })
  assert.deepEqual(
    [narrower.json?.allow, narrower.json?.codes, narrower.json?.status],
    [false, ['R_CAPABILITY'], 'active'],
  )
  await world.bridge.place(did, { severity: 'suspend', reason: 'case 4711' }, soc)
  const held = await post('/annotate', { input: did, fields: {} })
  assert.deepEqual([held.json?.allow, held.json?.codes, held.json?.status], [false, ['R_SUSPENDED'], 'suspended'])
  assert.doesNotMatch(held.text, /4711/)
})

test('an agent that is unknown is an object too, and may do nothing', async () => {
  await using faces = await faceWorld()
  const { world, post } = faces
  for (const [input, code] of [
    ['did:mesh:nobody', 'R_UNKNOWN_DID'],
    ['nobody', 'R_NOT_AGENT'],
    ['', 'R_NOT_AGENT'],
    ['{"did":"did:mesh:a"}', 'R_NOT_AGENT'],
    ['"did:mesh:a" or "did:mesh:b"', 'R_NOT_AGENT'],
  ]) {
    const { status, json } = await post('/annotate', { input })
    assert.equal(status, 200)
    assert.deepEqual([json?.allow, json?.codes, json?.status, json?.accounts], [false, [code], 'unknown', {}], input)
  }
  await world.bridge.kill({ did: 'did:mesh:later', reason: 'r' }, runtime)
  const { json } = await post('/annotate', { input: 'did:mesh:later', fields: null })
  assert.deepEqual([json?.allow, json?.status], [false, 'suspended'])
})

test('anything but a text and an object of fields is refused: the annotation fails, and the policy with it', async () => {
  await using faces = await faceWorld()
  const did = await faces.world.agent('a')
  for (const body of [
    {},
    { input: null },
    { input: [did] },
    { input: { did } },
    { input: 7 },
    { input: 'x'.repeat(3000) },
    { input: did, fields: 'x' },
    { input: did, fields: { capability: 7 } },
    { input: did, fields: { capability: '' } },
    { input: did, fields: { scope: [] } },
    [],
  ]) {
    assert.equal((await faces.post('/annotate', body)).status, 400, JSON.stringify(body).slice(0, 60))
  }
})
