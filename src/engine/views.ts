import { driving, highestSeverity } from '../core/account.ts'
import { bySource } from '../core/capabilities.ts'
import { BridgeError } from '../core/errors.ts'
import type { Proof } from '../core/keys.ts'
import type { StoreReads } from '../core/store.ts'
import type { Agent, Did, Hold, Labels, Principal } from '../core/types.ts'
import type { AgentView, Caller, PrincipalView } from './agentapi.ts'
import { contextFor } from './context.ts'
import { delegationView } from './delegationviews.ts'
import type { Deps, Mount } from './deps.ts'
import { effectiveIn } from './granting.ts'
import { named } from './naming.ts'
import { allHeld } from './sharing.ts'
import { trustView } from './trustviews.ts'

export const unknownAgent = (did: Did): BridgeError =>
  new BridgeError('E_AGENT_UNKNOWN', 'No agent is registered under this DID.', {
    hint: `Register it with POST /v1/agents, or check the spelling: DIDs are compared byte by byte (${did.slice(0, 80)}).`,
  })

/** Whether an agent carries every label that bounds a caller. */
export const within = (labels: Labels | undefined, bounds: Labels | undefined): boolean =>
  bounds === undefined || Object.entries(bounds).every(([key, value]) => labels?.[key] === value)

/** @throws BridgeError E_FORBIDDEN when a label-bounded caller reaches beyond its agents */
export const checkBounds = (agent: Agent | undefined, caller: Caller): void => {
  if (agent === undefined || within(agent.labels, caller.labels)) return
  throw new BridgeError('E_FORBIDDEN', 'This client is bounded to agents with other labels.', {
    hint: 'Compare agents.labels of the client in the configuration with the labels of the agent.',
  })
}

export const statusOf = (
  agent: Pick<Agent, 'decommissioned'> | undefined,
  open: readonly unknown[],
): AgentView['status'] => {
  if (agent?.decommissioned) return 'decommissioned'
  return open.length > 0 ? 'suspended' : 'active'
}

/** One agent whole, as the API shows it. */
export const agentView = async (deps: Deps, reads: StoreReads, agent: Agent): Promise<AgentView> => {
  const now = deps.clock.now()
  const open = await reads.openHolds(agent.did)
  const chain = await reads.chain(agent.did)
  const principals: PrincipalView[] = []
  const proofs = await reads.proofsOf(agent.did)
  for (const one of await reads.principalsOf(agent.did)) {
    principals.push(await principalView(deps, reads, one, open, proofs))
  }
  return {
    did: agent.did,
    name: agent.name,
    status: statusOf(agent, open),
    severity: highestSeverity(open),
    sponsor: agent.sponsor,
    blueprint: agent.blueprint,
    parentDid: agent.parentDid,
    delegation: agent.parentDid === undefined ? undefined : await delegationView(reads, agent.did, now),
    depth: Math.max(0, chain.length - 1),
    labels: agent.labels,
    capabilities: bySource(await reads.sourcesOf(agent.did)),
    effective: effectiveIn(chain, now)(agent.did),
    principals,
    keys: (await reads.keysOf(agent.did)).map(({ key, thumbprint, binding }) => ({ key, thumbprint, binding })),
    aliases: (await reads.aliasesOf(agent.did)).map(({ alias, how }) => ({ did: alias, how })),
    holds: open,
    trust: await trustView(reads, agent.did),
    lastActivity: agent.lastActivity,
    createdAt: agent.createdAt,
    updatedAt: agent.updatedAt,
    revision: agent.revision,
  }
}

const principalView = async (
  deps: Deps,
  reads: StoreReads,
  principal: Principal,
  open: readonly Hold[],
  proofs: readonly Proof[],
): Promise<PrincipalView> => {
  const mount = deps.mounts().get(principal.adapter)
  const { account } = principal
  const proof = proofs.find(({ adapter, id }) => adapter === principal.adapter && id === principal.id)
  return {
    adapter: principal.adapter,
    id: principal.id,
    kind: principal.kind,
    appId: principal.appId,
    scopes: principal.scopes,
    shared: principal.shared,
    proven: proof && { at: proof.at, thumbprint: proof.thumbprint },
    account: {
      desired: (await wantedOff(deps, reads, mount, principal, open)) ? 'disabled' : 'enabled',
      observed: account.observed,
      observedAt: account.observedAt,
      mark: account.mark,
      switches: account.switches,
      contested: account.contested,
      overridden: account.overriddenAt !== undefined,
      lastError: account.lastError,
    },
  }
}

const wantedOff = async (
  deps: Deps,
  reads: StoreReads,
  mount: Mount | undefined,
  principal: Principal,
  open: readonly Hold[],
): Promise<boolean> => {
  if (mount !== undefined) {
    return driving(await contextFor(deps, reads, mount, principal, deps.clock.now(), open)).length > 0
  }
  return principal.shared ? allHeld(reads, principal) : open.length > 0
}

/** The agent of a DID in any of its spellings: from here on its own `did` counts. */
export const requireAgent = async (reads: StoreReads, did: Did): Promise<Agent> => {
  const { agent } = await named(reads, did)
  if (agent === undefined) throw unknownAgent(did)
  return agent
}
