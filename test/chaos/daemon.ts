import { createHash, generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type Answer, type Ask, client } from '../e2e/client.ts'
import { at, parsed, textAt } from '../e2e/json.ts'
import { type Process, startProcess } from '../e2e/process.ts'
import { isMessage } from '../e2e/world.ts'
import { type AdapterName, adapters, capabilityOf, type Tenancies } from './fleet.ts'
import type { Journal } from './journal.ts'
import { groupNames } from './tenancy.ts'

const people = {
  alice: ['operator'],
  bob: ['operator'],
  carol: ['operator'],
  runtime: ['runtime'],
  gateway: ['gateway'],
  registrar: ['registrar'],
} as const
export type Person = keyof typeof people

export const tokenOf = (name: string): string => `chaos-token-of-${name}`

/** The intervals of a run and what they stand for: the run is as many times faster as the least of the quotients. */
export const pace = {
  syncMs: { chaos: 1_000, real: 30_000 },
  settleMs: { chaos: 2_000, real: 300_000 },
  confirmMs: { chaos: 1_000, real: 30_000 },
  groupsMs: { chaos: 2_000, real: 300_000 },
}
export const compression = Math.min(...Object.values(pace).map(({ chaos, real }) => real / chaos))

const startMs = 120_000

/** Runs the real daemon as a child on one store, through every crash of it. */
export class Supervisor implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'idp-bridge-chaos-'))
  readonly database = join(this.folder, 'bridge.db')
  readonly configFile = join(this.folder, 'bridge.yaml')
  readonly #clockFile = join(this.folder, 'clock')
  readonly #tenancies: Tenancies
  readonly #journal: Journal
  #process: Process | undefined
  #origin: string | undefined
  kills = 0
  starts = 0

  constructor(tenancies: Tenancies, journal: Journal, resume: 'approval' | 'automatic') {
    this.#tenancies = tenancies
    this.#journal = journal
    const key = join(this.folder, 'ed25519.pem')
    const { privateKey } = generateKeyPairSync('ed25519')
    writeFileSync(key, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
    writeFileSync(this.#clockFile, '0')
    writeFileSync(this.configFile, JSON.stringify(this.#config(key, resume), null, 2))
  }

  #config(key: string, resume: string) {
    const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
    const ms = (name: keyof typeof pace) => `${pace[name].chaos}ms`
    return {
      version: 1,
      server: { host: '127.0.0.1', port: 0 },
      store: { url: `sqlite:${this.database}` },
      auth: {
        clients: Object.entries(people).map(([name, role]) => ({
          name,
          role,
          tokenSha256: sha256(tokenOf(name)),
        })),
        killBudget: { max: 1_000_000, per: '10m' },
      },
      policy: {
        confirmReleaseAfter: ms('confirmMs'),
        resume,
        maxStaleness: { warn: '30s', deny: '48m' },
        guard: { window: '20s', minAgents: 1000, suspend: { max: 15 }, resume: { max: 8 } },
      },
      signing: { keys: [{ file: key }] },
      adapters: Object.fromEntries(
        adapters.map((name) => {
          const { config, groups } = this.#tenancies[name]
          return [
            name,
            {
              ...config,
              settle: ms('settleMs'),
              groups: Object.fromEntries(groupNames.map((one) => [groups[one], [capabilityOf[one]]])),
              sync: { accounts: '* * * * * *', groups: '*/2 * * * * *', full: '*/20 * * * * *' },
            },
          ]
        }),
      ),
    }
  }

  /** Undefined while it is down. */
  get origin(): string | undefined {
    return this.#origin
  }

  async start(): Promise<void> {
    const env = {
      NODE_OPTIONS: `--import=${resolve(import.meta.dirname, 'clock.ts')}`,
      CHAOS_CLOCK: this.#clockFile,
    }
    writeFileSync(this.#clockFile, '0')
    const process = startProcess(['run', '--config', this.configFile], { env })
    this.#process = process
    const line = await process.line('the daemon listens', isMessage('listening'), startMs)
    this.#origin = textAt(parsed(line), 'origin')
    this.starts += 1
    this.#journal.note('daemon', [], `listens, pid ${process.pid}`)
    for (const name of adapters) void this.#subscribe(name, this.#origin)
  }

  async #subscribe(name: AdapterName, origin: string): Promise<void> {
    try {
      await this.#tenancies[name].subscribe(`${origin}/hooks/${name}`)
    } catch (error) {
      this.#journal.note('hooks', [], `${name}: ${String(error)}`)
    }
  }

  /** SIGKILL, wherever it is, and a new start on what it left. */
  async crash(): Promise<void> {
    this.#journal.note('daemon', [], 'kill -9')
    this.kills += 1
    this.#origin = undefined
    this.#process?.signal('SIGKILL')
    await this.#process?.ended()
    this.#readLog()
  }

  /** The daemon's own clock is that much off from now on; a restart sets it right. */
  setClockOff(ms: number): void {
    this.#journal.note('daemon', [], `its clock is ${ms / 1000} s off`)
    writeFileSync(this.#clockFile, String(ms))
    this.#process?.signal('SIGUSR2')
  }

  /** SIGTERM; resolves to its exit code. */
  async stop(): Promise<number | undefined> {
    this.#origin = undefined
    this.#process?.signal('SIGTERM')
    const code = (await this.#process?.ended(60_000))?.code
    this.#readLog()
    return code
  }

  /** Errors of a directory are warnings: an error is something that nobody thought of. */
  #readLog(): void {
    const isError = (line: string) =>
      ['error', 'fatal'].includes(String(at(parsed(line), 'level'))) || line.includes('"E_BUG"')
    const bad = this.lines.find(isError)
    this.#journal.check('log', bad === undefined, () => `the daemon logged ${bad}`, [])
  }

  /** What it logged. */
  get lines(): readonly string[] {
    return this.#process?.lines ?? []
  }

  /** The answer, or undefined when there was none: it is down, or died meanwhile. */
  async ask(person: Person, path: string, options: Ask = {}): Promise<Answer | undefined> {
    const origin = this.#origin
    if (origin === undefined) return undefined
    try {
      const answer = await client(origin, tokenOf(person)).ask(path, { timeoutMs: 60_000, ...options })
      // Going down: nothing was done, nothing is told.
      return at(answer.body, 'code') === 'E_SHUTTING_DOWN' ? undefined : answer
    } catch (error) {
      if (this.#origin === origin) this.#journal.note('http', [], `${path}: ${String(error)}`)
      return undefined
    }
  }

  post(person: Person, path: string, body: unknown): Promise<Answer | undefined> {
    return this.ask(person, path, { method: 'POST', body })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process?.[Symbol.asyncDispose]()
  }
}
