import { type Decision, decide, type RefusalCode } from '../core/decide.ts'
import { parseDid } from '../core/did.ts'
import { BridgeError } from '../core/errors.ts'
import type { ScheduledPrincipal } from '../core/store.ts'
import type { Agent, Did, Hold } from '../core/types.ts'
import type { Activity } from './activity.ts'
import type { DecisionInput, DecisionView, TokenView } from './api.ts'
import type { Deps } from './deps.ts'
import { effectiveOf } from './granting.ts'
import { mappingsOf } from './sharing.ts'
import type { Verified, Verifier } from './verify.ts'
import { statusOf } from './views.ts'

const sampleMs = 10_000

interface Asked {
  readonly did: string | undefined
  readonly principals: readonly ScheduledPrincipal[]
  readonly token: Verified | undefined
  /** A shared account was named without a proof of the DID. */
  readonly unproven?: boolean
}

const refuse = (codes: readonly RefusalCode[]): DecisionView => ({ allow: false, did: undefined, codes, holds: [] })

/** May this agent act now? Reads committed state at every call: a hold denies from its commit on (rule 1). */
export const createDecider = (deps: Deps, verifier: Verifier, activity: Activity) => {
  const sampled = new Map<string, number>()

  /** Refusals are counted by whoever serves them; of each kind one in a while is logged, so that a person sees what it is about. */
  const sample = ({ did, codes }: DecisionView): void => {
    const [code] = codes
    const now = deps.clock.mono()
    if (code === undefined || now - (sampled.get(code) ?? Number.NEGATIVE_INFINITY) < sampleMs) return
    sampled.set(code, now)
    deps.log.info({ did, codes }, 'a decision was refused')
  }

  const ask = async (
    asked: Asked,
    input: DecisionInput,
  ): Promise<{ decision: Decision; agent: Agent | undefined; open: readonly Hold[] }> => {
    const dids = new Set(asked.principals.map(({ did }) => did))
    if (asked.did !== undefined) dids.add(asked.did)
    const [first] = dids
    const did = asked.did ?? first
    const open: Hold[] = []
    for (const one of dids) open.push(...(await deps.store.openHolds(one)))
    // After the holds: of one that is released in between, the agent then says when.
    const agent = did === undefined ? undefined : await deps.store.agent(did)
    const { token } = asked
    const decision = decide({
      did: asked.did,
      agent,
      holds: open,
      principals: asked.principals,
      ...(asked.unproven && { unproven: true }),
      accounts: did === undefined ? [] : await deps.store.principalsOf(did),
      token: token && { issuedAt: token.issuedAt, scopes: token.scopes },
      capability: input.capability,
      scope: input.scope,
      capabilities: input.capability === undefined || did === undefined ? [] : await effectiveOf(deps.store, did),
      now: deps.clock.now(),
      denyAfterMs: deps.policy().maxStaleness.denyMs,
    })
    return { decision, agent, open }
  }

  const askedBy = async (input: DecisionInput): Promise<Asked | DecisionView> => {
    const given = [input.did, input.token, input.principal].filter((one) => one !== undefined).length
    if (given === 0) {
      throw new BridgeError('E_VALIDATION', 'Nothing says which agent is meant.', {
        hint: 'Give did, token or principal.',
      })
    }
    const did = input.did === undefined ? undefined : parseDid(input.did)
    if (input.token !== undefined) {
      const verified = await verifier.verify(input.token)
      if (!verified.valid) {
        const { principals } = verified
        if (principals.length > 0) return { did, principals, token: undefined, unproven: true }
        return refuse(verified.codes)
      }
      const named = await principalNamed(input, verified.actor.did)
      return { did, token: verified, principals: [...verified.principals, ...named] }
    }
    if (input.principal !== undefined) {
      const principals = await principalNamed(input, did)
      return { did, principals, token: undefined, unproven: did === undefined && principals.some((one) => one.shared) }
    }
    return { did, token: undefined, principals: did === undefined ? [] : await deps.store.principalsOf(did) }
  }

  /** The account asked about, as the given DID has it. A shared one of others, or of nobody in particular: as each has it. */
  const principalNamed = async (input: DecisionInput, did: Did | undefined): Promise<ScheduledPrincipal[]> => {
    const named = input.principal && (await deps.store.principal(input.principal))
    if (named === undefined) return []
    const mappings = await mappingsOf(deps.store, named)
    const own = mappings.filter((one) => one.did === did)
    return own.length > 0 ? own : mappings
  }

  return {
    decide: async (input: DecisionInput): Promise<DecisionView> => {
      const asked = await askedBy(input)
      const view = 'allow' in asked ? asked : (await ask(asked, input)).decision
      const holds = view.holds.map(({ origin, publicReason }) => ({ origin, publicReason }))
      if (view.allow && view.did !== undefined) activity.note(view.did)
      sample({ ...view, holds })
      return { allow: view.allow, did: view.did, codes: view.codes, holds }
    },

    verify: async (token: string): Promise<TokenView | { valid: false; codes: readonly string[] }> => {
      const verified = await verifier.verify(token)
      if (!verified.valid) {
        deps.metrics.inc('token_verifications_total', { adapter: 'none', outcome: verified.codes[0] ?? 'refused' })
        return { valid: false, codes: verified.codes }
      }
      const { did } = verified.actor
      const { agent, open, decision } = await ask(
        { did: undefined, principals: verified.principals, token: verified },
        {},
      )
      // Whether the agent is held is its status; a token from before the latest release is no good at all (rule 1).
      if (decision.codes.includes('R_BEFORE_RESUME')) {
        deps.metrics.inc('token_verifications_total', { adapter: verified.adapter, outcome: 'R_BEFORE_RESUME' })
        return { valid: false, codes: ['R_BEFORE_RESUME'] }
      }
      deps.metrics.inc('token_verifications_total', { adapter: verified.adapter, outcome: 'valid' })
      return {
        valid: true,
        issuer: verified.issuer,
        adapter: verified.adapter,
        actor: { did, principal: verified.actor.principal },
        onBehalfOf: verified.onBehalfOf ?? null,
        act: verified.act,
        status: statusOf(agent, open),
        capabilities: await effectiveOf(deps.store, did),
        expiresAt: verified.expiresAt,
      }
    },
  }
}

export type Decider = ReturnType<typeof createDecider>
