/** gRPC status codes, and those of items in the answer of a batch. */
export const status = {
  ok: 0,
  invalidArgument: 3,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  internal: 13,
  unavailable: 14,
} as const

/** A call, or an item of a batch, is answered with this status. */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}
