/** A refusal on its way to the caller, in the words of the service. The same one is spelled differently by each protocol. */
export class Refusal extends Error {
  readonly status: number
  readonly code: string
  /** Further members of the error document. */
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: string, message: string, status = 400, details: Readonly<Record<string, unknown>> = {}) {
    super(message)
    this.code = code
    this.status = status
    this.details = details
  }
}

/** How a kind of refusal is called by the Query protocol and by the JSON ones, with its status there. */
const spellings = {
  missingToken: [
    ['MissingAuthenticationToken', 403],
    ['MissingAuthenticationTokenException', 400],
  ],
  unknownKey: [
    ['InvalidClientTokenId', 403],
    ['UnrecognizedClientException', 400],
  ],
  signature: [
    ['SignatureDoesNotMatch', 403],
    ['InvalidSignatureException', 400],
  ],
  incomplete: [
    ['IncompleteSignature', 400],
    ['IncompleteSignatureException', 400],
  ],
  expired: [
    ['ExpiredToken', 403],
    ['ExpiredTokenException', 400],
  ],
  denied: [
    ['AccessDenied', 403],
    ['AccessDeniedException', 400],
  ],
  throttled: [
    ['Throttling', 400],
    ['ThrottlingException', 400],
  ],
  invalid: [
    ['ValidationError', 400],
    ['ValidationException', 400],
  ],
  unknownAction: [
    ['InvalidAction', 400],
    ['UnknownOperationException', 400],
  ],
  failed: [
    ['InternalFailure', 500],
    ['InternalServerException', 500],
  ],
  unavailable: [
    ['ServiceUnavailable', 503],
    ['ServiceUnavailableException', 503],
  ],
} as const satisfies Readonly<Record<string, readonly (readonly [string, number])[]>>

export type Kind = keyof typeof spellings

export function refusalOf(kind: Kind, isQuery: boolean, message: string): Refusal {
  const [code, status] = spellings[kind][isQuery ? 0 : 1]
  return new Refusal(code, message, status)
}
