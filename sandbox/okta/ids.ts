import { createHash, randomBytes } from 'node:crypto'

const alphabet = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'

/** Prefixes of ids: user, app, group, AI agent, event hook, authorization server, API token, user type, key. */
type Prefix = '00u' | '0oa' | '00g' | 'wlp' | 'wlo' | 'who' | 'aus' | '00T' | 'oty' | 'pks' | 'oae' | 'trs' | '00o'

/** An id as the directory writes them, 20 characters unless told; the same name gives the same id. */
export function oktaId(prefix: Prefix, name?: string, length = 20): string {
  const bytes = name === undefined ? randomBytes(32) : createHash('sha256').update(`${prefix} ${name}`).digest()
  const tail = [...bytes].map((byte) => alphabet[byte % alphabet.length]).join('')
  return `${prefix}${tail.slice(0, length - prefix.length)}`
}

/** The id of a request, as in `X-Okta-Request-Id` and in the log's transaction. */
export function requestId(): string {
  return randomBytes(20).toString('base64url')
}
