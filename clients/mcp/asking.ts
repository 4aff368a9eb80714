import type { DecisionAnswer } from '../decisions.ts'
import { isDecisionAnswer } from './answer.ts'
import type { Asked, Party } from './caller.ts'
import { McpGuardError } from './errors.ts'
import type { Settings } from './options.ts'
import { kindOf, type Refusal, refusalOf, unsure } from './refusal.ts'

/** What an answer of the authority means here. */
export interface Verdict {
  /** Undefined: allowed. */
  readonly refusal: Refusal | undefined
  /** Undefined of a token that was not issued for this server, whatever the authority says of it. */
  readonly party: Party | undefined
  /** Undefined when there was none. */
  readonly answer: DecisionAnswer | undefined
}

export type Ask = (token: string, question?: Asked) => Promise<Verdict>

type TokenOfAnswer = NonNullable<DecisionAnswer['token']>

/** An authority has limits of its own; one that has none, and never answers, says no. */
const patience = 10_000

const within = async <T>(work: Promise<T>, timeoutMs: number): Promise<T> => {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error('no answer in time')), timeoutMs)
  try {
    return await Promise.race([work, promise])
  } finally {
    clearTimeout(timer)
  }
}

/** Without an agent. */
export const nothing = (refusal: Refusal, answer?: DecisionAnswer): Verdict => ({ refusal, party: undefined, answer })

/**
 * Asks the authority, and adds what only a resource server can judge: that the token was issued for it (RFC 8707), with the
 * scopes that it wants. Never rejects: what cannot be told is a refusal.
 */
export const createAsk = (
  { authority, audiences, scopes, report }: Pick<Settings, 'authority' | 'audiences' | 'scopes' | 'report'>,
  timeoutMs = patience,
): Ask => {
  const isOurs = ({ audience }: TokenOfAnswer) => audience.some((one) => audiences.includes(one))

  const verdictOf = (answer: DecisionAnswer): Verdict => {
    const { allow, codes, token, actor, onBehalfOf } = answer
    // Refused before its audience was known: whether an agent that it may lead to is stopped is not told.
    if (token === null && !allow)
      return nothing(refusalOf(codes.filter((code) => kindOf([code]) !== 'stopped')), answer)
    if (token === undefined || token === null) {
      report(new McpGuardError('E_ANSWER', 'The authority does not tell for whom a token was issued.'))
      return nothing(unsure)
    }
    if (!isOurs(token)) return nothing(refusalOf(['R_AUDIENCE']), answer)
    const isWide = scopes.every((scope) => token.scopes.includes(scope))
    const failed = isWide ? codes : [...new Set([...codes, 'R_SCOPE'])]
    const party = actor === null ? undefined : { did: actor.did, principal: actor.principal, onBehalfOf }
    if (failed.length > 0) return { refusal: refusalOf(failed, answer), party, answer }
    if (party === undefined) {
      report(new McpGuardError('E_ANSWER', 'The authority allows, and does not tell whom.'))
      return nothing(unsure)
    }
    return { refusal: undefined, party, answer }
  }

  return async (token, question = {}) => {
    try {
      const answer: unknown = await within(authority.decide({ ...question, token }), timeoutMs)
      if (isDecisionAnswer(answer)) return verdictOf(answer)
      report(new McpGuardError('E_ANSWER', 'The answer of the authority is not understood.'))
    } catch (cause) {
      const known = cause instanceof McpGuardError
      report(known ? cause : new McpGuardError('E_AUTHORITY', 'The authority could not tell.', { cause }))
    }
    return nothing(unsure)
  }
}
