import type { DecisionAnswer, DecisionRequest } from '../decisions.ts'

/** Who acts, and for whom: two, never merged. */
export interface Party {
  /** The agent. */
  readonly did: string
  /** Its account that the token is of. */
  readonly principal: { readonly adapter: string; readonly id: string } | null
  /** The person or service for whom it acts. */
  readonly onBehalfOf: { readonly id: string; readonly kind: string } | null
}

/** What can be asked about whoever carries a token. */
export type Asked = Omit<DecisionRequest, 'did' | 'token' | 'principal'>

/** Who called, for the code of a tool. Its access token is not among it: it is not to be passed on. */
export interface Caller extends Party {
  /** Asks the authority again, now: in a long run, or about what only the tool knows. Rejects as `decide` does. */
  ask(question?: Asked): Promise<DecisionAnswer>
  /** Aborted when the agent was found stopped, or its token expired, while this request was open. */
  readonly signal: AbortSignal
}

/** A call of a tool, for the host's own log: no token, no argument. */
export interface CallRecord extends Pick<Party, 'principal' | 'onBehalfOf'> {
  /** In ms since 1970. */
  readonly at: number
  /** Null when no single agent is meant, or nobody could tell. */
  readonly did: string | null
  readonly tool: string
  /** Whether it was handed to the server. */
  readonly allow: boolean
  /** `R_*` codes of all that failed; `R_SESSION` of the guard itself; none of a call that a batch was refused with. */
  readonly codes: readonly string[]
  /** What was checked and passed. */
  readonly checks: readonly string[]
  /** Of the decision; null when there was none. */
  readonly epoch: number | null
  readonly generation: string | null
}
