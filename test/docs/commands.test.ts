import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Command, CommanderError } from 'commander'
import { z } from 'zod'
import { read } from '../golden/markdown.ts'
import { silentProgram } from '../golden/silent.ts'
import { listen } from '../http/listen.ts'
import { inlineCommands, pages, shellBlocks } from './blocks.ts'

/**
 * Every shell block of README and docs is run by bash, with stand-ins for all that is not bash: each writes down how it was
 * called. So quoting, loops and functions are those of the page. Those of docs/running and docs/runbooks are also run for
 * real, in running.test.ts; `npm start` and `npm test` are run by CI.
 */

/** Of others: that they are called, and with arguments, is all that can be said without a cloud or a host. */
const foreign = ['az', 'aws', 'spire-server', 'systemctl', 'pip', 'kubectl', 'docker', 'helm']
const ours = ['idp-bridge', 'npm', 'node', 'curl']
const local = ['sqlite3', 'openssl', 'jq', 'uuidgen', 'df', 'cp', 'mkdir', 'sed']
const real = ['date', 'head', 'sha256sum', 'cut', 'tee', 'sort', 'uniq', 'cat']

interface Call {
  readonly name: string
  readonly args: readonly string[]
  readonly page: string
}

const place = (name: string): string | undefined =>
  (process.env['PATH'] ?? '')
    .split(':')
    .map((folder) => join(folder, name))
    .find(existsSync)

const recorded = (): readonly Call[] => {
  const folder = mkdtempSync(join(tmpdir(), 'idp-bridge-docs-'))
  try {
    const bin = join(folder, 'bin')
    mkdirSync(bin)
    // One file for each process: those of a pipeline run at the same time, and would write into each other's lines.
    const record = join(folder, 'calls')
    const standIn = `#!/bin/sh\n{ printf '%s\\0' "\${0##*/}" "$@"; printf '\\n\\0'; } >> '${record}/'$$\n`
    for (const name of [...foreign, ...ours, ...local]) {
      writeFileSync(join(bin, name), standIn)
      chmodSync(join(bin, name), 0o755)
    }
    for (const name of real) {
      const path = place(name)
      if (path !== undefined) symlinkSync(path, join(bin, name))
    }
    const bash = place('bash')
    assert.ok(bash !== undefined, 'bash is needed to read the commands of the pages')
    return pages.flatMap((page) => {
      mkdirSync(record)
      const env = { PATH: bin, URL: 'http://127.0.0.1:8480', BRIDGE: 'http://127.0.0.1:8480', HOOK_KEY: 'key' }
      const more = { IDP_BRIDGE_URL: 'http://127.0.0.1:8480', DID: 'did:mesh:a', HOLD: 'h', RELEASE: 'r', KILL: 'k' }
      const text = shellBlocks(page).join('\n')
      try {
        const options = { cwd: folder, env: { ...env, ...more }, stdio: 'pipe', encoding: 'utf8' } as const
        execFileSync(bash, ['-e', '-o', 'pipefail', '-c', `${text}\n:`], options)
      } catch (error) {
        assert.fail(`${page}: ${String(error)}`)
      }
      const written = readdirSync(record).map((name) => readFileSync(join(record, name), 'utf8'))
      rmSync(record, { recursive: true })
      return written
        .join('')
        .split('\0\n\0')
        .filter((line) => line !== '')
        .map((line) => line.split('\0'))
        .map(([name = '', ...args]) => ({ name, args, page }))
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const calls = recorded()
const of = (name: string) => calls.filter((call) => call.name === name)
const inline = (name: string) =>
  pages.flatMap((page) =>
    inlineCommands(page)
      .map((text) => text.split(/ +/))
      .filter(([first]) => first === name)
      .map(([, ...args]) => ({ name, args, page })),
  )

test('every command of README and docs is one of those declared here, and is called with something', () => {
  assert.ok(calls.length > 60, `${calls.length} calls`)
  for (const { name, args, page } of calls) assert.ok(args.length > 0 || local.includes(name), `${page}: ${name}`)
})

/** Those that do something by themselves: of the ones with commands of their own, only `sandbox` does. */
const doing = (command: Command): readonly Command[] => [
  ...(command.commands.length === 0 || command.name() === 'sandbox' ? [command] : []),
  ...command.commands.flatMap(doing),
]

test('every call of idp-bridge is a command that there is, with its options and arguments', async () => {
  const program = () => {
    const made = silentProgram()
    for (const one of doing(made)) one.action(() => undefined)
    return made
  }
  const shown = ['commander.version', 'commander.helpDisplayed']
  // In a sentence a command may be named without what it is given.
  const named = [...shown, 'commander.missingArgument', 'commander.optionMissingArgument']
  const asked = [
    ...of('idp-bridge').map((call) => ({ ...call, fine: shown })),
    ...inline('idp-bridge').map((call) => ({ ...call, fine: named })),
  ]
  assert.ok(asked.length > 20)
  for (const { args, fine, page } of asked) {
    try {
      await program().parseAsync(args, { from: 'user' })
    } catch (error) {
      const isFine = error instanceof CommanderError && fine.includes(error.code)
      assert.ok(isFine, `${page}: idp-bridge ${args.join(' ')}: ${String(error)}`)
    }
  }
  await assert.rejects(program().parseAsync(['backup', 'x', '--no-such'], { from: 'user' }), CommanderError)
})

test('every npm script is one of the package', () => {
  const { scripts } = z.object({ scripts: z.record(z.string(), z.string()) }).parse(JSON.parse(read('package.json')))
  const asked = [...of('npm'), ...inline('npm')]
  assert.ok(asked.length > 3)
  for (const { args, page } of asked) {
    const [verb = '', ...rest] = args
    if (['ci', 'sbom', 'pack'].includes(verb)) continue
    const name = verb === 'run' ? rest.find((word) => !word.startsWith('-')) : verb
    assert.ok(name !== undefined && name in scripts, `${page}: npm ${args.join(' ')}`)
  }
})

const withValue = ['-X', '-H', '-d', '-u', '-w', '-o', '--data-urlencode']
const flags = /^-[fsSNL]+$/

test('every request by curl to the bridge is to a route that there is, with JSON where it sends some', async () => {
  await using server = await listen()
  const { json } = await server.ask('/openapi.json')
  const { paths } = z.object({ paths: z.record(z.string(), z.record(z.string(), z.unknown())) }).parse(json)
  const routes = Object.entries(paths).map(([path, methods]) => ({
    pattern: new RegExp(`^${path.replaceAll(/\{[^}]+\}/g, '[^/]+')}$`),
    methods: Object.keys(methods),
  }))
  let checked = 0
  for (const { args, page } of of('curl')) {
    const told = `${page}: curl ${args.join(' ')}`
    const given = new Map<string, string>()
    const rest: string[] = []
    for (let at = 0; at < args.length; at++) {
      const word = args[at] ?? ''
      if (withValue.includes(word)) given.set(word, args[++at] ?? '')
      else if (flags.test(word)) continue
      else rest.push(word)
    }
    const [address, ...others] = rest
    assert.ok(address !== undefined && others.length === 0, told)
    const url = new URL(address)
    if (given.has('-d')) assert.doesNotThrow(() => JSON.parse(given.get('-d') ?? ''), told)
    if (url.hostname !== '127.0.0.1' && url.hostname !== 'bridge.contoso.com') continue
    const body = given.has('-d') || given.has('--data-urlencode')
    const method = (given.get('-X') ?? (body ? 'POST' : 'GET')).toLowerCase()
    const plain = ['/healthz', '/readyz'].includes(url.pathname)
    const found = routes.some((route) => route.pattern.test(url.pathname) && route.methods.includes(method))
    assert.ok(plain || found, told)
    checked += 1
  }
  assert.ok(checked > 40, `${checked} requests`)
})
