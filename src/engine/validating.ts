import type { AgentView } from './agentapi.ts'
import { blueprintIssues } from './blueprints.ts'
import type { Deps } from './deps.ts'
import { faultsOf } from './limits.ts'
import { liveIssues } from './validatinglive.ts'

export interface Issue {
  readonly code: string
  readonly text: string
  readonly mend?: string
}

export interface Validated {
  readonly ok: boolean
  readonly issues: readonly Issue[]
  /** What reading does not tell: no fault, and no proof that there is none. */
  readonly unproven: readonly Issue[]
}

/** Is the agent's configuration complete, and does the live directory agree? Changes nothing. */
export const validateAgent = async (deps: Deps, agent: AgentView): Promise<Validated> => {
  const issues: Issue[] = []
  if (agent.status !== 'active') {
    issues.push({
      code: `V_${agent.status.toUpperCase()}`,
      text: `The agent is ${agent.status}.`,
      mend: 'See its holds.',
    })
  }
  issues.push(...(await chainIssues(deps, agent)))
  if (agent.sponsor === undefined)
    issues.push({ code: 'V_NO_SPONSOR', text: 'The agent has no sponsor.', mend: 'PATCH sponsor.' })
  issues.push(...(await blueprintIssues(deps, agent)))
  if (agent.principals.length === 0) {
    issues.push({ code: 'V_NO_PRINCIPAL', text: 'No directory account is mapped.', mend: 'PATCH principals.' })
  }
  issues.push(...(await sharedKeys(deps, agent)))
  for (const principal of agent.principals) {
    const mount = deps.mounts().get(principal.adapter)
    if (mount === undefined) {
      issues.push({
        code: 'V_NO_ADAPTER',
        text: `No adapter ${principal.adapter} is configured.`,
        mend: 'Configure it or unmap the account.',
      })
      continue
    }
    const refused = mount.adapter.vet(principal)
    if (refused !== undefined)
      issues.push({ code: refused.code, text: refused.message, ...(refused.hint && { mend: refused.hint }) })
  }
  const { issues: seen, unproven } = await liveIssues(deps, agent)
  issues.push(...seen)
  return { ok: issues.length === 0, issues, unproven }
}

const chainIssues = async ({ clock, store }: Deps, { did }: AgentView): Promise<Issue[]> => {
  const { over, tooDeep } = await faultsOf(store, await store.chain(did), clock.now())
  const issues: Issue[] = []
  if (over) {
    const text = 'A delegation that the agent depends on has ended.'
    issues.push({ code: 'V_DELEGATION', text, mend: 'See GET …/delegation, and grant it anew.' })
  }
  if (tooDeep) {
    const text = 'The agent is further from its root than a blueprint above it allows.'
    issues.push({ code: 'V_DEPTH', text, mend: 'PATCH parentDid, or raise maxDelegationDepth.' })
  }
  return issues
}

/** Two DIDs of one key may be one agent: a hold on one of them does not stop the other. */
const sharedKeys = async (deps: Deps, agent: AgentView): Promise<Issue[]> => {
  const holders = await deps.store.holdersOf(agent.keys.map(({ thumbprint }) => thumbprint))
  const others = holders.filter((did) => did !== agent.did)
  if (others.length === 0) return []
  const text = `${others.slice(0, 5).join(', ')} ${others.length === 1 ? 'has' : 'have'} a key of this agent.`
  return [{ code: 'V_KEY_SHARED', text, mend: 'Kill both; register an agent once, with aliases.' }]
}
