import { resolve } from 'node:path'
import { analystDid, isAllowed, registerAll } from '../e2e/agents.ts'
import { at, parsed, textAt } from '../e2e/json.ts'
import { startProcess } from '../e2e/process.ts'
import { until } from '../e2e/until.ts'
import { audience, type Daemon, isMessage, startWorld, tokenOf, type World } from '../e2e/world.ts'
import { median, ms, type Row, type Spread, whole } from './figures.ts'
import { type Load, openLoad, postOf } from './load.ts'

/** Figures of one kind of request, each beside those of the bare route of the same round. */
export interface IntrospectionBench {
  readonly lanes: number
  readonly what: string
  readonly perSecond: number
  readonly latency: Spread
  readonly bareLatency: Spread
  /** Requests a second against the bare route's; medians of the rounds, as all ratios here. */
  readonly ratio: number
  /** Processor time of the bare route's process for a request against the daemon's. */
  readonly cpuRatio: number
  /** Of the daemon's process, a request, in µs. */
  readonly cpuUs: number
}

const path = '/oauth2/introspect'
const never = '0 0 1 1 *'

const form = (token: string): Buffer =>
  postOf(
    path,
    { authorization: `Bearer ${tokenOf('gateway')}`, 'content-type': 'application/x-www-form-urlencoded' },
    new URLSearchParams({ token }).toString(),
  )

const issued = ({ tenant, contoso }: World, count: number): Buffer[] =>
  Array.from({ length: count }, () => form(tenant.issueToken({ kind: 'agent', id: contoso.agents.analyst, audience })))

/** Processor time of the daemon so far, in µs, of all its threads. */
const cpuOfDaemon = async ({ nobody }: Daemon): Promise<number> => {
  const { text } = await nobody.get('/metrics')
  return 1e6 * Number(/^\w*process_cpu_seconds_total(?:\{[^}]*\})? ([\d.e+-]+)/m.exec(text)?.[1] ?? Number.NaN)
}

interface Side {
  readonly load: Load
  readonly cpuUs: number
}

/** A real daemon and a bare route of the same answer, each a process of its own, asked in turns. */
export const benchIntrospection = async (rounds: number, count: number): Promise<IntrospectionBench[]> => {
  await using world = await startWorld({
    adapters: { contoso: { sync: { accounts: never, groups: never, full: never } } },
  })
  await using daemon = await world.daemon()
  await registerAll(daemon, world)
  await until('the agent may act', () => isAllowed(daemon, { did: analystDid }))
  const [one = Buffer.alloc(0)] = issued(world, 1)
  const sample = await fetch(`${daemon.origin}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${tokenOf('gateway')}` },
    body: new URLSearchParams(one.subarray(one.indexOf('\r\n\r\n') + 4).toString()),
  })
  const answer = await sample.text()
  if (at(parsed(answer), 'active') !== true) throw new Error(answer)
  await using bare = startProcess([answer], { program: resolve(import.meta.dirname, 'bare.ts') })
  const origin = textAt(parsed(await bare.line('the bare route listens', isMessage('listening'))), 'origin')
  const cpuOfBare = async () => {
    const spent: unknown = await (await fetch(`${origin}/cpu`)).json()
    return Number(at(spent, 'user')) + Number(at(spent, 'system'))
  }

  const side = async (cpu: () => Promise<number>, work: () => Promise<Load>): Promise<Side> => {
    const before = await cpu()
    const load = await work()
    return { load, cpuUs: ((await cpu()) - before) / count }
  }
  const isActive = (text: string) => text.includes('"active":true')
  // Both at their best: what is compiled as it runs is compiled.
  for (const warmed of [daemon.origin, origin]) {
    using load = await openLoad(warmed, 64, isActive)
    for (const some of [issued(world, count), issued(world, 100)]) {
      await load.run((n) => some[n % some.length] ?? one, 10 * count)
    }
  }
  const results: IntrospectionBench[] = []
  for (const lanes of [1, 64]) {
    using ours = await openLoad(daemon.origin, lanes, isActive)
    using theirs = await openLoad(origin, lanes, isActive)
    for (const seen of [true, false]) {
      const known = issued(world, 100)
      const pairs: { ours: Side; theirs: Side }[] = []
      for (let round = -1; round < rounds; round += 1) {
        const requests = seen ? known : issued(world, count)
        const request = (n: number) => requests[n % requests.length] ?? one
        const turns = {
          ours: () =>
            side(
              () => cpuOfDaemon(daemon),
              () => ours.run(request, count),
            ),
          theirs: () => side(cpuOfBare, () => theirs.run(request, count)),
        }
        const first = round % 2 === 0 ? await turns.ours() : undefined
        const their = await turns.theirs()
        const pair = { ours: first ?? (await turns.ours()), theirs: their }
        // The first round warms up.
        if (round >= 0) pairs.push(pair)
      }
      const merged = (of: 'ours' | 'theirs'): Spread => ({
        p50: median(pairs.map((pair) => pair[of].load.latency.p50)),
        p99: median(pairs.map((pair) => pair[of].load.latency.p99)),
        count: count * pairs.length,
      })
      results.push({
        lanes,
        what: seen ? 'tokens seen before' : 'a new token each',
        perSecond: median(pairs.map((pair) => pair.ours.load.perSecond)),
        latency: merged('ours'),
        bareLatency: merged('theirs'),
        ratio: median(pairs.map((pair) => pair.ours.load.perSecond / pair.theirs.load.perSecond)),
        cpuRatio: median(pairs.map((pair) => pair.theirs.cpuUs / pair.ours.cpuUs)),
        cpuUs: median(pairs.map((pair) => pair.ours.cpuUs)),
      })
    }
  }
  return results
}

export const introspectionRows = (results: readonly IntrospectionBench[]): Row[] =>
  results.map(({ lanes, what, perSecond, latency, bareLatency, ratio, cpuRatio, cpuUs }) => [
    `introspection over HTTP, ${what}, ${lanes === 1 ? 'one after another' : `${lanes} at once`}`,
    `${ratio.toFixed(2)} × a bare route (by processor time ${cpuRatio.toFixed(2)} ×, ${cpuUs.toFixed(0)} µs), ${whole(perSecond)}/s, p50 ${ms(latency.p50)}, p99 ${ms(latency.p99)} (bare ${ms(bareLatency.p50)}, ${ms(bareLatency.p99)})`,
  ])
