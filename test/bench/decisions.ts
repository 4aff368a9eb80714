import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Adapter } from '../../src/core/adapter.ts'
import type { Activity } from '../../src/engine/activity.ts'
import { createBus } from '../../src/engine/bus.ts'
import { createDecider } from '../../src/engine/deciding.ts'
import type { Deps } from '../../src/engine/deps.ts'
import { createKnown } from '../../src/engine/known.ts'
import { createRoster } from '../../src/engine/roster.ts'
import { createVerifier } from '../../src/engine/verify.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { digestOf } from '../../src/lib/digest.ts'
import { createKeySource } from '../../src/lib/jwks.ts'
import { createLogger } from '../../src/lib/log.ts'
import { createMetrics } from '../../src/lib/metrics.ts'
import { soon } from '../../src/lib/soon.ts'
import { openStore } from '../../src/store/index.ts'
import { policyOf } from '../engine/harness.ts'
import { account, agent, hold, idle, principal } from '../store/fixture.ts'
import { KeyServer, makeKey, token } from '../unit/issuer.ts'
import { cpuSeconds, median, type Row, secondsOf, whole } from './figures.ts'
import { fastJwt } from './peers.ts'
import { didOf, idOf } from './store.ts'

const unused = () => {
  throw new Error('a decision asks the directory nothing')
}

/** Everything a decision takes, without HTTP: a real store, real tokens. */
export const openDecisions = async (file: string, server: KeyServer) => {
  const store = await openStore({ url: `sqlite:${file}`, now: Date.now })
  const clock = systemClock
  const source = createKeySource({ uri: server.uri, fetch: server.fetch, clock })
  await source.refresh()
  const adapter: Adapter = {
    name: 'contoso',
    kind: 'bench',
    realm: 'bench',
    issuers: [server.issuer()],
    identify: ({ oid }) => ({ principals: [String(oid)], onBehalfOf: undefined, act: [], scopes: [] }),
    vet: unused,
    changes: unused,
    lookup: unused,
    check: unused,
  }
  const policy = policyOf()
  const deps: Deps = {
    store,
    mounts: () => new Map(),
    policy: () => policy,
    runtimes: () => [],
    clock,
    isClockDoubted: () => false,
    log: createLogger({ level: 'silent' }),
    metrics: createMetrics(),
    bus: createBus(),
    newId: () => 'id',
    random: Math.random,
    alert: () => undefined,
    isFatal: () => false,
    fatal: unused,
  }
  const seen = new Map<string, number>()
  const activity: Activity = {
    note: (did, now) => {
      seen.set(did, now)
    },
    flush: async () => undefined,
  }
  const roster = createRoster(store)
  return {
    store,
    roster,
    /** One that remembers nothing yet but who there is. */
    decider: () => {
      const known = createKnown(store, roster)
      const verifier = createVerifier({ adapters: () => [adapter], keys: () => source, clock, store: known })
      return createDecider(deps, verifier, activity, known)
    },
    close: async () => {
      source.close()
      await store.close()
    },
  }
}

export const allowed = (view: { allow: boolean }): void => {
  if (!view.allow) throw new Error(`refused: ${JSON.stringify(view)}`)
}

export interface SeenBench {
  readonly perSecond: number
  /** By the processor's time, which others on the machine do not change. */
  readonly perCpuSecond: number
  readonly withCapability: number
  /** What of a decision's time the SHA-256 of the token takes: the limit of not keeping it. */
  readonly digestShare: number
  /** After a commit about another agent each: made anew of what is known. */
  readonly afterCommit: number
  /** The whole first decision on a token, of an agent that is known and of one that is not, in µs. */
  readonly firstKnown: number
  readonly firstUnknown: number
  /** How many times as long fast-jwt's cache takes for its verification alone; the median of the rounds. */
  readonly fastJwtCached: number
}

/** Whole decisions in process on tokens seen before: token, mapping, holds, release, staleness. */
export const benchSeen = async (rounds: number): Promise<SeenBench> => {
  const directory = mkdtempSync(join(tmpdir(), 'bench-decisions-'))
  const key = makeKey('key')
  await using server = await KeyServer.start(key)
  const bench = await openDecisions(join(directory, 'bridge.db'), server)
  const { store } = bench
  const decider = bench.decider()
  try {
    const [agents, perRound] = [500, 50_000]
    await store.write(async (tx) => {
      for (let n = 0; n < agents; n += 1) {
        const observed = account({ observed: 'enabled', observedAt: Date.now() })
        await tx.insertAgent(agent(didOf(n)))
        await tx.insertPrincipal(principal(didOf(n), idOf(n), { account: observed }), idle)
        await tx.putSource({ did: didOf(n), capability: 'read:reports', source: 'manual', confirmedAt: 1 })
      }
    })
    while ((await bench.roster.read()) > 0);
    const tokenOf = (n: number, jti: string) => token(key, Date.now(), { oid: idOf(n), jti })
    const tokens = Array.from({ length: agents }, (_, n) => tokenOf(n, 'a'))
    const again = Array.from({ length: agents }, (_, n) => tokenOf(n, 'b'))
    const each = (list: readonly string[], capability?: string) => async () => {
      for (const text of list) {
        const asked = capability === undefined ? { token: text } : { token: text, capability }
        // As the routes do: what is known is not waited for.
        const told = soon(decider.decide(asked), allowed)
        if (told instanceof Promise) await told
      }
    }
    const firstUnknown = (await secondsOf(each(tokens))) / agents
    const firstKnown = (await secondsOf(each(again))) / agents

    const many = Array.from({ length: perRound }, (_, n) => tokens[n % agents] ?? '')
    const peer = fastJwt('RS256', [key], true)
    const theirs = async () => {
      for (const text of many) peer.verify(text)
    }
    const digests = async () => {
      for (const text of many) digestOf(text)
    }
    await theirs()
    const rounded: { clock: number; cpu: number; capable: number; peer: number; digest: number }[] = []
    for (let round = -1; round < rounds; round += 1) {
      let took = 0
      const spent = await cpuSeconds(async () => {
        took = await secondsOf(each(many))
      })
      const peerTook = await secondsOf(theirs)
      const digestTook = await cpuSeconds(digests)
      const also = await secondsOf(each(many, 'read:reports'))
      // The first round warms up.
      if (round < 0) continue
      const [clock, cpu, capable] = [perRound / took, perRound / spent, perRound / also]
      rounded.push({ clock, cpu, capable, peer: peerTook / took, digest: digestTook / spent })
    }
    let commits = 0
    let anew = 0
    while (commits < 20) {
      await store.write((tx) => tx.insertHold(hold(`h${commits}`, `did:mesh:stranger-${commits}`)))
      commits += 1
      anew += await secondsOf(each(tokens))
    }
    return {
      perSecond: median(rounded.map(({ clock }) => clock)),
      perCpuSecond: median(rounded.map(({ cpu }) => cpu)),
      withCapability: median(rounded.map(({ capable }) => capable)),
      digestShare: median(rounded.map(({ digest }) => digest)),
      afterCommit: (commits * agents) / anew,
      firstKnown: firstKnown * 1e6,
      firstUnknown: firstUnknown * 1e6,
      fastJwtCached: median(rounded.map((one) => one.peer)),
    }
  } finally {
    await bench.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

export const seenRows = (seen: SeenBench): Row[] => [
  [
    'decisions in process, tokens seen before',
    `${whole(seen.perSecond)}/s (${whole(seen.perCpuSecond)} a second of the processor), with a capability ${whole(seen.withCapability)}/s`,
  ],
  ['… of which the digest of the token', `${(100 * seen.digestShare).toFixed(0)} %`],
  ['… fast-jwt with its cache, the verification alone', `${seen.fastJwtCached.toFixed(2)} × as long`],
  ['… made anew after a commit about another agent', `${whole(seen.afterCommit)}/s`],
  [
    '… the first on a token, verified: agent asked about before, not before',
    `${seen.firstKnown.toFixed(0)} µs, ${seen.firstUnknown.toFixed(0)} µs`,
  ],
]
