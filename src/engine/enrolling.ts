import { parseCapability } from '../core/capabilities.ts'
import { parseDid } from '../core/did.ts'
import { BridgeError } from '../core/errors.ts'
import type { StoreReads } from '../core/store.ts'
import type { Agent, Did } from '../core/types.ts'
import { thumbprintOf } from '../lib/agentkey.ts'
import type { AgentInput, AgentView, Caller, Registered } from './agentapi.ts'
import { aliasesIn, type Offered, setAliases } from './aliasing.ts'
import { grantBlueprint } from './blueprints.ts'
import type { Change } from './change.ts'
import { claimAll } from './claiming.ts'
import { checkDelegation, delegate } from './delegating.ts'
import type { DelegationInput } from './delegationapi.ts'
import { capabilitiesChanged, tellEndsAbove } from './granting.ts'
import { auditClaims } from './holdaudit.ts'
import { keysIn, setKeys } from './keyring.ts'
import { mapPrincipal, type Readings } from './mapping.ts'
import { named } from './naming.ts'
import { checkParent } from './parents.ts'
import { inheritCascade } from './placing.ts'
import type { Recall } from './recall.ts'
import { fields, sameAs } from './registration.ts'
import { agentView, requireAgent } from './views.ts'

type RecallOf = (adapter: string) => Recall

export const isOperator = (caller: Caller): boolean => caller.roles.includes('operator')

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

/** @throws BridgeError E_EXISTS the DID is another spelling of a registered one */
export const unaliased = async (reads: StoreReads, did: Did): Promise<Agent | undefined> => {
  const found = await named(reads, did)
  if (found.did === did) return found.agent
  throw new BridgeError('E_EXISTS', 'The DID is an alias of a registered agent.', {
    hint: `It is registered as ${found.did}.`,
  })
}

export const repeated = (agent: AgentView, input: AgentInput): Registered => {
  if (agent.status === 'decommissioned') throw decommissioned()
  if (sameAs(agent, input)) return { agent, created: false }
  throw new BridgeError('E_EXISTS', 'An agent is already registered under this DID with other details.', {
    hint: 'Change it with PATCH or replace it with PUT; registering never resets an agent.',
  })
}

/** Registers an agent of which the caller knows that it is not registered. */
export const create = async (
  c: Change,
  recallOf: RecallOf,
  input: Checked,
  readings: Readings,
  caller: Caller,
): Promise<AgentView> => {
  await enter(c, recallOf, input, readings, caller)
  return agentView(c.deps, c.tx, await requireAgent(c.tx, input.did))
}

/** The same for whoever does not look at the agent afterwards. `later`: its accounts are read by a pass, not one by one. */
export const enter = async (
  c: Change,
  recallOf: RecallOf,
  input: Checked,
  readings: Readings | 'later',
  caller: Caller,
): Promise<void> => {
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
}

const pastHolds = 1_000

/** Kills may have come, and been lifted, before the agent did: tokens from before that stay refused (rule 1). */
const lastRelease = async (c: Change, did: Did): Promise<number | undefined> => {
  const released = (await c.tx.holdsOf(did, pastHolds))
    .map(({ releasedAt }) => releasedAt)
    .filter((at) => at !== undefined)
  return released.length === 0 ? undefined : Math.max(...released)
}

export const audit = async (c: Change, type: string, agent: Agent, input: Partial<Checked>): Promise<void> => {
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

export const decommissioned = () =>
  new BridgeError('E_DECOMMISSIONED', 'The agent was decommissioned; its DID is not used again.', {
    hint: 'Register the replacement under a new DID.',
  })

/** What a registration changes of the effective capabilities, it changes by what it says of the agent or of its parent. */
export const causeOf = (delegated: boolean): string => (delegated ? 'delegation' : 'manual')
