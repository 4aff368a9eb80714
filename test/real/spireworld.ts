import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { freePort } from '../e2e/freeport.ts'
import { leash } from '../e2e/leash.ts'
import { at, text } from '../sandbox/client.ts'
import { SpireClient } from '../sandbox/spireclient.ts'
import type { SpirePrograms } from './spireinstall.ts'

const execute = promisify(execFile)

export interface RealSpire extends AsyncDisposable {
  /** Of the server API: `unix:///…/api.sock`. */
  readonly socket: string
  /** The same over TLS: `127.0.0.1:port`. */
  readonly address: string
  /** Of the Workload API. */
  readonly workload: string
  readonly trustDomain: string
  /** SPIFFE ID of the one agent. */
  readonly agentId: string
  /** `type:value` of every process of this user, as the agent attests it. */
  readonly selector: string
  /** Runs a command of the server, such as `bundle show`: what it printed. */
  command(...args: readonly string[]): Promise<string>
}

/** A program that runs until it is ended; what it said last is in the error when it ends by itself. */
const running = (folder: string, program: string, args: readonly string[]) => {
  const child = spawn(program, [...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  leash(child, folder)
  const said: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      said.push(line)
      if (said.length > 50) said.shift()
    })
  }
  const ended = once(child, 'close')
  return {
    /** Throws when it is no more. */
    check: () => {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${program} ended: ${said.join('\n')}`)
    },
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await ended
    },
  }
}

const serverConfig = (folder: string, port: number, trustDomain: string, adminIds: readonly string[]) => `
server {
  bind_address = "127.0.0.1"
  bind_port = "${port}"
  socket_path = "${folder}/server/api.sock"
  trust_domain = "${trustDomain}"
  data_dir = "${folder}/server"
  log_level = "WARN"
  admin_ids = ${JSON.stringify(adminIds)}
}
plugins {
  DataStore "sql" {
    plugin_data {
      database_type = "sqlite3"
      connection_string = "${folder}/server/datastore.sqlite3"
    }
  }
  NodeAttestor "join_token" {
    plugin_data {}
  }
  KeyManager "memory" {
    plugin_data = {}
  }
}
`

const agentConfig = (folder: string, port: number, trustDomain: string) => `
agent {
  data_dir = "${folder}/agent"
  server_address = "127.0.0.1"
  server_port = "${port}"
  socket_path = "${folder}/agent/public/api.sock"
  trust_domain = "${trustDomain}"
  trust_bundle_path = "${folder}/bundle.pem"
  log_level = "WARN"
}
plugins {
  NodeAttestor "join_token" {
    plugin_data {}
  }
  KeyManager "memory" {
    plugin_data {}
  }
  WorkloadAttestor "unix" {
    plugin_data {}
  }
}
`

/** A SPIRE server with one agent on loopback, with the intervals they have by themselves, removed afterwards. */
export const startRealSpire = async (
  programs: SpirePrograms,
  { adminIds = [], trustDomain = 'example.org' }: { adminIds?: readonly string[]; trustDomain?: string } = {},
): Promise<RealSpire> => {
  await using stack = new AsyncDisposableStack()
  const folder = mkdtempSync(join(tmpdir(), 'spire-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  await mkdir(join(folder, 'server'), { mode: 0o700 })
  await mkdir(join(folder, 'agent'), { mode: 0o700 })
  const port = await freePort()
  const [serverFile, agentFile, socketPath] = ['server.conf', 'agent.conf', 'server/api.sock'].map((name) =>
    join(folder, name),
  )
  if (serverFile === undefined || agentFile === undefined || socketPath === undefined) throw new Error('no paths')
  await writeFile(serverFile, serverConfig(folder, port, trustDomain, adminIds))
  await writeFile(agentFile, agentConfig(folder, port, trustDomain))
  const server = stack.use(running(folder, programs.server, ['run', '-config', serverFile]))
  const socket = `unix://${socketPath}`
  const command = async (...args: readonly string[]) => {
    const { stdout } = await execute(programs.server, [...args, '-socketPath', socketPath])
    return stdout
  }
  const healthy = async (program: string, path: string, check: () => void) => {
    const probe = () => execute(program, ['healthcheck', '-socketPath', path]).catch(() => undefined)
    while ((await probe()) === undefined) check()
  }
  await healthy(programs.server, socketPath, server.check)
  await writeFile(join(folder, 'bundle.pem'), await command('bundle', 'show'))
  const [, token = ''] = /Token: (\S+)/.exec(await command('token', 'generate', '-ttl', '600')) ?? []
  const agent = stack.use(running(folder, programs.agent, ['run', '-config', agentFile, '-joinToken', token]))
  const agentSocket = join(folder, 'agent', 'public', 'api.sock')
  await healthy(programs.agent, agentSocket, agent.check)
  using client = new SpireClient(socket)
  const { path, trust_domain } = Object(at(await client.get('ListAgents', {}), 'agents', 0, 'id'))
  const kept = stack.move()
  return {
    socket,
    address: `127.0.0.1:${port}`,
    workload: `unix://${agentSocket}`,
    trustDomain,
    agentId: `spiffe://${text(trust_domain)}${text(path)}`,
    selector: `unix:uid:${process.getuid?.()}`,
    command,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}
