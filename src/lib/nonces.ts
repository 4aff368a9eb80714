import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Clock } from './clock.ts'

const headBytes = 24
const macBytes = 16
const form = /^[A-Za-z0-9_-]{54}$/

export type Taken = 'fresh' | 'bad' | 'full'

/**
 * Challenges that prove themselves: one that was given out costs no memory, one that came back is remembered until it
 * would have expired anyway. The secret is this process's own, so that a restart ends all of them.
 */
export class Nonces {
  readonly #secret = randomBytes(32)
  readonly #clock: Pick<Clock, 'mono'>
  readonly #lifetimeMs: number
  readonly #most: number
  /** When each would expire, in the order they came back. */
  readonly #used = new Map<string, number>()

  constructor(clock: Pick<Clock, 'mono'>, lifetimeMs: number, most: number) {
    this.#clock = clock
    this.#lifetimeMs = lifetimeMs
    this.#most = most
  }

  /** Base64url of 40 bytes. */
  issue(): string {
    const head = Buffer.alloc(headBytes)
    head.writeDoubleBE(this.#clock.mono() + this.#lifetimeMs)
    randomBytes(headBytes - 8).copy(head, 8)
    return Buffer.concat([head, this.#mac(head)]).toString('base64url')
  }

  /** Whether it is ours and was not taken before; from now on it was. `full`: too many came back at once. */
  take(nonce: string): Taken {
    const bytes = Buffer.from(form.test(nonce) ? nonce : '', 'base64url')
    if (bytes.length !== headBytes + macBytes || bytes.toString('base64url') !== nonce) return 'bad'
    const head = bytes.subarray(0, headBytes)
    if (!timingSafeEqual(bytes.subarray(headBytes), this.#mac(head))) return 'bad'
    const now = this.#clock.mono()
    const expires = head.readDoubleBE()
    if (!(expires > now) || this.#used.has(nonce)) return 'bad'
    if (this.#used.size >= this.#most) for (const [old, at] of this.#used) if (at <= now) this.#used.delete(old)
    if (this.#used.size >= this.#most) return 'full'
    this.#used.set(nonce, expires)
    return 'fresh'
  }

  #mac(head: Uint8Array): Buffer {
    return createHmac('sha256', this.#secret).update(head).digest().subarray(0, macBytes)
  }
}
