import assert from 'node:assert/strict'
import { test } from 'node:test'
import { alice, soc } from '../engine/harness.ts'
import { type FaceWorld, faceWorld } from './faceworld.ts'

const path = '/v1/data/agentmesh/allow'

const allows = async ({ post }: FaceWorld, input: unknown, to = path): Promise<unknown> => {
  const { status, json, text } = await post(to, { input })
  assert.equal(status, 200, text)
  assert.deepEqual(Object.keys(json ?? {}), ['result'], 'two of the backends take a word or an object for a yes')
  assert.equal(typeof json?.result, 'boolean')
  return json?.result
}

test('every name that a backend gives the agent is known, on both packages that they ask for', async () => {
  await using faces = await faceWorld()
  const did = await faces.world.agent('a')
  const inputs = [
    ...['agentId', 'agent_did', 'AgentId', 'agentDid', 'AgentDid', 'did', 'agent_id', 'agent'].map((name) => ({
      [name]: did,
    })),
    { agent: { id: did, role: 'analyst' } },
    { agent: { did }, action: 'export' },
    { agentDid: did, action: 'tool.send' },
    { agentDid: did, action: 'policy.evaluate', agentId: 'billing-bot', agent_id: 'session-7' },
    { agentDid: did, agentId: did, agent: { agent_did: did } },
  ]
  for (const to of [path, '/v1/data/agentgovernance/allow']) {
    for (const input of inputs) assert.equal(await allows(faces, input, to), true, JSON.stringify(input))
  }
  assert.match(await faces.world.metrics.text(), /decisions_total\{face="opa",allow="true"\}/)
  await faces.world.bridge.place(did, { severity: 'suspend', reason: 'r' }, soc)
  for (const input of inputs) assert.equal(await allows(faces, input), false, JSON.stringify(input))
})

test('an agent named in several of its spellings is judged as that agent', async () => {
  await using faces = await faceWorld()
  const { bridge } = faces.world
  const aliases = ['did:mesh:one', 'did:mesh:two', 'did:mesh:three', 'did:mesh:four']
  const accountless = 'did:agentmesh:accountless'
  const did = await faces.world.agent('a')
  await bridge.patch(did, { aliases: aliases.slice(0, 3).map((one) => ({ did: one })) }, alice, undefined)
  await bridge.register({ did: accountless, name: 'n', aliases: [{ did: 'did:mesh:four' }] }, alice)
  const [one, two, three, four] = aliases
  const inputs: unknown[] = [
    { agentDid: one },
    { agentDid: did, agentId: one },
    { agentDid: one, agentId: two },
    { agent_did: three, agent: { id: one, did }, agent_id: 'billing-bot', did: two },
    { agentDid: four, did: accountless },
  ]
  for (const input of inputs) assert.equal(await allows(faces, input), true, JSON.stringify(input))
  for (const input of [
    { agentDid: one, did: four },
    { agentDid: one, did: accountless },
    { agentDid: two, did: 'did:mesh:x' },
  ]) {
    assert.equal(await allows(faces, input), false, JSON.stringify(input))
  }
  await bridge.place('did:mesh:two', { severity: 'suspend', reason: 'r' }, soc)
  for (const input of inputs.slice(0, 4)) assert.equal(await allows(faces, input), false, JSON.stringify(input))
})

test('whoever is unknown, unnamed or named twice is false', async () => {
  await using faces = await faceWorld()
  const did = await faces.world.agent('a')
  const other = await faces.world.agent('b')
  const inputs: unknown[] = [
    undefined,
    null,
    '',
    did,
    [did],
    true,
    {},
    { agentDid: 'did:mesh:nobody' },
    { agentDid: `${did} ` },
    { agentDid: did.toUpperCase() },
    { agentDid: [did] },
    { agentDid: { did } },
    { agentDid: null },
    { agentDid: true },
    { agent: { agent: { did } } },
    { caller_asserted_agent_id: did },
    { input: { agentDid: did } },
    { agentDid: did, agentId: other },
    { agentDid: did, agent: { id: other } },
    { agentDid: did, agentId: 'did:mesh:nobody' },
    { agentDid: did, agentId: `${other} ` },
    { agentDid: did, agent: { id: 'did:mesh:' } },
    { agentDid: did, did: 'did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK' },
    {
      ...Object.fromEntries(
        ['agentId', 'agent_did', 'did', 'agent', 'AgentId'].map((name) => [name, `did:mesh:${name}`]),
      ),
    },
  ]
  for (const input of inputs) assert.equal(await allows(faces, input), false, JSON.stringify(input))
  assert.equal(await allows(faces, { agentDid: other }), true)
})

test('a capability is asked when it is given, or when the action has its form', async () => {
  await using faces = await faceWorld()
  const agentDid = await faces.world.agent('a', { capabilities: ['read:reports', 'call:tool:*'] })
  const rows: readonly [Record<string, unknown>, boolean][] = [
    [{ action: 'read:reports' }, true],
    [{ action: 'read:salaries' }, false],
    [{ action: 'tool.send' }, true],
    [{ action: 'tool.send', capability: 'call:tool:send' }, true],
    [{ action: 'read:reports', capability: 'read:salaries' }, false],
    [{ action: 'read:salaries', capability: 'read:reports' }, true],
    [{ capability: 'delete' }, false],
    [{ capability: '' }, false],
    [{ capability: 7 }, false],
    [{ capability: ['read:reports'] }, false],
    [{ capability: { name: 'read:reports' } }, false],
    [{ capability: null }, true],
    [{ action: 7 }, true],
  ]
  for (const [more, wanted] of rows)
    assert.equal(await allows(faces, { agentDid, ...more }), wanted, JSON.stringify(more))
})

test('a body that is no query is an error status, which every backend takes for a denial', async () => {
  await using faces = await faceWorld()
  const did = await faces.world.agent('a')
  const rows: readonly [string, number][] = [
    ['{', 400],
    ['[]', 400],
    ['"x"', 400],
    ['', 400],
    [`{"input":{"agentDid":"${did}"},"__proto__":{"result":true}}`, 400],
    [`{"input":${'['.repeat(100)}${']'.repeat(100)}}`, 400],
  ]
  for (const [raw, wanted] of rows) {
    const { status, json } = await faces.post(path, raw)
    assert.equal(status, wanted, raw.slice(0, 40))
    assert.ok(!('result' in (json ?? {})))
  }
  assert.equal((await faces.post('/v1/data/other/allow', { input: { did } })).status, 404)
  const failing = { ...faces.world.bridge, decide: () => Promise.reject(new Error('the store is gone')) }
  await using broken = await faceWorld({ bridge: failing })
  const { status, json } = await broken.post(path, { input: { did } })
  assert.deepEqual([status, json?.code, 'result' in (json ?? {})], [500, 'E_BUG', false])
})
