import { execFile } from 'node:child_process'
import { copyFileSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { execPath } from 'node:process'
import { promisify } from 'node:util'
import type { DecisionInput } from '../../src/engine/api.ts'
import { until } from '../e2e/until.ts'
import { type Daemon, startWorld, tokenOf } from '../e2e/world.ts'
import { KeyServer, makeKey, type TestKey, token } from '../unit/issuer.ts'
import { allowed, openDecisions } from './decisions.ts'
import { cpuSeconds, median, type Row, secondsOf, whole } from './figures.ts'
import { openLoad, postOf } from './load.ts'
import { didOf, idOf } from './store.ts'

const run = promisify(execFile)
const ways = ['DID', 'capability', 'account', 'token'] as const
type Way = (typeof ways)[number]

export interface ScaleBench {
  readonly agents: number
  /** Of one decision on an agent of which nothing is remembered, µs of the processor. */
  readonly first: Readonly<Record<Way, number>>
  /** The same against the smallest store, in the same round. */
  readonly firstRatio: Readonly<Record<Way, number>>
  /** Decisions a second of the processor on agents asked about before, by DID. */
  readonly again: number
  readonly againRatio: number
  readonly fillSeconds: number
  readonly databaseMiB: number
  /** Reading all of them into memory, of the processor, and what they take there. */
  readonly rosterSeconds: number
  readonly rosterMiB: number
  /** A real daemon on it: from its start until it is ready. */
  readonly readySeconds: number
  readonly readyMiB: number
  /** From its start until all are in its memory. */
  readonly enlistedSeconds: number
  /** After decisions on `asked` agents. */
  readonly askedMiB: number
  readonly asked: number
}

const perRound = 300

/** So many that are not held, anywhere in the store, each once: every hundredth is held. */
const anyOf = (agents: number): readonly number[] => {
  const chosen = new Set<number>()
  while (chosen.size < perRound) {
    const n = Math.floor(Math.random() * agents)
    if (n % 100 !== 0) chosen.add(n)
  }
  return [...chosen]
}

const questionOf = (way: Way, n: number, key: TestKey): DecisionInput => {
  if (way === 'DID') return { did: didOf(n) }
  if (way === 'capability') return { did: didOf(n), capability: 'read:reports' }
  if (way === 'account') return { principal: { adapter: 'contoso', id: idOf(n) } }
  return { token: token(key, Date.now(), { oid: idOf(n), jti: `${Math.random()}` }) }
}

const figureOf = async ({ nobody }: Daemon, name: string): Promise<number> => {
  const { text } = await nobody.get('/metrics')
  return Number(new RegExp(`^\\w*${name}(?:\\{[^}]*\\})? ([\\d.e+]+)`, 'm').exec(text)?.[1] ?? Number.NaN)
}

const memoryOf = async (daemon: Daemon): Promise<number> =>
  (await figureOf(daemon, 'process_resident_memory_bytes')) / 2 ** 20

/** A daemon whose directory cannot be read, so that nothing is concluded about a million accounts that it does not have. */
const benchStart = async (agents: number, file: string) => {
  const never = '0 0 1 1 *'
  await using world = await startWorld({
    adapters: { contoso: { mirror: 'inbound', sync: { accounts: never, groups: never, full: never } } },
  })
  copyFileSync(file, world.databaseFile)
  world.tenant.setTokenEndpointDown(true)
  const started = performance.now()
  await using daemon = await world.daemon()
  await until('it is ready', async () => (await daemon.nobody.get('/readyz')).status === 200, 300_000)
  const readySeconds = (performance.now() - started) / 1000
  const readyMiB = await memoryOf(daemon)
  await until('all are in memory', async () => (await figureOf(daemon, 'roster_agents')) === agents, 300_000)
  const enlistedSeconds = (performance.now() - started) / 1000
  const asked = Math.min(60_000, agents)
  using load = await openLoad(daemon.origin, 16, (answer) => answer.includes('"allow"'))
  const headers = { authorization: `Bearer ${tokenOf('gateway')}`, 'content-type': 'application/json' }
  const step = agents / asked
  await load.run((n) => postOf('/v1/decisions', headers, JSON.stringify({ did: didOf(Math.floor(n * step)) })), asked)
  const askedMiB = await memoryOf(daemon)
  return { readySeconds, readyMiB, enlistedSeconds, askedMiB, asked }
}

const fill = (file: string, agents: number): Promise<unknown> =>
  run(execPath, [resolve(import.meta.dirname, 'store.ts'), file, `${agents}`])

/** Stores of these sizes asked in turns; then a daemon on each. The first size is what the others are compared with. */
export const benchScale = async (sizes: readonly number[], rounds: number): Promise<ScaleBench[]> => {
  const directory = mkdtempSync(join(tmpdir(), 'bench-scale-'))
  await using stack = new AsyncDisposableStack()
  stack.defer(() => rmSync(directory, { recursive: true, force: true }))
  const key = makeKey('key')
  const server = stack.use(await KeyServer.start(key))
  const stores: {
    agents: number
    file: string
    fillSeconds: number
    rosterSeconds: number
    open: Awaited<ReturnType<typeof openDecisions>>
  }[] = []
  for (const agents of sizes) {
    const file = join(directory, `${agents}.db`)
    const fillSeconds = await secondsOf(() => fill(file, agents))
    const open = await openDecisions(file, server)
    const rosterSeconds = await cpuSeconds(async () => {
      while (await open.roster.read());
    })
    stores.push({ agents, file, fillSeconds, rosterSeconds, open })
  }
  const times = stores.map(() => ({
    DID: [] as number[],
    capability: [] as number[],
    account: [] as number[],
    token: [] as number[],
  }))
  const again = stores.map(() => [] as number[])
  for (let round = -3; round < rounds; round += 1) {
    for (const [at, { agents, open }] of stores.entries()) {
      for (const way of ways) {
        const decider = open.decider()
        const questions = anyOf(agents).map((n) => questionOf(way, n, key))
        const each = async () => {
          for (const question of questions) allowed(await decider.decide(question))
        }
        const first = (await cpuSeconds(each)) / perRound
        const repeated =
          (await cpuSeconds(async () => {
            for (let n = 0; n < 50; n += 1) await each()
          })) /
          (50 * perRound)
        // The first rounds warm up.
        if (round < 0) continue
        times[at]?.[way].push(first * 1e6)
        if (way === 'DID') again[at]?.push(1 / repeated)
      }
    }
  }
  const [base] = times
  const results: ScaleBench[] = []
  for (const [at, { agents, file, fillSeconds, rosterSeconds, open }] of stores.entries()) {
    const rosterMiB = open.roster.bytes / 2 ** 20
    await open.close()
    const of = (way: Way): readonly number[] => times[at]?.[way] ?? []
    const each = (figure: (way: Way) => number) => ({
      DID: figure('DID'),
      capability: figure('capability'),
      account: figure('account'),
      token: figure('token'),
    })
    results.push({
      agents,
      first: each((way) => median(of(way))),
      firstRatio: each((way) => median(of(way).map((one, round) => one / (base?.[way][round] ?? Number.NaN)))),
      again: median(again[at] ?? []),
      againRatio: median((again[at] ?? []).map((one, round) => one / (again[0]?.[round] ?? Number.NaN))),
      fillSeconds,
      databaseMiB: statSync(file).size / 2 ** 20,
      rosterSeconds,
      rosterMiB,
      ...(await benchStart(agents, file)),
    })
  }
  return results
}

export const scaleRows = (scales: readonly ScaleBench[]): Row[] =>
  scales.flatMap(({ agents, first, firstRatio, again, againRatio, ...scale }): Row[] => [
    [
      `${whole(agents)} agents: first decision on one, by DID, DID and capability, account, token`,
      ways.map((way) => `${first[way].toFixed(0)} µs (${firstRatio[way].toFixed(2)} ×)`).join(', '),
    ],
    ['… asked again, by DID', `${whole(again)} a second of the processor (${againRatio.toFixed(2)} ×)`],
    [
      '… filled, database; a daemon on it ready, all of them in its memory',
      `${scale.fillSeconds.toFixed(1)} s, ${whole(scale.databaseMiB)} MiB; ${scale.readySeconds.toFixed(1)} s, ${scale.enlistedSeconds.toFixed(1)} s`,
    ],
    [
      '… read into memory, and what they take there',
      `${scale.rosterSeconds.toFixed(1)} s of the processor, ${whole(scale.rosterMiB)} MiB`,
    ],
    [
      `… its memory then, and after decisions on ${whole(scale.asked)} of them`,
      `${whole(scale.readyMiB)} MiB, ${whole(scale.askedMiB)} MiB`,
    ],
  ])
