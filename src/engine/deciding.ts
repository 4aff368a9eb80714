import { type Decision, decide, type RefusalCode, standsUntil } from '../core/decide.ts'
import { type Link, nextEnd } from '../core/delegation.ts'
import { parseDid } from '../core/did.ts'
import { BridgeError } from '../core/errors.ts'
import type { DecisionReads, JudgedAgent, JudgedHold, JudgedPolicy, JudgedPrincipal } from '../core/judging.ts'
import type { Store } from '../core/store.ts'
import type { Did } from '../core/types.ts'
import type { Soon } from '../lib/soon.ts'
import type { Activity } from './activity.ts'
import { type Chain, followChain } from './actors.ts'
import type { DecisionInput, DecisionView, TokenView } from './api.ts'
import { aged, agentFacts, type Basis, epochReader, grantsOf } from './basis.ts'
import { callOf } from './calling.ts'
import type { Deps } from './deps.ts'
import { effectiveIn, effectiveOf } from './granting.ts'
import { createKnown } from './known.ts'
import { faultsAmong, isDelegated } from './limits.ts'
import { named } from './naming.ts'
import { mappingsOf } from './sharing.ts'
import { type Begun, createStandings } from './standing.ts'
import type { Verified, Verifier } from './verify.ts'
import { statusOf } from './views.ts'

const sampleMs = 10_000
const always = () => true

/** What deciding needs of the daemon; a replica in another process has as much. */
export interface DeciderDeps {
  readonly policy: () => JudgedPolicy
  readonly store: DecisionReads & Pick<Store, 'changes'>
  readonly mounts: Parameters<typeof followChain>[0]['mounts']
  readonly clock: Pick<Deps['clock'], 'now' | 'mono'>
  readonly log: Pick<Deps['log'], 'info'>
  readonly metrics: Pick<Deps['metrics'], 'inc'>
}

interface Asked {
  readonly did: string | undefined
  readonly principals: readonly JudgedPrincipal[]
  readonly token: Verified | undefined
  /** A shared account was named without a proof of the DID. */
  readonly unproven?: boolean
}

/** One that was decided, or a token that was refused before there was anything to decide on. */
interface Outcome {
  readonly decision: Decision
  readonly agent: JudgedAgent | undefined
  readonly open: readonly JudgedHold[]
  readonly actors: Chain
  /** Every account of the DID. */
  readonly accounts: readonly JudgedPrincipal[]
  /** The agent, its parent and so on, where they were asked about. */
  readonly chain: readonly Link[]
  /** Effective ones, where they were asked about. */
  readonly capabilities: readonly string[]
  /** Past which time alone may change an allowing one. */
  readonly until: number
}

const noChain: Chain = { actors: [], accounts: [], delegations: [] }

const refuse = (codes: readonly RefusalCode[]): Outcome => ({
  decision: { allow: false, did: undefined, codes, holds: [], checks: [], toolCapability: undefined },
  agent: undefined,
  open: [],
  actors: noChain,
  accounts: [],
  chain: [],
  capabilities: [],
  until: Number.NEGATIVE_INFINITY,
})

/**
 * May this agent act now? Committed state says at every call: a hold denies from its commit on (rule 1). What is remembered
 * of it is forgotten in that very commit: see known.ts and standing.ts.
 *
 * @param known the same that the verifier reads, so that nothing is read twice
 */
export const createDecider = (
  deps: DeciderDeps,
  verifier: Verifier,
  activity: Pick<Activity, 'note'>,
  known: DecisionReads = createKnown(deps.store),
) => {
  const sampled = new Map<string, number>()
  const epochNow = epochReader(known)
  const standings = createStandings(deps)

  /** Refusals are counted by whoever serves them; of each kind one in a while is logged, so that a person sees what it is about. */
  const sample = ({ did, codes }: Pick<DecisionView, 'did' | 'codes'>): void => {
    const [code] = codes
    const now = deps.clock.mono()
    if (code === undefined || now - (sampled.get(code) ?? Number.NEGATIVE_INFINITY) < sampleMs) return
    sampled.set(code, now)
    deps.log.info({ did, codes }, 'a decision was refused')
  }

  const ask = async (asked: Asked, input: DecisionInput): Promise<Outcome> => {
    const dids = new Set(asked.principals.map(({ did }) => did))
    if (asked.did !== undefined) dids.add(asked.did)
    const [first] = dids
    const did = asked.did ?? first
    const open: JudgedHold[] = []
    for (const one of dids) open.push(...(await known.openHolds(one)))
    // After the holds: of one that is released in between, the agent then says when.
    const agent = did === undefined ? undefined : await known.agent(did)
    const { token } = asked
    const actors =
      token && token.act.length > 0
        ? await followChain({ store: known, mounts: deps.mounts }, token.adapter, token.act)
        : noChain
    const accounts = did === undefined ? [] : await known.principalsOf(did)
    const denyAfterMs = deps.policy().maxStaleness.denyMs
    const call = await callOf(known, input)
    const wanted = input.capability !== undefined || call !== undefined || input.describe === true
    // Only a chain, or a question for a capability, needs more of the agent than its row.
    const chained = agent !== undefined && (agent.parentDid !== undefined || wanted)
    const chain = chained ? await known.chain(agent.did) : []
    const chains = [chain, ...actors.delegations]
    const checked = [...accounts, ...actors.accounts]
    // Whoever was stopped unseen would hold all that descends from it (rule 10).
    const above = new Set(chains.flatMap((links) => links.slice(1).map((link) => link.did)))
    for (const one of above) checked.push(...(await known.principalsOf(one)))
    const now = deps.clock.now()
    const capabilities = agent === undefined ? [] : effectiveIn(chain, now)(agent.did)
    const decision = decide({
      did: asked.did,
      agent,
      holds: open,
      principals: asked.principals,
      ...(asked.unproven && { unproven: true }),
      accounts: checked,
      token: token && { issuedAt: token.issuedAt, scopes: token.scopes },
      actors: actors.actors,
      unknownActors: deps.policy().unknownActors,
      capability: input.capability,
      scope: input.scope,
      call,
      chain: await faultsAmong(known, chains, now),
      delegated: chains.some(isDelegated),
      capabilities,
      now,
      denyAfterMs,
    })
    const until = Math.min(standsUntil({ accounts: checked, denyAfterMs }), nextEnd(chains.flat(), now))
    return { decision, agent, open, actors, accounts, chain, capabilities, until }
  }

  const basisOf = async (
    { decision, agent, open, actors, accounts, chain, capabilities }: Outcome,
    asked: Asked | undefined,
    input: DecisionInput,
  ): Promise<Omit<Basis, 'epoch'>> => {
    const { did, codes, toolCapability } = decision
    const asksFor = new Set([input.capability, toolCapability].filter((one) => one !== undefined))
    const token = asked?.token
    // Of several agents that may be meant nothing is told.
    const single = did === undefined ? undefined : agent
    const granted = single && !codes.includes('R_CAPABILITY')
    return {
      actor: token?.actor ?? (single && { did: single.did, principal: input.principal }),
      onBehalfOf: token?.onBehalfOf,
      actors: actors.actors,
      grants: granted ? await grantsOf(known, chain, asksFor, deps.clock.now()) : [],
      token: token && {
        issuer: token.issuer,
        adapter: token.adapter,
        issuedAt: token.issuedAt,
        expiresAt: token.expiresAt,
        audiences: token.audiences,
        scopes: token.scopes,
      },
      agent: input.describe === true && single ? agentFacts(single, open, accounts, capabilities) : undefined,
    }
  }

  const askedBy = async (input: DecisionInput): Promise<Asked | Outcome> => {
    if (input.nobody === true) return refuse(['R_NOT_AGENT'])
    const given = [input.did, input.token, input.principal].filter((one) => one !== undefined).length
    if (given === 0) {
      throw new BridgeError('E_VALIDATION', 'Nothing says which agent is meant.', {
        hint: 'Give did, token or principal.',
      })
    }
    const spelled = input.did === undefined ? undefined : parseDid(input.did)
    if (spelled !== undefined && given === 1) return askedByDid(spelled)
    const did = spelled === undefined ? undefined : (await named(known, spelled)).did
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
    const principals = await principalNamed(input, did)
    return { did, principals, token: undefined, unproven: did === undefined && principals.some((one) => one.shared) }
  }

  /** Who has accounts is registered under this very DID, and costs no look at the aliases. */
  const askedByDid = async (spelled: Did): Promise<Asked> => {
    const principals = await known.principalsOf(spelled)
    if (principals.length > 0) return { did: spelled, token: undefined, principals }
    const { did } = await named(known, spelled)
    return { did, token: undefined, principals: did === spelled ? [] : await known.principalsOf(did) }
  }

  /** The account asked about, as the given DID has it. A shared one of others, or of nobody in particular: as each has it. */
  const principalNamed = async (input: DecisionInput, did: Did | undefined): Promise<JudgedPrincipal[]> => {
    const named = input.principal && (await known.principal(input.principal))
    if (named === undefined) return []
    const mappings = await mappingsOf(known, named)
    const own = mappings.filter((one) => one.did === did)
    return own.length > 0 ? own : mappings
  }

  const decideAnew = async (input: DecisionInput, begun: Begun): Promise<DecisionView> => {
    const epoch = await epochNow()
    const asked = await askedBy(input)
    const outcome = 'decision' in asked ? asked : await ask(asked, input)
    const { allow, did, checks, codes, holds } = outcome.decision
    if (allow && did !== undefined) activity.note(did, deps.clock.now())
    sample({ did, codes })
    const view: DecisionView = {
      allow,
      did,
      codes,
      checks,
      holds: holds.map(({ origin, publicReason }) => ({ origin, publicReason })),
      epoch,
      ...(await basisOf(outcome, 'decision' in asked ? undefined : asked, input)),
    }
    const token = 'decision' in asked ? undefined : asked.token
    const inForce = input.token === undefined ? always : token?.inForce
    if (inForce !== undefined) standings.keep(begun, view, outcome.until, inForce)
    return view
  }

  return {
    decide: (input: DecisionInput): Soon<DecisionView> => {
      const now = deps.clock.now()
      const begun = standings.find(input, now)
      if (!('allow' in begun)) return decideAnew(input, begun)
      if (begun.did !== undefined) activity.note(begun.did, now)
      return aged(begun, now)
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
        capabilities: await effectiveOf(known, did, deps.clock.now()),
        expiresAt: verified.expiresAt,
      }
    },
  }
}

export type Decider = ReturnType<typeof createDecider>
