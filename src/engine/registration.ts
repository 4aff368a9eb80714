import type { AgentInput, AgentView, PrincipalInput } from './agentapi.ts'

/** A registration as data: what it says, and whether two say the same. */

export const fields = (input: AgentInput) => ({
  name: input.name,
  sponsor: input.sponsor ?? undefined,
  blueprint: input.blueprint ?? undefined,
  parentDid: input.parentDid ?? undefined,
  labels: input.labels ?? {},
})

export const principalText = ({ adapter, id, kind, appId, scopes, shared }: PrincipalInput) =>
  JSON.stringify([adapter, id, kind, appId ?? null, [...(scopes ?? [])].sort(), shared === true])

export const inputOf = (agent: AgentView): AgentInput => ({
  did: agent.did,
  name: agent.name,
  sponsor: agent.sponsor ?? null,
  blueprint: agent.blueprint ?? null,
  parentDid: agent.parentDid ?? null,
  labels: agent.labels,
  capabilities: agent.capabilities
    .filter(({ sources }) => sources.some(({ source }) => source === 'manual'))
    .map(({ name }) => name),
  principals: agent.principals.map(({ adapter, id, kind, appId, scopes, shared }) => ({
    adapter,
    id,
    kind,
    appId,
    scopes,
    shared,
  })),
})

export const normal = (input: AgentInput): string =>
  JSON.stringify([
    {
      ...fields(input),
      labels: Object.entries(input.labels ?? {}).sort(),
      sponsor: [input.sponsor?.email, input.sponsor?.objectId],
    },
    [...new Set(input.capabilities ?? [])].sort(),
    (input.principals ?? []).map(principalText).sort(),
  ])

export const sameAs = (agent: AgentView, input: AgentInput): boolean => normal(inputOf(agent)) === normal(input)
