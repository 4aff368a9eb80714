import { z } from 'zod'
import type { Claims, Issuer, TokenRefusal, TokenSubject } from '../../src/core/adapter.ts'
import type { Cloud } from './clouds.ts'
import { objectId } from './wire.ts'

/** Graph's own tokens prove nothing to others and may be in every application's hands (access-tokens.md, read 2026-11). */
const GRAPH = /^(00000003-0000-0000-c000-000000000000|https:\/\/[^/]*graph\.(microsoft|chinacloudapi)[^/]*\/?)$/i

/**
 * v1.0 and v2.0 issuers of one tenant, each with its own key set: a key published for v2.0 may be restricted to the v2.0
 * issuer by its `issuer` member (access-tokens.md, read 2026-11).
 */
export function issuersOf(
  cloud: Cloud,
  tenantId: string,
  audiences: readonly string[],
  fetch: Issuer['fetch'],
): Issuer[] {
  const base = `${cloud.authority}/${tenantId}/discovery`
  const of = (issuer: string, jwksUri: string): Issuer => ({ issuer, audiences, algorithms: ['RS256'], jwksUri, fetch })
  return [
    ...cloud.v1Issuers.map((host) => of(`${host}/${tenantId}/`, `${base}/keys`)),
    ...cloud.v2Issuers.map((host) => of(`${host}/${tenantId}/v2.0`, `${base}/v2.0/keys`)),
  ]
}

const AGENT_IDENTITY = '11'
const AGENT_USER = '13'

const optionalId = objectId.optional().catch(undefined)
const text = z.string().optional().catch(undefined)
const shape = z.object({
  tid: optionalId,
  oid: optionalId,
  appid: optionalId,
  azp: optionalId,
  idtyp: text,
  scp: text,
  roles: z.array(z.string()).catch([]),
  aud: z
    .union([z.string(), z.array(z.string())])
    .optional()
    .catch(undefined),
  xms_act_fct: text,
  xms_sub_fct: text,
})

const facets = (value: string | undefined): readonly string[] => value?.split(' ') ?? []

/** Facets come in any order and number. */
export const hasAgentFacet = (value: string | undefined): boolean =>
  facets(value).some((facet) => facet === AGENT_IDENTITY || facet === AGENT_USER)

/** Whether one of the audiences is Graph. */
export const forGraph = (aud: unknown): boolean =>
  [aud].flat().some((audience) => typeof audience === 'string' && GRAPH.test(audience))

/**
 * Who a verified token of this tenant speaks for: the table in Microsoft's agent-token-claims.md (read 2026-11). The
 * agent is never named by the `oid` of an on-behalf-of token, which is a human's. Facets come in any order and number.
 */
export function identify(claims: Claims, tenantId: string): TokenSubject | TokenRefusal | undefined {
  const { tid, oid, appid, azp, idtyp, scp, roles, aud, ...facts } = shape.parse(claims)
  if (tid !== tenantId) return { refused: 'R_TENANT' }
  if (forGraph(aud)) return { refused: 'R_AUDIENCE' }
  const client = azp ?? appid
  const delegated = (scp?.split(' ') ?? []).filter((each) => each !== '' && each !== '/')
  const scopes = [...new Set([...delegated, ...roles])]
  const actor = facets(facts.xms_act_fct)
  const subject = facets(facts.xms_sub_fct)
  const speaker = (principals: readonly (string | undefined)[], person?: string): TokenSubject | undefined => {
    const ids = [...new Set(principals.filter((id) => id !== undefined))]
    if (ids.length === 0) return undefined
    return { principals: ids, onBehalfOf: person ? { id: person, kind: 'person' } : undefined, act: [], scopes }
  }

  if (subject.includes(AGENT_USER)) return speaker([client, oid])
  // Without `scp` a user is not involved; tokens of older tenants have no `idtyp`.
  const isAppOnly = idtyp === 'app' || (idtyp === undefined && delegated.length === 0)
  // App ids are directory ids for agent identities; for others the lookup of one finds nothing.
  if (isAppOnly) return speaker([oid, client])
  if (actor.includes(AGENT_IDENTITY))
    return subject.includes(AGENT_IDENTITY) ? speaker([client, oid]) : speaker([client], oid)
  return undefined
}
