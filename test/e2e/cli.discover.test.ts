import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { account, analystDid, registerAll, reporterDid, scoutDid } from './agents.ts'
import { at, listAt, parsed } from './json.ts'
import { run } from './process.ts'
import { type Daemon, startWorld, tokenOf, type World } from './world.ts'

const as = (daemon: Daemon, name: string) => ({
  env: { IDP_BRIDGE_URL: daemon.origin, IDP_BRIDGE_TOKEN: tokenOf(name), NO_COLOR: '1' },
})

const shadows = ({ tenant, contoso }: World) => {
  const add = (displayName: string, tags: readonly string[] = []) =>
    tenant.addAgentIdentity({ displayName, blueprintAppId: contoso.blueprint.appId, properties: { tags } })
  const ids = { plain: add('plain, shadow'), formula: add('=cmd()'), labelled: add('labelled', ['did:agentmesh:l:1']) }
  tenant.settle()
  return ids
}

test('what discover finds is written to a file, edited, imported, and found no more', async () => {
  await using world = await startWorld()
  await using daemon = await world.daemon()
  await registerAll(daemon, world)
  const { tenant, contoso } = world
  const { formula, labelled, plain } = shadows(world)
  const alice = as(daemon, 'alice')
  const file = join(world.folder, 'shadow.csv')
  const found = await run(['discover', 'contoso', '--out', file], alice)
  assert.equal(found.code, 0, found.err)
  assert.match(found.out, /^5 accounts that no DID maps$/m)
  assert.match(found.out, new RegExp(`^${plain} +agentIdentity +plain, shadow +enabled +-$`, 'm'))
  assert.match(found.out, new RegExp(`^${labelled} .*did:agentmesh:l:1\\? \\(label\\)$`, 'm'))
  const text = readFileSync(file, 'utf8')
  const lines = text.trimEnd().split('\n')
  assert.equal(
    lines[0],
    'did,name,sponsor.email,blueprint,capabilities,principal.adapter,principal.id,principal.kind,principal.appId',
  )
  assert.ok(lines.includes(`,"plain, shadow",,,,contoso,${plain},agentIdentity,${plain}`), text)
  assert.ok(lines.includes(`,'=cmd(),,,,contoso,${formula},agentIdentity,${formula}`), text)
  assert.ok(lines.includes(`?did:agentmesh:l:1,labelled,,,,contoso,${labelled},agentIdentity,${labelled}`), text)

  const unedited = await run(['agents', 'import', file], alice)
  assert.equal(unedited.code, 64, unedited.err)
  assert.deepEqual(
    [...unedited.err.matchAll(/^line (\d+): E_VALIDATION (.*)$/gm)].map(([, line, says]) => `${line} ${says}`),
    lines
      .slice(1)
      .map((line, n) =>
        line.startsWith('?')
          ? `${n + 2} Its DID is a suggestion that nobody has confirmed: ?did:agentmesh:l:1`
          : `${n + 2} It has no DID: nobody has said which agent this is.`,
      ),
  )
  assert.match(unedited.out, /^nothing was imported: 5 rows are refused/m)

  const again = await run(['discover', 'contoso', '--out', file], alice)
  assert.deepEqual([again.code, /is there already/.test(again.err)], [64, true], again.err)
  assert.equal(readFileSync(file, 'utf8'), text)
  const edited = lines.map((line) =>
    line.startsWith('?') ? line.slice(1) : line.includes(plain) ? `did:agentmesh:plain${line}` : line,
  )
  writeFileSync(file, `${edited.filter((line) => !line.startsWith(',')).join('\n')}\n`)
  const imported = await run(['agents', 'import', file], alice)
  assert.equal(imported.code, 0, imported.err)
  assert.match(imported.out, /^imported: 2 registered/m)
  await account(daemon, 'did:agentmesh:l:1', labelled, { observed: 'enabled' })
  const replaced = await run(['discover', 'contoso', '--out', file, '--force', '--json'], alice)
  assert.equal(replaced.code, 0, replaced.err)
  const left = listAt(parsed(replaced.out), 'unmapped').map((one) => at(one, 'id'))
  assert.ok(left.includes(formula) && !left.includes(plain) && !left.includes(labelled), replaced.out)
  assert.equal(readFileSync(file, 'utf8').trimEnd().split('\n').length, left.length + 1)

  tenant.purge(contoso.agents.scout)
  tenant.settle()
  const gone = await run(['discover', 'contoso', '--only', 'gone', '--json'], alice)
  assert.deepEqual(
    listAt(parsed(gone.out), 'gone').map((one) => [at(one, 'did'), at(one, 'id')]),
    [[scoutDid, contoso.agents.scout]],
  )
  assert.deepEqual(listAt(parsed(gone.out), 'unmapped'), [])
  const table = await run(['discover', 'contoso', '--only', 'gone'], alice)
  assert.match(table.out, new RegExp(`^${scoutDid} +market-scout-agent +${contoso.agents.scout} +agentIdentity$`, 'm'))
  assert.ok(![analystDid, reporterDid].some((did) => table.out.includes(did)))
  assert.deepEqual(
    readdirSync(world.folder).filter((name) => name.endsWith('.part')),
    [],
  )
})

test('JSON and JSON lines are taken as they are written, and a directory that fails in the middle writes nothing', async () => {
  await using world = await startWorld({}, { pageSize: 1 })
  await using daemon = await world.daemon()
  const { plain } = shadows(world)
  const alice = as(daemon, 'alice')
  for (const ending of ['json', 'jsonl']) {
    const file = join(world.folder, `shadow.${ending}`)
    const found = await run(['discover', 'contoso', '--out', file], alice)
    assert.equal(found.code, 0, found.err)
    const text = readFileSync(file, 'utf8')
    const faults = await run(['agents', 'import', file, '--json'], alice)
    const lines = listAt(parsed(faults.out), 'faults').map((one) => at(one, 'line'))
    const first = ending === 'json' ? 2 : 1
    assert.deepEqual(
      lines,
      lines.map((_, n) => n + first),
    )
    assert.ok(lines.length > 5, text)
    const rows = text.split('\n').filter((line) => line.includes(plain))
    const edited = rows.map((line) => line.replace('"did":""', `"did":"did:mesh:${ending}"`).replace(/,$/, ''))
    writeFileSync(file, ending === 'json' ? `[${edited[0]}]` : `${edited[0]}\n`)
    const dry = await run(['agents', 'import', file, '--dry-run'], alice)
    assert.deepEqual([dry.code, dry.out], [0, 'ok: all 1 rows would be imported'], dry.err)
  }
  const file = join(world.folder, 'never.csv')
  let calls = 0
  world.tenant.fail(({ path }) => path.includes('microsoft.graph.agentIdentity') && ++calls > 3, {
    status: 403,
    times: 999,
  })
  const failed = await run(['discover', 'contoso', '--out', file], alice)
  assert.deepEqual([failed.code, failed.out], [75, ''], failed.err)
  assert.match(failed.err, /E_DIRECTORY_FORBIDDEN[\s\S]*Nothing was written/)
  assert.ok(!existsSync(file))
})

test('what cannot be meant is refused before anything is read', async () => {
  await using world = await startWorld()
  await using daemon = await world.daemon()
  const file = join(world.folder, 'x.csv')
  for (const [args, says, code] of [
    [['contoso', '--only', 'both'], /no finding both/, 64],
    [['contoso', '--out', join(world.folder, 'x.txt')], /does not say what it is/, 64],
    [['contoso', '--out', file, '--only', 'gone'], /cannot be imported/, 64],
    [['nowhere'], /E_NOT_FOUND/, 64],
  ] as const) {
    const ended = await run(['discover', ...args], as(daemon, 'alice'))
    assert.equal(ended.code, code, ended.err)
    assert.match(ended.err, says)
  }
  assert.equal((await run(['discover', 'contoso'], as(daemon, 'gateway'))).code, 77)
  assert.ok(!existsSync(file))
})
