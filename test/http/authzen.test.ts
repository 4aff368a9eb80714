import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { soc } from '../engine/harness.ts'
import { type FaceWorld, faceWorld } from './faceworld.ts'
import type { Answer } from './listen.ts'

const one = '/access/v1/evaluation'
const several = '/access/v1/evaluations'
const read = { name: 'read' }
const reports = { type: 'capability', id: 'reports' }

const decision = z.object({
  decision: z.boolean(),
  context: z.object({
    codes: z.array(z.string()).optional(),
    error: z.object({ status: z.int(), code: z.string(), message: z.string() }).optional(),
  }),
})
const verdict = ({ json, status, text }: Answer) => {
  assert.equal(status, 200, text)
  const { decision: verdict, context } = decision.parse(json)
  return [verdict, ...(context.codes ?? [context.error?.code])]
}
const verdicts = ({ json, status, text }: Answer) => {
  assert.equal(status, 200, text)
  return z
    .object({ evaluations: z.array(decision) })
    .parse(json)
    .evaluations.map((each) => [each.decision, ...(each.context.codes ?? [each.context.error?.code])])
}

const agent = (id: string, properties?: Record<string, unknown>) => ({
  type: 'agent',
  id,
  ...(properties && { properties }),
})
const evaluate = ({ post }: FaceWorld, subject: unknown, resource: unknown = reports, action: unknown = read) =>
  post(one, { subject, action, resource })

test('an agent is asked about by DID, by account or by token, and the context says what the answer rests on', async () => {
  await using faces = await faceWorld()
  const { world } = faces
  const did = await world.agent('a', { capabilities: ['read:reports'] })
  const token = await faces.token({ sub: 'a', obo: 'alice' })
  const subjects = [
    agent(did),
    agent(did, { token }),
    { type: 'account', id: 'a', properties: { adapter: 'north' } },
    { type: 'token', id: token },
  ]
  for (const subject of subjects) assert.deepEqual(verdict(await evaluate(faces, subject)), [true], subject.type)
  const { json } = await evaluate(faces, agent(did, { token }))
  assert.partialDeepStrictEqual(json, {
    decision: true,
    context: {
      did,
      codes: [],
      actor: { did, principal: { adapter: 'north', id: 'a' } },
      onBehalfOf: { id: 'alice', kind: 'person' },
      grants: [{ did, capability: 'read:reports', source: 'manual', ageSeconds: 0 }],
      generation: 'generation',
    },
  })
  await world.bridge.place(did, { severity: 'suspend', reason: 'case 4711', publicReason: 'under review' }, soc)
  for (const subject of subjects) {
    const answer = await evaluate(faces, subject)
    assert.deepEqual(verdict(answer), [false, 'R_SUSPENDED'], subject.type)
    assert.match(answer.text, /under review/)
    assert.doesNotMatch(answer.text, /4711/)
  }
})

test('action and resource are a capability or a scope, and nothing is granted by being close to it', async () => {
  await using faces = await faceWorld()
  const { world } = faces
  const did = await world.agent('a', { capabilities: ['read:reports', 'call:queue:*'] })
  const token = await faces.token({ sub: 'a', scope: 'Reports.Read' })
  const rows: readonly [string, { type: string; id: string }, readonly unknown[]][] = [
    ['read', { type: 'capability', id: 'reports' }, [true]],
    ['read', { type: 'capability', id: 'reports:q3' }, [false, 'R_CAPABILITY']],
    ['read', { type: 'reports', id: 'q3' }, [false, 'R_CAPABILITY']],
    ['read', { type: 'capability', id: 'report' }, [false, 'R_CAPABILITY']],
    ['*', { type: 'capability', id: '*' }, [false, 'R_CAPABILITY']],
    ['call', { type: 'queue', id: 'mail' }, [true]],
    ['call', { type: 'queue', id: 'urn:x:y' }, [true]],
    ['call', { type: 'queues', id: 'mail' }, [false, 'R_CAPABILITY']],
    ['use', { type: 'scope', id: 'Reports.Write' }, [false, 'R_SCOPE']],
    ['use', { type: 'scope', id: 'Reports.Read' }, [true]],
  ]
  for (const [name, resource, wanted] of rows) {
    const subject = agent(did, { token })
    assert.deepEqual(verdict(await evaluate(faces, subject, resource, { name })), wanted, `${name} ${resource.id}`)
  }
})

test('a subject that is no agent, or not proven to be the one named, is denied', async () => {
  await using faces = await faceWorld()
  const { world } = faces
  const did = await world.agent('a', { capabilities: ['*'] })
  const other = await world.agent('b', { capabilities: ['*'] })
  const token = await faces.token({ sub: 'b' })
  const rows: readonly [unknown, string][] = [
    [{ type: 'user', id: 'alice@contoso.com' }, 'R_NOT_AGENT'],
    [{ type: 'Agent', id: did }, 'R_NOT_AGENT'],
    [{ type: '__proto__', id: did }, 'R_NOT_AGENT'],
    [agent('alice'), 'R_NOT_AGENT'],
    [agent(` ${did}`), 'R_NOT_AGENT'],
    [agent('did:web:contoso.com'), 'R_NOT_AGENT'],
    [agent(did, { token: 7 }), 'R_NOT_AGENT'],
    [agent(did, { token: '' }), 'R_NOT_AGENT'],
    [agent(`${did}x`), 'R_UNKNOWN_DID'],
    [agent(did, { token }), 'R_MISMATCH'],
    [agent(did, { token: 'x' }), 'R_TOKEN'],
    [{ type: 'token', id: 'x' }, 'R_TOKEN'],
    [{ type: 'account', id: 'a' }, 'R_NOT_AGENT'],
    [{ type: 'account', id: 'a', properties: { adapter: 'nowhere' } }, 'R_UNMAPPED'],
    [{ type: 'account', id: 'a', properties: { adapter: ['north'] } }, 'R_NOT_AGENT'],
  ]
  for (const [subject, code] of rows) {
    const [allowed, first] = verdict(await evaluate(faces, subject))
    assert.deepEqual([allowed, first], [false, code], JSON.stringify(subject))
  }
  assert.deepEqual(verdict(await evaluate(faces, agent(other, { token }))), [true])
})

test('a request that is not whole is 400, unknown members are not looked at, and the request id comes back', async () => {
  await using faces = await faceWorld()
  const did = await faces.world.agent('a', { capabilities: ['read:reports'] })
  const good = { subject: agent(did), action: read, resource: reports }
  const bad: unknown[] = [
    {},
    { ...good, subject: undefined },
    { ...good, action: undefined },
    { ...good, resource: undefined },
    { ...good, subject: 'alice' },
    { ...good, subject: { id: did } },
    { ...good, subject: { type: 'agent' } },
    { ...good, action: {} },
    { ...good, action: { name: 123 } },
    { ...good, resource: { type: 'capability' } },
    { ...good, resource: { id: 'reports' } },
    { ...good, subject: { ...good.subject, properties: 'x' } },
    { ...good, context: [] },
    [good],
  ]
  for (const path of [one, several]) {
    for (const body of bad) assert.equal((await faces.post(path, body)).status, 400, JSON.stringify(body))
    for (const raw of ['', '{', '{"__proto__":{}}']) assert.equal((await faces.post(path, raw)).status, 400, raw)
    const form = { 'content-type': 'application/x-www-form-urlencoded' }
    assert.equal((await faces.post(path, 'a=b', form)).status, 400, 'not JSON')
    const more = { ...good, foo: 'bar', future: { nested: true }, context: { time: '1985-10-26T01:22-07:00' } }
    const answer = await faces.post(path, more, { 'x-request-id': 'req-42' })
    assert.deepEqual(verdict(answer), [true])
    assert.equal(answer.headers['x-request-id'], 'req-42')
    assert.match(String(answer.headers['content-type']), /^application\/json/)
  }
})

test('several evaluations take what they leave out from the top, and are answered in order', async () => {
  await using faces = await faceWorld()
  const { world } = faces
  const did = await world.agent('a', { capabilities: ['read:reports', 'write:notes'] })
  const held = await world.agent('b', { capabilities: ['read:reports'] })
  await world.kill(held)
  const top = { subject: agent(did), action: read, resource: { type: 'capability' } }
  const evaluations = [
    { resource: { id: 'reports' } },
    { resource: { id: 'notes' } },
    { action: { name: 'write' }, resource: { type: 'capability', id: 'notes' } },
    { subject: agent(held), resource: { id: 'reports' } },
    {},
    { subject: 'alice', resource: { id: 'reports' } },
    { subject: null, resource: { id: 'reports' } },
    { action: [], resource: { id: 'reports' } },
  ]
  const answer = await faces.post(several, { ...top, evaluations })
  assert.deepEqual(verdicts(answer), [
    [true],
    [false, 'R_CAPABILITY'],
    [true],
    [false, 'R_SUSPENDED'],
    [false, 'E_VALIDATION'],
    [false, 'E_VALIDATION'],
    [false, 'E_VALIDATION'],
    [false, 'E_VALIDATION'],
  ])
  assert.equal((await faces.post(several, { ...top, evaluations: ['x'] })).status, 400)
  assert.ok(!('decision' in (answer.json ?? {})))
  for (const empty of [{}, { evaluations: [] }]) {
    const body = { ...top, resource: reports, ...empty }
    assert.deepEqual(verdict(await faces.post(several, body)), [true], 'as a single one')
  }
})

test('properties of the top never become those of another subject', async () => {
  await using faces = await faceWorld()
  const { world } = faces
  await world.agent('a', { capabilities: ['*'] })
  const token = await faces.token({ sub: 'a' })
  const other = await world.agent('b', { capabilities: ['*'] })
  const subject = { type: 'agent', id: 'did:mesh:a', properties: { token } }
  const body = { subject, action: read, resource: reports, evaluations: [{}, { subject: { id: other } }] }
  assert.deepEqual(verdicts(await faces.post(several, body)), [[true], [true]])
})

test('a semantic ends it at the first denial or the first permit; an unknown one is refused', async () => {
  await using faces = await faceWorld()
  const did = await faces.world.agent('a', { capabilities: ['read:reports'] })
  const evaluations = ['reports', 'notes', 'reports'].map((id) => ({ resource: { type: 'capability', id } }))
  const ask = (evaluations_semantic: unknown, list: unknown = evaluations) =>
    faces.post(several, { subject: agent(did), action: read, evaluations: list, options: { evaluations_semantic } })
  const yes = [true]
  const no = [false, 'R_CAPABILITY']
  assert.deepEqual(verdicts(await ask('execute_all')), [yes, no, yes])
  assert.deepEqual(verdicts(await ask(undefined)), [yes, no, yes])
  assert.deepEqual(verdicts(await ask('deny_on_first_deny')), [yes, no])
  assert.deepEqual(verdicts(await ask('permit_on_first_permit')), [yes])
  assert.deepEqual(verdicts(await ask('permit_on_first_permit', evaluations.slice(1))), [no, yes])
  assert.deepEqual(verdicts(await ask('deny_on_first_deny', [{}, ...evaluations])), [[false, 'E_VALIDATION']])
  for (const wrong of ['all', '', 1, null]) assert.equal((await ask(wrong)).status, 400, String(wrong))
  assert.equal(
    (
      await ask(
        'execute_all',
        Array.from({ length: 257 }, () => ({})),
      )
    ).status,
    400,
  )
})

test('what cannot be judged now is a failure alone, and a denial among several', async () => {
  await using faces = await faceWorld()
  const did = await faces.world.agent('a', { capabilities: ['read:reports'] })
  const token = await faces.token({ sub: 'a' })
  faces.world.north.tokens.down = true
  const subject = { type: 'token', id: token }
  assert.equal((await evaluate(faces, subject)).status, 503)
  const evaluations = [{ subject }, { subject: agent(did) }]
  const answer = await faces.post(several, { action: read, resource: reports, evaluations })
  assert.deepEqual(verdicts(answer), [[false, 'E_JWKS_DOWN'], [true]])
})

test('discovery names the endpoints as callers reach them, and asks for no token', async () => {
  const well = '/.well-known/authzen-configuration'
  {
    await using faces = await faceWorld({ publicUrl: 'https://bridge.contoso.com/' })
    const { status, json } = await faces.server.ask(well)
    assert.equal(status, 200)
    assert.deepEqual(json, {
      policy_decision_point: 'https://bridge.contoso.com',
      access_evaluation_endpoint: 'https://bridge.contoso.com/access/v1/evaluation',
      access_evaluations_endpoint: 'https://bridge.contoso.com/access/v1/evaluations',
    })
  }
  await using faces = await faceWorld()
  const { status, json } = await faces.server.ask(well, { headers: { host: 'evil.example' } })
  assert.deepEqual([status, json?.code], [404, 'E_NOT_FOUND'])
})
