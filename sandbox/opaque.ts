import { createHmac, randomBytes } from 'node:crypto'

/** Page and delta tokens: opaque to the caller, and refused when it edits or invents one. */
export class Opaque {
  readonly #key = randomBytes(32)

  seal(value: object): string {
    const text = Buffer.from(JSON.stringify(value)).toString('base64url')
    return `${this.#mark(text)}${text}`
  }

  /** The sealed value, to be parsed by the caller's schema; undefined when this tenant did not issue it. */
  open(token: string): unknown {
    const text = token.slice(16)
    if (token.length < 17 || this.#mark(text) !== token.slice(0, 16)) return undefined
    return JSON.parse(Buffer.from(text, 'base64url').toString())
  }

  #mark(text: string): string {
    return createHmac('sha256', this.#key).update(text).digest('base64url').slice(0, 16)
  }
}
