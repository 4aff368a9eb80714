import type { Claims, Issuer } from '../core/adapter.ts'
import { parseDid } from '../core/did.ts'
import { type ReplicaRow, settingsDid } from '../core/replica.ts'
import type { SignalFrame } from './api.ts'
import { epochReader } from './basis.ts'
import { topics } from './bus.ts'
import type { Deps } from './deps.ts'
import type { ReplicaItem, ReplicaPage, ReplicaSettings, Replicas } from './replicaapi.ts'
import { generationKey, idOf, positionOf } from './signals.ts'

/** DIDs in one frame. */
const most = 100
const settingsPage = 500
/** A replica that hears nothing for longer asks itself whether the bridge is there. */
const idleMs = 2_000

const timeOf = (ms: number): string => new Date(ms).toISOString()
const timeOrNull = (ms: number | undefined): string | null => (ms === undefined ? null : timeOf(ms))

/** Members listed one by one, so that nothing new goes out by itself: a hold's reason stays here. */
const itemOf = ({ did, seq, agent, delegation, holds, accounts, aliases, sources }: ReplicaRow): ReplicaItem => ({
  did,
  seq,
  agent:
    agent === undefined
      ? null
      : {
          blueprint: agent.blueprint ?? null,
          parentDid: agent.parentDid ?? null,
          decommissioned: agent.decommissioned,
          resumedAt: timeOrNull(agent.resumedAt),
        },
  delegation:
    delegation === undefined
      ? null
      : { expiresAt: timeOrNull(delegation.expiresAt), endedAt: timeOrNull(delegation.endedAt) },
  holds: holds.map(({ origin, severity, publicReason, placedAt }) => ({
    origin,
    severity,
    publicReason: publicReason ?? null,
    placedAt: timeOf(placedAt),
  })),
  accounts: accounts.map(({ adapter, id, shared, scopes, observedAt }) => ({
    adapter,
    id,
    shared,
    scopes: [...scopes],
    observedAt: timeOrNull(observedAt),
  })),
  aliases: [...aliases],
  capabilities: sources.map(({ capability, source, confirmedAt }) => ({
    name: capability,
    source,
    confirmedAt: timeOf(confirmedAt),
  })),
})

/** All of a list that is read page by page, by name. */
async function* allOf<T extends { readonly name: string }>(
  page: (after: string, limit: number) => Promise<readonly T[]>,
): AsyncGenerator<T> {
  for (let after: string | undefined = ''; after !== undefined; ) {
    const found: readonly T[] = await page(after, settingsPage)
    yield* found
    after = found.length < settingsPage ? undefined : found.at(-1)?.name
  }
}

const listOrNull = (list: readonly string[] | undefined): string[] | null => (list === undefined ? null : [...list])

const issuerOf = (
  one: Issuer,
  published: readonly Claims[] | undefined,
): ReplicaSettings['adapters'][number]['issuers'][number] => ({
  issuer: one.issuer,
  namedBy: one.namedBy ?? null,
  audiences: [...one.audiences],
  algorithms: [...one.algorithms],
  jwksUri: one.jwksUri,
  keysFrom: one.keys === undefined ? 'address' : 'bridge',
  keys: published === undefined ? null : [...published],
  headers: listOrNull(one.headers),
  types: listOrNull(one.types),
  audienceClaim: one.audienceClaim ?? null,
  lifetimeMs: one.lifetimeMs ?? null,
  opaque: one.opaque === true,
})

type Keys = ReadonlyMap<Issuer, readonly Claims[] | undefined>

/** Keys that are not fetched from an address, issuer by issuer, as they are now. */
const keysNow = ({ mounts }: Deps): Keys =>
  new Map(
    [...mounts().values()].flatMap(({ adapter }) =>
      adapter.issuers.flatMap((issuer) => (issuer.keys ? [[issuer, issuer.keys.published()] as const] : [])),
    ),
  )

const isSame = (one: Keys, other: Keys): boolean =>
  one.size === other.size && [...one].every(([issuer, keys]) => other.has(issuer) && other.get(issuer) === keys)

const settingsOf = async ({ store, mounts, policy }: Deps, published: Keys): Promise<ReplicaSettings> => {
  const { maxStaleness, unknownActors } = policy()
  const limits: { blueprint: string; maxDelegationDepth: number }[] = []
  for await (const { name, maxDelegationDepth } of allOf(store.blueprints)) {
    if (maxDelegationDepth !== undefined) limits.push({ blueprint: name, maxDelegationDepth })
  }
  const toolServers: ReplicaSettings['toolServers'][number][] = []
  for await (const { name, origin, resource, unlisted, tools } of allOf(store.toolServers)) {
    const told = { name, resource: resource ?? null, unlisted: unlisted ?? null, tools: [...tools] }
    // A resource identifier that the file gives is the file's: of two that have it, the last is meant.
    if (origin === 'config') toolServers.push(told)
    else toolServers.unshift(told)
  }
  return {
    denyAfterMs: maxStaleness.denyMs,
    unknownActors,
    adapters: [...mounts()].map(([name, { adapter }]) => ({
      name,
      kind: adapter.kind,
      identity: adapter.identity ?? null,
      issuers: adapter.issuers.map((one) => issuerOf(one, published.get(one))),
    })),
    limits,
    toolServers,
  }
}

interface Next {
  readonly position: number
  readonly isSettings: boolean
  readonly items: readonly ReplicaItem[]
}

/** Serves replicas of what decisions read. All of it is read set by set, each set as of one moment. */
export const createReplicas = (deps: Deps): Replicas => {
  const { store, bus, clock } = deps
  const epochNow = epochReader(store)

  const next = async (position: number): Promise<Next> => {
    const changed = await store.changesAfter(position, most)
    const dids = changed.map(({ did }) => did).filter((did) => did !== settingsDid)
    const items = dids.length === 0 ? [] : (await store.replicaOf(dids)).map(itemOf)
    return { position: changed.at(-1)?.seq ?? position, isSettings: dids.length < changed.length, items }
  }

  /** Most replicas wait at the same position: what comes next is read once for all of them, until another commit. */
  let shared: { readonly count: number; readonly from: Map<number, Promise<Next>> } = { count: -1, from: new Map() }
  const nextShared = (position: number): Promise<Next> => {
    const { count } = store.changes
    if (shared.count !== count) shared = { count, from: new Map() }
    const known = shared.from.get(position)
    if (known !== undefined) return known
    const reading = next(position)
    const { from } = shared
    from.set(position, reading)
    // A failure is nothing to share.
    reading.catch(() => from.delete(position))
    return reading
  }

  async function* replicaSignals(lastEventId: string | undefined, signal: AbortSignal): AsyncGenerator<SignalFrame> {
    const generation = (await store.meta(generationKey)) ?? '0'
    const head = await store.changeHead()
    const given = positionOf(generation, lastEventId)
    const resumed = given !== undefined && given <= head
    let position = resumed ? given : head
    let told = deps.policy()
    let keys = keysNow(deps)
    const settings = async (isResumed: boolean): Promise<SignalFrame> => {
      told = deps.policy()
      keys = keysNow(deps)
      const now = await settingsOf(deps, keys)
      const data = { type: 'settings', seq: position, generation, resumed: isResumed, settings: now }
      return { id: idOf(generation, position), event: 'settings', data }
    }
    yield await settings(resumed)
    while (!signal.aborted) {
      const woken = bus.count(topics.changes)
      // Before the changes: what was recorded up to it is told when nothing is left to tell.
      const { seq } = await epochNow()
      const at = clock.now()
      const { position: end, isSettings, items } = await nextShared(position)
      // At the position before: a stream that is cut after it goes on with the items. A policy is in force before it is noted.
      if (isSettings || deps.policy() !== told || !isSame(keysNow(deps), keys)) yield await settings(true)
      if (end === position) {
        const data = { type: 'current', seq: position, epoch: seq, at: timeOf(at) }
        yield { id: idOf(generation, position), event: 'current', data }
        await bus.wait(topics.changes, woken, idleMs, signal)
        continue
      }
      position = end
      if (items.length > 0) {
        yield { id: idOf(generation, position), event: 'changed', data: { type: 'changed', seq: position, items } }
      }
    }
  }

  const page = async (rows: readonly ReplicaRow[], nextCursor: string | null): Promise<ReplicaPage> => ({
    generation: (await store.meta(generationKey)) ?? '0',
    items: rows.map(itemOf),
    nextCursor,
  })
  return {
    replicaPage: async (after, limit) => {
      const rows = await store.replicaAfter(after ?? '', limit)
      return page(rows, rows.length < limit ? null : (rows.at(-1)?.did ?? null))
    },
    replicaItems: async (dids) => page(await store.replicaOf(dids.map(parseDid)), null),
    replicaSignals,
  }
}
