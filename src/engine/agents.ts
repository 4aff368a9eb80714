import { parseCapability } from '../core/capabilities.ts'
import { parseDid } from '../core/did.ts'
import { BridgeError } from '../core/errors.ts'
import type { StoreReads } from '../core/store.ts'
import type { Agent, Did } from '../core/types.ts'
import { thumbprintOf } from '../lib/agentkey.ts'
import type { AgentInput, AgentView, Caller, Registered } from './agentapi.ts'
import { aliasesIn, type Offered, setAliases } from './aliasing.ts'
import { grantBlueprint, vetBlueprint } from './blueprints.ts'
import { type Change, change } from './change.ts'
import { claimAll } from './claiming.ts'
import { checkDelegation, delegate } from './delegating.ts'
import type { DelegationInput } from './delegationapi.ts'
import type { Deps } from './deps.ts'
import { capabilitiesBefore, capabilitiesChanged, tellEndsAbove } from './granting.ts'
import { auditClaims } from './holdaudit.ts'
import { describe, unmap } from './joining.ts'
import type { Keep } from './keeping.ts'
import { keysIn, setKeys } from './keyring.ts'
import { mapPrincipal, type Readings, readForMapping } from './mapping.ts'
import { named } from './naming.ts'
import { checkParent, reparent } from './parents.ts'
import { inheritCascade, placeHold, signalHold } from './placing.ts'
import type { Recall } from './recall.ts'
import { fields, filled, inputOf, normal, principalText, sameAs } from './registration.ts'
import { agentView, requireAgent } from './views.ts'

type RecallOf = (adapter: string) => Recall
const readTimeoutMs = 20_000

const isOperator = (caller: Caller): boolean => caller.roles.includes('operator')

const who = (caller: Caller) => ({ actor: caller.name, requestId: caller.requestId })

export interface Checked extends AgentInput {
  readonly keys: readonly string[] | undefined
  readonly aliases: readonly Offered[] | undefined
}

/** Checked for itself; the parent by the DID it is registered under, so that a chain has one spelling of each. */
export const checked = async (reads: StoreReads, input: AgentInput): Promise<Checked> => {
  parseDid(input.did)
  for (const name of input.capabilities ?? []) parseCapability(name)
  checkDelegation(input)
  const { parentDid } = input
  const parent = parentDid === undefined || parentDid === null ? parentDid : (await named(reads, parentDid)).did
  return { ...input, parentDid: parent, keys: keysIn(input), aliases: aliasesIn(input) }
}

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

/** @throws BridgeError E_EXISTS the DID is another spelling of a registered one */
const unaliased = async (reads: StoreReads, did: Did): Promise<Agent | undefined> => {
  const found = await named(reads, did)
  if (found.did === did) return found.agent
  throw new BridgeError('E_EXISTS', 'The DID is an alias of a registered agent.', {
    hint: `It is registered as ${found.did}.`,
  })
}

const repeated = (agent: AgentView, input: AgentInput): Registered => {
  if (agent.status === 'decommissioned') throw decommissioned()
  if (sameAs(agent, input)) return { agent, created: false }
  throw new BridgeError('E_EXISTS', 'An agent is already registered under this DID with other details.', {
    hint: 'Change it with PATCH or replace it with PUT; registering never resets an agent.',
  })
}

export const create = async (
  c: Change,
  recallOf: RecallOf,
  input: Checked,
  readings: Readings,
  caller: Caller,
): Promise<AgentView> => {
  const { now, tx } = c
  const agent: Agent = {
    did: input.did,
    ...fields(input),
    decommissioned: false,
    createdAt: now,
    updatedAt: now,
    revision: 1,
    lastActivity: undefined,
    resumedAt: await lastRelease(c, input.did),
  }
  await checkParent(c, agent.did, agent.parentDid)
  if (agent.parentDid !== undefined) await tellEndsAbove(c, agent.parentDid)
  await tx.insertAgent(agent)
  await audit(c, 'agent.registered', agent, input)
  await setKeys(c, agent.did, input.keys)
  await setAliases(c, agent.did, input.aliases, isOperator(caller))
  await inheritCascade(c, agent)
  const delegated = await delegate(c, undefined, agent, input)
  for (const principal of input.principals ?? []) await mapPrincipal(c, agent.did, principal, readings, recallOf)
  // Kills that came before the agent did (rule 13), and what it inherits, reach its accounts now.
  await auditClaims(c, [[agent.did, await claimAll(c, agent.did)]])
  const before = new Map([[agent.did, [] as string[]]])
  for (const capability of input.capabilities ?? []) {
    await tx.putSource({ did: agent.did, capability, source: 'manual', confirmedAt: now })
  }
  await grantBlueprint(c, agent, undefined)
  await capabilitiesChanged(c, before, causeOf(delegated))
  return agentView(c.deps, tx, await requireAgent(tx, agent.did))
}

const pastHolds = 1_000

/** Kills may have come, and been lifted, before the agent did: tokens from before that stay refused (rule 1). */
const lastRelease = async (c: Change, did: Did): Promise<number | undefined> => {
  const released = (await c.tx.holdsOf(did, pastHolds))
    .map(({ releasedAt }) => releasedAt)
    .filter((at) => at !== undefined)
  return released.length === 0 ? undefined : Math.max(...released)
}

const audit = async (c: Change, type: string, agent: Agent, input: Partial<Checked>): Promise<void> => {
  const principals = (input.principals ?? []).map(({ adapter, id }) => {
    const realm = c.deps.mounts().get(adapter)?.adapter.realm
    return { adapter, id, ...(realm !== undefined && { realm }) }
  })
  await c.tx.appendAudit({
    time: c.now,
    type,
    did: agent.did,
    principals,
    sponsor: agent.sponsor?.objectId,
    scopes: (input.principals ?? []).flatMap(({ scopes }) => scopes ?? []),
    actor: c.actor,
    requestId: c.requestId,
    details: {
      revision: agent.revision,
      parentDid: agent.parentDid ?? null,
      labels: agent.labels,
      ...(input.delegation && { delegation: auditedDelegation(input.delegation) }),
      ...(input.keys !== undefined && { keys: input.keys.map(thumbprintOf) }),
      ...(input.aliases !== undefined && { aliases: input.aliases.map(({ did }) => did) }),
    },
    text: { name: agent.name, ...(agent.sponsor?.email !== undefined && { sponsorEmail: agent.sponsor.email }) },
  })
}

const auditedDelegation = ({ capabilities, expiresAt, proof }: DelegationInput) => ({
  capabilities: [...new Set(capabilities)].sort(),
  expiresAt: expiresAt ? Date.parse(expiresAt) : null,
  signed: Boolean(proof),
})

const decommissioned = () =>
  new BridgeError('E_DECOMMISSIONED', 'The agent was decommissioned; its DID is not used again.', {
    hint: 'Register the replacement under a new DID.',
  })

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

/** What a registration changes of the effective capabilities, it changes by what it says of the agent or of its parent. */
const causeOf = (delegated: boolean): string => (delegated ? 'delegation' : 'manual')

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
