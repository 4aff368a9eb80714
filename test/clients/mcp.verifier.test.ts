import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createVerifier } from '../../clients/verifier/index.ts'
import { kill, principal, register } from '../e2e/agents.ts'
import { until } from '../e2e/until.ts'
import { startWorld, tokenOf } from '../e2e/world.ts'
import { clients, hosts, servers } from './mcphosts.ts'
import { contact, guarded, openStream, resource } from './mcprig.ts'

test('a guard that decides in its own process stops an agent as one that asks does, and lets nobody in without the bridge', async () => {
  await using stack = new AsyncDisposableStack()
  const world = stack.use(await startWorld({ adapters: { contoso: { tokens: { audiences: [resource] } } } }))
  const daemon = stack.use(await world.daemon())
  const verifier = stack.use(
    createVerifier({ url: daemon.origin, token: tokenOf('gateway'), maxAgeMs: 30_000, onError: () => undefined }),
  )
  await verifier.ready()
  const question = ({ tool }: { tool: string }) => ({ capability: `call:crm:${tool}` })
  const { guard, records } = guarded({ authority: verifier, question, recheckMs: 50 })
  stack.use(guard)
  const serve = servers['v2, a request each']?.(guard)
  assert.ok(serve)
  const listener = stack.use(await hosts['Express 5']?.(guard, serve))
  const url = `${listener?.origin}/mcp`

  const enrol = async (did: string) => {
    const id = world.tenant.addAgentIdentity({ displayName: did, blueprintAppId: world.contoso.blueprint.appId })
    world.tenant.settle()
    const capabilities = ['call:crm:lookup']
    await register(daemon.as('registrar'), { did, name: 'a', capabilities, principals: [principal(id)] })
    const token = world.tenant.issueToken({ kind: 'agent', id, audience: resource })
    await until('the verifier knows it', async () => (await verifier.decide({ token })).allow)
    return token
  }
  const connect = async (token: string) => {
    const client = clients['v2, 2026-07-28']
    assert.ok(client)
    return stack.use(await client(url, token))
  }
  const [one, two] = ['did:mesh:one', 'did:mesh:two']
  const agent = await connect(await enrol(one))
  const token = await enrol(two)
  const other = await connect(token)
  assert.deepEqual(await agent.tools(), ['lookup'])
  await agent.call('lookup', { customer: 'c-1' })
  await kill(daemon, one)
  await until('it is stopped', () =>
    agent.call('lookup', { customer: 'c-2' }).then(
      () => false,
      (error) => {
        assert.match(String(error), new RegExp(`The agent is suspended\\. Ask ${contact}\\.`))
        return true
      },
    ),
  )
  assert.deepEqual(records.at(-1)?.codes, ['R_SUSPENDED'])
  assert.deepEqual(records.at(-1)?.did, one)
  await other.call('lookup', { customer: 'c-3' })
  await verifier.close()
  assert.equal((await openStream(String(listener?.origin), token)).status, 503)
  await assert.rejects(other.call('lookup', { customer: 'c-3' }), /cannot be told now/)
})
