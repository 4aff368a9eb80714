import { KillSwitch } from '@microsoft/agent-governance-sdk'
import { attach } from '../../clients/agt/index.ts'
import { path } from '../e2e/agents.ts'
import { at, textAt } from '../e2e/json.ts'
import { until } from '../e2e/until.ts'
import { clientEntry, type Daemon, startWorld, tokenOf, type World } from '../e2e/world.ts'
import { type Spread, spreadOf } from './figures.ts'
import { enrol, type Member } from './fleet.ts'
import { never } from './propagation.ts'

const people = {
  alice: ['operator'],
  bob: ['operator'],
  carol: ['operator'],
  runtime: ['runtime'],
  gateway: ['gateway'],
}

/** A root, one below it and those at hop three, each with an account. */
export interface Chain {
  readonly root: Member
  readonly middle: Member
  readonly leaves: readonly Member[]
}

/** All in ms, from before the kill is sent. */
export interface ChainTimes {
  /** Until the kill is answered. */
  readonly answer: Spread
  /** Until the first decision that denies the last agent at hop three was read. */
  readonly denied: Spread
  /** Until the directory has received the last write for hop three. */
  readonly written: Spread
  /** Until the last handler of the SDK's kill switch ran. */
  readonly stopped: Spread
}

export interface ChainBench {
  readonly leaves: number
  readonly times: ChainTimes
  /** From before the second approval of the last one's release is sent until all of it is allowed and every gate open. */
  readonly freed: number
  /** The same until every account is on, too: the directory's log has to tell first whose doing it was. */
  readonly undone: number
}

export interface ChainsBench {
  readonly sizes: readonly ChainBench[]
  /** So many chains of three whose roots are killed in one call. */
  readonly many: { readonly chains: number; readonly times: ChainTimes }
  /** In the same run: a bare request to the daemon, and one write of a bare client to the directory. */
  readonly bare: { readonly request: Spread; readonly write: Spread }
}

const add = ({ tenant, contoso }: World, did: string): Member => ({
  did,
  id: tenant.addAgentIdentity({ displayName: did, blueprintAppId: contoso.blueprint.appId }),
})

const addChain = (world: World, name: string, leaves: number): Chain => ({
  root: add(world, `did:agentmesh:${name}:root`),
  middle: add(world, `did:agentmesh:${name}:middle`),
  leaves: Array.from({ length: leaves }, (_, n) => add(world, `did:agentmesh:${name}:${n}`)),
})

const recruits = ({ root, middle, leaves }: Chain) => [
  root,
  { ...middle, parentDid: root.did },
  ...leaves.map((leaf) => ({ ...leaf, parentDid: middle.did })),
]

const isAllowed = async (daemon: Daemon, { did }: Member): Promise<boolean> =>
  at((await daemon.as('gateway').post('/v1/decisions', { did })).body, 'allow') === true

const send = async (daemon: Daemon, who: 'alice' | 'bob' | 'carol', route: string, body: object): Promise<unknown> => {
  const answer = await daemon.as(who).ask(route, { body, timeoutMs: 300_000 })
  if (answer.status >= 300) throw new Error(answer.text)
  return answer.body
}

const lastOf = ({ leaves }: Chain): Member => {
  const last = leaves.at(-1)
  if (last === undefined) throw new RangeError('a chain without anybody at hop three')
  return last
}

/** The account that a write is for: Graph's paths end with it, or with its type. */
const idIn = (asked: string): string => asked.split('/')[2] ?? ''

/** Handlers of the kill switch that ran: resolves once those of all of these did. */
type Fired = (members: readonly Member[]) => Promise<void>

const kill = async (world: World, daemon: Daemon, chains: readonly Chain[], fired: Fired) => {
  const leaves = chains.flatMap((chain) => chain.leaves)
  const last = leaves.at(-1)
  if (last === undefined) throw new RangeError('nobody is at hop three')
  const unwritten = new Set(leaves.map(({ id }) => id))
  const started = performance.now()
  const since = () => performance.now() - started
  const written = world.tenant
    .waitForRequest(({ method, path: asked }) => {
      if (method === 'PATCH') unwritten.delete(idIn(asked))
      return unwritten.size === 0
    }, 600_000)
    .then(since)
  const stopped = fired(leaves).then(since)
  const roots = chains.map(({ root }) => root.did)
  const target = roots.length === 1 ? { agentId: roots[0] } : { agentIds: roots }
  const answer = send(daemon, 'alice', '/v1/kill', { ...target, reason: 'bench' }).then((body) => ({
    at: since(),
    body,
  }))
  let denied: number | undefined
  while (denied === undefined) if (!(await isAllowed(daemon, last))) denied = since()
  const times = { answer: (await answer).at, denied, written: await written, stopped: await stopped }
  for (const leaf of leaves) if (await isAllowed(daemon, leaf)) throw new Error(`${leaf.did} is allowed`)
  return { times, body: (await answer).body }
}

const release = async (
  world: World,
  daemon: Daemon,
  chain: Chain,
  holdId: string,
  isOpen: (did: string) => boolean,
) => {
  const { root, middle, leaves } = chain
  const all = [root, middle, ...leaves]
  const asked = await daemon.as('bob').post(path(root.did, `/holds/${holdId}/release`), { reason: 'bench' })
  if (asked.status !== 202) throw new Error(asked.text)
  const started = performance.now()
  await send(daemon, 'carol', `/v1/releases/${textAt(asked.body, 'releaseId')}/approve`, {})
  const areOpen = async () => all.every(({ did }) => isOpen(did)) && (await isAllowed(daemon, lastOf(chain)))
  await until('allowed, and gates open', areOpen, 600_000)
  const freed = performance.now() - started
  for (const one of all) if (!(await isAllowed(daemon, one))) throw new Error(`${one.did} is denied`)
  await until('on', () => all.every(({ id }) => world.tenant.get(id)?.enabled === true), 600_000)
  return { freed, undone: performance.now() - started }
}

/** One write of a client without a bridge: a token once, then the switch of an account set to what it is. */
const bareWrites = async ({ tenant, contoso }: World, { id }: Member, count: number): Promise<Spread> => {
  const { appId, secret } = contoso.bridge
  const form = { grant_type: 'client_credentials', client_id: appId, client_secret: secret }
  const signIn = await fetch(`${tenant.origin}/${tenant.tenantId}/oauth2/v2.0/token`, {
    method: 'POST',
    body: new URLSearchParams({ ...form, scope: 'https://graph.microsoft.com/.default' }),
  })
  const authorization = `Bearer ${textAt(await signIn.json(), 'access_token')}`
  const headers = { authorization, 'content-type': 'application/json' }
  const body = JSON.stringify({ accountEnabled: true })
  const times: number[] = []
  for (let n = 0; n < count; n += 1) {
    const started = performance.now()
    const answer = await fetch(`${tenant.origin}/v1.0/servicePrincipals/${id}/microsoft.graph.agentIdentity`, {
      method: 'PATCH',
      headers,
      body,
    })
    if (answer.status !== 204) throw new Error(await answer.text())
    times.push(performance.now() - started)
  }
  return spreadOf(times)
}

const bareRequests = async (daemon: Daemon, count: number): Promise<Spread> => {
  const times: number[] = []
  for (let n = 0; n < count; n += 1) {
    const started = performance.now()
    await daemon.nobody.get('/healthz')
    times.push(performance.now() - started)
  }
  return spreadOf(times)
}

export interface ChainSizes {
  /** How many agents at hop three → how many chains of that size, one after another. */
  readonly sizes: readonly { readonly leaves: number; readonly samples: number }[]
  /** How many chains of three are killed in one call. */
  readonly many: number
}

/**
 * Kills at hop one, on a tenant without limits, until hop three is denied, written and stopped in a process with the real
 * SDK; and releases, until all of it is as before. Tenant and process share this one.
 */
export const benchChains = async ({ sizes, many }: ChainSizes): Promise<ChainsBench> => {
  const accounts = sizes.reduce((sum, { leaves, samples }) => sum + (leaves + 2) * samples, 3 * many)
  await using world = await startWorld(
    {
      auth: {
        clients: Object.entries(people).map(([name, role]) => clientEntry(name, role)),
        killBudget: { max: 1_000_000, per: '10m' },
      },
      adapters: { contoso: { sync: { accounts: never, groups: never, full: never } } },
    },
    { requestLogSize: 100 * accounts, throttle: false },
  )
  const series = sizes.map(({ leaves, samples }) =>
    Array.from({ length: samples }, (_, n) => addChain(world, `of-${leaves}-${n}`, leaves)),
  )
  const crowd = Array.from({ length: many }, (_, n) => addChain(world, `many-${n}`, 1))
  const alone = add(world, 'did:agentmesh:alone')
  world.tenant.settle()
  await enrol(world, [...[...series.flat(), ...crowd].flatMap(recruits), alone])
  await using daemon = await world.daemon()
  await until('the first pass is over', () => isAllowed(daemon, alone), 300_000)

  const killSwitch = new KillSwitch()
  const bridge = attach({ url: daemon.origin, token: tokenOf('runtime'), killSwitch })
  await bridge.ready()
  const fired: Fired = (members) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const left = new Set(members.map(({ did }) => did))
    for (const { did } of members) {
      killSwitch.registerHandler(did, () => {
        left.delete(did)
        if (left.size === 0) resolve()
      })
    }
    return promise
  }
  const isOpen = (did: string) => bridge.gate.check(did).open
  const bare = { request: await bareRequests(daemon, 100), write: await bareWrites(world, alone, 50) }

  const timed = (samples: readonly Record<keyof ChainTimes, number>[]): ChainTimes => {
    const of = (name: keyof ChainTimes) => spreadOf(samples.map((one) => one[name]))
    return { answer: of('answer'), denied: of('denied'), written: of('written'), stopped: of('stopped') }
  }
  const told: ChainBench[] = []
  for (const chains of series) {
    const [first] = chains
    if (first === undefined) continue
    const samples: Record<keyof ChainTimes, number>[] = []
    let released = { freed: Number.NaN, undone: Number.NaN }
    for (const chain of chains) {
      world.tenant.clearRequests()
      const { times, body } = await kill(world, daemon, [chain], fired)
      samples.push(times)
      if (chain !== chains.at(-1)) continue
      await until('off', () => chain.leaves.every(({ id }) => world.tenant.get(id)?.enabled === false), 600_000)
      released = await release(world, daemon, chain, textAt(body, 'holdId'), isOpen)
    }
    told.push({ leaves: first.leaves.length, times: timed(samples), ...released })
  }
  world.tenant.clearRequests()
  const { times } = await kill(world, daemon, crowd, fired)
  await bridge.stop()
  return { sizes: told, many: { chains: many, times: timed([times]) }, bare }
}
