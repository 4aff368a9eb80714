import type { Actor } from '../core/actors.ts'
import type { TokenSubject } from '../core/adapter.ts'
import { covers } from '../core/covers.ts'
import type { Link } from '../core/delegation.ts'
import type { DecisionReads, JudgedAgent, JudgedHold, JudgedPrincipal } from '../core/judging.ts'
import type { CapabilitySource, Did, PrincipalKey } from '../core/types.ts'
import type { AgentView } from './agentapi.ts'
import { generationKey } from './signals.ts'
import { statusOf } from './views.ts'

/**
 * How far the record had come when a decision was begun: everything up to `seq` of the audit chain is in the answer. It
 * grows with every recorded change and never falls, restarts included; a restored store starts another `generation`, and
 * only epochs of one generation can be compared.
 */
export interface Epoch {
  readonly generation: string
  readonly seq: number
}

/** A source of a capability asked for, and how long ago it was last confirmed. */
export interface Grant extends CapabilitySource {
  readonly ageMs: number
}

/** What a verified token says of itself. */
export interface TokenFacts {
  readonly issuer: string
  readonly adapter: string
  readonly issuedAt: number
  readonly expiresAt: number
  readonly audiences: readonly string[]
  readonly scopes: readonly string[]
}

/** What may be told of an agent to whoever asks for decisions. */
export interface AgentFacts {
  readonly name: string
  readonly status: AgentView['status']
  /** Effective ones. */
  readonly capabilities: readonly string[]
  readonly principals: readonly (PrincipalKey & { readonly kind: string })[]
}

/** What a decision rests on, beside its codes. */
export interface Basis {
  readonly epoch: Epoch
  /** Who acts: never the one for whom. Undefined when no single registered agent is meant. */
  readonly actor: { readonly did: Did; readonly principal: PrincipalKey | undefined } | undefined
  readonly onBehalfOf: TokenSubject['onBehalfOf']
  /** The `act` chain of the token, outermost first. */
  readonly actors: readonly Actor[]
  /** Why the capability asked for is granted: sources of the agent and of every ancestor. Empty when it is not. */
  readonly grants: readonly Grant[]
  /** Undefined without a token, or with one that is refused. */
  readonly token: TokenFacts | undefined
  /** When asked to be described. */
  readonly agent: AgentFacts | undefined
}

/** Reads how far the record has come. Before anything else: what is read later may only be newer. */
export const epochReader = (store: Pick<DecisionReads, 'auditHead' | 'meta'>): (() => Promise<Epoch>) => {
  // Only a start on a restored store changes it, and that comes before any question.
  let generation: Promise<string | undefined> | undefined
  return async () => {
    generation ??= store.meta(generationKey).catch((error) => {
      // A failure is nothing to remember.
      generation = undefined
      throw error
    })
    return { generation: (await generation) ?? '0', seq: (await store.auditHead()).seq }
  }
}

/** The sources that cover these capabilities: of the agent and, as each narrows it, of its ancestors. @param chain the agent first */
export const grantsOf = async (
  store: Pick<DecisionReads, 'sourcesOf'>,
  chain: readonly Pick<Link, 'did'>[],
  capabilities: ReadonlySet<string>,
  now: number,
): Promise<Grant[]> => {
  const grants: Grant[] = []
  const asked = [...capabilities]
  if (asked.length === 0) return grants
  for (const { did } of chain) {
    for (const source of await store.sourcesOf(did)) {
      if (!asked.some((capability) => covers(source.capability, capability))) continue
      grants.push({ ...source, ageMs: Math.max(0, now - source.confirmedAt) })
    }
  }
  return grants
}

export const agentFacts = (
  agent: JudgedAgent,
  open: readonly JudgedHold[],
  accounts: readonly JudgedPrincipal[],
  capabilities: readonly string[],
): AgentFacts => ({
  name: agent.name ?? '',
  status: statusOf(agent, open),
  capabilities,
  principals: accounts.map(({ adapter, id, kind = '' }) => ({ adapter, id, kind })),
})

/** The same decision, as old as it is now. */
export const aged = <T extends Pick<Basis, 'grants'>>(view: T, now: number): T =>
  view.grants.length === 0
    ? view
    : { ...view, grants: view.grants.map((grant) => ({ ...grant, ageMs: Math.max(0, now - grant.confirmedAt) })) }
