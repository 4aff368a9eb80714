import { z } from 'zod'
import type { Claims, TokenRefusal } from '../../src/core/adapter.ts'
import type { TokenCaller } from '../../src/core/caller.ts'
import { forGraph, hasAgentFacet } from './tokens.ts'
import { objectId } from './wire.ts'

/** Of an access token: an ID token names no application, and has neither `scp` nor `idtyp` (access-token-claims-reference.md, read 2026-11). */
const shape = z.object({
  iss: z.string(),
  ver: z.enum(['1.0', '2.0']),
  tid: objectId,
  oid: objectId,
  sub: z.string().min(1),
  appid: objectId.optional(),
  azp: objectId.optional(),
  idtyp: z.enum(['app', 'user']).optional(),
  scp: z.string().optional(),
  roles: z.array(z.string()).default([]),
  aud: z.unknown().optional(),
  xms_act_fct: z.string().optional(),
  xms_sub_fct: z.string().optional(),
  xms_par_app_azp: z.unknown().optional(),
})

/**
 * The caller of our own API, by the app roles that this tenant assigned. A claim in an unexpected form makes it no access
 * token: nothing is guessed. Scopes are never roles: what a person delegates is not what a tenant assigned.
 */
export function callerOf(claims: Claims, tenantId: string): TokenCaller | TokenRefusal | undefined {
  const parsed = shape.safeParse(claims)
  if (!parsed.success) return undefined
  const { iss, ver, tid, oid, sub, appid, azp, idtyp, scp, roles, aud, ...facets } = parsed.data
  if (tid !== tenantId) return { refused: 'R_TENANT' }
  if (forGraph(aud)) return { refused: 'R_AUDIENCE' }
  // Each version has an issuer and a name for the application of its own.
  if (iss.endsWith('/v2.0') !== (ver === '2.0')) return { refused: 'R_CLAIMS' }
  const application = ver === '2.0' ? azp : appid
  if (application === undefined) return undefined
  const isDelegated = (scp ?? '').split(' ').some((scope) => scope !== '' && scope !== '/')
  // Without the optional claim `idtyp` only what is its own subject is known to be an application.
  const isService = idtyp === 'app' ? !isDelegated : idtyp === undefined && !isDelegated && sub === oid
  if (!isService && (!isDelegated || idtyp === 'app')) return undefined
  return {
    id: oid,
    kind: isService ? 'service' : 'person',
    application,
    principals: [...new Set([oid, application])],
    isAgent:
      hasAgentFacet(facets.xms_act_fct) || hasAgentFacet(facets.xms_sub_fct) || facets.xms_par_app_azp !== undefined,
    roles: [...new Set(roles)],
  }
}
