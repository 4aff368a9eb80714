import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execPath } from 'node:process'
import { test } from 'node:test'
import { account, analystDid, isAllowed, kill, principal, registerAll, reporterDid, scoutDid } from './agents.ts'
import { at, listAt, parsed, textAt } from './json.ts'
import { main, run } from './process.ts'
import { until } from './until.ts'
import { type Daemon, startWorld, tokenOf } from './world.ts'

const as = (daemon: Daemon, name: string) => ({
  env: { IDP_BRIDGE_URL: daemon.origin, IDP_BRIDGE_TOKEN: tokenOf(name), NO_COLOR: '1' },
})

const quiet = { adapters: { contoso: { sync: { accounts: '0 0 1 1 *', groups: '0 0 1 1 *', full: '0 0 1 1 *' } } } }

/** With something on its standard input. */
const fed = (args: readonly string[], env: Readonly<Record<string, string>>, input: string) =>
  new Promise<{ code: unknown; out: string; err: string }>((resolve) => {
    const child = execFile(execPath, [main, ...args], { env, timeout: 200_000 }, (error, out, err) =>
      resolve({ code: error === null ? 0 : error.code, out, err }),
    )
    child.stdin?.end(input)
  })

const count = async ({ as: by }: Daemon): Promise<number> =>
  listAt((await by('alice').get('/v1/agents?limit=1000')).body, 'items').length

test('agents import tells every bad row with its line and code, and imports none of them nor of the others', async () => {
  await using world = await startWorld(quiet)
  await using daemon = await world.daemon()
  const { analyst, reporter } = world.contoso.agents
  const file = join(world.folder, 'agents.csv')
  const lines = [
    'did,name,sponsor.email,labels.unit,capabilities,parentDid,principal.adapter,principal.id,principal.kind',
    `did:agentmesh:a,"first, with a comma",alice@contoso.com,payments,read:x;write:x,,contoso,${analyst},agentIdentity`,
    'did:agentmesh:b,"over',
    `two lines",,,,,contoso,00000000-0000-4000-8000-00000000dead,agentIdentity`,
    'did:agentmesh:c,short',
    'did:agentmesh:d,child of none,,,,did:agentmesh:nobody,,,',
    'nonsense,bad did,,,,,,,',
    ',no did,,,,,,,',
    '',
    `did:agentmesh:e,child,,,,did:agentmesh:a,contoso,${reporter},agentIdentity`,
  ]
  writeFileSync(file, lines.join('\n'))
  const bad = await run(['agents', 'import', file], as(daemon, 'registrar'))
  assert.equal(bad.code, 64, bad.err)
  assert.deepEqual(
    [...bad.err.matchAll(/^line (\d+): (E_\w+)/gm)].map(([, line, code]) => `${line} ${code}`),
    ['3 E_PRINCIPAL_ABSENT', '5 E_VALIDATION', '6 E_PARENT', '7 E_DID', '8 E_VALIDATION'],
  )
  assert.match(bad.out, /^nothing was imported: 5 rows are refused, 2 are not$/m)
  assert.equal(await count(daemon), 0)
  assert.deepEqual(listAt((await daemon.as('registrar').get('/v1/imports')).body, 'items'), [], 'it is left behind')

  writeFileSync(file, [...lines.slice(0, 2), lines.at(-1)].join('\n'))
  const dry = await run(['agents', 'import', file, '--dry-run'], as(daemon, 'registrar'))
  assert.deepEqual([dry.code, dry.out, dry.err], [0, 'ok: all 2 rows would be imported', ''])
  assert.equal(await count(daemon), 0)
  const good = await run(['agents', 'import', file], as(daemon, 'registrar'))
  assert.equal(good.code, 0, good.err)
  assert.match(good.out, /^imported: 2 registered, 0 there already, 0 failed$/m)
  await account(daemon, 'did:agentmesh:a', analyst, { observed: 'enabled' })
  assert.ok(await isAllowed(daemon, { did: 'did:agentmesh:a', capability: 'write:x' }))
  const again = await run(['agents', 'import', file, '--json'], as(daemon, 'registrar'))
  assert.equal(again.code, 0, again.err)
  assert.partialDeepStrictEqual(parsed(again.out), {
    import: { state: 'done', name: 'agents.csv', rows: { total: 2, registered: 0, unchanged: 2, failed: 0 } },
    faults: [],
  })
})

test('agents import takes JSON, JSON lines and CSV from standard input, each row by its line', async () => {
  await using world = await startWorld(quiet)
  await using daemon = await world.daemon()
  const { env } = as(daemon, 'registrar')
  const agent = (name: string) => ({ did: `did:agentmesh:${name}`, name })
  const array = `[\n  ${JSON.stringify(agent('a'), null, 2)},\n  { "did": "did:agentmesh:b", "name": "b ]}\\"," },\n  7,\n {"x" 1}\n]\n`
  const json = await fed(['agents', 'import', '-', '--json'], env, array)
  assert.equal(json.code, 64, json.err)
  const faults = listAt(parsed(json.out), 'faults').map((one) => `${at(one, 'line')} ${at(one, 'code')}`)
  assert.deepEqual(faults, ['7 E_VALIDATION', '8 E_VALIDATION'])
  const lines = `\n${JSON.stringify(agent('a'))}\n\n${JSON.stringify({ ...agent('b'), nam: 1 })}\n{`
  const jsonl = await fed(['agents', 'import', '-', '--format', 'jsonl'], env, lines)
  assert.deepEqual(
    [...jsonl.err.matchAll(/^line (\d+): /gm)].map(([, line]) => line),
    ['4', '5'],
    jsonl.err,
  )
  const csv = await fed(['agents', 'import', '-'], env, '\uFEFFname,did\r\nä,did:agentmesh:ä1\r\na,did:agentmesh:a\r\n')
  assert.equal(csv.code, 0, csv.err)
  assert.equal(await count(daemon), 2)

  for (const [text, says, ...more] of [
    ['did,name,colour\n', /no column named colour/],
    ['name\nx\n', /no column did/],
    ['did,did,name\n', /did is there twice/],
    ['', /no row/],
    ['did,name\na,"b\n', /no CSV from line 2/],
    ['{}', /no JSON array/, '--format', 'json'],
    ['[{}', /no end/],
    ['x', /xml is no format/, '--format', 'xml'],
  ] as const) {
    const ended = await fed(['agents', 'import', '-', ...more], env, text)
    assert.equal(ended.code, 64, ended.err)
    assert.match(ended.err, says)
  }
  assert.equal(await count(daemon), 2)
  const none = await run(['agents', 'import', join(world.folder, 'none.csv')], as(daemon, 'registrar'))
  assert.deepEqual([none.code, /cannot be read/.test(none.err)], [64, true], none.err)
  assert.equal((await fed(['agents', 'import', '-'], as(daemon, 'gateway').env, 'did,name\n')).code, 77)
})

test('5,000 agents with accounts, half of them children, are imported at once', async () => {
  await using world = await startWorld(quiet)
  const { contoso, tenant } = world
  const ids = Array.from({ length: 2_500 }, (_, n) =>
    tenant.addAgentIdentity({ displayName: `fleet-${n}`, blueprintAppId: contoso.blueprint.appId }),
  )
  tenant.settle()
  await using daemon = await world.daemon()
  const rows = ids.flatMap((id, n) => [
    { did: `did:agentmesh:child-${n}`, name: `child ${n}`, parentDid: `did:agentmesh:parent-${n % 50}` },
    { did: `did:agentmesh:parent-${n}`, name: `parent ${n}`, principals: [principal(id)] },
  ])
  const text = rows.map((row) => JSON.stringify(row)).join('\n')
  tenant.clearRequests()
  const first = await fed(['agents', 'import', '-', '--json'], as(daemon, 'registrar').env, text)
  assert.equal(first.code, 0, `${first.err}${first.out.slice(-2_000)}`)
  assert.partialDeepStrictEqual(parsed(first.out), {
    import: { rows: { total: 5_000, registered: 5_000 } },
    faults: [],
  })
  assert.ok(tenant.requests.length < 1_000, `${tenant.requests.length} requests: one a row`)
  await until(
    'all are read',
    async () => {
      const last = await daemon.as('gateway').post('/v1/decisions', { did: 'did:agentmesh:parent-2499' })
      return at(last.body, 'allow') === true
    },
    60_000,
  )
})

test('agents list filters and pages through all there are; show tells one; --json is what the API answers', async () => {
  await using world = await startWorld(quiet)
  await using daemon = await world.daemon()
  await registerAll(daemon, world)
  const alice = as(daemon, 'alice')
  const all = await run(['agents', 'list'], alice)
  assert.equal(all.code, 0, all.err)
  assert.match(all.out, /^DID +NAME +STATUS +SPONSOR +ACCOUNTS\n/)
  for (const did of [analystDid, reporterDid, scoutDid]) assert.match(all.out, new RegExp(`^${did} +.*active`, 'm'))
  const some = await run(['agents', 'list', '--limit', '2'], alice)
  assert.equal(some.out.split('\n').length, 3)
  assert.match(some.err, /There are more: --limit 4/)
  const found = await run(['agents', 'list', '--search', 'scout', '--json'], alice)
  assert.deepEqual(parsed(found.out), (await daemon.as('alice').get('/v1/agents?q=scout')).body)
  const shown = await run(['agents', 'show', analystDid], alice)
  assert.match(shown.out, /data-analyst-agent {2}active\n/)
  assert.match(shown.out, /^labels +unit=payments$/m)
  assert.match(shown.out, new RegExp(`^contoso/${world.contoso.agents.analyst} +agentIdentity`, 'm'))
  const json = await run(['agents', 'show', analystDid, '--json'], alice)
  assert.deepEqual(parsed(json.out), (await daemon.as('alice').get(`/v1/agents/${analystDid}`)).body)
  const unknown = await run(['agents', 'show', 'did:agentmesh:nobody'], alice)
  assert.deepEqual([unknown.code, /\(E_AGENT_UNKNOWN\)\n {2}\S/.test(unknown.err)], [64, true], unknown.err)
  assert.equal((await run(['agents', 'list', '--limit', 'many'], alice)).code, 64)
})

test('holds are placed, listed and released; a kill tells what the second person runs', async () => {
  await using world = await startWorld(quiet)
  await using daemon = await world.daemon()
  await registerAll(daemon, world)
  const [alice, bob] = [as(daemon, 'alice'), as(daemon, 'bob')]
  assert.match((await run(['holds', 'place', scoutDid], alice)).err, /Add --reason/)
  const placed = await run(['holds', 'place', scoutDid, '--reason', 'case 1', '--json'], alice)
  assert.equal(placed.code, 0, placed.err)
  const holdId = textAt(parsed(placed.out), 'id')
  const own = await run(['holds', 'place', reporterDid, '--reason', 'case 2', '--public-reason', 'hush'], alice)
  assert.match(own.out, /^held: every decision for did:agentmesh:report/)
  const open = await run(['holds', 'list'], alice)
  assert.match(open.out, /^DID +HOLD +SEVERITY +ORIGIN +PLACED +STATE +REASON\n/)
  assert.match(open.out, new RegExp(`^${scoutDid} +${holdId} +suspend +operator:alice +\\S+ +open +case 1$`, 'm'))
  assert.match(open.out, /case 2$/m)
  const released = await run(['holds', 'release', scoutDid, holdId, '--reason', 'cleared'], alice)
  assert.match(released.out, /^released: .*\n {2}no hold is left/)
  const past = await run(['holds', 'list', scoutDid], alice)
  assert.match(past.out, /released 20/)
  const twice = await run(['holds', 'release', scoutDid, holdId, '--reason', 'cleared'], alice)
  assert.deepEqual([twice.code, /E_ALREADY_RELEASED/.test(twice.err)], [64, true], twice.err)

  const killed = await kill(daemon, scoutDid)
  const asked = await run(['holds', 'release', scoutDid, killed, '--reason', 'false alarm'], alice)
  assert.equal(asked.code, 0, asked.err)
  const command = /^ {2}idp-bridge (holds approve \S+ --url \S+)$/m.exec(asked.out)?.[1]
  assert.ok(command, asked.out)
  const same = await run(command.split(' '), alice)
  assert.deepEqual([same.code, /E_SAME_PERSON/.test(same.err)], [77, true], same.err)
  const second = await run(command.split(' '), bob)
  assert.match(second.out, /^released: /)
})

test('whoever asks is told what is missing: the address, the token, the certificate, the right', async () => {
  await using world = await startWorld(quiet)
  await using daemon = await world.daemon()
  const list = ['agents', 'list']
  const tokenFile = join(world.folder, 'token')
  writeFileSync(tokenFile, `${tokenOf('alice')}\n`)
  const byFile = await run([...list, '--url', daemon.origin, '--token-file', tokenFile])
  assert.equal(byFile.code, 0, byFile.err)
  const wrong = join(world.folder, 'wrong')
  writeFileSync(wrong, 'two words')
  for (const [args, env, code, says] of [
    [[], {}, 64, /No daemon was named/],
    [['--url', daemon.origin], {}, 64, /no token/],
    [['--url', daemon.origin, '--token-file', wrong], {}, 64, /no token/],
    [['--url', daemon.origin, '--token-file', join(world.folder, 'none')], {}, 64, /cannot be read/],
    [['--url', 'http://bridge.example.com'], { IDP_BRIDGE_TOKEN: 'x' }, 64, /loopback/],
    [['--url', daemon.origin, '--ca-file', tokenFile], { IDP_BRIDGE_TOKEN: 'x' }, 64, /no certificate/],
    [['--url', daemon.origin], { IDP_BRIDGE_TOKEN: 'unknown' }, 77, /E_UNAUTHENTICATED/],
    [['--url', daemon.origin], { IDP_BRIDGE_TOKEN: tokenOf('gateway') }, 77, /E_FORBIDDEN/],
    [['--url', 'http://127.0.0.1:9'], { IDP_BRIDGE_TOKEN: 'x' }, 69, /No daemon answers/],
  ] as const) {
    const ended = await run([...list, ...args], { env })
    assert.equal(ended.code, code, `${args.join(' ')}: ${ended.err}`)
    assert.match(ended.err, says)
    assert.doesNotMatch(ended.err, /\n {4}at /, 'a stack is shown')
  }
})
