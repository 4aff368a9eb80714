import { parseDid } from '../core/did.ts'
import { BridgeError } from '../core/errors.ts'
import { bulkFrom, type KillSelector, type MassKill } from '../core/masskill.ts'
import type { Agent, Did } from '../core/types.ts'
import type { Caller } from './agentapi.ts'
import { type Change, change } from './change.ts'
import type { Deps } from './deps.ts'
import { fitting, mostAtOnce } from './fitting.ts'
import { isPerson, originOf } from './holding.ts'
import type { Keep } from './keeping.ts'
import { type KillTargets, type MassKillInput, maxTargets } from './killapi.ts'
import { namedMount } from './mounts.ts'
import { canonicalOf, named } from './naming.ts'
import { placeHolds } from './placing.ts'
import { checkBounds } from './views.ts'

const readPage = 1_000

/** Whom a kill is for: DIDs in the order given, without repetitions, with what is registered of them. */
export interface Targets {
  readonly dids: readonly Did[]
  readonly agents: ReadonlyMap<Did, Agent>
}

/** @throws BridgeError E_VALIDATION, E_DID, E_FORBIDDEN, E_ADAPTER_UNKNOWN */
export const findTargets = async (deps: Deps, targets: KillTargets, caller: Caller): Promise<Targets> => {
  if ('selector' in targets) {
    if (!isPerson(caller)) {
      throw new BridgeError('E_FORBIDDEN', 'A runtime names the agents it kills.', {
        hint: 'Send agentIds; a selector takes the role responder.',
      })
    }
    const agents = await matching(deps, targets.selector)
    for (const agent of agents) checkBounds(agent, caller)
    return { dids: agents.map(({ did }) => did), agents: new Map(agents.map((agent) => [agent.did, agent])) }
  }
  const given = [...new Set(targets.dids.map(parseDid))]
  if (given.length > maxTargets) throw tooMany()
  const canonical: Did[] = []
  for (let at = 0; at < given.length; at += readPage) {
    canonical.push(...(await canonicalOf(deps.store, given.slice(at, at + readPage))))
  }
  const dids = [...new Set(canonical)]
  const agents = new Map<Did, Agent>()
  for (let at = 0; at < dids.length; at += readPage) {
    for (const agent of await deps.store.agentsByDid(dids.slice(at, at + readPage))) agents.set(agent.did, agent)
  }
  for (const agent of agents.values()) checkBounds(agent, caller)
  return { dids, agents }
}

/** Decommissioned agents match nothing: they are held for good. */
const matching = async (deps: Deps, { parent, ...selector }: KillSelector): Promise<Agent[]> => {
  if (selector.adapter !== undefined) namedMount(deps, selector.adapter)
  const found: Agent[] = []
  const parentDid = parent === undefined ? undefined : (await named(deps.store, parent)).did
  for (let after: Did | undefined; ; ) {
    const page = await deps.store.agents({ ...selector, parentDid, after, limit: readPage })
    found.push(...page.filter(({ decommissioned }) => !decommissioned))
    if (found.length > maxTargets) throw tooMany()
    after = page.at(-1)?.did
    if (page.length < readPage) return found
  }
}

const tooMany = () =>
  new BridgeError('E_VALIDATION', `One kill holds at most ${maxTargets} agents.`, {
    hint: 'Narrow the selector, or send several kills.',
  })

/**
 * Kills many agents. Its targets are frozen and recorded in one transaction; then they are held, some hundred a
 * transaction, so that a single kill sent meanwhile waits for no more than one of these. Whatever ends the process in
 * between, the rest is held before it serves again. Resolves when every target is held.
 */
export const killMany = async (
  deps: Deps,
  input: MassKillInput,
  caller: Caller,
  spend: (caller: Caller, count: number) => void,
  keep?: Keep<string>,
): Promise<string> => {
  const { dids } = await findTargets(deps, input.targets, caller)
  if (dids.length === 0) {
    throw new BridgeError('E_AGENT_UNKNOWN', 'The selector matches no agent.', {
      hint: 'Try it with dryRun; sponsor is an e-mail address or object id, the others are compared byte by byte.',
    })
  }
  spend(caller, dids.length)
  const id = deps.newId()
  await change(
    deps,
    { actor: caller.name, requestId: caller.requestId },
    async (c) => {
      const kill = record(c, id, input, dids.length, caller)
      await c.tx.insertKill(
        kill,
        dids.map((did, at) => ({ n: at + 1, did, holdId: deps.newId() })),
      )
      await auditKill(c, kill)
      return id
    },
    keep,
  )
  deps.probe?.('kill.recorded')
  await finishKill(deps, id)
  deps.probe?.('kill.committed')
  return id
}

const record = (c: Change, id: string, input: MassKillInput, agents: number, caller: Caller): MassKill => ({
  id,
  at: c.now,
  actor: c.actor,
  origin: originOf(caller),
  requestId: c.requestId,
  reason: input.reason,
  evidence: {
    killId: id,
    ...(agents > bulkFrom && { bulk: true }),
    ...(input.action !== undefined && { action: input.action }),
    ...(input.killedAt !== undefined && { killedAt: input.killedAt }),
    ...(input.details !== undefined && { details: input.details }),
  },
  selector: 'selector' in input.targets ? input.targets.selector : undefined,
  agents,
  placed: 0,
  doneAt: undefined,
})

/** The kill as a whole; each of its holds has an entry of its own. An e-mail address stands beside the chain. */
const auditKill = async (c: Change, kill: MassKill): Promise<void> => {
  const { sponsor, ...selector } = kill.selector ?? {}
  await c.tx.appendAudit({
    time: c.now,
    type: 'kill.recorded',
    actor: c.actor,
    requestId: c.requestId,
    details: { killId: kill.id, agents: kill.agents, origin: kill.origin, ...(kill.selector && { selector }) },
    text: { reason: kill.reason, ...(sponsor !== undefined && { sponsor }) },
  })
}

/** Holds every target that is not held yet. May be called again, and at the same time, without harm. */
export const finishKill = async (deps: Deps, id: string): Promise<void> => {
  for (let done = false; !done; ) {
    const kill = await deps.store.kill(id)
    if (kill === undefined) return
    done = await change(deps, { actor: kill.actor, requestId: kill.requestId }, (c) => holdSome(c, id))
    deps.probe?.('kill.advanced')
  }
}

/** True when the last target is held. */
const holdSome = async (c: Change, id: string): Promise<boolean> => {
  const kill = await c.tx.kill(id)
  if (kill === undefined || kill.doneAt !== undefined) return true
  const next = await c.tx.killItems(id, kill.placed, mostAtOnce)
  // Since the kill was recorded a target may have become an agent's alias.
  const dids = await canonicalOf(
    c.tx,
    next.map(({ did }) => did),
  )
  const items = await fitting(
    c,
    next.map((item, at) => ({ ...item, did: dids[at] ?? item.did })),
  )
  // What else was sent is kept once, with the kill.
  const {
    origin,
    reason,
    evidence: { details: _once, ...evidence },
  } = kill
  await placeHolds(
    c,
    items.map(({ did, holdId }) => ({ id: holdId, did, origin, severity: 'kill', reason, evidence })),
  )
  const placed = kill.placed + items.length
  const done = placed >= kill.agents || items.length === 0
  await c.tx.advanceKill(id, placed, done ? c.now : undefined)
  return done
}

/** Ends what a crash or a full disk left half done. */
export const finishKills = async (deps: Deps): Promise<void> => {
  for (const { id, agents, placed } of await deps.store.unfinishedKills()) {
    deps.log.info({ killId: id, agents, placed }, 'holding the rest of a kill')
    await finishKill(deps, id)
  }
}
