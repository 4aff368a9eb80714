/** A refusal of the login host: AADSTS number, OAuth error code, sentence. */
export class LoginRefusal extends Error {
  readonly code: number
  readonly error: string

  constructor(code: number, error: string, message: string) {
    super(message)
    this.code = code
    this.error = error
  }
}
