import { driving, highestSeverity } from '../core/account.ts'
import { bySource } from '../core/capabilities.ts'
import { BridgeError } from '../core/errors.ts'
import type { StoreReads } from '../core/store.ts'
import type { Agent, Did, Hold, Labels } from '../core/types.ts'
import type { AgentView, Caller, PrincipalView } from './api.ts'
import { contextOf } from './context.ts'
import type { Deps } from './deps.ts'
import { effectiveOf } from './granting.ts'

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

export const statusOf = (agent: Agent | undefined, open: readonly Hold[]): AgentView['status'] => {
  if (agent?.decommissioned) return 'decommissioned'
  return open.length > 0 ? 'suspended' : 'active'
}

/** One agent whole, as the API shows it. */
export const agentView = async (deps: Deps, reads: StoreReads, agent: Agent): Promise<AgentView> => {
  const open = await reads.openHolds(agent.did)
  const principals = await reads.principalsOf(agent.did)
  const now = deps.clock.now()
  return {
    did: agent.did,
    name: agent.name,
    status: statusOf(agent, open),
    severity: highestSeverity(open),
    sponsor: agent.sponsor,
    blueprint: agent.blueprint,
    parentDid: agent.parentDid,
    labels: agent.labels,
    capabilities: bySource(await reads.sourcesOf(agent.did)),
    effective: await effectiveOf(reads, agent.did),
    principals: principals.map((principal): PrincipalView => {
      const mount = deps.mounts().get(principal.adapter)
      const wantsOff =
        mount === undefined ? open.length > 0 : driving(contextOf(deps, mount, principal, open, now)).length > 0
      const { account } = principal
      return {
        adapter: principal.adapter,
        id: principal.id,
        kind: principal.kind,
        appId: principal.appId,
        scopes: principal.scopes,
        shared: false,
        account: {
          desired: wantsOff ? 'disabled' : 'enabled',
          observed: account.observed,
          observedAt: account.observedAt,
          mark: account.mark,
          switches: account.switches,
          contested: account.contested,
          overridden: account.overriddenAt !== undefined,
          lastError: account.lastError,
        },
      }
    }),
    holds: open,
    lastActivity: agent.lastActivity,
    createdAt: agent.createdAt,
    updatedAt: agent.updatedAt,
    revision: agent.revision,
  }
}

export const requireAgent = async (reads: StoreReads, did: Did): Promise<Agent> => {
  const agent = await reads.agent(did)
  if (agent === undefined) throw unknownAgent(did)
  return agent
}
