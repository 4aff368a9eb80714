import type { Incoming } from '../incoming.ts'

/** Who did something, as the System Log names them. */
export interface Actor {
  readonly id: string
  readonly type: 'User' | 'PublicClientApp' | 'SystemPrincipal'
  readonly alternateId: string
  readonly displayName: string
}

/** The directory itself: group rules, imports, expiries. */
export const system: Actor = {
  id: 'system',
  type: 'SystemPrincipal',
  alternateId: 'system@okta.com',
  displayName: 'Okta System',
}

/** Through what an action came in, as the System Log shows it. */
export interface Through {
  readonly requestId: string
  /** Path without query. */
  readonly requestUri: string
  readonly userAgent: string
  readonly clientId: string | undefined
  /** Of the API token, where one was used. */
  readonly apiTokenId: string | undefined
}

export interface Origin {
  readonly actor: Actor
  readonly through: Through
}

export function throughOf(
  request: Pick<Incoming, 'path' | 'header'>,
  requestId: string,
  by: { readonly clientId?: string | undefined; readonly apiTokenId?: string | undefined } = {},
): Through {
  const requestUri = request.path.split('?', 1)[0] ?? ''
  const userAgent = request.header('user-agent') ?? ''
  return { requestId, requestUri, userAgent, clientId: by.clientId, apiTokenId: by.apiTokenId }
}
