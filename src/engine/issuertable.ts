import type { Adapter, Claims, Issuer } from '../core/adapter.ts'
import type { Callers } from '../core/caller.ts'
import { BridgeError } from '../core/errors.ts'
import { audiencesOf, authorityOf } from '../lib/jwt.ts'

/** The part of an adapter that agents' tokens are judged by. */
export type TokenAdapter = Pick<Adapter, 'name' | 'issuers' | 'identify'>

/** A directory whose tokens for these audiences say who calls our own API. */
export interface CallerDirectory {
  readonly name: string
  readonly callers: Callers
  readonly audiences: readonly string[]
  /** Which of its roles give which role of ours. */
  readonly roles: Readonly<Record<string, readonly string[]>>
  /** Applications through which people may call. */
  readonly applications: readonly string[]
}

/** Who checks a token, and what it may be used for: a token of one use is nobody's for the other. */
export type Selected =
  | { readonly use: 'agent'; readonly adapter: TokenAdapter; readonly issuer: Issuer }
  | { readonly use: 'caller'; readonly adapter: CallerDirectory; readonly issuer: Issuer }

export type IssuerTable = ReadonlyMap<string, ReadonlyMap<string, Selected>>

/**
 * Issuer → audience → who checks it. (issuer, audience) selects exactly one (DESIGN §5).
 * @throws BridgeError E_CONFIG when two share a pair, or callers come from one issuer by two adapters
 */
export function issuerTable(adapters: readonly TokenAdapter[], callers: readonly CallerDirectory[]): IssuerTable {
  const table = new Map<string, Map<string, Selected>>()
  const agents = adapters.flatMap((adapter) =>
    adapter.issuers.map((issuer): Selected => ({ use: 'agent', adapter, issuer })),
  )
  const ours = callers.flatMap((adapter) =>
    adapter.callers.issuers(adapter.audiences).map((issuer): Selected => ({ use: 'caller', adapter, issuer })),
  )
  for (const one of [...agents, ...ours]) {
    const { issuer } = one
    const audiences = table.get(issuer.issuer) ?? new Map<string, Selected>()
    table.set(issuer.issuer, audiences)
    const twin = [...audiences.values()].find(
      ({ use, adapter }) => use === 'caller' && adapter.name !== one.adapter.name,
    )
    if (one.use === 'caller' && twin !== undefined) throw twins(twin, one)
    for (const audience of new Set(issuer.audiences)) {
      const other = audiences.get(audience)
      if (other) throw shared(other, one, audience)
      audiences.set(audience, one)
    }
  }
  return table
}

/** Approvals take two people, and callers go by the name of the adapter and their id. */
const twins = (one: Selected, other: Selected): BridgeError =>
  new BridgeError(
    'E_CONFIG',
    `auth.oidc of ${one.adapter.name} and of ${other.adapter.name} both take tokens of ${one.issuer.issuer}: one person would be two`,
    { hint: 'name one adapter of each directory under auth.oidc; it may have several audiences' },
  )

const shared = (one: Selected, other: Selected, audience: string): BridgeError => {
  const [first, second] = [one, other].map(({ use, adapter: { name } }) =>
    use === 'agent' ? `adapters ${name}` : `auth.oidc of ${name}`,
  )
  const text = `${first} and ${second} both take tokens of ${one.issuer.issuer} for ${audience}`
  const hint = 'give each adapter its own tokens.audiences, and callers of the API another one'
  return new BridgeError('E_CONFIG', text, { hint })
}

/** Reads the unverified `iss`, or `sub`, and `aud` for this choice only; the chosen issuer then checks both again. */
export function select(table: IssuerTable, claims: Claims): Selected | 'R_ISSUER' | 'R_AUDIENCE' {
  const byIssuer = typeof claims.iss === 'string' ? table.get(claims.iss) : undefined
  const audiences = byIssuer ?? bySubject(table, claims)
  if (!audiences) return 'R_ISSUER'
  const fitting = [...audiences].flatMap(([audience, one]) =>
    audiencesOf(claims, one.issuer.audienceClaim).includes(audience) ? one : [],
  )
  const [only] = fitting
  // A token for the audiences of two issuers' configurations is nobody's.
  return only && fitting.every(({ issuer }) => issuer === only.issuer) ? only : 'R_AUDIENCE'
}

/** Issuers that do not write their name into tokens are named by whom a token speaks of. */
function bySubject(table: IssuerTable, claims: Claims): ReadonlyMap<string, Selected> | undefined {
  const audiences = table.get(authorityOf(claims.sub) ?? '')
  const named = [...(audiences ?? [])].filter(([, { issuer }]) => issuer.namedBy === 'sub')
  return named.length > 0 ? new Map(named) : undefined
}
