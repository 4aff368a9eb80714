import assert from 'node:assert/strict'
import { request } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { analystDid, principal, registerAll, scoutDid } from './agents.ts'
import { at, listAt, textAt } from './json.ts'
import { audience, clientEntry, type Daemon, isMessage, startWorld, tokenOf } from './world.ts'

const introspect = async ({ nobody }: Daemon, token: string): Promise<unknown> => {
  // As Spring Security before version 7 sends it: name and secret as they are.
  const authorization = `Basic ${Buffer.from(`gateway:${tokenOf('gateway')}`).toString('base64')}`
  const headers = { authorization, accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' }
  const body = new URLSearchParams({ token }).toString()
  const answer = await nobody.ask('/oauth2/introspect', { method: 'POST', body, headers })
  assert.equal(answer.status, 200, answer.text)
  return answer.body
}

const evaluate = async ({ as }: Daemon, subject: object): Promise<unknown> => {
  const body = { subject, action: { name: 'write' }, resource: { type: 'capability', id: 'notes' } }
  return (await as('gateway').post('/access/v1/evaluation', body)).body
}

const passes = (socketPath: string, token: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const headers = { host: 'orders.contoso.com', authorization: `Bearer ${token}` }
    const sent = request({ socketPath, path: '/ext_authz/orders', headers, agent: false })
    sent.on('error', reject)
    sent.on('response', (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode ?? 0))
    })
    sent.end()
  })

test('every face answers alike, of on-behalf-of tokens too, and a kill stops them all at once', async () => {
  await using world = await startWorld()
  const policySocket = join(world.folder, 'policy.sock')
  world.configure({ server: { policySocket: `unix:${policySocket}` } })
  await using daemon = await world.daemon()
  await daemon.process.line(
    'the policy listener',
    isMessage('listening for policy engines, which are asked for no token'),
  )
  await registerAll(daemon, world)
  const { tenant, contoso } = world
  const { analyst } = contoso.agents
  const user = contoso.sponsors.alice
  for (const version of ['v1', 'v2'] as const) {
    const token = tenant.issueToken({ kind: 'obo', version, id: analyst, user, audience })
    const active = await introspect(daemon, token)
    assert.partialDeepStrictEqual(active, {
      active: true,
      agt_did: analystDid,
      agt_on_behalf_of: { id: user, kind: 'person' },
      aud: [audience],
    })
    assert.notEqual(at(active, 'client_id'), user, 'the person is never the agent')
    assert.equal(at(await evaluate(daemon, { type: 'token', id: token }), 'decision'), true)
    assert.equal(await passes(policySocket, token), 200)
    const human = tenant.issueToken({ kind: 'human', version, id: contoso.blueprint.appId, user, audience })
    assert.deepEqual(await introspect(daemon, human), { active: false })
    const refused = await evaluate(daemon, { type: 'token', id: human })
    assert.equal(at(refused, 'decision'), false)
    assert.deepEqual(listAt(at(refused, 'context'), 'codes'), ['R_NOT_AGENT'])
    assert.equal(await passes(policySocket, human), 403)
  }

  const token = tenant.issueToken({ kind: 'agent', id: analyst, audience })
  const before = await daemon.as('gateway').post('/v1/decisions', { token })
  assert.equal((await daemon.as('runtime').post('/v1/kill', { agentId: analystDid, reason: 'loop' })).status, 202)
  assert.deepEqual(await introspect(daemon, token), { active: false })
  const denied = await evaluate(daemon, { type: 'agent', id: analystDid, properties: { token } })
  assert.partialDeepStrictEqual(denied, { decision: false, context: { codes: ['R_SUSPENDED'], did: analystDid } })
  const { adapter, id } = principal(analyst)
  const account = await evaluate(daemon, { type: 'account', id, properties: { adapter } })
  assert.equal(at(account, 'decision'), false)
  assert.equal(await passes(policySocket, token), 403)
  const after = await daemon.as('gateway').post('/v1/decisions', { token })
  assert.ok(Number(at(after.body, 'epoch')) > Number(at(before.body, 'epoch')))
  assert.equal(textAt(after.body, 'generation'), textAt(before.body, 'generation'))
  const annotated = await daemon.as('gateway').post('/annotate', { input: analystDid, fields: {} })
  assert.partialDeepStrictEqual(annotated.body, { allow: false, status: 'suspended' })
  assert.ok(listAt(at(annotated.body, 'accounts'), 'contoso').includes(analyst))
  assert.equal(at((await daemon.as('gateway').post('/v1/decisions', { did: scoutDid })).body, 'allow'), true)
})

test('without server.policySocket nothing is answered without a token', async () => {
  await using world = await startWorld({ auth: { clients: [clientEntry('alice', ['operator'])] } })
  await using daemon = await world.daemon()
  for (const path of [
    '/v1/data/agentmesh/allow',
    '/v1/data/agentgovernance/allow',
    '/annotate',
    '/oauth2/introspect',
  ]) {
    const { status } = await daemon.nobody.post(path, { input: scoutDid })
    assert.equal(status, 401, path)
  }
  assert.equal((await daemon.nobody.get('/ext_authz/x')).status, 404)
})
