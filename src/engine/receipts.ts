import type { Context } from '../core/account.ts'
import { parseDid } from '../core/did.ts'
import { BridgeError } from '../core/errors.ts'
import { cascadeOrigin, isOwn } from '../core/holds.ts'
import type { LegRecord } from '../core/receipts.ts'
import { isClosed, type LegState, legStates, runtimeVerdict, statusOf, worst } from '../core/receipts.ts'
import type { ScheduledPrincipal } from '../core/store.ts'
import type { Hold, PrincipalKey } from '../core/types.ts'
import { publicJwk, type SigningJwk, signJson } from '../lib/jws.ts'
import { pausedKey } from './context.ts'
import type { Deps } from './deps.ts'
import { accountLeg, contextOrNone, runtimesOf } from './legs.ts'
import { named } from './naming.ts'
import type { AccountLeg, DescendantLeg, Leg, Receipt, Receipts, RuntimeLeg, SignedReceipt } from './receiptviews.ts'

export const receiptType = 'receipt+jws'

export interface ReceiptSettings {
  /** Ed25519 private keys in PEM: the first signs, all are published. */
  readonly keys: () => readonly { read(): string }[]
  /** Who says so: the URL the bridge is reached at, or a name. */
  readonly issuer: string
  /** How long legs are kept after a release. */
  readonly retentionMs: () => number
}

/** Descendants whose holds one look takes: bounds how long nothing else gets its turn. */
const chunk = 100
const examinedMost = 10_000
const listedMost = 1_000

const time = (ms: number | undefined): string | null => (ms === undefined ? null : new Date(ms).toISOString())

interface Told {
  readonly known: boolean
  readonly legs: readonly (AccountLeg | RuntimeLeg)[]
}

/** Counted from the reading that proved it off: it may have been off for longer. */
const tailOf = (deps: Deps, { adapter, id }: PrincipalKey, closedAt: number | undefined): string | null => {
  const tailMs = deps.mounts().get(adapter)?.adapter.accounts?.tailMs?.(id)
  return closedAt === undefined || tailMs === undefined ? null : time(closedAt + tailMs)
}

const keep = { answeredAt: null, observed: null, observedAt: null, attempts: null, nextAt: null } as const

const recordedLeg = (deps: Deps, record: LegRecord): AccountLeg => {
  const { ended, closedAt, reopenedAt, adapter, id } = record
  // An account that was freed while its hold is open: a tombstone's.
  const freed = closedAt !== undefined && reopenedAt === undefined ? 'closed' : 'unsupported'
  return {
    ...keep,
    type: 'account',
    adapter,
    id,
    realm: deps.mounts().get(adapter)?.adapter.realm ?? null,
    state: ended?.state ?? freed,
    reason: ended?.reason ?? 'unmapped',
    error: ended?.error ?? null,
    answeredAt: time(record.answeredAt),
    closedAt: time(closedAt),
    reopenedAt: time(reopenedAt),
    sessionsEndAt: reopenedAt === undefined ? tailOf(deps, record, closedAt) : null,
  }
}

interface Around {
  readonly context: Context | undefined
  readonly paused: boolean
}

const presentLeg = (
  deps: Deps,
  principal: ScheduledPrincipal,
  hold: Hold,
  { context, paused }: Around,
  record: LegRecord | undefined,
): AccountLeg => {
  const { account, adapter, id, schedule } = principal
  const mount = deps.mounts().get(adapter)
  const { state, reason, error } = accountLeg(deps, principal, hold, context, paused)
  const proven = context !== undefined && isClosed(account, hold, context)
  const closedAt = record?.closedAt ?? (proven ? account.offReadAt : undefined)
  return {
    type: 'account',
    adapter,
    id,
    realm: mount?.adapter.realm ?? null,
    state,
    reason,
    error: error ?? null,
    answeredAt: time(account.disabledAckAt ?? record?.answeredAt),
    closedAt: time(closedAt),
    reopenedAt: time(record?.reopenedAt),
    sessionsEndAt: state === 'closed' ? tailOf(deps, principal, closedAt) : null,
    observed: account.observed,
    observedAt: time(account.observedAt),
    attempts: account.attempts,
    nextAt: state === 'closed' ? null : time(schedule.nextAt),
  }
}

/** The legs of accounts and runtimes of many holds, in a fixed number of queries. */
const toldOf = async (deps: Deps, holds: readonly Hold[]): Promise<Map<string, Told>> => {
  const { store } = deps
  const dids = [...new Set(holds.map(({ did }) => did))]
  const ids = holds.map(({ id }) => id)
  const agents = new Map((await store.agentsByDid(dids)).map((agent) => [agent.did, agent]))
  const principals = Map.groupBy(await store.principalsByDid(dids), ({ did }) => did)
  const open = Map.groupBy(await store.openHoldsByDid(dids), ({ did }) => did)
  const records = Map.groupBy(await store.legsOf(ids), ({ holdId }) => holdId)
  const acks = Map.groupBy(await store.acksOf(ids), ({ holdId }) => holdId)
  const paused = (await store.meta(pausedKey)) !== undefined
  const now = deps.clock.now()
  // Only a shared account takes queries of its own, for the holds of its other DIDs.
  const contexts = new Map<ScheduledPrincipal, Context | undefined>()
  for (const principal of [...principals.values()].flat()) {
    const context = await contextOrNone(deps, store, principal, now, open.get(principal.did) ?? [])
    contexts.set(principal, context)
  }

  const accountsOf = (hold: Hold): AccountLeg[] => {
    const kept = (records.get(hold.id) ?? []).filter(({ type }) => type === 'account')
    // Released meanwhile, or before: what is kept of it is final.
    if (hold.releasedAt !== undefined || kept.some(({ ended }) => ended !== undefined)) {
      return kept.map((record) => recordedLeg(deps, record))
    }
    const mapped = principals.get(hold.did) ?? []
    const of = (record: LegRecord) => mapped.some(({ adapter, id }) => adapter === record.adapter && id === record.id)
    return [
      ...mapped.map((principal) => {
        const record = kept.find(({ adapter, id }) => adapter === principal.adapter && id === principal.id)
        return presentLeg(deps, principal, hold, { context: contexts.get(principal), paused }, record)
      }),
      ...kept.filter((record) => !of(record)).map((record) => recordedLeg(deps, record)),
    ]
  }

  const runtimesFor = (hold: Hold): RuntimeLeg[] => {
    const ackedAt = new Map((acks.get(hold.id) ?? []).map(({ client, at }) => [client, at]))
    const kept = (records.get(hold.id) ?? []).filter(({ type }) => type === 'runtime')
    const bound =
      hold.releasedAt === undefined
        ? runtimesOf(deps, agents.get(hold.did)?.labels).map(({ name }) => name)
        : kept.map(({ id }) => id)
    return [...new Set([...bound, ...ackedAt.keys()])].sort().map((client) => {
      const { state, reason } = runtimeVerdict(hold, client, ackedAt.get(client))
      const at = reason === 'origin' ? hold.placedAt : ackedAt.get(client)
      return { type: 'runtime', client, state, reason, closedAt: time(at) }
    })
  }

  return new Map(
    holds.map((hold) => [hold.id, { known: agents.has(hold.did), legs: [...accountsOf(hold), ...runtimesFor(hold)] }]),
  )
}

const summary = (hold: Hold, { legs }: Told): DescendantLeg => {
  const closed = legs.filter(({ state }) => state === 'closed')
  const times = closed.map(({ closedAt }) => closedAt ?? '').sort()
  return {
    type: 'descendant',
    did: hold.did,
    holdId: hold.id,
    state: worst(legs.map(({ state }) => state)) ?? 'closed',
    legs: legs.length,
    closed: closed.length,
    closedAt: closed.length === legs.length ? (times.at(-1) ?? null) : null,
  }
}

/** One leg a descendant, from the cascade holds that this hold had part in. */
const descendantsOf = async (deps: Deps, hold: Hold): Promise<{ total: number; legs: DescendantLeg[] }> => {
  const legs: DescendantLeg[] = []
  if (!isOwn(hold)) return { total: 0, legs }
  const origin = cascadeOrigin(hold.did)
  const span = { from: hold.placedAt, until: hold.releasedAt }
  let after: string | undefined
  while (legs.length < examinedMost) {
    const found = await deps.store.cascadesOf(origin, span, after, chunk)
    const told = await toldOf(deps, found)
    for (const one of found) {
      const legsOfIt = told.get(one.id)
      // At the very moment one cascade ends another may begin: the first is the one of this hold.
      if (legsOfIt !== undefined && legs.at(-1)?.did !== one.did) legs.push(summary(one, legsOfIt))
    }
    if (found.length < chunk) return { total: legs.length, legs }
    after = found.at(-1)?.did
  }
  return { total: await deps.store.countCascades(origin, span), legs }
}

const byUrgency = (a: DescendantLeg, b: DescendantLeg): number =>
  legStates.indexOf(a.state) - legStates.indexOf(b.state)

const countsOf = (states: readonly LegState[]): Readonly<Record<LegState, number>> => {
  const count = (wanted: LegState) => states.filter((state) => state === wanted).length
  return {
    closed: count('closed'),
    pending: count('pending'),
    failed: count('failed'),
    unsupported: count('unsupported'),
    shared: count('shared'),
    contested: count('contested'),
    indeterminate: count('indeterminate'),
  }
}

/** Puts the receipt of one hold together from what is committed: the same after a crash as before it. */
const assemble = async (deps: Deps, hold: Hold, issuer: string): Promise<Receipt> => {
  const { seq, hash } = await deps.store.auditHead()
  const { known, legs } = (await toldOf(deps, [hold])).get(hold.id) ?? { known: false, legs: [] }
  const family = await descendantsOf(deps, hold)
  const listed = [...family.legs].sort(byUrgency).slice(0, listedMost)
  const states = [...legs, ...family.legs].map(({ state }) => state)
  const isWhole = known && family.total <= family.legs.length
  const all: readonly Leg[] = [...legs, ...listed]
  return {
    version: 1,
    iss: issuer,
    iat: Math.floor(deps.clock.now() / 1000),
    did: hold.did,
    known,
    hold: {
      id: hold.id,
      origin: hold.origin,
      severity: hold.severity,
      guarded: hold.guarded,
      placedAt: new Date(hold.placedAt).toISOString(),
      releasableAt: time(hold.releasableAt),
      releasedAt: time(hold.releasedAt),
    },
    status: isWhole ? statusOf(states) : 'open',
    legs: all,
    counts: countsOf(states),
    descendants: { total: family.total, examined: family.legs.length, listed: listed.length },
    audit: { seq, hash },
  }
}

const missing = () =>
  new BridgeError('E_HOLD_UNKNOWN', 'The agent has no such hold.', {
    hint: 'List them with GET /v1/agents/{did}/holds.',
  })

export const createReceipts = (deps: Deps, settings: ReceiptSettings): Receipts => ({
  receipt: async (did, holdId): Promise<SignedReceipt> => {
    const hold = await deps.store.hold(holdId)
    const meant = await named(deps.store, parseDid(did))
    if (hold === undefined || hold.did !== meant.did) throw missing()
    if (hold.releasedAt !== undefined && hold.releasedAt < deps.clock.now() - settings.retentionMs()) {
      throw new BridgeError('E_NOT_FOUND', 'The receipt of this hold is past retention.', {
        hint: 'The audit log has the hold: GET /v1/audit?hold=…',
      })
    }
    const receipt = await assemble(deps, hold, settings.issuer)
    const [key] = settings.keys()
    return { receipt, jws: key && (await signJson(receipt, receiptType, key.read())) }
  },
  signingKeys: async () => {
    const keys = new Map<string, SigningJwk>()
    for (const key of settings.keys()) {
      try {
        const jwk = await publicJwk(key.read())
        keys.set(jwk.kid, jwk)
      } catch (error) {
        // The others still verify what they signed.
        deps.log.error({ err: error }, 'a signing key cannot be published')
      }
    }
    return [...keys.values()]
  },
})
