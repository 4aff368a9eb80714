import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertAllowed, path, principal, register, scoutDid } from './agents.ts'
import { at, listAt } from './json.ts'
import { until } from './until.ts'
import { type Daemon, startWorld } from './world.ts'

const name = 'Scout'
const route = `/v1/blueprints/${name}`
const sponsor = { email: 'bob@contoso.onmicrosoft.com' }
const alertCodes = async ({ as }: Daemon) =>
  listAt((await as('alice').get('/v1/status')).body, 'alerts').map((one) => at(one, 'code'))
const stateOf = async ({ as }: Daemon) => at((await as('alice').get(route)).body, 'accessPolicy', 'state')

test('a blueprint of the configuration: reload, restart, and a policy that the tenant loses', async () => {
  await using world = await startWorld()
  const { contoso, tenant } = world
  const define = (capabilities: readonly string[]) =>
    world.configure({
      blueprints: {
        [name]: { capabilities, requireSponsor: true, accessPolicy: { adapter: 'contoso', id: contoso.policy } },
      },
      tools: { servers: { feeds: { tools: { list: { capability: capabilities[0] } } } } },
    })
  const call = { did: scoutDid, tool: 'list', server: 'feeds' }
  define(['read:feeds'])
  const first = await world.daemon()
  const scout = { did: scoutDid, name: 'scout', blueprint: name, principals: [principal(contoso.agents.scout)] }
  const without = await first.as('registrar').post('/v1/agents', scout)
  assert.deepEqual([without.status, at(without.body, 'code')], [422, 'E_SPONSOR'])
  const unknown = await first.as('registrar').post('/v1/agents', { ...scout, sponsor, blueprint: 'scout' })
  assert.deepEqual([unknown.status, at(unknown.body, 'code')], [422, 'E_BLUEPRINT_UNKNOWN'])
  await register(first.as('registrar'), { ...scout, sponsor })
  await until('the account was read', async () =>
    at((await first.as('gateway').post('/v1/decisions', { did: scoutDid, capability: 'read:feeds' })).body, 'allow'),
  )
  await until('the policy was read', async () => (await stateOf(first)) === 'enforced')
  await assertAllowed(first, call)
  const own = await first.as('registrar').ask(route, { method: 'PUT', body: {} })
  assert.deepEqual([own.status, at(own.body, 'code')], [409, 'E_BLUEPRINT_CONFIG'])

  await using stream = await first.stream('runtime')
  define(['read:news'])
  const frame = await stream.frame(
    'the reload is told',
    ({ event, data }) => event === 'capabilities' && at(data, 'did') === scoutDid,
  )
  assert.deepEqual(listAt(frame.data, 'capabilities'), ['read:news'])
  await assertAllowed(first, { did: scoutDid, capability: 'read:news' })
  const listed = (await first.as('gateway').post('/v1/decisions', call)).body
  assert.deepEqual([at(listed, 'allow'), at(listAt(listed, 'grants')[0], 'capability')], [true, 'read:news'])

  await first[Symbol.asyncDispose]()
  tenant.removePolicy(contoso.policy)
  await using second = await world.daemon()
  await until('the alert', async () => (await alertCodes(second)).includes('access-policy-absent'))
  assert.equal(await stateOf(second), 'absent')
  await assertAllowed(second, { did: scoutDid, capability: 'read:news' })
  const refused = await second
    .as('registrar')
    .post('/v1/agents', { ...scout, did: `${scoutDid}2`, principals: [], sponsor })
  assert.deepEqual([refused.status, at(refused.body, 'code')], [422, 'E_ACCESS_POLICY'])
  const { body } = await second.as('alice').get(path(scoutDid, '/validate'))
  assert.ok(listAt(body, 'issues').some((issue) => at(issue, 'code') === 'V_ACCESS_POLICY'))
})
