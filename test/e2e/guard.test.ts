import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { CommanderError } from 'commander'
import type { Io } from '../../src/cli/io.ts'
import { createProgram } from '../../src/cli/program.ts'
import { BridgeError, exitOf } from '../../src/core/errors.ts'
import { agentOf, analystDid, assertAllowed, assertDenied, registerAll, reporterDid, scoutDid } from './agents.ts'
import { at, listAt, parsed, textAt } from './json.ts'
import { run } from './process.ts'
import { until } from './until.ts'
import { type Daemon, startWorld, tokenOf, type World } from './world.ts'

const tight = { policy: { guard: { suspend: { max: 1 } } } }

const as = (daemon: Daemon, name: string) => ({
  env: { IDP_BRIDGE_URL: daemon.origin, IDP_BRIDGE_TOKEN: tokenOf(name), NO_COLOR: '1' },
})

const status = async (daemon: Daemon): Promise<unknown> =>
  at((await daemon.as('alice').get('/v1/status')).body, 'adapters', 0)

const firstPass = (daemon: Daemon) =>
  until('the first full pass', async () => at(await status(daemon), 'accounts', 'fullAt') !== null)

/** The scout passes; the reporter, which is seen after it, waits. */
const trip = async (daemon: Daemon, { contoso, tenant }: World): Promise<void> => {
  for (const [id, did] of [
    [contoso.agents.scout, scoutDid],
    [contoso.agents.reporter, reporterDid],
  ] as const) {
    tenant.setEnabled(id, false)
    await until(`${did} is held`, async () => listAt(await agentOf(daemon, did), 'holds').length > 0)
  }
}

test('guard show and approve, by two people on the command line', async () => {
  await using world = await startWorld(tight)
  await using daemon = await world.daemon()
  await registerAll(daemon, world)
  await firstPass(daemon)

  const calm = await run(['guard', 'show'], as(daemon, 'alice'))
  assert.equal(calm.code, 0, calm.err)
  assert.match(calm.out, /^ADAPTER {2}DIRECTION {2}TRIPPED SINCE {2}SEEN {2}WAITING\n/)
  assert.match(calm.out, /^contoso {2}suspend +- +0 +0$/m)

  await trip(daemon, world)
  const shown = await run(['guard', 'show', 'contoso', '--url', daemon.origin], as(daemon, 'gateway-without-a-role'))
  assert.equal(shown.code, 77, 'an unknown token')
  const json = await run(['guard', 'show', 'contoso', '--json'], as(daemon, 'alice'))
  assert.equal(json.code, 0, json.err)
  const guard = at(parsed(json.out), 'items', 0)
  const hash = textAt(guard, 'suspend', 'plan', 'hash')
  assert.equal(textAt(guard, 'suspend', 'plan', 'rows', 0, 'did'), reporterDid)
  assert.equal(at(guard, 'quarantine'), null)

  const table = await run(['guard', 'show'], as(daemon, 'alice'))
  assert.match(table.out, /^contoso {2}suspend {4}20\d\d-[^ ]+Z {2}2 {5}1$/m)
  assert.ok(table.out.includes(`plan ${hash}`) && table.out.includes(reporterDid), table.out)
  assert.ok(table.out.includes(`idp-bridge guard approve contoso ${hash}`), table.out)

  const first = await run(['guard', 'approve', 'contoso', hash], as(daemon, 'alice'))
  assert.equal(first.code, 0, first.err)
  assert.match(first.out, /^awaiting: a second person/)
  const again = await run(['guard', 'approve', 'contoso', hash], as(daemon, 'alice'))
  assert.equal(again.code, 77)
  assert.match(again.err, /^idp-bridge: .*\(E_SAME_PERSON\)\n {2}Another approver has to\./)
  const waiting = await run(['guard', 'show'], as(daemon, 'bob'))
  assert.match(waiting.out, /alice approved this plan; another person completes it until 20\d\d-/)
  const second = await run(['guard', 'approve', 'contoso', hash, '--json'], as(daemon, 'bob'))
  assert.equal(second.code, 0, second.err)
  assert.deepEqual(parsed(second.out), { status: 'done', applied: 1, dropped: 0 })

  const gone = await run(['guard', 'approve', 'contoso', hash], as(daemon, 'bob'))
  assert.equal(gone.code, 64)
  assert.match(gone.err, /\(E_GUARD_PLAN\)/)
  assert.match(gone.err, /See what waits now: idp-bridge guard show contoso/)
  assert.match((await run(['guard', 'show'], as(daemon, 'bob'))).out, /^contoso {2}suspend +- +0 +0$/m)
  for (const { err, out } of [calm, json, table, first, again, second, gone]) {
    assert.ok(!`${out}${err}`.includes('token-of-'), 'a token is shown')
  }
})

/** The same without a process of its own: what `main.ts` does with an error. */
const inProcess = async (args: readonly string[], env: Readonly<Record<string, string>>) => {
  const out: string[] = []
  const err: string[] = []
  const io: Io = {
    env,
    out: (text) => out.push(text),
    err: (text) => err.push(text),
    colour: false,
    stop: new AbortController().signal,
    onHangup: () => undefined,
    die: () => undefined,
  }
  let code = 0
  try {
    await createProgram(io, (exit) => {
      code = exit
    }).parseAsync(['node', 'idp-bridge', ...args])
  } catch (error) {
    if (error instanceof BridgeError) err.push(`${error.message} (${error.code}) ${error.hint}`)
    code = error instanceof CommanderError ? 64 : exitOf(error)
  }
  return { code, out: out.join('\n'), err: err.join('\n') }
}

test('commands that talk to a daemon: what they refuse, and with which exit code', async () => {
  await using world = await startWorld()
  await using daemon = await world.daemon()
  const IDP_BRIDGE_URL = daemon.origin
  const IDP_BRIDGE_TOKEN = tokenOf('alice')
  const there = { IDP_BRIDGE_URL, IDP_BRIDGE_TOKEN }
  const none = 'f'.repeat(64)
  for (const [line, env, code, says] of [
    ['guard show', { IDP_BRIDGE_TOKEN }, 64, /No daemon was named.*IDP_BRIDGE_URL/],
    ['guard show', { IDP_BRIDGE_URL }, 64, /no token.*IDP_BRIDGE_TOKEN/],
    ['guard show', { IDP_BRIDGE_URL, IDP_BRIDGE_TOKEN: 'two\nlines' }, 64, /no token/],
    ['guard show --url http://bridge.contoso.com', there, 64, /http:\/\/ is possible/],
    ['guard show --url http://169.254.169.254', there, 64, /http:\/\/ is possible/],
    ['guard show --url https://me:secret@bridge', there, 64, /https:\/\/host/],
    ['guard show --url http://127.0.0.1:9', there, 69, /E_UNREACHABLE/],
    ['guard show --token x', there, 64, /unknown option/],
    ['guard show', { IDP_BRIDGE_URL, IDP_BRIDGE_TOKEN: 'wrong' }, 77, /E_UNAUTHENTICATED/],
    ['guard show', { IDP_BRIDGE_URL, IDP_BRIDGE_TOKEN: tokenOf('gateway') }, 77, /E_FORBIDDEN/],
    ['guard show fabrikam', there, 64, /E_NOT_FOUND\)\n.*contoso/],
    ['guard approve contoso', there, 64, /missing required argument/],
    ['guard approve contoso x', there, 64, /E_VALIDATION/],
    [`guard approve contoso ${none}`, there, 64, /E_GUARD_PLAN/],
    [`guard approve contoso ${none}`, { ...there, IDP_BRIDGE_TOKEN: tokenOf('registrar') }, 77, /E_FORBIDDEN/],
  ] as const) {
    const ended = await inProcess(line.split(' '), env)
    assert.equal(ended.code, code, `${line}: ${ended.err}`)
    assert.match(ended.err, says, line)
    assert.equal(ended.out, '', line)
  }
})

test('an answer of the daemon that is no success ends a command with the code of its status', async () => {
  const body = JSON.stringify({ code: 'E_OF_LATER', detail: 'It does not.', hint: 'Wait.' })
  let status = 200
  const server = createServer((_, answer) => answer.writeHead(status).end(body))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  try {
    const address = server.address()
    assert.ok(typeof address === 'object' && address !== null)
    const env = { IDP_BRIDGE_URL: `http://127.0.0.1:${address.port}`, IDP_BRIDGE_TOKEN: 't' }
    for (const [given, code] of [
      [503, 75],
      [429, 75],
      [500, 70],
      [403, 77],
      [409, 64],
    ] as const) {
      status = given
      const ended = await inProcess(['guard', 'show'], env)
      assert.deepEqual(ended, { code, out: '', err: 'idp-bridge: It does not. (E_OF_LATER)\n  Wait.' })
    }
  } finally {
    server.close()
  }
})

const everyone = ({ contoso }: World): readonly string[] => [
  contoso.agentUser,
  contoso.agents.analyst,
  contoso.agents.reporter,
  contoso.agents.scout,
]
const dids = [analystDid, reporterDid, scoutDid]
const why = async (daemon: Daemon) => at(await status(daemon), 'quarantine', 'why')

test('a tenant that says all its agents are deleted is read twice, settle apart', async () => {
  await using world = await startWorld({ adapters: { contoso: { settle: '10m' } } })
  await using daemon = await world.daemon()
  await registerAll(daemon, world)
  await firstPass(daemon)
  for (const id of everyone(world)) world.tenant.remove(id)
  await until('it is in quarantine', async () => listAt({ why: (await why(daemon)) ?? [] }, 'why').includes('absent'))
  // One of four may have been believed before the others were missed.
  const holds = await Promise.all(dids.map(async (did) => listAt(await agentOf(daemon, did), 'holds').length))
  assert.ok(holds.filter((n) => n > 0).length < dids.length, JSON.stringify(holds))
  const shown = await run(['guard', 'show'], as(daemon, 'alice'))
  assert.match(shown.out, /contoso is in quarantine since 20\d\d-[^ ]+Z: absent/)
})

test('really deleted, then restored: held at the second read, and nothing is left behind', async () => {
  await using world = await startWorld({ policy: { resume: 'automatic' } })
  await using daemon = await world.daemon()
  await registerAll(daemon, world)
  await firstPass(daemon)
  for (const did of dids) await assertAllowed(daemon, { did })
  for (const id of everyone(world)) world.tenant.remove(id)
  for (const did of dids) {
    await until(`${did} is held`, async () => listAt(await agentOf(daemon, did), 'holds').length > 0)
    await assertDenied(daemon, { did })
  }
  const audit = listAt((await daemon.as('alice').get('/v1/audit?limit=1000')).body, 'items')
  const entered = audit.filter((entry) => at(entry, 'type') === 'quarantine.entered')
  assert.deepEqual(
    entered.map((entry) => at(entry, 'details', 'why')),
    ['absent'],
  )
  for (const id of everyone(world)) world.tenant.restore(id)
  for (const did of dids) {
    const free = async () => listAt(await agentOf(daemon, did), 'holds').length === 0
    await until(`${did} is free`, free, 60_000)
    await assertAllowed(daemon, { did })
  }
  // One that was switched off for another, before it was missed itself, is switched on after the release.
  await until('every account is on', () => everyone(world).every((id) => world.tenant.get(id)?.enabled === true))
})

test('a tenant that forbids everything changes nothing, and is in quarantine until it answers', async () => {
  await using world = await startWorld()
  await using daemon = await world.daemon()
  await registerAll(daemon, world)
  await firstPass(daemon)
  const body = { error: { code: 'Authorization_RequestDenied', message: 'no' } }
  world.tenant.fail(({ path }) => !path.includes('oauth2'), { status: 403, body, times: 1_000_000 })
  world.tenant.setEnabled(world.contoso.agents.scout, false)
  await until(
    'it is in quarantine',
    async () => (await why(daemon)) !== undefined && at(await status(daemon), 'quarantine') !== null,
  )
  assert.deepEqual(await why(daemon), ['forbidden'])
  for (const did of dids) await assertAllowed(daemon, { did })
  world.tenant.clearFaults()
  await until('it is believed again', async () => at(await status(daemon), 'quarantine') === null)
  await until(
    'and what happened meanwhile is seen',
    async () => listAt(await agentOf(daemon, scoutDid), 'holds').length > 0,
  )
})
