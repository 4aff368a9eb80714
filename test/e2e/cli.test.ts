import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execPath } from 'node:process'
import { test } from 'node:test'
import { at, listAt, parsed } from './json.ts'
import { main, run } from './process.ts'
import { type Overrides, startWorld, type World } from './world.ts'

const check = (world: World, ...more: readonly string[]) => run(['check-config', '--config', world.configFile, ...more])

test('check-config says ok and what it found, for people and for programs', async () => {
  await using world = await startWorld()
  const plain = await check(world)
  assert.equal(plain.code, 0, plain.err)
  assert.equal(plain.out, `ok ${world.configFile}: 5 clients, adapters: contoso (entra)`)
  const json = await check(world, '--json')
  assert.equal(json.code, 0)
  assert.deepEqual(parsed(json.out), { ok: true, faults: [] })
  const named = await run(['check-config'], { env: { IDP_BRIDGE_CONFIG: world.configFile } })
  assert.equal(named.code, 0, named.err)
})

test('check-config names every fault at once, with its place and how to mend it, and exits 78', async () => {
  await using world = await startWorld()
  world.configure({
    colour: 'red',
    store: { url: 'postgres://localhost/bridge' },
    auth: { oidc: {} },
    policy: { confirmReleaseAfter: 'soon' },
    adapters: { contoso: { tenantId: 'contoso.onmicrosoft.com', groups: { 'agents-finance': ['read:ledger'] } } },
  })
  const ended = await check(world)
  assert.equal(ended.code, 78)
  assert.equal(ended.out, '')
  const faults = parsed((await check(world, '--json')).out)
  const paths = listAt(faults, 'faults').map((fault) => at(fault, 'path'))
  for (const path of [
    'colour',
    'store.url',
    'auth.oidc',
    'policy.confirmReleaseAfter',
    'adapters.contoso.tenantId',
    'adapters.contoso.groups.agents-finance',
  ]) {
    assert.ok(ended.err.includes(path), `${path} in ${ended.err}`)
    assert.ok(paths.includes(path), `${path} in ${JSON.stringify(paths)}`)
  }
  for (const fault of listAt(faults, 'faults')) assert.ok(Number(at(fault, 'line')) > 0, JSON.stringify(fault))
  assert.match(ended.err, /bridge\.yaml:\d+:\d+: /)
  const started = await run(['run', '--config', world.configFile])
  assert.equal(started.code, 78)
  assert.match(started.err, /agents-finance/)
})

test('faulty files are refused with exit 78 by check-config and by run, and never print a secret', async () => {
  await using world = await startWorld()
  const secret = 'a-very-secret-word'
  const cases: Readonly<Record<string, readonly [Overrides | string, RegExp]>> = {
    'invalid YAML': ['version: 1\n  auth: [', /bridge\.yaml:\d+:\d+/],
    'an empty file': ['', /mapping/],
    'a missing variable': [{ outbound: { proxy: `$\{NO_SUCH_VARIABLE}` } }, /NO_SUCH_VARIABLE/],
    'a secret in a file that is not there': [
      { adapters: { contoso: { credential: { secret: { file: join(world.folder, 'none') } } } } },
      /credential\.secret/,
    ],
    'a secret that is no reference': [
      { adapters: { contoso: { credential: { secret: { env: secret } } } } },
      /credential\.secret/,
    ],
    'a signing key that is none': [{ signing: { keys: [secret] } }, /signing\.keys/],
    'a hook key that is too short': [
      { adapters: { contoso: { hooks: { eventGrid: { key: 'short' } } } } },
      /eventGrid\.key/,
    ],
    'no operator': [{ auth: { clients: [] } }, /auth\.clients/],
    'tokens for Microsoft Graph': [
      { adapters: { contoso: { tokens: { audiences: ['https://graph.microsoft.com'] } } } },
      /tokens/,
    ],
    'plain http elsewhere': [
      { adapters: { contoso: { endpoints: { graph: 'http://graph.example.com' } } } },
      /endpoints\.graph/,
    ],
    'a kind that does not exist': [{ adapters: { contoso: { kind: 'ldap' } } }, /adapters\.contoso\.kind/],
  }
  const alsoRun = ['invalid YAML', 'a secret in a file that is not there']
  for (const [name, [content, says]] of Object.entries(cases)) {
    if (typeof content === 'string') writeFileSync(world.configFile, content)
    else world.configure(content)
    // Both read the file the same way: two cases show that the daemon does not start either.
    for (const command of alsoRun.includes(name) ? ['check-config', 'run'] : ['check-config']) {
      const ended = await run([command, '--config', world.configFile])
      assert.equal(ended.code, 78, `${command}, ${name}: ${ended.code} ${ended.err}`)
      assert.match(ended.err, says, `${command}, ${name}`)
      assert.ok(!`${ended.err}${ended.out}`.includes(secret), `${command}, ${name}: a secret is shown`)
      assert.doesNotMatch(ended.err, /\n {4}at /, `${command}, ${name}: a stack is shown`)
    }
  }
})

test('a configuration that was not named or is not there: 64 and 78, with what to do', async () => {
  const none = await run(['run'])
  assert.equal(none.code, 64)
  assert.match(none.err, /--config/)
  const gone = await run(['run', '--config', 'no-such-file.yaml'])
  assert.equal(gone.code, 78)
  assert.match(gone.err, /no-such-file\.yaml/)
})

const commands = [
  [],
  ['run'],
  ['check-config'],
  ['audit'],
  ['audit', 'verify'],
  ['guard'],
  ['guard', 'show'],
  ['guard', 'approve'],
  ['sandbox'],
  ['sandbox', 'entra'],
  ['sandbox', 'entra', 'list'],
  ['sandbox', 'entra', 'show'],
  ['sandbox', 'entra', 'disable'],
  ['sandbox', 'entra', 'enable'],
  ['sandbox', 'entra', 'join'],
  ['sandbox', 'entra', 'leave'],
]

test('--help of every command tells its usage and exits 0', async () => {
  for (const command of commands) {
    const ended = await run([...command, '--help'])
    assert.equal(ended.code, 0, `${command.join(' ')}: ${ended.err}`)
    assert.match(ended.out, new RegExp(`^Usage: idp-bridge ${command.join(' ')}`.trimEnd()))
    assert.equal(ended.err, '')
  }
  const top = await run(['--help'])
  for (const [first] of commands) if (first !== undefined) assert.match(top.out, new RegExp(`^ {2}${first}\\b`, 'm'))
  assert.match(top.out, /Exit codes: 0 as asked/)
  const version = await run(['--version'])
  assert.match(version.out, /^\d+\.\d+\.\d+$/)
  assert.equal(version.code, 0)
})

test('wrong usage exits 64 with the command that helps', async () => {
  for (const args of [['walk'], ['run', '--colour'], ['audit', 'verify', '--head'], ['sandbox', 'entra', 'disable']]) {
    const ended = await run(args)
    assert.equal(ended.code, 64, `${args.join(' ')}: ${ended.code} ${ended.err}`)
    assert.match(ended.err, /error: |--help/)
    assert.equal(ended.out, '')
  }
  const port = await run(['sandbox', '--port', 'many'])
  assert.equal(port.code, 64, port.err)
  const nobody = await run(['sandbox', 'entra', 'list', '--url', 'http://127.0.0.1:9'])
  assert.equal(nobody.code, 69, nobody.err)
})

test('the exit code tells what went wrong, though nobody reads the error', async () => {
  const child = spawn(execPath, [main, 'agents', 'list', '--limit', 'many'], {
    env: {},
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  child.stderr.destroy()
  assert.deepEqual(await once(child, 'exit'), [64, null])
})
