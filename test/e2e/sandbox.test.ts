import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { env as environment } from 'node:process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { at, listAt, parsed } from './json.ts'
import { type Process, run, startProcess } from './process.ts'
import { openStream } from './stream.ts'
import { until } from './until.ts'

const root = resolve(import.meta.dirname, '../..')
const execute = promisify(execFile)
const isMissing = (tool: string) => spawnSync(tool, ['--version']).error !== undefined

interface Tour {
  readonly process: Process
  /** The commands printed, in order. */
  readonly commands: readonly string[]
  /** The home folder of whoever pastes. */
  readonly folder: string
  /** Where the sandbox puts what it needs. */
  readonly temporary: string
  /** Shell variables that commands of the tour have set. */
  readonly kept: Map<string, string>
}

const freePorts = ['entra', 'okta', 'aws', 'spire'].flatMap((name) => [`--${name}-port`, '0'])

const sandbox = async (stack: AsyncDisposableStack): Promise<Tour> => {
  const folder = mkdtempSync(join(tmpdir(), 'idp-bridge-tour-'))
  const home = mkdtempSync(join(tmpdir(), 'idp-bridge-home-'))
  for (const made of [folder, home]) stack.defer(() => rmSync(made, { recursive: true, force: true }))
  const args = ['sandbox', '--port', '0', ...freePorts]
  const process = stack.use(startProcess(args, { env: { TMPDIR: folder } }))
  await process.line('the end of the tour', (line) => line.includes('audit verify'), 120_000)
  const commands = process.lines.filter((line) => /^ {2}([A-Z]+=.*)?(curl|npm) /.test(line)).map((line) => line.trim())
  return { process, commands, folder: home, kept: new Map(), temporary: folder }
}

/** Pastes a command into a shell with the variables kept so far; a command that fails rejects. */
const paste = async ({ folder, kept }: Tour, command: string): Promise<{ out: string; body: unknown }> => {
  const [, name] = /^([A-Z]+)=/.exec(command) ?? []
  const script = name === undefined ? command : `${command}\necho "$${name}"`
  const { stdout } = await execute('sh', ['-c', script], {
    cwd: root,
    env: { PATH: environment.PATH, HOME: folder, npm_config_update_notifier: 'false', ...Object.fromEntries(kept) },
    timeout: 60_000,
  })
  const out = stdout.trim()
  if (name !== undefined) kept.set(name, out)
  return { out, body: parsed(out) }
}

const find = ({ commands }: Tour, part: string, nth = 0): string => {
  const found = commands.filter((line) => line.includes(part))[nth]
  assert.ok(found !== undefined, `no command with ${part} in the tour:\n${commands.join('\n')}`)
  return found
}

test('npm start: the tour does what it says when pasted, and Ctrl-C leaves nothing behind', {
  skip: ['sh', 'curl', 'npm'].some(isMissing) && 'the tour is for a shell with curl and npm',
}, async () => {
  await using stack = new AsyncDisposableStack()
  const tour = await sandbox(stack)
  const step = (part: string, nth = 0) => paste(tour, find(tour, part, nth))
  const isAllowed = async (nth = 0) => at((await step('/v1/decisions', nth)).body, 'allow') === true
  await until('step 1 allows', () => isAllowed())

  const [, origin = '', token = ''] =
    /"(http[^"]+)\/v1\/signals" -H "authorization: Bearer ([^"]+)"/.exec(find(tour, '/v1/signals')) ?? []
  await using stream = await openStream(origin, token)
  await stream.frame('a snapshot', ({ event }) => event === 'snapshot')

  const killed = await step('/v1/kill')
  const told = await stream.frame('the kill', ({ event }) => event === 'suspended')
  assert.equal(at(told.data, 'holdId'), killed.out)
  assert.equal(await isAllowed(), false)
  await until('the list shows the agent and its child off', async () => {
    const { out } = await step('sandbox entra list')
    return /disabled +data-analyst-agent/.test(out) && /disabled +report-writer-agent/.test(out)
  })

  await until('the list shows both off in Okta, too, and the service app of the agent', async () => {
    const { out } = await step('sandbox okta list')
    return (
      /disabled +data-analyst-agent@\S+ +SUSPENDED/.test(out) &&
      /disabled +report-writer-agent@\S+ +SUSPENDED/.test(out) &&
      /disabled +data-analyst-agent +INACTIVE/.test(out)
    )
  })

  await until('the list shows its role denied everything in AWS, and the user of its child off', async () => {
    const { out } = await step('sandbox aws list')
    return /disabled +data-analyst-agent +AgentMeshSuspended/.test(out) && /disabled +report-writer-agent@/.test(out)
  })

  await until('the list shows its workload suspended in SPIRE', async () =>
    /agents\/data-analyst-agent +disabled .*1 suspended/.test((await step('sandbox spire list')).out),
  )

  await until('the receipt is valid, and shows all six accounts closed', async () => {
    const { out } = await step('receipt verify')
    assert.match(out, /^valid: signed by /)
    return [...out.matchAll(/^ +closed +account /gm)].length === 6
  })

  await step('/release')
  assert.equal(at((await step('/approve')).body, 'status'), 'active')
  assert.equal(await isAllowed(), true)
  const anyOff = async (list: string) => (await step(list)).out.includes('disabled')
  await until('all are on again', async () => !(await anyOff('sandbox entra list')), 60_000)
  await until('in Okta, too', async () => !(await anyOff('sandbox okta list')), 60_000)
  await until('and in AWS', async () => !(await anyOff('sandbox aws list')), 60_000)
  await until('and in SPIRE', async () => !(await anyOff('sandbox spire list')), 60_000)

  await step('sandbox entra disable')
  await until('the other agent is denied', async () => !(await isAllowed(1)))

  await step('sandbox okta disable')
  await until('suspended in Okta, it is off in Entra', async () =>
    /disabled +payment-reconciler-agent/.test((await step('sandbox entra list')).out),
  )

  await step('sandbox aws disable')
  await until('a user of Identity Center is off, and its agent denied', async () => !(await isAllowed(2)))

  await step('sandbox entra leave')
  const left = async () => {
    const { body } = await step('/v1/agents/did:agentmesh:data-analyst:a7f3b2c1d4e5f607"')
    const names = listAt(body, 'capabilities').map((one) => at(one, 'name'))
    return names.join() === 'read:catalogue,write:notes'
  }
  await until('only the capabilities of its own and of its blueprint are left', left)

  assert.equal(listAt((await step('/v1/audit?limit=5')).body, 'items').length, 5)
  assert.match((await step('audit verify')).out, /chain holds/)

  assert.equal(readdirSync(tour.temporary).length, 2, "the sandbox's folder, and the sockets of SPIRE")
  tour.process.signal('SIGINT')
  const ended = await tour.process.ended()
  assert.equal(ended.code, 0, ended.err)
  assert.equal(ended.err, '')
  assert.deepEqual(readdirSync(tour.temporary), [], 'its folder is gone')
})

test('a sandbox whose port is taken says which option helps, and leaves nothing behind', async () => {
  await using stack = new AsyncDisposableStack()
  const tour = await sandbox(stack)
  const [, port = ''] = /127\.0\.0\.1:(\d+)/.exec(find(tour, '/v1/decisions')) ?? []
  const folder = mkdtempSync(join(tmpdir(), 'idp-bridge-tour-'))
  stack.defer(() => rmSync(folder, { recursive: true, force: true }))
  const second = await run(['sandbox', '--port', port, ...freePorts], {
    env: { TMPDIR: folder },
  })
  assert.equal(second.code, 64, second.err)
  assert.match(second.err, new RegExp(`Port ${port} is taken`))
  assert.match(second.err, /--port/)
  assert.deepEqual(readdirSync(folder), [])
})
