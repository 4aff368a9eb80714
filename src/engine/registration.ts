import type { AgentInput, AgentView, PrincipalInput } from './agentapi.ts'
import type { DelegationInput } from './delegationapi.ts'

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

/** The same text for two delegations exactly when they say the same; depth and key say nothing of their own. */
export const delegatedAs = (given: DelegationInput | null | undefined): string => {
  if (given === undefined || given === null) return ''
  const { capabilities, expiresAt, proof } = given
  const signature = proof ? Buffer.from(proof.signature, 'base64').toString('base64url') : null
  return JSON.stringify([[...new Set(capabilities)].sort(), expiresAt ? Date.parse(expiresAt) : null, signature])
}

/** A delegation that is there, as it would be given. */
export const delegationInput = (of: {
  readonly capabilities: readonly string[]
  readonly expiresAt: number | undefined
  readonly signature: string | undefined
}): DelegationInput => ({
  capabilities: of.capabilities,
  ...(of.expiresAt !== undefined && { expiresAt: new Date(of.expiresAt).toISOString() }),
  ...(of.signature !== undefined && { proof: { signature: of.signature } }),
})

const delegationOf = ({ delegation }: AgentView): DelegationInput | null =>
  delegation === undefined ? null : delegationInput({ ...delegation, signature: delegation.signed?.signature })

export const inputOf = (agent: AgentView): AgentInput => ({
  did: agent.did,
  name: agent.name,
  sponsor: agent.sponsor ?? null,
  blueprint: agent.blueprint ?? null,
  parentDid: agent.parentDid ?? null,
  delegation: delegationOf(agent),
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
  keys: agent.keys.map(({ key }) => key),
  aliases: agent.aliases.map(({ did }) => did),
})

export const normal = (input: AgentInput): string =>
  JSON.stringify([
    {
      ...fields(input),
      labels: Object.entries(input.labels ?? {}).sort(),
      sponsor: [input.sponsor?.email, input.sponsor?.objectId],
    },
    delegatedAs(input.delegation),
    [...new Set(input.capabilities ?? [])].sort(),
    (input.principals ?? []).map(principalText).sort(),
    [...new Set(input.keys)].sort(),
    [...new Set(input.aliases?.map((one) => (typeof one === 'string' ? one : one.did)))].sort(),
  ])

/** With the keys and aliases that the agent has, where the registration says nothing of them. */
export const filled = (agent: AgentView, input: AgentInput): AgentInput => {
  const { keys, aliases } = inputOf(agent)
  return { ...input, keys: input.keys ?? keys, aliases: input.aliases ?? aliases }
}

export const sameAs = (agent: AgentView, input: AgentInput): boolean =>
  normal(inputOf(agent)) === normal(filled(agent, input)) && (input.delegation?.depth ?? agent.depth) === agent.depth
