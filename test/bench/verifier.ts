/** The library that decides in another process: `node test/bench/verifier.ts [agents]`, and a part of `npm run bench`. */
import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { argv, execPath, memoryUsage, stdout } from 'node:process'
import { promisify } from 'node:util'
import { createVerifier } from '../../clients/verifier/index.ts'
import { listAt, textAt } from '../e2e/json.ts'
import { startWorld, tokenOf } from '../e2e/world.ts'
import { machine, type Row, type Spread, secondsOf, spreadOf, spreadText, table, whole } from './figures.ts'

export interface VerifierBench {
  readonly agents: number
  /** Until everything was read; and what that weighs, in bytes an agent. */
  readonly readySeconds: number
  readonly bytesPerAgent: number
  /** From before the kill is sent until the bridge has answered it, and until the library denies. */
  readonly answered: Spread
  readonly denied: Spread
  readonly perSecond: number
  readonly perSecondAnew: number
}

const run = promisify(execFile)
const turn = () => new Promise<void>((done) => setImmediate(done))

export const benchVerifier = async (agents: number, kills: number): Promise<VerifierBench> => {
  const never = '0 0 1 1 *'
  await using world = await startWorld({
    auth: { killBudget: { max: 1_000_000, per: '10m' } },
    // The store was filled with readings of long ago.
    policy: { maxStaleness: { warn: '30000d', deny: '40000d' } },
    adapters: { contoso: { mirror: 'inbound', sync: { accounts: never, groups: never, full: never } } },
  })
  await run(execPath, [resolve(import.meta.dirname, 'store.ts'), world.databaseFile, `${agents}`])
  // Nothing can be read in this directory, so nothing is concluded about accounts that it does not have.
  world.tenant.setTokenEndpointDown(true)
  await using daemon = await world.daemon()
  const page = await daemon.as('alice').get(`/v1/agents?status=active&limit=${Math.min(1000, kills * 2)}`)
  const dids = listAt(page.body, 'items').map((agent) => textAt(agent, 'did'))

  const before = memoryUsage().heapUsed
  await using verifier = createVerifier({
    url: daemon.origin,
    token: tokenOf('gateway'),
    maxAgents: agents * 2,
    maxAgeMs: 3_600_000,
    onError: () => undefined,
  })
  const readySeconds = await secondsOf(() => verifier.ready())
  const bytesPerAgent = (memoryUsage().heapUsed - before) / agents

  const each = async () => {
    for (const did of dids) await verifier.decide({ did })
  }
  await each()
  const anew = await secondsOf(each)
  const rounds = 50
  const took = await secondsOf(async () => {
    for (let round = 0; round < rounds; round += 1) await each()
  })

  const answered: number[] = []
  const denied: number[] = []
  for (const did of dids.slice(0, kills)) {
    const begun = performance.now()
    const sent = daemon.as('runtime').post('/v1/kill', { agentId: did, reason: 'bench' })
    const answering = sent.then(({ status, text }) => {
      if (status !== 202) throw new Error(text)
      answered.push(performance.now() - begun)
    })
    while (!(await verifier.decide({ did })).codes.includes('R_SUSPENDED')) await turn()
    denied.push(performance.now() - begun)
    await answering
  }
  return {
    agents,
    readySeconds,
    bytesPerAgent,
    answered: spreadOf(answered),
    denied: spreadOf(denied),
    perSecond: (rounds * dids.length) / took,
    perSecondAnew: dids.length / anew,
  }
}

export const verifierRows = (of: VerifierBench): Row[] => [
  [
    `the library in another process, ${whole(of.agents)} agents: everything read`,
    `${of.readySeconds.toFixed(1)} s, ${whole(of.bytesPerAgent)} bytes an agent`,
  ],
  ['… kill → answered', spreadText(of.answered)],
  ['… kill → it denies', spreadText(of.denied)],
  ['… decisions by DID', `${whole(of.perSecond)}/s, after a change ${whole(of.perSecondAnew)}/s`],
]

if (import.meta.main) {
  const rows = verifierRows(await benchVerifier(Number(argv[2] ?? 10_000), 100))
  stdout.write(`${machine()}\n${table(rows)}\n`)
}
