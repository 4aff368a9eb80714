import { setTimeout as after } from 'node:timers/promises'
import { at, textAt } from '../e2e/json.ts'
import { until } from '../e2e/until.ts'
import { type Daemon, startWorld } from '../e2e/world.ts'
import { type Spread, secondsOf, spreadOf } from './figures.ts'
import { createFleet } from './fleet.ts'

export interface MassKillBench {
  readonly agents: number
  /** Seconds from sending the kill; all are denied with the answer, and it throws when one is not. */
  readonly answer: number
  readonly firstPatch: number
  readonly half: number
  readonly last: number
  /** Single kills sent meanwhile: to their answer, and to their PATCH, ms. */
  readonly singles: { readonly answer: Spread; readonly patch: Spread }
  readonly refusedWrites: number
  readonly batches: number
  /** One kill of a parent with twice as many descendants, without accounts to write, and its release. */
  readonly cascade: {
    readonly descendants: number
    readonly seconds: number
    /** Seconds until the parent is free, and until its release is answered: the last descendant is free. */
    readonly release: { readonly parent: number; readonly last: number }
    /** Single kills sent while it is released: to their answer, ms. */
    readonly singles: Spread
  }
}

const never = '0 0 1 1 *'

const isAllowed = async (daemon: Daemon, did: string): Promise<boolean> =>
  at((await daemon.as('gateway').post('/v1/decisions', { did })).body, 'allow') === true

/** Every agent of a directory killed in one call, on a tenant with Graph's published limits, and single kills meanwhile. */
export const benchMassKill = async (agents: number, singles: number): Promise<MassKillBench> => {
  await using world = await startWorld(
    {
      auth: { killBudget: { max: 100_000, per: '10m' } },
      adapters: { contoso: { settle: '10m', sync: { accounts: never, groups: never, full: never } } },
    },
    { requestLogSize: 1_000_000 },
  )
  const fleet = await createFleet(world, { identities: agents + singles, users: 0, groups: 1 })
  const [many, alone] = [fleet.identities.slice(0, agents), fleet.identities.slice(agents)]
  await using daemon = await world.daemon()
  const lastOne = alone.at(-1)?.did ?? many.at(-1)?.did ?? ''
  await until('the first pass is over', () => isAllowed(daemon, lastOne), 300_000)
  const { tenant } = world
  tenant.clearRequests()

  const started = performance.now()
  const since = () => (performance.now() - started) / 1000
  const patchOf = (id: string) =>
    tenant.waitForRequest(({ method, path }) => method === 'PATCH' && path.includes(id), 600_000)
  const first = tenant.waitForRequest(({ method }) => method === 'PATCH', 600_000).then(since)
  const body = { agentIds: many.map(({ did }) => did), reason: 'bench' }
  const answered = daemon
    .as('alice')
    .post('/v1/kill', body)
    .then((answer) => {
      if (answer.status !== 202) throw new Error(answer.text)
      return { at: since(), id: textAt(answer.body, 'killId') }
    })

  const times = { answer: [] as number[], patch: [] as number[] }
  const sendSingles = async () => {
    for (const { did, id } of alone) {
      const seen = patchOf(id)
      const sent = performance.now()
      const answer = await daemon.as('runtime').post('/v1/kill', { agentId: did, reason: 'bench' })
      if (answer.status !== 202) throw new Error(answer.text)
      times.answer.push(performance.now() - sent)
      await seen
      times.patch.push(performance.now() - sent)
      await after(singles < 20 ? 100 : 1_500)
    }
  }
  const meanwhile = sendSingles()
  const answer = await answered
  let allowed = 0
  for (const { did } of many) if (await isAllowed(daemon, did)) allowed += 1
  if (allowed > 0) throw new Error(`${allowed} are allowed after the answer`)

  const off = () => many.filter(({ id }) => tenant.get(id)?.enabled === false).length
  await until('half are off', () => off() >= agents / 2, 600_000)
  const half = since()
  await until('all are off', () => off() === agents, 600_000)
  const last = since()
  await meanwhile
  const refusedWrites = tenant.requests.filter(({ method, status }) => method === 'PATCH' && status === 429).length
  const batches = new Set(tenant.requests.filter(({ method }) => method === 'PATCH').map(({ batch }) => batch)).size
  return {
    agents,
    answer: answer.at,
    firstPatch: await first,
    half,
    last,
    singles: { answer: spreadOf(times.answer), patch: spreadOf(times.patch) },
    refusedWrites,
    batches,
    cascade: await benchCascade(2 * agents, 20 * singles),
  }
}

export const benchCascade = async (descendants: number, singles: number): Promise<MassKillBench['cascade']> => {
  await using world = await startWorld({
    auth: { killBudget: { max: 100_000, per: '10m' } },
    adapters: { contoso: { mirror: 'inbound' } },
  })
  const root = 'did:agentmesh:root'
  const size = { identities: descendants + singles, users: 0, groups: 1, parent: root, orphans: singles }
  const { identities } = await createFleet(world, size)
  const alone = identities.slice(descendants)
  world.tenant.setTokenEndpointDown(true)
  await using daemon = await world.daemon()
  const send = async (who: 'alice' | 'bob' | 'runtime', path: string, body: object = {}) => {
    const answer = await daemon.as(who).post(path, body)
    if (answer.status >= 300) throw new Error(answer.text)
    return answer.body
  }
  let holdId = ''
  const seconds = await secondsOf(async () => {
    holdId = textAt(await send('runtime', '/v1/kill', { agentId: root, reason: 'bench' }), 'holdId')
  })
  const asked = await send('alice', `/v1/agents/${root}/holds/${holdId}/release`, { reason: 'bench' })
  const started = performance.now()
  let last: number | undefined
  const released = send('bob', `/v1/releases/${textAt(asked, 'releaseId')}/approve`).then(() => {
    last = (performance.now() - started) / 1000
  })
  let parent: number | undefined
  const times: number[] = []
  for (const { did } of alone) {
    if (last !== undefined) break
    const sent = performance.now()
    await send('runtime', '/v1/kill', { agentId: did, reason: 'bench' })
    times.push(performance.now() - sent)
    if (parent === undefined && (await isAllowed(daemon, root))) parent = (performance.now() - started) / 1000
    await after(10)
  }
  await released
  const end = (performance.now() - started) / 1000
  return { descendants, seconds, release: { parent: parent ?? end, last: last ?? end }, singles: spreadOf(times) }
}
