import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { argv, execPath, memoryUsage, stdout } from 'node:process'
import { promisify } from 'node:util'
import Database from 'better-sqlite3'
import type { Store } from '../../src/core/store.ts'
import { makeDurable } from '../../src/store/database.ts'
import { openStore } from '../../src/store/index.ts'
import { agent, hold, idle, principal } from '../store/fixture.ts'
import { median } from './figures.ts'

const run = promisify(execFile)

export interface StoreBench {
  readonly mappings: number
  readonly lookups: readonly { name: string; perSecond: number; p50Us: number; p99Us: number }[]
  readonly databaseMiB: number
  readonly memoryMiB: number
  readonly holds: { barePerSecond: number; serialRatio: number; concurrentRatio: number }
}

/** Spreads neighbours over the whole key space, as random ids are. */
const scatter = (n: number): number => Math.imul(n, 2654435761) >>> 0
const hex = (n: number, digits: number): string => n.toString(16).padStart(digits, '0')
export const didOf = (n: number): string => `did:agentmesh:${hex(scatter(n), 8)}`
export const idOf = (n: number): string => `${hex(scatter(n), 8)}-0000-4000-8000-${hex(n, 12)}`

/** One row of each through the store, then copies of it by SQL: a million calls would measure nothing that matters here. */
const fill = async (file: string, mappings: number): Promise<void> => {
  const store = await openStore({ url: `sqlite:${file}`, now: Date.now })
  await store.write(async (tx) => {
    const labels = { unit: 'payments', region: 'eu' }
    const sponsor = { email: 'alice@contoso.com', objectId: 'aaaaaaaa-1111-2222-3333-444444444444' }
    await tx.insertAgent(agent(didOf(0), { labels, sponsor }))
    const switches = [
      { name: 'identity', state: 'on', ours: true },
      { name: 'blueprint', state: 'on', ours: false },
    ] as const
    const mapped = principal(didOf(0), idOf(0), { scopes: ['https://graph.microsoft.com/.default'], appId: idOf(1) })
    const account = { ...mapped.account, observed: 'enabled', observedAt: Date.now(), switches } as const
    await tx.insertPrincipal({ ...mapped, account }, idle)
    await tx.insertHold(hold('0', didOf(0)))
    await tx.putSource({ did: didOf(0), capability: 'read:reports', source: 'manual', confirmedAt: 1 })
  })
  await store.close()
  const raw = new Database(file)
  raw.pragma('synchronous = OFF')
  raw.pragma('cache_size = -1000000')
  raw.function('did_of', { deterministic: true }, (n: number) => didOf(n))
  raw.function('id_of', { deterministic: true }, (n: number) => idOf(n))
  const columns = (table: string) =>
    raw
      .prepare<[string], { name: string }>('select name from pragma_table_info(?)')
      .all(table)
      .map((c) => c.name)
  const copy = (table: string, replaced: Readonly<Record<string, string>>, every: number) => {
    const values = columns(table).map((c) => replaced[c] ?? `t.${c}`)
    raw.exec(`with recursive s(n) as (select ${every} union all select n + ${every} from s where n + ${every} < ${mappings})
      insert into ${table} select ${values.join(', ')} from s cross join (select * from ${table}) t`)
  }
  raw.transaction(() => {
    copy('agents', { did: 'did_of(n)' }, 1)
    copy('principals', { did: 'did_of(n)', id: 'id_of(n)', observed_at: `${Date.now()} - n % 600000` }, 1)
    copy('capability_sources', { did: 'did_of(n)' }, 1)
    copy('holds', { did: 'did_of(n)', id: 'id_of(n)' }, 100)
  })()
  raw.close()
}

const lookUp = async (name: string, rounds: number, call: () => Promise<unknown>) => {
  for (let i = 0; i < rounds / 10; i += 1) await call()
  const times = new Float64Array(rounds)
  const started = performance.now()
  for (let i = 0; i < rounds; i += 1) {
    const before = performance.now()
    await call()
    times[i] = performance.now() - before
  }
  const perSecond = Math.round(rounds / ((performance.now() - started) / 1000))
  times.sort()
  const at = (share: number) => Math.round((times[Math.floor(rounds * share)] ?? 0) * 10_000) / 10
  return { name, perSecond, p50Us: at(0.5), p99Us: at(0.99) }
}

const lookUps = async (store: Store, mappings: number) => {
  const rounds = 20_000
  const any = () => Math.floor(Math.random() * mappings)
  const held = () => Math.floor(any() / 100) * 100
  return [
    await lookUp('agent(did)', rounds, () => store.agent(didOf(any()))),
    await lookUp('principal(key)', rounds, () => store.principal({ adapter: 'contoso', id: idOf(any()) })),
    await lookUp('principalsOf(did)', rounds, () => store.principalsOf(didOf(any()))),
    await lookUp('openHolds(did), none', rounds, () => store.openHolds(didOf(any()))),
    await lookUp('openHolds(did), one', rounds, () => store.openHolds(didOf(held()))),
    await lookUp('due(), all idle', rounds, () => store.due('contoso', 0, Date.now(), 100)),
    await lookUp('countPrincipals()', rounds, () => store.countPrincipals('contoso')),
    await lookUp('principalsById(), 100 of them', 200, () =>
      store.principalsById(
        'contoso',
        Array.from({ length: 100 }, () => idOf(any())),
      ),
    ),
  ]
}

const seconds = async (work: () => Promise<unknown>): Promise<number> => {
  const started = performance.now()
  await work()
  return (performance.now() - started) / 1000
}

/** The same insert into the same file with the same pragmas, one transaction each, without the store and Kysely. */
const bare = (file: string) => {
  const raw = new Database(file)
  makeDurable(raw)
  // The store copies its log back by itself; bare SQLite does so by its default.
  raw.pragma('wal_autocheckpoint = 1000')
  const insert = raw.prepare(`insert into holds values
    (?, ?, 'operator:soc', 'operator', 'suspend', 'because', null, 'soc', null, 10, null, null, 0, '{}')`)
  const one = raw.transaction((id: string, did: string) => insert.run(id, did))
  return { place: (id: string, n: number) => one.immediate(id, didOf(n)), close: () => raw.close() }
}

/** In turns, since a disk is not equally fast all the time; the first turn warms up. */
const holds = async (store: Store, file: string) => {
  const [turns, serial, lanes, each] = [6, 150, 64, 20]
  const place = (id: string, n: number) => store.write((tx) => tx.insertHold(hold(id, didOf(n))))
  const sqlite = bare(file)
  const rates: { bare: number; serial: number; concurrent: number }[] = []
  for (let turn = 0; turn < turns; turn += 1) {
    const alone = await seconds(async () => {
      for (let i = 0; i < serial; i += 1) sqlite.place(`b${turn}-${i}`, i)
    })
    const inRow = await seconds(async () => {
      for (let i = 0; i < serial; i += 1) await place(`s${turn}-${i}`, i)
    })
    const lane = async (l: number) => {
      for (let i = 0; i < each; i += 1) await place(`c${turn}-${l}-${i}`, l * each + i)
    }
    const atOnce = await seconds(() => Promise.all(Array.from({ length: lanes }, (_, l) => lane(l))))
    rates.push({ bare: serial / alone, serial: serial / inRow, concurrent: (lanes * each) / atOnce })
  }
  sqlite.close()
  const warm = rates.slice(1)
  const ratio = (of: (r: (typeof rates)[number]) => number) =>
    Math.round(median(warm.map((r) => of(r) / r.bare)) * 100) / 100
  return {
    barePerSecond: Math.round(median(warm.map((r) => r.bare))),
    serialRatio: ratio((r) => r.serial),
    concurrentRatio: ratio((r) => r.concurrent),
  }
}

const mib = (bytes: number): number => Math.round(bytes / 2 ** 20)

/** Look-ups at this many mappings, and durable holds against bare SQLite on the same disk. Prints as it goes. */
export const benchStore = async (mappings = 1_000_000): Promise<StoreBench> => {
  const directory = mkdtempSync(join(tmpdir(), 'bench-store-'))
  const print = (line: string) => stdout.write(`${line}\n`)
  try {
    const file = join(directory, 'bridge.db')
    print(`store: filling ${mappings} mappings …`)
    // In a process of its own, so that its memory is not counted.
    await run(execPath, [import.meta.filename, file, `${mappings}`])
    const store = await openStore({ url: `sqlite:${file}`, now: Date.now })
    const lookups = await lookUps(store, mappings)
    for (const l of lookups) print(`  ${l.name.padEnd(32)} ${l.perSecond}/s  p50 ${l.p50Us} µs  p99 ${l.p99Us} µs`)
    const placed = await holds(store, file)
    print(`  durable holds: bare SQLite ${placed.barePerSecond}/s`)
    print(`    one after another: ${placed.serialRatio} × bare; 64 at once: ${placed.concurrentRatio} × bare`)
    await store.close()
    const databaseMiB = mib(statSync(file).size)
    const memoryMiB = mib(memoryUsage().rss)
    print(`  database ${databaseMiB} MiB, process ${memoryMiB} MiB`)
    return { mappings, lookups, databaseMiB, memoryMiB, holds: placed }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

if (import.meta.main) {
  const [, , file, mappings] = argv
  if (file === undefined) await benchStore()
  else await fill(file, Number(mappings))
}
