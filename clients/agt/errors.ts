/** What can go wrong in the client, and who is told. The codes are stable; the sentences are not. */
export const clientErrors = {
  E_OPTIONS: 'thrown by attach',
  E_ATTACHED: 'thrown by attach',
  E_GATE_CLOSED: 'thrown by gate.assert',
  E_STOPPED: 'rejects ready',
  E_REQUEST: 'rejects what asks the bridge',
  E_STREAM: 'reported',
  E_FRAME: 'reported',
  E_SILENCE: 'reported',
  E_KILL_UNSENT: 'reported',
  E_KILL_REFUSED: 'reported',
  E_QUEUE: 'reported',
  E_QUEUE_FULL: 'reported',
  E_STATE: 'reported',
  E_HANDLER: 'reported',
  E_HANDLER_SLOW: 'reported',
  E_TARGET: 'reported',
  E_ACK: 'reported',
  E_DELEGATION: 'thrown by signDelegation',
} as const

export type ClientErrorCode = keyof typeof clientErrors

/** Why a gate is closed. */
export const gateCodes = ['R_STOPPED', 'R_NOT_CURRENT', 'R_SILENT', 'R_SUSPENDED', 'R_KILLED', 'R_ANCESTOR'] as const
export type GateCode = (typeof gateCodes)[number]

export interface ClientErrorDetails {
  readonly cause?: unknown
  readonly did?: string | undefined
  /** HTTP status of the bridge's answer. */
  readonly status?: number | undefined
  /** Code of the bridge's problem document. */
  readonly bridgeCode?: string | undefined
  readonly gate?: readonly GateCode[] | undefined
}

/** The one error class of the client. The message is safe to show; it carries neither the token nor a hold's reason. */
export class AgtClientError extends Error {
  readonly code: ClientErrorCode
  readonly did: string | undefined
  readonly status: number | undefined
  readonly bridgeCode: string | undefined
  /** Set with E_GATE_CLOSED. */
  readonly gate: readonly GateCode[]

  constructor(code: ClientErrorCode, message: string, details: ClientErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'AgtClientError'
    this.code = code
    this.did = details.did
    this.status = details.status
    this.bridgeCode = details.bridgeCode
    this.gate = details.gate ?? []
  }
}

export type Report = (error: AgtClientError) => void
