import assert from 'node:assert/strict'
import { AgentIdentity, IdentityRegistry, KillSwitch } from '@microsoft/agent-governance-sdk'
import { attach } from '../../clients/agt/index.ts'
import type { OktaOrg } from '../../sandbox/okta/index.ts'
import { startWire } from '../clients/wire.ts'
import { startAcme } from './acme.ts'
import { agentOf, decision, path, principal, register } from './agents.ts'
import { at, listAt, textAt } from './json.ts'
import { until } from './until.ts'
import { clientEntry, type Daemon, startWorld, tokenOf, type World } from './world.ts'

/** One hop: an agent with an account in each of two directories. */
export interface Hop {
  readonly did: string
  readonly identity: AgentIdentity
  readonly entra: string
  readonly okta: string
}

/** Root, middle and leaf, and beside the leaf an agent that somebody else's switch holds. */
export interface Chain extends AsyncDisposable {
  readonly world: World
  readonly org: OktaOrg
  readonly root: Hop
  readonly middle: Hop
  readonly leaf: Hop
  /** A second child of the middle. An administrator of the org suspended its user before anything else happened. */
  readonly off: Hop
  readonly all: readonly Hop[]
  readonly daemon: Daemon
  /** Where runtimes reach the daemon, also one that was started again. */
  readonly origin: string
  /** Another daemon on what the last one left, which has ended. */
  restart(program?: string, ...args: readonly string[]): Promise<void>
}

/** A process in which agents run. */
export interface Runtime extends AsyncDisposable {
  readonly name: string
  isOpen(did: string): boolean
  /** How often the kill switch stopped the agent. */
  stops(did: string): number
}

const people = {
  alice: ['operator'],
  bob: ['operator'],
  detector: ['runtime'],
  typescript: ['runtime'],
  python: ['runtime'],
  gateway: ['gateway'],
}

/** A chain of three hops in Entra and Okta, registered, read and at rest. `program` as `world.daemon` takes it. */
export const startChain = async (program?: string, ...args: readonly string[]): Promise<Chain> => {
  await using stack = new AsyncDisposableStack()
  const { org, acme } = await startAcme()
  stack.use(org)
  const clients = Object.entries(people).map(([name, role]) => clientEntry(name, role))
  const world = stack.use(await startWorld({ auth: { clients }, adapters: { acme } }))
  const { tenant, contoso } = world
  const hop = (identity: AgentIdentity, name: string): Hop => ({
    did: identity.did,
    identity,
    entra: tenant.addAgentIdentity({ displayName: name, blueprintAppId: contoso.blueprint.appId }),
    okta: org.addUser({ email: `${name}@contoso.example` }),
  })
  const [top, between] = [['read:reports', 'write:notes'], ['read:reports']]
  const root = hop(AgentIdentity.generate('root', top), 'root')
  const middle = hop(root.identity.delegate('middle', between), 'middle')
  const leaf = hop(middle.identity.delegate('leaf', between), 'leaf')
  const off = hop(middle.identity.delegate('off', between), 'off')
  tenant.settle()

  let daemon = await world.daemon(program, ...args)
  const wire = stack.use(await startWire(daemon.origin))
  const hops = [
    [root, null, top],
    [middle, root.did, between],
    [leaf, middle.did, between],
    [off, middle.did, between],
  ] as const
  for (const [{ did, entra, okta }, parentDid, capabilities] of hops) {
    const principals = [principal(entra), { adapter: 'acme', id: okta, kind: 'user' }]
    await register(daemon.as('alice'), { did, name: 'hop', parentDid, capabilities, principals })
  }
  org.setEnabled(off.okta, false)
  const chain = {
    world,
    org,
    root,
    middle,
    leaf,
    off,
    all: [root, middle, leaf, off],
    get daemon() {
      return daemon
    },
    origin: wire.origin,
    restart: async (...given: readonly [program?: string, ...args: readonly string[]]) => {
      daemon = await world.daemon(...given)
      wire.lead(daemon.origin)
    },
  }
  await until('what follows from that was done and read', () => isAtRest(chain))
  const held = stack.move()
  return Object.assign(chain, { [Symbol.asyncDispose]: () => held.disposeAsync() })
}

type Sides = Omit<Chain, typeof Symbol.asyncDispose>

const isAtRest = async ({ daemon, all, off }: Sides): Promise<boolean> => {
  const agents = await Promise.all(all.map(({ did }) => agentOf(daemon, did)))
  return agents.every((agent, n) =>
    listAt(agent, 'principals').every((one) => {
      const { observed, mark } = { observed: '', mark: '', ...Object(at(one, 'account')) }
      if (all[n] !== off) return observed === 'enabled' && mark === 'none'
      return observed === 'disabled' && mark === (at(one, 'id') === off.entra ? 'ours' : 'none')
    }),
  )
}

/** What anyone can see of the chain: decisions, agents, holds, both directories, and every process. */
export const stateOf = async ({ daemon, world, org, all }: Chain, runtimes: readonly Runtime[]): Promise<unknown> => {
  const of = async ({ did, identity, entra, okta }: Hop) => {
    const agent = await agentOf(daemon, did)
    const { allow, codes } = { allow: undefined, codes: undefined, ...Object(await decision(daemon, { did })) }
    return {
      did,
      decision: { allow, codes },
      agent: ['status', 'severity', 'parentDid', 'revision'].map((member) => at(agent, member)),
      capabilities: listAt(agent, 'capabilities').map((one) => at(one, 'name')),
      holds: listAt(agent, 'holds').map((hold) => [at(hold, 'id'), at(hold, 'origin'), at(hold, 'severity')]),
      accounts: listAt(agent, 'principals').map((one) =>
        ['id', 'desired', 'observed', 'mark'].map((member) => at(member === 'id' ? one : at(one, 'account'), member)),
      ),
      directories: [world.tenant.get(entra)?.enabled, org.get(okta)?.status],
      identity: identity.status,
      open: runtimes.map(({ name, isOpen }) => [name, isOpen(did)]),
    }
  }
  return await Promise.all(all.map(of))
}

const isEqual = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)

/** Waits until the chain is as it was, and says what differs when it does not become so. */
export const becomes = async (chain: Chain, runtimes: readonly Runtime[], wanted: unknown): Promise<void> => {
  const isBack = async () => isEqual(await stateOf(chain, runtimes), wanted)
  await until('as it was', isBack, 120_000).catch(async () => assert.deepEqual(await stateOf(chain, runtimes), wanted))
}

/** A kill of the root by a runtime that none of the chain's agents runs in; the id of its hold. */
export const killRoot = async ({ daemon, root }: Chain): Promise<string> => {
  const answer = await daemon.as('detector').post('/v1/kill', { agentId: root.did, reason: 'exfiltration' })
  assert.equal(answer.status, 202, answer.text)
  return textAt(answer.body, 'holdId')
}

/** The first of two people asks; what the second sends ends the hold. */
export const askRelease = async ({ daemon, root }: Chain, holdId: string): Promise<() => Promise<void>> => {
  const asked = await daemon.as('alice').post(path(root.did, `/holds/${holdId}/release`), { reason: 'false alarm' })
  assert.equal(asked.status, 202, asked.text)
  const route = `/v1/releases/${textAt(asked.body, 'releaseId')}/approve`
  return async () => {
    const done = await daemon.as('bob').post(route, {})
    assert.equal(done.status, 200, done.text)
  }
}

/** Every hop is denied, off in both directories and stopped in every process. */
export const stopped = async (chain: Chain, runtimes: readonly Runtime[]): Promise<void> => {
  const { world, org, all, daemon } = chain
  for (const { did } of all) {
    const verdict = await decision(daemon, { did })
    assert.partialDeepStrictEqual(verdict, { allow: false, codes: ['R_SUSPENDED'] }, JSON.stringify(verdict))
  }
  const running = () => [
    ...all.filter(({ entra }) => world.tenant.get(entra)?.enabled !== false).map(({ did }) => `Entra: ${did}`),
    ...all.filter(({ okta }) => org.get(okta)?.status !== 'SUSPENDED').map(({ did }) => `Okta: ${did}`),
    ...runtimes.flatMap(({ name, isOpen, stops }) =>
      all.filter(({ did }) => isOpen(did) || stops(did) === 0).map(({ did }) => `${name}: ${did}`),
    ),
  ]
  const isOver = () => running().length === 0
  await until('all stopped', isOver, 120_000).catch(() => assert.deepEqual(running(), []))
}

/** Waits until every account that is off for the kill was read so, and is ours to switch on, or may prove to be. */
export const confirmedOff = async ({ daemon, all, off }: Chain): Promise<void> => {
  const isOurs = async ({ did }: Hop) =>
    listAt(await agentOf(daemon, did), 'principals').every((one) => {
      if (at(one, 'id') === off.okta) return true
      const { observed, mark } = { observed: '', mark: '', ...Object(at(one, 'account')) }
      // Of a write whose answer was lost the log has the last word, after the release.
      return observed === 'disabled' && (mark === 'ours' || mark === 'claimed')
    })
  await until('read off', async () => (await Promise.all(all.map(isOurs))).every(Boolean), 120_000)
}

/** This process, with the identities of the chain in a registry of the real SDK and its kill switch attached. */
export const attachHere = async ({ origin, all }: Chain): Promise<Runtime> => {
  const registry = new IdentityRegistry()
  const killSwitch = new KillSwitch()
  const fired = new Map<string, number>()
  for (const { did, identity } of all) {
    registry.register(identity)
    killSwitch.registerHandler(did, () => {
      fired.set(did, (fired.get(did) ?? 0) + 1)
    })
  }
  const onError = () => undefined
  const bridge = attach({ url: origin, token: tokenOf('typescript'), killSwitch, registry, onError })
  await bridge.ready()
  return {
    name: 'typescript',
    isOpen: (did) => bridge.gate.check(did).open,
    stops: (did) => fired.get(did) ?? 0,
    [Symbol.asyncDispose]: () => bridge.stop(),
  }
}
