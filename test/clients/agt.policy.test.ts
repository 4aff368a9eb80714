import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OPABackend, PolicyEngine } from '@microsoft/agent-governance-sdk'
import { analystDid, register, registerAll, scoutDid } from '../e2e/agents.ts'
import { at, textAt } from '../e2e/json.ts'
import { isMessage, startWorld, tokenOf } from '../e2e/world.ts'

const listening = 'listening for policy engines, which are asked for no token'

test("the SDK's own policy backend asks the daemon, without a token and with one", async () => {
  await using world = await startWorld({ server: { policySocket: '127.0.0.1:0' } })
  await using daemon = await world.daemon()
  await registerAll(daemon, world)
  await daemon.process.line('the policy listener', isMessage(listening))
  const endpoint = textAt(daemon.log(listening)[0], 'at')
  const backend = new OPABackend({ endpoint })
  const engine = new PolicyEngine([{ action: '*', effect: 'allow' }])
  engine.registerBackend(backend)
  const decide = async (context: Record<string, unknown>, action = 'tool.send') =>
    (await engine.evaluateWithBackends(action, context)).effectiveDecision

  assert.equal(await backend.evaluatePolicy(scoutDid, {}), 'allow')
  assert.equal(await decide({ agentDid: scoutDid }), 'allow')
  assert.equal(await decide({ agentDid: analystDid }, 'write:notes'), 'allow')
  assert.equal(await decide({ agentDid: analystDid }, 'write:salaries'), 'deny')
  assert.equal(await decide({ agentDid: 'did:agentmesh:nobody' }), 'deny')
  assert.equal(await decide({}), 'deny')

  const killed = await daemon.as('runtime').post('/v1/kill', { agentId: scoutDid, reason: 'loop' })
  assert.equal(killed.status, 202)
  assert.equal(await backend.evaluatePolicy(scoutDid, {}), 'deny')
  assert.equal(await decide({ agentDid: scoutDid }), 'deny')
  assert.equal(await decide({ agentDid: analystDid }), 'allow')

  const fetchImpl: typeof fetch = (url, init) =>
    fetch(url, { ...init, headers: { ...init?.headers, authorization: `Bearer ${tokenOf('gateway')}` } })
  const withToken = new OPABackend({ endpoint: daemon.origin, fetchImpl })
  assert.equal(await withToken.evaluatePolicy(analystDid, {}), 'allow')
  assert.equal(await withToken.evaluatePolicy(scoutDid, {}), 'deny')
  await assert.rejects(new OPABackend({ endpoint: daemon.origin }).evaluatePolicy(analystDid, {}), /401/)
  engine.registerBackend(new OPABackend({ endpoint: daemon.origin }))
  assert.equal(await decide({ agentDid: analystDid }), 'deny', 'a backend that fails denies')
})

test('of one agent that two names spell, the one that is stopped is stopped by either', async () => {
  await using world = await startWorld({ server: { policySocket: '127.0.0.1:0' } })
  await using daemon = await world.daemon()
  await register(daemon.as('registrar'), { did: 'did:agentmesh:twin', name: 'twin' })
  await register(daemon.as('registrar'), { did: 'did:mesh:twin', name: 'twin too' })
  await daemon.process.line('the policy listener', isMessage(listening))
  const backend = new OPABackend({ endpoint: textAt(daemon.log(listening)[0], 'at') })
  assert.equal(await backend.evaluateAction('tool.send', { agentDid: 'did:agentmesh:twin' }), 'allow')
  const both = { agentDid: 'did:agentmesh:twin', agent_did: 'did:mesh:twin' }
  assert.equal(await backend.evaluateAction('tool.send', both), 'deny', 'two agents until they are declared to be one')
  const metrics = await daemon.nobody.get('/metrics')
  assert.match(metrics.text, /idp_bridge_decisions_total\{face="opa",allow="true"\} \d/)
  assert.match(metrics.text, /http_requests_total\{route="\/v1\/data\/agentmesh\/allow"/)
  assert.equal(at((await daemon.as('gateway').post('/v1/decisions', { did: 'did:mesh:twin' })).body, 'allow'), true)
})
