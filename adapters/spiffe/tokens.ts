import type { Claims, Issuer, TokenSubject } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'
import { textOf } from '../spiffeid.ts'
import type { BundleKeeper } from './bundles.ts'
import type { SpiffeConfig } from './config.ts'
import { workloadOf } from './ids.ts'

/** JWT-SVID §2.2: these and no others. */
const algorithms = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512']

const unfetched: Issuer['fetch'] = () =>
  Promise.reject(new BridgeError('E_BUG', 'a trust bundle is not fetched as a key set'))

/**
 * One issuer a trust domain, each with the keys of its own bundle and no others (SPIFFE Federation §7.3). JWT-SVIDs need
 * not name their issuer: `sub` says whose they are.
 */
export function issuersOf(
  { audiences, lifetime }: NonNullable<SpiffeConfig['tokens']>,
  bundles: ReadonlyMap<string, BundleKeeper>,
): Issuer[] {
  return [...bundles].map(([trustDomain, keys]) => ({
    issuer: `spiffe://${trustDomain}`,
    namedBy: 'sub',
    audiences,
    algorithms,
    // JWT-SVID §2.3: anything else in a header is not to be there.
    headers: ['alg', 'kid', 'typ'],
    types: ['', 'jwt', 'jose'],
    lifetimeMs: lifetime,
    jwksUri: `spiffe://${trustDomain}`,
    fetch: unfetched,
    keys,
  }))
}

/** Whom a verified JWT-SVID names: the workload that is its `sub` (JWT-SVID §3.1), and nobody besides. */
export function identify({ sub }: Claims, trustDomains: ReadonlySet<string>): TokenSubject | undefined {
  const id = typeof sub === 'string' ? workloadOf(sub) : undefined
  if (!id || !trustDomains.has(id.trust_domain)) return undefined
  return { principals: [textOf(id)], onBehalfOf: undefined, act: [], scopes: [] }
}
