/** A token the org gave out. */
export interface IssuedToken {
  readonly token: string
  readonly kind: 'access' | 'refresh'
  /** Id of the authorization server; undefined for the org's own. */
  readonly serverId: string | undefined
  readonly issuer: string
  readonly audience: string
  readonly jti: string
  readonly clientId: string
  readonly userId: string | undefined
  readonly subject: string
  readonly scopes: readonly string[]
  /** Seconds since the epoch. */
  readonly iat: number
  readonly exp: number
  /** Thumbprint of the key it is bound to. */
  readonly jkt: string | undefined
  /** Issued beside, or by, a refresh token: only such access tokens can be revoked in bulk. */
  readonly refreshable: boolean
}

const capacity = 20_000

/** Tokens given out, and which of them were revoked. */
export class IssuedTokens {
  readonly #tokens = new Map<string, IssuedToken>()
  readonly #revoked = new Set<string>()

  add(token: IssuedToken): IssuedToken {
    if (this.#tokens.size >= capacity) {
      for (const old of [...this.#tokens.keys()].slice(0, capacity / 2)) {
        this.#tokens.delete(old)
        this.#revoked.delete(old)
      }
    }
    this.#tokens.set(token.token, token)
    return token
  }

  /** Undefined for what was never issued, is past its time, or was revoked. */
  active(token: string, nowMs: number): IssuedToken | undefined {
    const found = this.#tokens.get(token)
    return found === undefined || this.#revoked.has(token) || found.exp * 1000 <= nowMs ? undefined : found
  }

  /** Returns how many it took. */
  revoke(which: (token: IssuedToken) => boolean): number {
    let count = 0
    for (const each of this.#tokens.values()) {
      if (this.#revoked.has(each.token) || !which(each)) continue
      this.#revoked.add(each.token)
      count += 1
    }
    return count
  }
}
