import type { DecisionAnswer } from '../decisions.ts'

/**
 * What a refusal asks of whoever was refused. Of several the first of this list is told.
 *
 * | kind | what would help |
 * |---|---|
 * | unsure | time: the authority cannot tell now |
 * | stopped | a person: somebody stopped the agent, or one it acts for |
 * | agent | a person: the agent is not known, or not seen, as it has to be |
 * | token | another token |
 * | scope | a token with more scopes |
 * | call | another call |
 */
export const kinds = ['unsure', 'stopped', 'agent', 'token', 'scope', 'call'] as const
export type RefusalKind = (typeof kinds)[number]

/** A code that is not here came later than this guard: nobody but a person can tell what would help. */
const kindOfCode: Readonly<Record<string, RefusalKind>> = {
  R_REPLICA: 'unsure',

  R_SUSPENDED: 'stopped',
  R_DECOMMISSIONED: 'stopped',
  R_ACTOR_SUSPENDED: 'stopped',

  R_TOO_LARGE: 'token',
  R_TOKEN: 'token',
  R_ALGORITHM: 'token',
  R_CRIT: 'token',
  R_KEY: 'token',
  R_SIGNATURE: 'token',
  R_ISSUER: 'token',
  R_OPAQUE: 'token',
  R_AUDIENCE: 'token',
  R_TENANT: 'token',
  R_CLAIMS: 'token',
  R_EXPIRED: 'token',
  R_NOT_YET_VALID: 'token',
  R_CNF: 'token',
  R_ACT: 'token',
  // One that is issued now is after the release.
  R_BEFORE_RESUME: 'token',

  R_SCOPE: 'scope',

  R_CAPABILITY: 'call',
  R_TOOL: 'call',
  R_PARAMETERS: 'call',
}

export const kindOf = (codes: readonly string[]): RefusalKind => {
  const found = new Set(codes.map((code) => (Object.hasOwn(kindOfCode, code) ? kindOfCode[code] : 'agent')))
  return kinds.find((kind) => found.has(kind)) ?? 'agent'
}

export interface Refusal {
  readonly kind: RefusalKind
  readonly codes: readonly string[]
  /** What holders of the agent say to everyone. */
  readonly reasons: readonly string[]
  readonly did: string | undefined
}

/** @param codes those of the answer, or of what is checked here */
export const refusalOf = (codes: readonly string[], answer?: DecisionAnswer): Refusal => {
  const reasons = (answer?.holds ?? []).map(({ publicReason }) => publicReason).filter((one) => one !== null)
  return { kind: kindOf(codes), codes, reasons: [...new Set(reasons)], did: answer?.did ?? undefined }
}

/** The authority could not say. */
export const unsure: Refusal = { kind: 'unsure', codes: [], reasons: [], did: undefined }

/** What the agent itself is, where that is why. */
export const statusOf = ({ codes }: Refusal): 'suspended' | 'decommissioned' | undefined => {
  if (codes.includes('R_DECOMMISSIONED')) return 'decommissioned'
  return codes.includes('R_SUSPENDED') ? 'suspended' : undefined
}

/** One sentence for whoever was refused. */
export const sentenceOf = (refusal: Refusal): string => {
  const { kind, codes } = refusal
  switch (kind) {
    case 'unsure':
      return 'Whether the agent may act cannot be told now.'
    case 'stopped':
      if (statusOf(refusal) === 'decommissioned') return 'The agent was decommissioned.'
      if (statusOf(refusal) === 'suspended') return 'The agent is suspended.'
      return 'An agent in the chain of its token is suspended.'
    case 'agent':
      return 'The agent may not act here.'
    case 'token':
      return 'The access token is not accepted.'
    case 'scope':
      return 'The access token lacks a scope that is needed here.'
    case 'call':
      if (codes.includes('R_TOOL')) return 'The agent may not call this tool.'
      if (codes.includes('R_PARAMETERS')) return 'The agent may not call this tool with these arguments.'
      return 'The agent lacks the capability for this.'
  }
}
