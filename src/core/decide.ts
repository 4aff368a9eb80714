import type { Actor } from './actors.ts'
import { type CheckWord, passed } from './checks.ts'
import { covers } from './covers.ts'
import type { ChainFaults } from './delegation.ts'
import type { JudgedHold, JudgedPrincipal } from './judging.ts'
import { type JudgedToolServer, judge, type ToolCall } from './tools.ts'
import type { Agent, Did, Origin, Severity } from './types.ts'

/**
 * Every refusal and the sentence that explains it. A refusal is a correct "no", never an error. Codes are always listed
 * in the order of this table.
 *
 * | group | when it is found |
 * |---|---|
 * | token | before anything in the token is believed, up to its signature |
 * | claims | in a token whose signature holds |
 * | actor | between the token's ids, the mappings and the DID asked about |
 * | state | from holds, releases, what was seen in the directories and the delegation chain |
 * | grant | from the scope, capability or call asked for |
 * | replica | by a replica of the bridge, instead of any other, before it looks at the question |
 */
export const refusals = {
  R_TOO_LARGE: 'The token is over 16 KiB.',
  R_TOKEN: 'The token is not a well-formed compact JWS of the expected type.',
  R_ALGORITHM: 'The token names a signature algorithm that its issuer is not configured for.',
  R_CRIT: 'The token demands a header extension that is not supported.',
  R_KEY: 'The issuer publishes no key that fits the token.',
  R_SIGNATURE: 'The signature of the token does not hold.',

  R_ISSUER: 'The token is from an issuer that is not configured.',
  R_OPAQUE: 'The token is one that nobody but the server that issued it can verify.',
  R_AUDIENCE: 'The token is for another audience.',
  R_TENANT: 'The token is from another tenant.',
  R_CLAIMS: 'A claim that the token needs is missing or has an impossible value.',
  R_EXPIRED: 'The token has expired.',
  R_NOT_YET_VALID: 'The token is not valid yet.',
  R_CNF: 'The token is bound to a key, and no proof of that key was checked.',
  R_ACT: 'The chain of actors in the token is malformed, too long, or not one that its directory writes.',

  R_NOT_AGENT: 'The token, or the subject asked about, is not an agent.',
  R_UNMAPPED: 'The directory account is not mapped to an agent.',
  R_AMBIGUOUS: 'The accounts belong to more than one agent, or one is shared and nothing proves which agent is meant.',
  R_UNKNOWN_DID: 'The agent is not registered.',
  R_MISMATCH: 'The token speaks for another agent than the one asked about.',
  R_ACTOR_UNKNOWN: 'The token names an actor, before or beside the agent, that is nobody known here.',

  R_SUSPENDED: 'The agent is suspended.',
  R_DECOMMISSIONED: 'The agent was decommissioned.',
  R_ACTOR_SUSPENDED: 'The token names an actor, before or beside the agent, that is suspended.',
  R_BEFORE_RESUME: 'The token was issued before the latest release of the agent, or of an actor it names.',
  R_UNOBSERVED:
    'An account of the agent, of one above it or of an actor the token names has never been read in its directory.',
  R_STALE:
    'An account of the agent, of one above it or of an actor the token names has not been read in its directory for too long.',

  R_DELEGATION: 'A delegation that the agent, or an actor the token names, depends on has ended.',
  R_DEPTH: 'The agent, or an actor the token names, is further from its root than a blueprint above it allows.',

  R_SCOPE: 'The agent was not granted this scope.',
  R_CAPABILITY: 'The agent does not have this capability, or the one that the tool takes.',
  R_TOOL: 'The tool, or its server, is not one that may be called.',
  R_PARAMETERS: 'What the tool is to be called with is not what its rule allows.',

  R_REPLICA: 'What was asked is a replica of the bridge that is not current: nobody can tell now.',
} as const

export type RefusalCode = keyof typeof refusals

export const isRefusalCode = (code: string): code is RefusalCode => Object.hasOwn(refusals, code)

const tableOrder = Object.keys(refusals).filter(isRefusalCode)

export interface Question {
  /** The DID asked about; undefined when only a token or an account is. */
  readonly did: Did | undefined
  /** Undefined when no registered agent was found. */
  readonly agent: Pick<Agent, 'did' | 'decommissioned' | 'resumedAt'> | undefined
  /** Open holds of the DID, registered or not; with an ambiguous token those of every DID it leads to. */
  readonly holds: readonly JudgedHold[]
  /** The mapped accounts named by the token or asked about; all of the DID when asked by DID. */
  readonly principals: readonly JudgedPrincipal[]
  /** A shared account was named, and nothing proves which of its DIDs is meant (rule 16). */
  readonly unproven?: boolean
  /**
   * Every account of the DID, of every agent above it and of the actors, named or not: one that nobody could read for long
   * may have been disabled meanwhile.
   */
  readonly accounts: readonly JudgedPrincipal[]
  /** What a verified token says. */
  readonly token: { readonly issuedAt: number; readonly scopes: readonly string[] } | undefined
  /** Its `act` chain, every hop of it. */
  readonly actors?: readonly Actor[]
  /** `policy.unknownActors`: whether an actor that nobody knows denies. */
  readonly unknownActors?: 'deny' | 'allow'
  readonly capability: string | undefined
  readonly scope: string | undefined
  /** One call of a tool, and the server in force that it names. */
  readonly call?: { readonly asked: ToolCall; readonly server: JudgedToolServer | undefined } | undefined
  /** What its delegation chain, and that of every actor, says against it. */
  readonly chain: ChainFaults
  /** Whether any of them is delegated at all. */
  readonly delegated?: boolean
  /** Effective capabilities of the agent. */
  readonly capabilities: readonly string[]
  readonly now: number
  /** `policy.maxStaleness.deny`. */
  readonly denyAfterMs: number
}

/** What a gateway may see of a hold. */
export interface PublicHold {
  readonly origin: Origin
  readonly publicReason: string | undefined
  readonly severity: Severity
  readonly placedAt: number
}

export interface Decision {
  readonly allow: boolean
  /** Undefined when no single agent is meant. */
  readonly did: Did | undefined
  /** All that failed, in the order of the table; empty exactly when allowed. */
  readonly codes: readonly RefusalCode[]
  readonly holds: readonly PublicHold[]
  /** What was checked and found in order. */
  readonly checks: readonly CheckWord[]
  /** What the call takes, when its tool is listed. */
  readonly toolCapability: string | undefined
}

/**
 * The decision on one request (DESIGN §3 rules 1, 11, 16). Everything is checked, so that the answer names all that
 * stands in the way. An account that reads disabled does not deny by itself: its hold does, and an overridden one has none.
 */
export function decide(question: Question): Decision {
  const { agent, principals, token, capability, scope, now } = question
  const failed = new Set<RefusalCode>()
  const holds = question.holds.filter((hold) => hold.releasedAt === undefined)

  const mapped = new Set(principals.map((principal) => principal.did))
  const [first] = mapped
  const ambiguous = mapped.size > 1 || question.unproven === true
  const did = question.did ?? (ambiguous ? undefined : (first ?? agent?.did))
  if (ambiguous) failed.add('R_AMBIGUOUS')
  if (first === undefined && (token || question.did === undefined)) failed.add('R_UNMAPPED')
  if (!agent && (question.did !== undefined || mapped.size === 1)) failed.add('R_UNKNOWN_DID')
  if (question.did !== undefined && first !== undefined && !mapped.has(question.did)) failed.add('R_MISMATCH')
  if (agent && did !== undefined && agent.did !== did) failed.add('R_MISMATCH')

  if (holds.length > 0) failed.add('R_SUSPENDED')
  if (agent?.decommissioned || holds.some((hold) => hold.severity === 'decommission')) failed.add('R_DECOMMISSIONED')
  if (token && agent?.resumedAt !== undefined && !issuedAfter(token.issuedAt, agent.resumedAt)) {
    failed.add('R_BEFORE_RESUME')
  }
  for (const actor of question.actors ?? []) {
    if (actor.dids.length === 0 && question.unknownActors !== 'allow') failed.add('R_ACTOR_UNKNOWN')
    if (actor.held) failed.add('R_ACTOR_SUSPENDED')
    if (token && actor.resumedAt !== undefined && !issuedAfter(token.issuedAt, actor.resumedAt)) {
      failed.add('R_BEFORE_RESUME')
    }
  }
  for (const { account } of question.accounts) {
    if (account.observedAt === undefined) failed.add('R_UNOBSERVED')
    else if (!isCurrent(account.observedAt, now, question.denyAfterMs)) failed.add('R_STALE')
  }
  if (question.chain.over) failed.add('R_DELEGATION')
  if (question.chain.tooDeep) failed.add('R_DEPTH')

  if (scope !== undefined) {
    const granted = token ? token.scopes : principals.flatMap((principal) => principal.scopes)
    if (scope === '' || !granted.includes(scope)) failed.add('R_SCOPE')
  }
  const call = question.call && judge(question.call.asked, question.call.server)
  if (call?.listed === false) failed.add('R_TOOL')
  if (call?.fits === false) failed.add('R_PARAMETERS')
  for (const wanted of [capability, call?.capability]) {
    if (wanted === undefined || question.capabilities.some((granted) => covers(granted, wanted))) continue
    failed.add('R_CAPABILITY')
  }

  const codes = tableOrder.filter((code) => failed.has(code))
  return {
    allow: codes.length === 0,
    did,
    codes,
    holds: holds.map(({ origin, publicReason, severity, placedAt }) => ({ origin, publicReason, severity, placedAt })),
    checks: passed(
      {
        signature: token !== undefined,
        mapping: true,
        holds: question.did !== undefined || mapped.size > 0,
        release: token !== undefined && agent !== undefined,
        observed: question.accounts.length > 0,
        scope: scope !== undefined,
        capability: capability !== undefined || call?.capability !== undefined,
        delegation: question.delegated === true,
        actors: (question.actors ?? []).length > 0,
        tool: call !== undefined,
        parameters: call?.fits !== undefined,
      },
      failed,
    ),
    toolCapability: call?.capability,
  }
}

/**
 * The first moment at which time alone may turn an allowing decision into another; `now` itself is still before it.
 * Whatever is checked against `now` above has its part here. When the token expires is the verifier's.
 */
export const standsUntil = ({ accounts, denyAfterMs }: Pick<Question, 'accounts' | 'denyAfterMs'>): number =>
  Math.min(...accounts.map(({ account }) => (account.observedAt ?? Number.NEGATIVE_INFINITY) + denyAfterMs))

/** As much as token dates may be off. */
const aheadMs = 60_000

/** Of a reading that the clock, when it was ahead, dated in the future nobody can tell how old it is. */
const isCurrent = (observedAt: number, now: number, denyAfterMs: number): boolean =>
  now - observedAt <= denyAfterMs && observedAt - now <= aheadMs

/** Issuers write whole seconds: a token of the second of the release may be from before it. */
export const issuedAfter = (issuedAt: number, at: number) => Math.floor(issuedAt / 1000) * 1000 > at
