import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startAcme } from './acme.ts'
import { agentOf, isAllowed, kill, principal, register } from './agents.ts'
import { at, listAt, parsed, textAt } from './json.ts'
import { run } from './process.ts'
import { until } from './until.ts'
import { type Daemon, startWorld, tokenOf } from './world.ts'

const did = 'did:agentmesh:planned:1b2c3d4e5f607182'
const never = '0 0 1 1 *'
const quiet = { sync: { accounts: never, groups: never, full: never } }

const plan = (daemon: Daemon, ...args: readonly string[]) =>
  run(['plan', ...args], { env: { IDP_BRIDGE_URL: daemon.origin, IDP_BRIDGE_TOKEN: tokenOf('alice'), NO_COLOR: '1' } })

const head = async (daemon: Daemon): Promise<unknown> => (await daemon.as('alice').get('/v1/audit/verify')).body

test('a plan tells what the next pass then does, here and in the other directory, and does nothing itself', async () => {
  await using stack = new AsyncDisposableStack()
  const { org, acme } = await startAcme({ ...quiet, hooks: {} })
  stack.use(org)
  const user = org.addUser({ email: 'agent@contoso.example' })
  const world = stack.use(await startWorld({ adapters: { acme, contoso: quiet } }))
  const { scout } = world.contoso.agents
  let daemon = stack.use(await world.daemon())
  await register(daemon.as('registrar'), {
    did,
    name: 'planned',
    principals: [{ adapter: 'acme', id: user, kind: 'user' }, principal(scout)],
  })
  await until('allowed', () => isAllowed(daemon, { did }))
  const calm = await plan(daemon)
  assert.equal(calm.code, 0, `${calm.out}${calm.err}`)
  assert.match(calm.out, /^contoso: 1 account, no differences$/m)
  assert.match(calm.out, /^no differences [0-9a-f]{64}$/m)

  world.tenant.setEnabled(scout, false)
  const before = await head(daemon)
  const asked = world.tenant.requests.length
  const found = await plan(daemon)
  assert.equal(found.code, 2, `${found.out}${found.err}`)
  assert.match(found.out, new RegExp(`^hold +${did} +${scout} +adapter:contoso/${scout}, disabled$`, 'm'))
  assert.match(found.out, new RegExp(`^switch-off +${did} +${user} +adapter:contoso/${scout}$`, 'm'))
  const [hash] = found.out.match(/(?<=^plan )[0-9a-f]{64}$/m) ?? []
  assert.ok(hash, found.out)
  const sent = world.tenant.requests.slice(asked)
  assert.ok(sent.length > 0)
  assert.deepEqual(
    sent.filter(({ method }) => method === 'PATCH' || method === 'DELETE'),
    [],
  )
  assert.deepEqual(await head(daemon), before, 'nothing was recorded')
  assert.ok(await isAllowed(daemon, { did }), 'and nothing was held')
  assert.equal(org.get(user)?.enabled, true)

  const json = await plan(daemon, '--json')
  assert.equal(json.code, 2, json.err)
  assert.equal(textAt(parsed(json.out), 'hash'), hash, 'the same plan')
  const one = await plan(daemon, '--adapter', 'contoso', '--json')
  assert.equal(one.code, 2, one.err)
  assert.deepEqual(
    listAt(parsed(one.out), 'adapters').map((part) => at(part, 'adapter')),
    ['contoso'],
  )
  assert.equal((await plan(daemon, '--adapter', 'nowhere')).code, 64)

  await daemon[Symbol.asyncDispose]()
  daemon = stack.use(await world.daemon())
  await until('held', async () => !(await isAllowed(daemon, { did })))
  assert.equal(textAt(await agentOf(daemon, did), 'holds', 0, 'origin'), `adapter:contoso/${scout}`)
  await until('off', () => org.get(user)?.enabled === false)
  await until('nothing more is planned', async () => (await plan(daemon)).code === 0)
})

test('a directory that fails or refuses is told as that: its part is no plan, and the exit code says so', async () => {
  await using world = await startWorld({ adapters: { contoso: quiet } })
  await using daemon = await world.daemon()
  await register(daemon.as('registrar'), { did, name: 'planned', principals: [principal(world.contoso.agents.scout)] })
  await until('allowed', () => isAllowed(daemon, { did }))
  const failing = (status: number) =>
    world.tenant.fail(({ path: asked }) => !asked.includes('oauth2'), { status, times: Number.POSITIVE_INFINITY })

  const allow = failing(403)
  const refused = await plan(daemon)
  assert.equal(refused.code, 77, `${refused.out}${refused.err}`)
  assert.match(refused.err, /^contoso: accounts: .*\(E_DIRECTORY_FORBIDDEN\)$/m)
  assert.doesNotMatch(refused.out, /^(contoso: .*no differences|no differences .*)$/m)
  allow()

  const mend = failing(503)
  const down = await plan(daemon, '--json')
  assert.equal(down.code, 75, `${down.out}${down.err}`)
  assert.partialDeepStrictEqual(parsed(down.out), {
    hash: null,
    adapters: [{ complete: false, hash: null, changes: [] }],
  })
  mend()

  await kill(daemon, did)
  await until('off', () => world.tenant.get(world.contoso.agents.scout)?.enabled === false)
  const other = await run(['plan'], { env: { IDP_BRIDGE_URL: daemon.origin, IDP_BRIDGE_TOKEN: tokenOf('gateway') } })
  assert.equal(other.code, 77, other.err)
})
