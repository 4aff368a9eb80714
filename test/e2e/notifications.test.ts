import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { analystDid, assertAllowed, assertDenied, registerAll } from './agents.ts'
import { client } from './client.ts'
import { at, listAt } from './json.ts'
import { until } from './until.ts'
import { startWorld } from './world.ts'

/** What stands before the daemon, since its port is known only once it listens; a request waits until then. */
const startFront = async () => {
  const { promise: origin, resolve: open } = Promise.withResolvers<string>()
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) if (Buffer.isBuffer(chunk)) chunks.push(chunk)
    const type = request.headers['content-type'] ?? 'text/plain'
    const body = Buffer.concat(chunks)
    const answer = await client(await origin, undefined).ask(request.url ?? '/', {
      method: request.method ?? 'GET',
      body,
      headers: { 'content-type': type, 'content-length': String(body.length) },
    })
    response.writeHead(answer.status, { 'content-type': String(answer.headers['content-type'] ?? '') })
    response.end(answer.text)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  return {
    url: `http://127.0.0.1:${address.port}`,
    open,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

test('the daemon subscribes by itself, and a notification stops an agent without any pass', async () => {
  await using front = await startFront()
  const clientState = 'the-client-state-of-the-bridge'
  await using world = await startWorld({
    server: { publicUrl: front.url },
    adapters: {
      contoso: { sync: { accounts: '0 0 1 1 *', groups: '0 0 1 1 *' }, hooks: { graph: { clientState } } },
    },
  })
  const { tenant, contoso } = world
  tenant.grant(contoso.bridge.appId, 'Group.Read.All')
  await using daemon = await world.daemon()
  front.open(daemon.origin)
  await registerAll(daemon, world)
  const subscriptions = await until('both are active', async () => {
    const { body } = await daemon.as('alice').get('/v1/status')
    const list = listAt(body, 'adapters', 0, 'subscriptions')
    const read = typeof at(body, 'adapters', 0, 'groups', 'lastOkAt') === 'string'
    return read && list.every((one) => at(one, 'state') === 'active') && list
  })
  assert.deepEqual(
    subscriptions.map((one) => [at(one, 'resource'), at(one, 'error')]),
    [
      ['users', null],
      ['groups', null],
    ],
  )
  await assertAllowed(daemon, { did: analystDid })
  tenant.setEnabled(contoso.agentUser, false, { by: contoso.sponsors.bob })
  await until('the other account is off', () => tenant.get(contoso.agents.analyst)?.enabled === false)
  await assertDenied(daemon, { did: analystDid })
  assert.ok(!daemon.process.lines.join('').includes(clientState))
})
