import { parseDid } from '../core/did.ts'
import { BridgeError } from '../core/errors.ts'
import type { DecisionReads } from '../core/judging.ts'
import type { Activity } from './activity.ts'
import type { AgentView } from './agentapi.ts'
import * as agents from './agents.ts'
import type { Bridge } from './api.ts'
import { verifyAudit } from './auditing.ts'
import { createBlueprints } from './blueprints.ts'
import { createKillBudget } from './budget.ts'
import { chainView } from './chain.ts'
import { change, bridge as derived } from './change.ts'
import { createDecider } from './deciding.ts'
import type { Alert, Deps } from './deps.ts'
import { createDiscoveries } from './discover.ts'
import { createDoctor } from './doctor.ts'
import type { DoctorHost } from './doctorapi.ts'
import { approvedGuard, approveGuard, guardView } from './guardcases.ts'
import * as holding from './holding.ts'
import { receive } from './hooks.ts'
import { createImports } from './imports.ts'
import { killPage } from './killview.ts'
import { findTargets, finishKill, killMany } from './masskill.ts'
import { named, spellingsOf } from './naming.ts'
import { mergePatch } from './patching.ts'
import { pauseWrites } from './pausing.ts'
import { createPlans } from './planning.ts'
import { createPublishing, type PublishingSettings, unpublished } from './publishing.ts'
import type { Pushes } from './pushapi.ts'
import { createPushes } from './pushes.ts'
import { createRecall } from './recall.ts'
import { createReceipts, type ReceiptSettings } from './receipts.ts'
import { inputOf } from './registration.ts'
import { createReplicas } from './replica.ts'
import type { Runner } from './runner.ts'
import { seldom } from './seldom.ts'
import type { SelfSettings } from './selfapi.ts'
import { createSelfRegistration } from './selfregistration.ts'
import { didsOf } from './sharing.ts'
import { signalStream } from './signals.ts'
import { readiness, statusView } from './status.ts'
import { createToolServers } from './toolservers.ts'
import { reportTrust, trustNow } from './trusting.ts'
import { validateAgent } from './validating.ts'
import type { Verifier } from './verify.ts'
import { agentView, checkBounds, requireAgent } from './views.ts'

export interface BridgeParts {
  readonly deps: Deps
  readonly verifier: Verifier
  /** What the verifier reads. */
  readonly known: DecisionReads
  readonly activity: Activity
  readonly runner: (adapter: string) => Runner | undefined
  readonly version: string
  readonly receipts: ReceiptSettings
  readonly alerts: readonly Alert[]
  /** Undefined: no passports, no status lists. */
  readonly publishing?: PublishingSettings | undefined
  /** Undefined: nobody registers itself. */
  /** Undefined: nothing is pushed to anybody. */
  readonly pushes?: Pushes | undefined
  readonly self?: (() => SelfSettings | undefined) | undefined
  /** Undefined: a doctor looks at the store and the directories only. */
  readonly host?: DoctorHost | undefined
}

/** The use cases behind one interface: what HTTP serves. */
export const createBridge = (parts: BridgeParts): Bridge => {
  const { deps, runner } = parts
  const { store } = deps
  const decider = createDecider(deps, parts.verifier, parts.activity, parts.known)
  const spendKill = createKillBudget(deps)
  const startedAt = deps.clock.now()
  const { outlets, deadLetters, redeliver, enableOutlet } = parts.pushes ?? createPushes(deps, [])
  let clients = 0

  const told = { askGroup: (name: string, group: string) => runner(name)?.groups.ask(group), alert: seldom(deps) }
  const recallOf = (adapter: string) => runner(adapter)?.mirror.recall ?? createRecall()

  const seen = async (did: string): Promise<AgentView> =>
    agentView(deps, store, await requireAgent(store, parseDid(did)))

  return {
    register: (input, caller, keep) => agents.register(deps, recallOf, input, caller, keep),
    replace: async (did, input, caller, ifRevision) => {
      const meant = await named(store, parseDid(did))
      if (input.did !== did && input.did !== meant.did) {
        throw new BridgeError('E_VALIDATION', 'The DID in the body is not the one in the path.', {
          hint: 'A DID cannot be changed.',
          details: [{ pointer: '/did', code: 'conflict' }],
        })
      }
      if (meant.agent === undefined) {
        if (ifRevision === undefined) return agents.register(deps, recallOf, input, caller)
        throw new BridgeError('E_REVISION', 'No agent is registered under this DID.', {
          hint: 'Leave If-Match away to register it.',
        })
      }
      const renamed = { ...input, did: meant.did }
      return { agent: await agents.update(deps, recallOf, renamed, caller, ifRevision), created: false }
    },
    patch: async (did, patch, caller, ifRevision) => {
      const present = await seen(did)
      const { parentDid } = patch
      // Of the same parent by another spelling the delegation stays.
      const parent = typeof parentDid === 'string' ? { parentDid: (await named(store, parentDid)).did } : {}
      const input = mergePatch(inputOf(present), { ...patch, ...parent })
      return agents.update(deps, recallOf, input, caller, ifRevision ?? present.revision)
    },
    decommission: (did, reason, caller) => agents.decommission(deps, parseDid(did), reason, caller),
    agent: (did) => seen(did),
    delegation: async (did) => chainView(store, (await named(store, parseDid(did))).did, deps.clock.now()),
    agents: async ({ status, cursor, label, limit, ...filter }, _caller) => {
      if (status !== undefined && status !== 'active' && status !== 'suspended' && status !== 'decommissioned') {
        throw new BridgeError('E_VALIDATION', 'There is no such status.', {
          hint: 'active, suspended or decommissioned',
        })
      }
      const equals = label?.indexOf('=') ?? -1
      if (label !== undefined && equals < 1) {
        throw new BridgeError('E_VALIDATION', 'The label filter is not of the form name=value.', {
          hint: 'label=unit=payments',
        })
      }
      const pair = label === undefined ? undefined : { key: label.slice(0, equals), value: label.slice(equals + 1) }
      const found = await store.agents({ ...filter, status, label: pair, after: cursor, limit: limit + 1 })
      const items: AgentView[] = []
      for (const agent of found.slice(0, limit)) items.push(await agentView(deps, store, agent))
      return { items, nextCursor: found.length > limit ? (items.at(-1)?.did ?? null) : null }
    },
    principal: async (adapter, id) => {
      const principal = await store.principal({ adapter, id })
      if (principal === undefined) {
        throw new BridgeError('E_NOT_FOUND', 'No agent is mapped to this account.', {
          hint: 'Ids are compared byte by byte.',
        })
      }
      if (!principal.shared) return seen(principal.did)
      const agents: AgentView[] = []
      for (const did of await didsOf(store, principal)) agents.push(await seen(did))
      return { adapter, id, agents }
    },
    validate: (did) => seen(did).then((agent) => validateAgent(deps, agent)),
    ...createDoctor(deps, parts.host, runner),

    place: (did, input, caller, keep) => holding.place(deps, parseDid(did), input, caller, spendKill, keep),
    holds: (did, limit) => holding.holds(deps, parseDid(did), limit),
    release: (did, holdId, reason, caller, keep) => holding.release(deps, parseDid(did), holdId, reason, caller, keep),
    approve: (releaseId, caller, keep) => holding.approve(deps, releaseId, caller, keep),
    kill: (input, caller, keep) => holding.kill(deps, input, caller, spendKill, keep),
    killMany: async (input, limit, caller, keep) =>
      killPage(deps, await killMany(deps, input, caller, spendKill, keep), undefined, limit, caller),
    killedAgain: async (id, limit, caller) => {
      const { kill } = await killPage(deps, id, undefined, 1, caller)
      if (kill.placed < kill.agents) await finishKill(deps, id)
      return killPage(deps, id, undefined, limit, caller)
    },
    previewKill: async (targets, caller) => {
      const { dids, agents } = await findTargets(deps, targets, caller)
      return dids.map((did) => ({ did, known: agents.has(did) }))
    },
    killed: (id, cursor, limit, caller) => killPage(deps, id, cursor, limit, caller),
    reportTrust: (items, caller, keep) => reportTrust(deps, items, caller, spendKill, keep),
    trustNow: (items, caller) => trustNow(deps, items, caller),

    decide: decider.decide,
    verify: decider.verify,

    async *signals(caller, lastEventId, signal) {
      clients += 1
      try {
        yield* signalStream(deps, caller, lastEventId, signal)
      } finally {
        clients -= 1
      }
    },
    ack: (seq, caller) =>
      change(deps, { actor: caller.name, requestId: caller.requestId }, async (c) => {
        const signal = await c.tx.signal(seq)
        if (signal !== undefined) checkBounds((await named(c.tx, signal.did)).agent, caller)
        const known = signal !== undefined && (await c.tx.ackSignal(seq, caller.name, c.now))
        if (!known)
          throw new BridgeError('E_NOT_FOUND', 'There is no such signal.', { hint: 'It may be past retention.' })
      }),

    hook: (adapter, request, signal) => receive(deps, adapter, request, told, signal),

    audit: async ({ did, ...filter }) => {
      const dids = did === undefined ? undefined : await spellingsOf(store, did)
      const items = await store.audit({ ...filter, dids, limit: filter.limit + 1 })
      const page = items.slice(0, filter.limit)
      return { items: page, nextCursor: items.length > filter.limit ? String(page.at(-1)?.seq) : null }
    },
    auditHead: () => store.auditHead(),
    verifyAudit: () =>
      verifyAudit(
        store,
        (parts.publishing ?? unpublished).keys().map((key) => key.read()),
      ),

    status: () =>
      statusView(deps, {
        version: parts.version,
        startedAt,
        alerts: parts.alerts,
        signalClients: () => clients,
        outlets,
        runner,
      }),
    guard: (adapter) => guardView(deps, adapter),
    approveGuard: (adapter, hash, caller, keep) => approveGuard(deps, recallOf(adapter), adapter, hash, caller, keep),
    approvedGuard: (adapter, hash) => approvedGuard(deps, recallOf(adapter), adapter, hash),
    pause: (paused, reason, caller, keep) => pauseWrites(deps, paused, reason, caller, keep),
    ready: () => readiness(deps, runner),

    idempotency: {
      get: (client, route, key) => store.idempotent(client, route, key),
      put: (client, route, key, entry) =>
        change(deps, derived, (c) => c.tx.putIdempotent(client, route, key, entry, c.now)),
    },
    hold: (id) => store.hold(id),
    outlets,
    deadLetters,
    redeliver,
    enableOutlet,
    ...createReceipts(deps, parts.receipts),
    ...createPublishing(deps, parts.publishing ?? unpublished, decider.decide),
    ...createBlueprints(deps),
    ...createToolServers(deps),
    ...createReplicas(deps),
    ...createPlans(deps, runner),
    ...createImports(deps),
    ...createDiscoveries(deps),
    ...createSelfRegistration({
      deps,
      verifier: parts.verifier,
      settings: parts.self ?? (() => undefined),
      recallOf,
    }),
  }
}
