import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { execPath } from 'node:process'
import { promisify } from 'node:util'
import { Pool } from 'undici'
import { at, listAt } from '../e2e/json.ts'
import { until } from '../e2e/until.ts'
import { type Daemon, startWorld, tokenOf } from '../e2e/world.ts'
import { type Spread, secondsOf, spreadOf } from './figures.ts'

export interface HttpBench {
  readonly mappings: number
  readonly decisions: { readonly perSecond: number; readonly latency: Spread }
  readonly kills: { readonly serialPerSecond: number; readonly concurrentPerSecond: number }
  readonly memoryMiB: number
}

const run = promisify(execFile)
const lanes = 64

/** Decisions and kills over HTTP with this many mappings in the store, and what the daemon's process then weighs. */
export const benchHttp = async (mappings: number, seconds: number): Promise<HttpBench> => {
  const never = '0 0 1 1 *'
  await using world = await startWorld({
    auth: { killBudget: { max: 1_000_000, per: '10m' } },
    adapters: { contoso: { mirror: 'inbound', sync: { accounts: never, groups: never, full: never } } },
  })
  await run(execPath, [resolve(import.meta.dirname, 'store.ts'), world.databaseFile, `${mappings}`])
  // Nothing can be read in this directory, so nothing is concluded about a million accounts it does not have.
  world.tenant.setTokenEndpointDown(true)
  await using daemon = await world.daemon()
  await until('nothing is due', () => isIdle(daemon), 300_000)
  const pool = new Pool(daemon.origin, { connections: lanes })
  try {
    const post = async (who: string, path: string, body: object): Promise<number> => {
      const headers = { authorization: `Bearer ${tokenOf(who)}`, 'content-type': 'application/json' }
      const answer = await pool.request({ method: 'POST', path, headers, body: JSON.stringify(body) })
      await answer.body.dump()
      return answer.statusCode
    }
    const dids = await listed(daemon)
    const times: number[] = []
    const decide = async (): Promise<void> => {
      const did = dids[Math.floor(Math.random() * dids.length)]
      const started = performance.now()
      if ((await post('gateway', '/v1/decisions', { did, capability: 'read:reports' })) !== 200)
        throw new Error('refused')
      times.push(performance.now() - started)
    }
    await during(seconds, 8, decide)
    times.length = 0
    const decisions = await during(seconds, 8, decide)

    let next = 0
    const kill = async (): Promise<void> => {
      const body = { agentId: `did:mesh:bench-${next++}`, reason: 'bench' }
      if ((await post('runtime', '/v1/kill', body)) !== 202) throw new Error('a kill was refused')
    }
    await during(1, lanes, kill)
    const serial = await during(seconds, 1, kill)
    const concurrent = await during(seconds, lanes, kill)
    const { text } = await daemon.nobody.get('/metrics')
    const bytes = Number(/^\w*process_resident_memory_bytes(?:\{[^}]*\})? ([\d.e+]+)/m.exec(text)?.[1] ?? Number.NaN)
    return {
      mappings,
      decisions: { perSecond: decisions, latency: spreadOf(times) },
      kills: { serialPerSecond: serial, concurrentPerSecond: concurrent },
      memoryMiB: bytes / 2 ** 20,
    }
  } finally {
    await pool.destroy()
  }
}

/** How often a second, in so many lanes for so long. */
const during = async (seconds: number, width: number, work: () => Promise<void>): Promise<number> => {
  let count = 0
  const end = performance.now() + seconds * 1000
  const lane = async () => {
    while (performance.now() < end) {
      await work()
      count += 1
    }
  }
  const took = await secondsOf(() => Promise.all(Array.from({ length: width }, lane)))
  return count / took
}

/** The start looks at every held account once. */
const isIdle = async ({ as }: Daemon): Promise<boolean> => {
  const { body } = await as('alice').get('/v1/status')
  return listAt(body, 'adapters', 0, 'lanes').every((lane) => at(lane, 'due') === 0)
}

/** Some of the DIDs the store was filled with. */
const listed = async ({ as }: Daemon) => {
  const { text } = await as('alice').get('/v1/agents?limit=1000')
  return [...text.matchAll(/"did":"([^"]+)","name"/g)].map(([, did]) => did)
}
