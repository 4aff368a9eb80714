import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hashOf, listen } from './listen.ts'

test('a client is told its name, its roles as configured and what it is bounded to', async () => {
  await using server = await listen()
  const bounded = await server.ask('/v1/whoami', { as: 'runtime' })
  assert.equal(bounded.status, 200)
  assert.deepEqual(bounded.json, { name: 'runtime', roles: ['runtime'], agents: { labels: { unit: 'payments' } } })
  const free = await server.ask('/v1/whoami', { as: 'operator' })
  assert.deepEqual(free.json, { name: 'operator', roles: ['operator'], agents: null }, 'not what operator stands for')
})

test('whose token it is follows the configuration at once, and nobody is told of anybody else', async () => {
  await using server = await listen()
  const at = server.clients.findIndex(({ name }) => name === 'gateway')
  server.clients[at] = {
    name: 'gateway-2',
    roles: ['gateway', 'runtime'],
    tokenSha256: [hashOf('gateway-token')],
    labels: undefined,
  }
  const { json } = await server.ask('/v1/whoami', { as: 'gateway' })
  assert.deepEqual(json, { name: 'gateway-2', roles: ['gateway', 'runtime'], agents: null })
  server.clients.splice(at, 1)
  assert.equal((await server.ask('/v1/whoami', { as: 'gateway' })).status, 401)
  assert.equal((await server.ask('/v1/whoami')).status, 401)
})
