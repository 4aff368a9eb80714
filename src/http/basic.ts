/** What an Authorization header says of a caller; without a name its token alone says who it is. */
export interface Credentials {
  readonly name: string | undefined
  readonly token: string
}

/** A bearer token, RFC 6750 section 2.1, as the source of a pattern. */
export const tokenForm = '[A-Za-z0-9._~+/-]{1,16384}=*'

const basic = /^Basic +([A-Za-z0-9+/]{1,16384}={0,2}) *$/i
const name = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const token = new RegExp(`^${tokenForm}$`)

/**
 * HTTP Basic (RFC 7617) by the name of a client and its token. RFC 6749 section 2.3.1 has both form-encoded, and callers
 * differ in whether they do it: no token holds a `%` or a space, so `%2B` and a bare `+` both are the `+` of a token.
 */
export const basicCredentials = (header: string | undefined): Credentials | undefined => {
  const encoded = header === undefined ? undefined : basic.exec(header)?.[1]
  if (encoded === undefined) return undefined
  const pair = Buffer.from(encoded, 'base64').toString('latin1')
  const colon = pair.indexOf(':')
  if (colon < 0) return undefined
  const given = { name: decoded(pair.slice(0, colon)), token: decoded(pair.slice(colon + 1)) }
  return name.test(given.name) && token.test(given.token) ? given : undefined
}

/** What is not percent-encoded UTF-8 becomes the empty text, which is neither a name nor a token. */
const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return ''
  }
}
