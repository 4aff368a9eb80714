import { BridgeError } from '../core/errors.ts'
import type { Agent, Did } from '../core/types.ts'
import type { AgentInput, AgentView, Caller, Registered } from './agentapi.ts'
import { setAliases } from './aliasing.ts'
import { grantBlueprint, vetBlueprint } from './blueprints.ts'
import { type Change, change } from './change.ts'
import { claimAll } from './claiming.ts'
import { delegate } from './delegating.ts'
import type { Deps } from './deps.ts'
import { audit, causeOf, checked, create, decommissioned, isOperator, repeated, unaliased } from './enrolling.ts'
import { capabilitiesBefore, capabilitiesChanged, tellEndsAbove } from './granting.ts'
import { auditClaims } from './holdaudit.ts'
import { describe, unmap } from './joining.ts'
import type { Keep } from './keeping.ts'
import { setKeys } from './keyring.ts'
import { mapPrincipal, type Readings, readForMapping } from './mapping.ts'
import { reparent } from './parents.ts'
import { placeHold, signalHold } from './placing.ts'
import type { Recall } from './recall.ts'
import { fields, filled, inputOf, normal, principalText, sameAs } from './registration.ts'
import { agentView, requireAgent } from './views.ts'

type RecallOf = (adapter: string) => Recall
const readTimeoutMs = 20_000

const who = (caller: Caller) => ({ actor: caller.name, requestId: caller.requestId })

/** Registers an agent. The same registration again changes nothing; a different one is refused. */
export const register = async (
  deps: Deps,
  recallOf: RecallOf,
  given: AgentInput,
  caller: Caller,
  keep?: Keep<Registered>,
): Promise<Registered> => {
  const first = await checked(deps.store, given)
  const present = await unaliased(deps.store, given.did)
  if (present !== undefined) return repeated(await agentView(deps, deps.store, present), first)
  await vetBlueprint(deps, fields(first))
  const readings = await readForMapping(deps, given.principals ?? [], AbortSignal.timeout(readTimeoutMs))
  const answer = await change(
    deps,
    who(caller),
    async (c) => {
      const input = await checked(c.tx, given)
      const rival = await unaliased(c.tx, input.did)
      if (rival !== undefined) return repeated(await agentView(deps, c.tx, rival), input)
      return { agent: await create(c, recallOf, input, readings, caller), created: true }
    },
    keep,
  )
  deps.probe?.('agent.registered')
  return answer
}

/** Replaces what a person decides about an agent; holds, marks and group sources stay as they are (I10). */
export const update = async (
  deps: Deps,
  recallOf: RecallOf,
  given: AgentInput,
  caller: Caller,
  ifRevision: number | undefined,
): Promise<AgentView> => {
  const first = await checked(deps.store, given)
  const present = await agentView(deps, deps.store, await requireAgent(deps.store, given.did))
  if (!sameAs(present, first)) await vetBlueprint(deps, fields(first), present)
  // An account of another kind is read by another call: vetted and read like a new one.
  const known = new Set(present.principals.map(({ adapter, id, kind }) => `${adapter}/${id} ${kind}`))
  const added = (given.principals ?? []).filter(({ adapter, id, kind }) => !known.has(`${adapter}/${id} ${kind}`))
  const readings = await readForMapping(deps, added, AbortSignal.timeout(readTimeoutMs))
  return change(deps, who(caller), async (c) => {
    const input = await checked(c.tx, given)
    const agent = await requireAgent(c.tx, input.did)
    if (ifRevision !== undefined && ifRevision !== agent.revision) {
      throw new BridgeError('E_REVISION', `The agent is at revision ${agent.revision}, not ${ifRevision}.`, {
        hint: 'Read it again and repeat the change.',
      })
    }
    const before = await agentView(deps, c.tx, agent)
    if (sameAs(before, input)) return before
    if (agent.decommissioned) freeOnly(before, input, caller)
    const had = await capabilitiesBefore(c, [agent.did])
    const next: Agent = { ...agent, ...fields(input), updatedAt: c.now, revision: agent.revision + 1 }
    await reparent(c, agent, next)
    if (next.parentDid !== undefined) await tellEndsAbove(c, next.parentDid)
    await c.tx.saveAgent(next)
    const delegated = await delegate(c, agent, next, input)
    await audit(c, 'agent.changed', next, input)
    await setKeys(c, agent.did, input.keys)
    await setAliases(c, agent.did, input.aliases, isOperator(caller))
    await remap(c, agent.did, before, input, readings, recallOf)
    await grantBlueprint(c, next, agent)
    await regrant(c, before, input)
    await capabilitiesChanged(c, had, causeOf(delegated))
    // Runtimes bounded by labels may come to see the agent only now (I11).
    if (!sameLabels(agent, next)) for (const hold of before.holds) await signalHold(c, hold)
    return agentView(deps, c.tx, await requireAgent(c.tx, agent.did))
  })
}

const sameLabels = (a: Agent, b: Agent): boolean =>
  JSON.stringify(Object.entries(a.labels).sort()) === JSON.stringify(Object.entries(b.labels).sort())

/** A tombstone changes in one way: an operator frees its accounts (rule 12). */
const freeOnly = (before: AgentView, input: AgentInput, caller: Caller): void => {
  const kept = new Set((input.principals ?? []).map(principalText))
  const fewer = inputOf(before).principals?.filter((one) => kept.has(principalText(one))) ?? []
  const rest = normal({ ...inputOf(before), principals: fewer }) === normal(filled(before, input))
  if (!rest || !isOperator(caller)) throw decommissioned()
}

const remap = async (
  c: Change,
  did: Did,
  before: AgentView,
  input: AgentInput,
  readings: Readings,
  recallOf: RecallOf,
): Promise<void> => {
  const wanted = new Map((input.principals ?? []).map((one) => [`${one.adapter}/${one.id}`, one]))
  for (const { adapter, id } of before.principals) {
    const key = { adapter, id }
    const one = wanted.get(`${adapter}/${id}`)
    if (one !== undefined) {
      await describe(c, did, before.holds.length > 0, one)
      wanted.delete(`${adapter}/${id}`)
      continue
    }
    const row = await c.tx.principal(key)
    const engaged = before.holds.length > 0 || (row !== undefined && row.account.mark !== 'none')
    if (engaged && before.status !== 'decommissioned') {
      throw new BridgeError(
        'E_HELD',
        `The account ${id} of ${adapter} cannot be unmapped while the agent is held or its switch is ours.`,
        {
          hint: 'Release every hold of the agent first; its accounts are then switched on again and can be unmapped.',
        },
      )
    }
    await unmap(c, did, key)
  }
  for (const one of wanted.values()) await mapPrincipal(c, did, one, readings, recallOf)
  await auditClaims(c, [[did, await claimAll(c, did)]])
}

const regrant = async (c: Change, before: AgentView, input: AgentInput): Promise<void> => {
  const { did } = before
  const manual = new Set(input.capabilities ?? [])
  for (const name of inputOf(before).capabilities ?? []) {
    if (!manual.has(name)) await c.tx.deleteSource(did, name, 'manual')
  }
  for (const capability of manual) await c.tx.putSource({ did, capability, source: 'manual', confirmedAt: c.now })
}

/** The end of an agent: held for ever, its DID a tombstone, its accounts switched off and kept from others. */
export const decommission = async (deps: Deps, did: Did, reason: string, caller: Caller): Promise<AgentView> =>
  change(deps, who(caller), async (c) => {
    const agent = await requireAgent(c.tx, did)
    if (agent.decommissioned) return agentView(deps, c.tx, agent)
    const ended = { ...agent, decommissioned: true, updatedAt: c.now, revision: agent.revision + 1 }
    await c.tx.saveAgent(ended)
    await audit(c, 'agent.decommissioned', ended, {})
    await c.tx.dropTrust(agent.did)
    await placeHold(c, { did: agent.did, origin: `operator:${caller.name}`, severity: 'decommission', reason })
    return agentView(deps, c.tx, ended)
  })
