import { at } from '../e2e/json.ts'
import { until } from '../e2e/until.ts'
import { type Daemon, hookKey, startWorld, type World } from '../e2e/world.ts'
import { type Spread, secondsOf, spreadOf } from './figures.ts'
import { createFleet, type Fleet, type FleetSize, type Member } from './fleet.ts'

export interface Propagation {
  /** Requests over the wire for a first pass over everything, a batch counted as one; and how long it took. */
  readonly sync: {
    readonly requests: number
    readonly calls: number
    readonly seconds: number
    readonly agents: number
  }
  readonly idle: Sides
  readonly busy: Sides & { readonly passes: number }
}

interface Sides {
  /** From before the request is sent to the PATCH arriving at the directory. */
  readonly kill: Spread
  /** From the flip of the switch, through a hook, to the frame of the stream having been read. */
  readonly flip: Spread
}

export const never = '0 0 1 1 *'
const sync = (full: string) => ({ accounts: never, groups: never, full })

export const configured = (world: World, groups: readonly string[], full: string): void =>
  world.configure({
    auth: { killBudget: { max: 100_000, per: '10m' } },
    policy: { guard: { suspend: { max: 1_000_000, percent: 100 } } },
    adapters: {
      contoso: { groups: Object.fromEntries(groups.map((id) => [id, ['read:fleet']])), sync: sync(full) },
    },
  })

export const firstPass = (daemon: Daemon) =>
  until(
    'the first pass is over',
    async () => {
      const { body } = await daemon.as('alice').get('/v1/status')
      return typeof at(body, 'adapters', 0, 'groups', 'lastOkAt') === 'string'
    },
    300_000,
  )

const killOnce = async (world: World, daemon: Daemon, { did, id }: Member): Promise<number> => {
  const seen = world.tenant.waitForRequest(({ method, path }) => method === 'PATCH' && path.includes(id), 60_000)
  const started = performance.now()
  const answered = daemon.as('runtime').post('/v1/kill', { agentId: did, reason: 'bench' })
  await seen
  const took = performance.now() - started
  const { status, text } = await answered
  if (status !== 202) throw new Error(text)
  await world.tenant.waitForRequest(
    ({ method, path, status: done }) => method === 'PATCH' && path.includes(id) && done !== undefined,
    60_000,
  )
  return took
}

/** Each sample begins when `ready` says so: while a pass is running, or at once. */
const sample = async (
  world: World,
  daemon: Daemon,
  { kills, flips }: { kills: readonly Member[]; flips: readonly Member[] },
  ready: () => Promise<void>,
): Promise<Sides> => {
  const killTimes: number[] = []
  for (const member of kills) {
    await ready()
    killTimes.push(await killOnce(world, daemon, member))
  }
  await using stream = await daemon.stream('runtime')
  await stream.frame('a snapshot', ({ event }) => event === 'snapshot', 60_000)
  const flipTimes: number[] = []
  for (const { did, id } of flips) {
    await ready()
    const started = performance.now()
    world.tenant.setEnabled(id, false)
    const { at: read } = await stream.frame('suspended', ({ data }) => at(data, 'did') === did, 60_000)
    flipTimes.push(read - started)
  }
  return { kill: spreadOf(killTimes), flip: spreadOf(flipTimes) }
}

const wire = (world: World) =>
  world.tenant.requests.filter(({ surface, batch }) => surface === 'graph' && batch === undefined)
const calls = (world: World) =>
  world.tenant.requests.filter(({ surface, path }) => surface === 'graph' && !path.startsWith('/$batch'))

export const subscribe = ({ tenant }: World, { origin }: Daemon): Promise<string> =>
  tenant.subscribeEventGrid({
    url: `${origin}/hooks/contoso`,
    schema: 'cloudevents',
    auth: { type: 'key', header: 'X-Bridge-Key', key: hookKey },
  })

const membersOf = ({ identities, users }: Fleet, from: number, count: number) => ({
  kills: identities.slice(from, from + count),
  flips: users.slice(from, from + count),
})

/** One fleet, one first pass counted, then kills and flips with the bridge idle and with pass after pass running. */
export const benchPropagation = async (
  size: Pick<FleetSize, 'groups'> & { agents: number; samples: number },
): Promise<Propagation> => {
  const { agents, samples } = size
  await using world = await startWorld({}, { requestLogSize: 1_000_000 })
  const users = 2 * samples
  const fleet = await createFleet(world, { identities: agents - users, users, groups: size.groups })
  configured(world, fleet.groups, never)
  world.tenant.clearRequests()
  const quiet = await world.daemon()
  const seconds = await secondsOf(() => firstPass(quiet))
  const counted = { requests: wire(world).length, calls: calls(world).length, seconds, agents }
  const hook = await subscribe(world, quiet)
  const idle = await sample(world, quiet, membersOf(fleet, 0, samples), async () => {})
  world.tenant.unsubscribeEventGrid(hook)
  quiet.process.signal('SIGTERM')
  await quiet.process.ended()

  configured(world, fleet.groups, '* * * * * *')
  const busy = await world.daemon()
  await firstPass(busy)
  await subscribe(world, busy)
  const listing = ({ method, path }: { method: string; path: string }) =>
    method === 'GET' && !path.includes('$count') && /^\/(servicePrincipals|users)\b/.test(path) && path.includes('$')
  const last = () => world.tenant.requests.at(-1)?.seq ?? 0
  const running = async () => {
    const from = last()
    await world.tenant.waitForRequest((request) => request.seq > from && listing(request), 60_000)
  }
  const before = passes(await metrics(busy))
  const loaded = await sample(world, busy, membersOf(fleet, samples, samples), running)
  const after = passes(await metrics(busy))
  return { sync: counted, idle, busy: { ...loaded, passes: after - before } }
}

const metrics = async (daemon: Daemon): Promise<string> => (await daemon.nobody.get('/metrics')).text

const passes = (text: string): number =>
  Number(/^idp_bridge_sync_passes_total\{[^}]*pass="full"[^}]*outcome="ok"[^}]*\} (\d+)/m.exec(text)?.[1] ?? 0)
