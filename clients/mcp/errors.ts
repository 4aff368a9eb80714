/** What can go wrong in the guard, and how it is told. The codes are stable; the sentences are not. */
export const guardErrors = {
  E_OPTIONS: 'thrown by createMcpGuard and createRemoteAuthority',
  E_AUTHORITY: 'reported, rejects decide',
  E_ANSWER: 'reported',
  E_QUESTION: 'reported',
  E_RECORD: 'reported',
} as const

export type GuardErrorCode = keyof typeof guardErrors

export interface GuardErrorDetails {
  readonly cause?: unknown
  /** HTTP status of the bridge's answer. */
  readonly status?: number | undefined
  /** Code of the bridge's problem document. */
  readonly bridgeCode?: string | undefined
}

/** The one error class of the guard. The message is safe to show: no token, no arguments of a call. */
export class McpGuardError extends Error {
  readonly code: GuardErrorCode
  readonly status: number | undefined
  readonly bridgeCode: string | undefined

  constructor(code: GuardErrorCode, message: string, details: GuardErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'McpGuardError'
    this.code = code
    this.status = details.status
    this.bridgeCode = details.bridgeCode
  }
}

export type Report = (error: McpGuardError) => void

export const wrong = (what: string) => new McpGuardError('E_OPTIONS', what)
