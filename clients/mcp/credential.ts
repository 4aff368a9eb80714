import type { RequestLike } from './sdk.ts'

/** The access token of a request, or what is wrong with the way it was sent. */
export type Credential =
  | { readonly token: string }
  | { readonly fault: 'missing' }
  | { readonly fault: 'malformed' }
  | { readonly fault: 'misplaced'; readonly text: string }

/** RFC 6750 section 2.1; the scheme in any case (RFC 9110 section 11.1). */
const bearer = /^bearer +([A-Za-z0-9\-._~+/]+=*)$/i

const pathOf = ({ originalUrl, url = '' }: RequestLike): string => originalUrl ?? url

/** The path of a request target, without its query. */
export const targetPath = (request: RequestLike): string => pathOf(request).split('?', 1)[0] ?? ''

/** After it was judged: what comes next is handed the headers, and is not to pass the token on. */
export const takeCredential = ({ headers, rawHeaders }: RequestLike): void => {
  delete headers.authorization
  for (let index = rawHeaders.length - 2; index >= 0; index -= 2) {
    if (rawHeaders[index]?.toLowerCase() === 'authorization') rawHeaders.splice(index, 2)
  }
}

/**
 * Only the one Authorization header counts. Of two, Node shows the first and a proxy may have looked at the other; a token in
 * the query stands in logs and histories, so it is refused even beside a header.
 */
export const credentialOf = (request: RequestLike): Credential => {
  const [, ...query] = pathOf(request).split('?')
  if (new URLSearchParams(query.join('?')).has('access_token')) {
    return { fault: 'misplaced', text: 'An access token is taken in the Authorization header only, never in the URL.' }
  }
  const names = request.rawHeaders.filter((_, index) => index % 2 === 0)
  if (names.filter((name) => name.toLowerCase() === 'authorization').length > 1) {
    return { fault: 'misplaced', text: 'There is more than one Authorization header.' }
  }
  const { authorization } = request.headers
  if (authorization === undefined || !/^bearer\b/i.test(authorization)) return { fault: 'missing' }
  const [, token] = bearer.exec(authorization) ?? []
  return token === undefined ? { fault: 'malformed' } : { token }
}
