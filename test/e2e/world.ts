import { createHash, generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type EntraTenant, type EntraTenantOptions, startEntraTenant } from '../../sandbox/entra/index.ts'
import { type Contoso, seedContoso } from '../../sandbox/entra/seed.ts'
import { type Client, client } from './client.ts'
import { parsed, textAt } from './json.ts'
import { type Process, startProcess } from './process.ts'
import { openStream, type Stream } from './stream.ts'

export const audience = 'api://agents'
export const hookKey = 'a-key-of-the-event-subscription'
/** The bridge is told so; the tenant of the tests answers with its present state at once, so half a second is generous. */
export const settleMs = 500

export const people = {
  alice: ['operator'],
  bob: ['operator'],
  runtime: ['runtime'],
  gateway: ['gateway'],
  registrar: ['registrar'],
} as const
export type Person = keyof typeof people

export const tokenOf = (name: string): string => `token-of-${name}`
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
export const clientEntry = (name: string, role: readonly string[]) => ({
  name,
  role,
  tokenSha256: sha256(tokenOf(name)),
})

/** Members written over the configuration, to any depth. */
export type Overrides = { readonly [key: string]: unknown }

const isPlain = (value: unknown): value is Overrides =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const merged = (base: unknown, over: unknown): unknown => {
  if (!isPlain(base) || !isPlain(over)) return over
  const keys = new Set([...Object.keys(base), ...Object.keys(over)])
  return Object.fromEntries(
    [...keys].map((key) => [key, Object.hasOwn(over, key) ? merged(base[key], over[key]) : base[key]]),
  )
}

export interface Daemon extends AsyncDisposable {
  readonly origin: string
  readonly process: Process
  as(name: Person | string): Client
  /** Without a token. */
  readonly nobody: Client
  stream(name: Person, lastEventId?: string): Promise<Stream>
  /** Lines of the log with this message, parsed. */
  log(message: string): readonly unknown[]
}

export interface World extends AsyncDisposable {
  readonly folder: string
  readonly configFile: string
  readonly databaseFile: string
  readonly keyFile: string
  readonly tenant: EntraTenant
  readonly contoso: Contoso
  configure(overrides?: Overrides): void
  /** A daemon that listens; ended with the world at the latest. Another program may start it, with arguments after the file. */
  daemon(program?: string, ...args: readonly string[]): Promise<Daemon>
  /** The daemon that a process of the caller's becomes. */
  attach(process: Process): Promise<Daemon>
}

export const isMessage = (message: string) => (line: string) => {
  const value = parsed(line)
  return typeof value === 'object' && value !== null && 'msg' in value && value.msg === message
}

/** A seeded tenant on loopback, a folder and a configuration file for a daemon on it. */
export const startWorld = async (overrides: Overrides = {}, options: EntraTenantOptions = {}): Promise<World> => {
  await using stack = new AsyncDisposableStack()
  const folder = mkdtempSync(join(tmpdir(), 'idp-bridge-e2e-'))
  stack.defer(() => rmSync(folder, { recursive: true, force: true }))
  const tenant = stack.use(await startEntraTenant(options))
  const contoso = seedContoso(tenant)
  const configFile = join(folder, 'bridge.yaml')
  const databaseFile = join(folder, 'bridge.db')
  const keyFile = join(folder, 'ed25519.pem')
  const { privateKey } = generateKeyPairSync('ed25519')
  writeFileSync(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })

  const configure = (more: Overrides = {}) => {
    const base = {
      version: 1,
      server: { host: '127.0.0.1', port: 0 },
      store: { url: `sqlite:${databaseFile}` },
      auth: { clients: Object.entries(people).map(([name, role]) => clientEntry(name, role)) },
      policy: { confirmReleaseAfter: '200ms' },
      signing: { keys: [{ file: keyFile }] },
      adapters: {
        contoso: {
          kind: 'entra',
          tenantId: tenant.tenantId,
          endpoints: { graph: tenant.origin, authority: tenant.origin },
          credential: { type: 'clientSecret', clientId: contoso.bridge.appId, secret: contoso.bridge.secret },
          settle: `${settleMs}ms`,
          tokens: { audiences: [audience] },
          groups: { [contoso.groups.customerData]: ['read:customer-data', 'read:reports'] },
          sync: { accounts: '* * * * * *', groups: '* * * * * *' },
          hooks: { eventGrid: { auth: 'key', key: hookKey } },
        },
      },
    }
    writeFileSync(configFile, JSON.stringify(merged(merged(base, overrides), more), null, 2))
  }
  configure()

  // Daemons are added later, so they end before the tenant and the folder they use.
  const held = stack.move()
  const attach = async (process: Process): Promise<Daemon> => {
    held.use(process)
    const line = await process.line('the daemon listens', isMessage('listening'), 60_000)
    const origin = textAt(parsed(line), 'origin')
    return {
      origin,
      process,
      as: (name) => client(origin, tokenOf(name)),
      nobody: client(origin, undefined),
      stream: (name, lastEventId) => openStream(origin, tokenOf(name), lastEventId),
      log: (message) => process.lines.filter(isMessage(message)).map(parsed),
      [Symbol.asyncDispose]: () => process[Symbol.asyncDispose](),
    }
  }

  const daemon: World['daemon'] = (program, ...args) =>
    attach(
      program === undefined
        ? startProcess(['run', '--config', configFile])
        : startProcess([configFile, ...args], { program }),
    )

  return {
    folder,
    configFile,
    databaseFile,
    keyFile,
    tenant,
    contoso,
    configure,
    daemon,
    attach,
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}
