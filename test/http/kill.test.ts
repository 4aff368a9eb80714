import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KillInput } from '../../src/engine/api.ts'
import { listen } from './listen.ts'

const did = 'did:agentmesh:a'
const at = '2026-11-21T10:00:00.000Z'

/** One row a spelling: what is sent, and what the engine is told. */
const spellings: readonly (readonly [string, object, KillInput])[] = [
  [
    'TypeScript KillSwitchResult',
    { agentId: did, action: 'exfiltrate', reason: 'x', killedAt: at, callbacksExecuted: 1, compensationsExecuted: 0 },
    {
      did,
      reason: 'x',
      action: 'exfiltrate',
      killedAt: at,
      details: { callbacksExecuted: 1, compensationsExecuted: 0 },
    },
  ],
  [
    'Python KillResult',
    {
      kill_id: 'kill:1f2e3d4c',
      agent_did: did,
      session_id: 's',
      reason: 'ring_breach',
      timestamp: '2026-11-21T10:00:00.123456+00:00',
      handoffs: [{ step_id: '1', status: 'failed' }],
      handoff_success_count: 0,
      compensation_triggered: true,
      terminated: false,
      details: 'ring 3 → 1',
    },
    {
      did,
      reason: 'ring_breach: ring 3 → 1',
      killedAt: '2026-11-21T10:00:00.123Z',
      details: {
        kill_id: 'kill:1f2e3d4c',
        session_id: 's',
        handoffs: [{ step_id: '1', status: 'failed' }],
        handoff_success_count: 0,
        compensation_triggered: true,
        terminated: false,
      },
    },
  ],
  [
    'Python without a zone means UTC',
    { agent_did: did, reason: 'manual', timestamp: '2026-11-21T10:00:00', details: '' },
    { did, reason: 'manual', killedAt: at },
  ],
  [
    '.NET KillEvent',
    { AgentId: did, Reason: 'PolicyViolation', Detail: 'egress', Timestamp: '2026-11-21T12:00:00+02:00' },
    { did, reason: 'PolicyViolation: egress', killedAt: at },
  ],
  ['.NET with its enum as a number', { AgentId: did, Reason: 2, Detail: null }, { did, reason: 'ManualOverride' }],
  ['.NET in web style', { agentId: did, reason: 4, detail: 'oom' }, { did, reason: 'ResourceExhaustion: oom' }],
  [
    'Go history item',
    {
      scope: { kind: 'agent', value: did },
      event: { active: true, reason: 'security_incident', message: 'egress', timestamp: at },
    },
    { did, reason: 'security_incident: egress', killedAt: at },
  ],
  ['Go scope alone', { kind: 'agent', value: did, reason: 'operator_request' }, { did, reason: 'operator_request' }],
  [
    'Rust history item',
    {
      scope: { agent: did },
      event: { active: true, reason: 'policy_violation', message: null, timestamp_secs: 1795255200 },
    },
    { did, reason: 'policy_violation', killedAt: at },
  ],
  ['Rust scope alone', { agent: did, reason: 'policy_violation' }, { did, reason: 'policy_violation' }],
  ['agentDid', { agentDid: did, reason: 'r' }, { did, reason: 'r' }],
  ['did', { did, message: 'only words' }, { did, reason: 'only words' }],
  ['agent_id', { agent_id: did }, { did, reason: 'no reason given' }],
  ['the same DID twice', { agentId: did, agent_did: did, reason: 'r' }, { did, reason: 'r' }],
  [
    'an answer to a signal',
    { agentId: did, reason: 'r', inResponseTo: 'hold-9' },
    { did, reason: 'r', inResponseTo: 'hold-9' },
  ],
  ['no answer to a signal', { agentId: did, reason: 'r', inResponseTo: null }, { did, reason: 'r' }],
  [
    'a time that is none',
    { agentId: did, reason: 'r', killedAt: 'noon' },
    { did, reason: 'r', details: { killedAt: 'noon' } },
  ],
  [
    'details as an object',
    { agentId: did, reason: 'r', details: { a: 1 } },
    { did, reason: 'r', details: { details: { a: 1 } } },
  ],
]

test('a kill is understood as every SDK spells it', async () => {
  await using server = await listen()
  for (const [name, body, expected] of spellings) {
    const { status, text } = await server.ask('/v1/kill', { as: 'runtime', body })
    assert.equal(status, 202, `${name}: ${text}`)
    assert.deepEqual(server.bridge.calls.kills.at(-1), expected, name)
  }
})

const refusals: readonly (readonly [string, unknown, string])[] = [
  ['no DID', { reason: 'r' }, '/agentId'],
  ['a DID that is no string', { agentId: 7 }, '/agentId'],
  ['two DIDs', { agentId: did, agent_did: 'did:agentmesh:b' }, '/agent_did'],
  ['two DIDs, one in the scope', { agentId: did, scope: { agent: 'did:agentmesh:b' } }, '/scope'],
  ['Go global scope', { scope: { kind: 'global' }, event: { active: true, reason: 'r' } }, '/scope/kind'],
  ['Go capability scope', { scope: { kind: 'capability', value: 'read:x' }, event: {} }, '/scope/kind'],
  ['Rust global scope', { scope: 'global', event: { active: true } }, '/scope'],
  ['Rust capability scope', { scope: { capability: 'read:x' }, event: { active: true } }, '/scope'],
  ['Rust capability scope alone', { capability: 'read:x' }, '/scope'],
  [
    'a cleared switch',
    { scope: { kind: 'agent', value: did }, event: { active: false, reason: 'r' } },
    '/event/active',
  ],
  ['a list', [{ agentId: did }], ''],
]

test('what is not the kill of one agent is refused, with what to do', async () => {
  await using server = await listen()
  for (const [name, body, pointer] of refusals) {
    const { status, json } = await server.ask('/v1/kill', { as: 'runtime', body })
    assert.equal(status, 400, name)
    const errors: unknown = json?.errors
    assert.ok(Array.isArray(errors))
    assert.equal(errors[0]?.pointer, pointer, name)
    if (name !== 'a list') assert.equal(typeof json?.hint, 'string', name)
  }
  const bad = await server.ask('/v1/kill', { as: 'runtime', body: { agentId: 'bob', reason: 'r' } })
  assert.equal(bad.json?.code, 'E_DID')
  assert.equal(server.bridge.holdsById.size, 0)
})

test('evidence is kept up to 8 KiB and never a reason to refuse', async () => {
  await using server = await listen()
  const body = { agentId: did, reason: 'r'.repeat(5000), small: 1, large: 'x'.repeat(9000), other: 'y'.repeat(5000) }
  assert.equal((await server.ask('/v1/kill', { as: 'runtime', body })).status, 202)
  const kill = server.bridge.calls.kills.at(-1)
  assert.equal(kill?.reason.length, 2000)
  assert.deepEqual(kill?.details, { small: 1, other: body.other, omitted: ['large'] })
  assert.ok(Buffer.byteLength(JSON.stringify(kill?.details)) <= 8 * 1024)
})

test('the answer names the hold, and says whether the agent is known', async () => {
  await using server = await listen()
  const body = { agentId: did, reason: 'r' }
  const first = await server.ask('/v1/kill', { as: 'runtime', body })
  const receipt = `/v1/agents/${encodeURIComponent(did)}/receipts/hold-1`
  assert.deepEqual(first.json, { did, holdId: 'hold-1', status: 'suspended', known: false, receipt })
  await server.ask('/v1/agents', { as: 'registrar', body: { did, name: 'a' } })
  const second = await server.ask('/v1/kill', { as: 'responder', body })
  assert.equal(second.json?.known, true)
})

test('a text cut in the middle of a character does not keep a kill from being one', async () => {
  await using server = await listen()
  const body = `{"agentId":"${did}","reason":"\\ud83d","a\\udc00":["\\ud83d",1e999]}`
  const answer = await server.ask('/v1/kill', { as: 'runtime', body, headers: { 'idempotency-key': 'k' } })
  assert.equal(answer.status, 202)
  assert.deepEqual(server.bridge.calls.kills, [{ did, reason: '\ufffd', details: { 'a\ufffd': ['\ufffd', null] } }])
})

test('nor does a name that can only be written with an escape, whatever the engine was made to read before', async () => {
  await using server = await listen()
  JSON.parse('{"q":1,"b\\\\":1}')
  const body = `{"\\u0061gentId":"${did}","reason":"r","d":{"q":1,"b\\"":1,"b\\\\":2,"b\\n":{"\\u0063":3}}}`
  const answer = await server.ask('/v1/kill', { as: 'runtime', body })
  assert.equal(answer.status, 202, answer.text)
  const d = { q: 1, 'b\ufffd': { c: 3 } }
  assert.deepEqual(server.bridge.calls.kills, [{ did, reason: 'r', details: { d } }])
})
