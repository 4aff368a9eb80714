import { z } from 'zod'
import type { Claims, Issuer, TokenSubject } from '../../src/core/adapter.ts'
import type { OktaConfig } from './config.ts'
import { isId, kindOfId } from './ids.ts'

type TokensConfig = NonNullable<OktaConfig['tokens']>

/**
 * Issuers of the custom authorization servers, each with its own key set, for every origin that a token may name. The org
 * server is named too, so that its access tokens are refused for what they are: their keys are not published
 * (authorization servers, key rotation, read 2026-11).
 */
export function issuersOf(
  { audiences, authorizationServers, issuerOrigins }: TokensConfig,
  orgUrl: string,
  fetch: Issuer['fetch'],
): Issuer[] {
  const origins = [...new Set([orgUrl, ...issuerOrigins])]
  const of = (issuer: string, keys: string): Issuer => ({
    issuer,
    audiences,
    algorithms: ['RS256'],
    // A custom domain serves the same keys; asking the org itself leaves one origin to be pinned.
    jwksUri: `${orgUrl}/oauth2/${keys}v1/keys`,
    fetch,
  })
  return origins.flatMap((origin) => [
    ...[...new Set(authorizationServers)].map((id) => of(`${origin}/oauth2/${id}`, `${id}/`)),
    { ...of(origin, ''), audiences: [origin], opaque: true as const },
  ])
}

const shape = z.object({
  uid: z.unknown().optional(),
  cid: z.string().min(1).max(2048).optional().catch(undefined),
  scp: z.array(z.string()).catch([]),
  act: z.unknown().optional(),
})

const MAX_CHAIN = 16
const isClaims = (value: unknown): value is Claims =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** `act` and what is nested in it, outermost first: RFC 8693 §4.1. */
function chainOf(act: unknown): Claims[] {
  const chain: Claims[] = []
  for (let each = act; isClaims(each) && chain.length < MAX_CHAIN; each = each.act) chain.push(each)
  return chain
}

/**
 * Who a verified access token of a custom authorization server speaks for. `cid` is the client and `uid` the user, if
 * there is one; `sub` is a login, which can change hands, and names nobody. A token with both is either an agent's client
 * acting for a person, or an agent that signs in as a user through some client: which of them is mapped tells, so both are
 * candidates, and the user is named as the one acted for as well. A person who is nobody's account never becomes the agent.
 *
 * @param clients client id → account, for agents whose client id is not their id
 */
export function identify(claims: Claims, clients: Readonly<Record<string, string>>): TokenSubject | undefined {
  const { uid, cid, scp, act } = shape.parse(claims)
  if (cid === undefined) return undefined
  const alias = Object.hasOwn(clients, cid) ? clients[cid] : undefined
  const user = typeof uid === 'string' && isId('user', uid) ? uid : undefined
  // A `uid` that is no user's id is not what Okta writes: a token that means someone else than it seems to.
  if (uid !== undefined && user === undefined) return undefined
  const client = kindOfId(cid) === undefined ? undefined : cid
  const principals = [...new Set([client, alias, user].filter((id) => id !== undefined))]
  if (principals.length === 0) return undefined
  return {
    principals,
    onBehalfOf: user === undefined ? undefined : { id: user, kind: 'person' },
    act: chainOf(act),
    scopes: [...new Set(scp.filter((scope) => scope !== ''))],
  }
}
