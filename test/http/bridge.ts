import { parseDid } from '../../src/core/did.ts'
import { BridgeError } from '../../src/core/errors.ts'
import type { Hold } from '../../src/core/types.ts'
import type { AgentInput, AgentView, Caller } from '../../src/engine/agentapi.ts'
import type { SignalFrame } from '../../src/engine/api.ts'
import type { Keep } from '../../src/engine/keeping.ts'
import type { Calls, Double } from './double.ts'
import { createBlueprintDouble } from './doubleblueprints.ts'
import { discoveryDouble } from './doublediscover.ts'
import { createImportDouble } from './doubleimports.ts'
import { createKills } from './doublekills.ts'
import { createPlanDouble } from './doubleplans.ts'
import { createPublishingDouble } from './doublepublishing.ts'
import { createPushesDouble } from './doublepushes.ts'
import { createToolServerDouble } from './doubletoolservers.ts'
import { createTrust } from './doubletrust.ts'

export const start = Date.UTC(2026, 10, 21, 10)

export const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })

/** The frames, then silence until it is ended. */
export async function* stream(frames: readonly SignalFrame[], signal: AbortSignal): AsyncGenerator<SignalFrame> {
  yield* frames
  await untilAborted(signal)
}

/** A bridge in memory: it keeps agents and holds, and nothing else is real. */
export const createDouble = (): Double => {
  const agents = new Map<string, { input: AgentInput; revision: number; decommissioned: boolean }>()
  const holdsById = new Map<string, Hold>()
  const stored = new Map<string, { bodyHash: string; status: number; ref: string }>()
  const calls: Calls = {
    callers: [],
    kills: [],
    hooks: [],
    dids: [],
    acks: [],
    lastEventIds: [],
    filters: [],
    decisions: [],
    scores: [],
  }

  const openHolds = (did: string) => [...holdsById.values()].filter((h) => h.did === did && h.releasedAt === undefined)
  const view = (did: string): AgentView => {
    const agent = agents.get(parseDid(did))
    if (agent === undefined) throw new BridgeError('E_AGENT_UNKNOWN', 'The agent is not registered.')
    const holds = openHolds(did)
    const { input, revision, decommissioned } = agent
    return {
      did,
      name: input.name,
      status: decommissioned ? 'decommissioned' : holds.length > 0 ? 'suspended' : 'active',
      severity: holds[0]?.severity,
      sponsor: input.sponsor ?? undefined,
      blueprint: input.blueprint ?? undefined,
      parentDid: input.parentDid ?? undefined,
      delegation: undefined,
      depth: 0,
      labels: input.labels ?? {},
      capabilities: (input.capabilities ?? []).map((name) => ({
        name,
        sources: [{ did, capability: name, source: 'manual', confirmedAt: start }],
      })),
      effective: input.capabilities ?? [],
      principals: [],
      keys: [],
      aliases: [],
      holds,
      trust: undefined,
      lastActivity: undefined,
      createdAt: start,
      updatedAt: start + 1,
      revision,
    }
  }
  let ids = 0
  const place = (
    did: string,
    severity: Hold['severity'],
    reason: string,
    publicReason: string | undefined,
    by: Caller,
  ) => {
    const hold: Hold = {
      id: `hold-${++ids}`,
      did: parseDid(did),
      origin: by.roles.includes('runtime') ? `runtime:${by.name}` : `operator:${by.name}`,
      severity,
      reason,
      publicReason,
      actor: by.name,
      onBehalfOf: undefined,
      placedAt: start,
      releasedAt: undefined,
      releasableAt: undefined,
      guarded: false,
      evidence: { from: 'double' },
    }
    holdsById.set(hold.id, hold)
    return hold
  }
  const openHold = (id: string): Hold => {
    const hold = holdsById.get(id)
    if (hold === undefined) throw new BridgeError('E_HOLD_UNKNOWN', 'There is no such hold.')
    return hold
  }
  const put = (did: string, input: AgentInput) => {
    const before = agents.get(parseDid(did))
    agents.set(did, { input, revision: (before?.revision ?? 0) + 1, decommissioned: false })
    return { agent: view(did), created: before === undefined }
  }
  const check = (did: string, ifRevision: number | undefined) => {
    if (ifRevision !== undefined && view(did).revision !== ifRevision) {
      throw new BridgeError('E_REVISION', 'The agent was changed.')
    }
  }
  const seen = (caller: Caller) => calls.callers.push(caller)
  const keyOf = (client: string, route: string, key: string) => `${client} ${route} ${key}`
  /** As in the transaction of the effect: a key that cannot be kept takes the effect back. */
  const keeping = <K>(keep: Keep<K> | undefined, result: K, undo: () => void = () => undefined): K => {
    try {
      if (keep !== undefined) stored.set(keyOf(keep.client, keep.route, keep.key), keep.entry(result))
      return result
    } catch (error) {
      undo()
      throw error
    }
  }

  const kills = createKills(
    start,
    (did) => agents.has(did),
    (did, reason, by) => place(did, 'kill', reason, undefined, by).id,
    (holdId) => openHold(holdId).releasedAt !== undefined,
    seen,
    keeping,
  )

  const double: Double = {
    ...kills,
    ...createTrust(calls.scores, keeping),
    ...createBlueprintDouble(start, seen),
    ...createImportDouble(start, seen),
    ...discoveryDouble,
    ...createToolServerDouble(start, seen),
    ...createPublishingDouble(start, seen),
    ...createPlanDouble(),
    ...createPushesDouble(start, seen, keeping),
    replicaPage: async () => ({ generation: 'double', items: [], nextCursor: null }),
    replicaItems: async () => ({ generation: 'double', items: [], nextCursor: null }),
    replicaSignals: (_lastEventId, signal) => stream([], signal),
    calls,
    holdsById,
    stored,
    frames: (signal) => stream([], signal),
    gate: async () => undefined,
    isReady: true,
    failure: undefined,
    closeHold(id) {
      holdsById.set(id, { ...openHold(id), releasedAt: start + 5 })
    },

    selfChallenge: () => ({ nonce: 'n', expiresAt: start + 300_000, audience: 'https://bridge.contoso.com' }),
    async registerSelf(_request, read) {
      const { did } = read()
      return { did, created: false, principals: [], provenAt: start, key: 'k', capabilities: [] }
    },

    async register(input, caller, keep) {
      seen(caller)
      const known = agents.get(parseDid(input.did))
      return keeping(keep, known === undefined ? put(input.did, input) : { agent: view(input.did), created: false })
    },
    async replace(did, input, caller, ifRevision) {
      seen(caller)
      check(did, ifRevision)
      if (input.did !== did) {
        const details = [{ pointer: '/did', code: 'conflict' }]
        throw new BridgeError('E_VALIDATION', 'The DID in the body is not the one in the path.', { details })
      }
      return put(did, input)
    },
    async patch(did, patch, caller, ifRevision) {
      seen(caller)
      check(did, ifRevision)
      const agent = agents.get(did)
      if (agent === undefined) throw new BridgeError('E_AGENT_UNKNOWN', 'The agent is not registered.')
      const name = typeof patch.name === 'string' ? patch.name : agent.input.name
      return put(did, { ...agent.input, name }).agent
    },
    async decommission(did, _reason, caller) {
      seen(caller)
      const agent = agents.get(did)
      if (agent === undefined) throw new BridgeError('E_AGENT_UNKNOWN', 'The agent is not registered.')
      agents.set(did, { ...agent, decommissioned: true })
      return view(did)
    },
    async agent(did, caller) {
      seen(caller)
      calls.dids.push(did)
      return view(did)
    },
    async delegation(did) {
      const { effective, status } = view(did)
      const granted = undefined
      const hop = { did, status, parentDid: undefined, depth: 0, granted, effective }
      return [{ ...hop, expiresAt: undefined, ended: false, signed: undefined }]
    },
    async agents(filter, caller) {
      seen(caller)
      calls.filters.push(filter)
      return { items: [...agents.keys()].sort().slice(0, filter.limit).map(view), nextCursor: 'next' }
    },
    async principal(adapter, id, caller) {
      seen(caller)
      const did = /^shared:(.*)$/.exec(id)?.[1]
      return did === undefined ? view(id) : { adapter, id, agents: [view(did)] }
    },
    async validate(did, caller) {
      seen(caller)
      view(did)
      const unproven = [{ code: 'V_UNPROVEN', text: 'Who knows.', mend: 'Try.' }]
      return { ok: false, issues: [{ code: 'V_SPONSOR', text: 'No sponsor.' }], unproven }
    },
    async doctor(adapter) {
      if (adapter !== undefined && adapter !== 'contoso') throw new BridgeError('E_ADAPTER_UNKNOWN', 'There is none.')
      const finding = { code: 'permission', level: 'error' as const, text: 'lacks a right', mend: 'az …' }
      const fine = { about: 'store', code: 'ok', level: 'ok' as const, text: 'writing' }
      const own = { about: 'adapter:contoso', ...finding }
      return { ok: false, at: start, findings: adapter === undefined ? [fine, own] : [own] }
    },
    async place(did, input, caller, keep) {
      seen(caller)
      await double.gate()
      const hold = place(did, input.severity, input.reason, input.publicReason, caller)
      return keeping(keep, hold, () => holdsById.delete(hold.id))
    },
    async holds(did, limit, caller) {
      seen(caller)
      return { items: [...holdsById.values()].filter((hold) => hold.did === did).slice(0, limit) }
    },
    async release(did, holdId, reason, caller, keep) {
      seen(caller)
      const hold = openHold(holdId)
      if (hold.severity === 'suspend') {
        double.closeHold(holdId)
        return keeping(keep, { done: true, agent: agents.has(did) ? view(did) : undefined, did })
      }
      const release = { id: `release-${holdId}`, holdId, did, requestedBy: caller.name, requestedAt: start, reason }
      return keeping(keep, { done: false, release: { ...release, kind: 'release', status: 'awaiting' } })
    },
    async approve(releaseId, caller, keep) {
      seen(caller)
      const hold = openHold(releaseId.replace('release-', ''))
      double.closeHold(hold.id)
      return keeping(keep, { done: true, agent: agents.has(hold.did) ? view(hold.did) : undefined, did: hold.did })
    },
    async kill(input, caller, keep) {
      seen(caller)
      calls.kills.push(input)
      const known = agents.has(parseDid(input.did))
      if (input.inResponseTo !== undefined) {
        return keeping(keep, { did: input.did, holdId: input.inResponseTo, status: 'acknowledged', known })
      }
      const { id } = place(input.did, 'kill', input.reason, undefined, caller)
      return keeping(keep, { did: input.did, holdId: id, status: 'suspended', known })
    },
    async decide(input) {
      calls.decisions.push(input)
      const did = input.did === undefined ? undefined : parseDid(input.did)
      const holds = did === undefined ? [] : openHolds(did)
      const allow = did !== undefined && holds.length === 0
      return {
        allow,
        did,
        codes: allow ? [] : ['R_SUSPENDED'],
        checks: [],
        holds,
        epoch: { generation: 'first', seq: 7 },
        actor: did === undefined ? undefined : { did, principal: undefined },
        onBehalfOf: undefined,
        actors: [],
        grants: [],
        token: undefined,
        agent: undefined,
      }
    },
    async verify(token) {
      if (token !== 'good') return { valid: false, codes: ['R_SIGNATURE'] }
      return {
        valid: true,
        issuer: 'https://login.example/tenant',
        adapter: 'contoso',
        actor: { did: 'did:mesh:a', principal: { adapter: 'contoso', id: 'p1' } },
        onBehalfOf: null,
        act: [],
        status: 'active',
        capabilities: ['read:reports'],
        expiresAt: start + 3_600_000,
      }
    },
    signals(caller, lastEventId, signal) {
      seen(caller)
      calls.lastEventIds.push(lastEventId)
      return double.frames(signal)
    },
    async ack(seq, caller) {
      seen(caller)
      calls.acks.push(seq)
    },
    async hook(adapter, { method, headers, query, body }) {
      if (adapter !== 'contoso') throw new BridgeError('E_NOT_FOUND', 'There is no such hook.')
      if (query.key === 'wrong') throw new BridgeError('E_HOOK_UNVERIFIED', 'The key is wrong.')
      calls.hooks.push({ adapter, method, headers, body: Buffer.from(body).toString('utf8') })
      if (method === 'OPTIONS') return { status: 200, headers: { 'webhook-allowed-rate': '*' }, body: undefined }
      return { status: 200, headers: {}, body: { got: body.length } }
    },
    async audit(filter) {
      calls.filters.push(filter)
      const entry = { seq: 1, time: start, type: 'hold.placed', actor: 'soc', digests: {}, prev: '0', hash: '1' }
      return { items: [entry], nextCursor: null }
    },
    async auditHead() {
      return { seq: 1, hash: '1' }
    },
    async verifyAudit() {
      return { ok: true, entries: 1, head: '1' }
    },
    async status() {
      if (double.failure !== undefined) throw double.failure
      return {
        version: '0.0.0',
        startedAt: start,
        paused: false,
        holds: { open: 0, agents: 0 },
        signals: { head: 0, clients: 0 },
        adapters: [],
        outlets: [],
        kills: [],
        alerts: [{ at: start, code: 'A_TEST', text: 'a test' }],
      }
    },
    async guard(adapter) {
      const calm = { tripped: false, since: undefined, count: 0, plan: undefined, approval: undefined }
      const row = { holdId: 'hold-1', did: 'did:mesh:a', origin: 'adapter:contoso/p1' as const, placedAt: start }
      const plan = { adapter, direction: 'suspend' as const, rows: [row], hash: 'f'.repeat(64) }
      const frozen = { hash: 'e'.repeat(64), rows: 3, by: 'carol', at: start, second: undefined, done: 0, applied: 0 }
      const approval = { ...frozen, dropped: 0, expiresAt: start + 3_600_000 }
      return { adapter, suspend: { tripped: true, since: start, count: 60, plan, approval }, resume: calm }
    },
    async approveGuard(_adapter, hash, caller, keep) {
      seen(caller)
      keeping(keep, undefined)
      return { done: false, approvalId: hash, applied: 0, dropped: 0 }
    },
    async approvedGuard() {
      return { done: true, applied: 3, dropped: 1 }
    },
    async pause(paused, _reason, caller, keep) {
      seen(caller)
      return keeping(keep, { paused })
    },
    async ready() {
      const checks = [{ name: 'store', ok: double.isReady, text: double.isReady ? 'answers' : 'does not answer' }]
      return { ready: double.isReady, checks }
    },
    idempotency: {
      get: async (client, route, key) => stored.get(keyOf(client, route, key)),
      put: async (client, route, key, entry) => {
        stored.set(keyOf(client, route, key), entry)
      },
    },
    async hold(id) {
      return holdsById.get(id)
    },
    async receipt(did, holdId, caller) {
      seen(caller)
      const hold = openHold(holdId)
      const { id, origin, severity, guarded } = hold
      const placedAt = new Date(hold.placedAt).toISOString()
      const none = { closed: 0, pending: 0, failed: 0, unsupported: 0, shared: 0, contested: 0, indeterminate: 0 }
      return {
        receipt: {
          version: 1,
          iss: 'double',
          iat: start / 1000,
          did,
          known: agents.has(did),
          hold: { id, origin, severity, guarded, placedAt, releasableAt: null, releasedAt: null },
          status: 'open',
          legs: [{ type: 'runtime', client: 'agt-1', state: 'pending', reason: 'unacknowledged', closedAt: null }],
          counts: { ...none, pending: 1 },
          descendants: { total: 0, examined: 0, listed: 0 },
          audit: { seq: 1, hash: '1' },
        },
        jws: 'a.b.c',
      }
    },
    async signingKeys() {
      return [{ kty: 'OKP', crv: 'Ed25519', x: 'x', kid: 'kid-1', use: 'sig', alg: 'EdDSA' }]
    },
  }
  return double
}
