import { chainLength } from '../core/actors.ts'
import type { Adapter, Claims, Issuer, TokenSubject } from '../core/adapter.ts'
import { isRefusalCode, type RefusalCode } from '../core/decide.ts'
import { BridgeError } from '../core/errors.ts'
import type { AgentReads, JudgedPrincipal } from '../core/judging.ts'
import type { Did, PrincipalKey } from '../core/types.ts'
import type { Clock } from '../lib/clock.ts'
import { digestOf } from '../lib/digest.ts'
import type { KeySource } from '../lib/jwks.ts'
import { audiencesOf, authorityOf, type ParsedJwt, parseJwt, type VerifiedJwt, verifyJwt } from '../lib/jwt.ts'
import { mappingsOf } from './sharing.ts'
import type { InForce } from './standing.ts'

/** A token whose signature and claims hold and that speaks for exactly one agent. Says nothing about holds. */
export interface Verified {
  readonly valid: true
  readonly adapter: string
  readonly issuer: string
  readonly issuedAt: number
  readonly expiresAt: number
  /** Its `aud`, all of it: also those that are nobody's here. */
  readonly audiences: readonly string[]
  /** The agent, and the first of the token's accounts that is mapped to it: the acting one, unless that is not mapped. */
  readonly actor: { readonly did: Did; readonly principal: PrincipalKey }
  /** Every mapped account the token names, the actor's first. */
  readonly principals: readonly JudgedPrincipal[]
  readonly onBehalfOf: TokenSubject['onBehalfOf']
  readonly act: readonly Claims[]
  readonly scopes: readonly string[]
  /**
   * Whether verifying the token now would give the same claims, told without asking anybody. False also when that cannot be
   * told. Says nothing about mappings.
   */
  readonly inForce?: InForce
}

export interface Rejected {
  readonly valid: false
  readonly codes: readonly RefusalCode[]
  /** With `R_AMBIGUOUS` the mapped accounts of all the agents, for whoever wants their holds too; otherwise empty. */
  readonly principals: readonly JudgedPrincipal[]
}

/** A token that the directory gave out, before anything is known of the agent. */
export interface Subject {
  readonly valid: true
  readonly adapter: string
  readonly issuer: string
  readonly subject: TokenSubject
  readonly issuedAt: number
  readonly expiresAt: number
}

export interface Verifier {
  /**
   * Token → the agent it speaks for. Mappings are read anew at each call, also for a token seen before.
   *
   * @throws BridgeError E_JWKS_DOWN when the issuer's keys cannot be had: the token is then neither good nor bad
   */
  verify(token: string): Promise<Verified | Rejected>
  /** As far as the directory goes: signature, claims and whom it names; no mapping is looked up. Throws as `verify` does. */
  subject(token: string): Promise<Subject | Rejected>
  /**
   * Takes the present adapters and forgets every token seen. Throws E_CONFIG, and leaves all as it was, when two issuers
   * share an (issuer, audience) pair.
   */
  reload(): void
}

/** The part of an adapter that tokens are judged by. */
export type TokenAdapter = Pick<Adapter, 'name' | 'issuers' | 'identify'>

export interface VerifierOptions {
  readonly adapters: () => readonly TokenAdapter[]
  /** The key source of an issuer; the same one each time. */
  readonly keys: (issuer: Issuer) => Pick<KeySource, 'key'> & Partial<Pick<KeySource, 'version'>>
  readonly clock: Pick<Clock, 'now'>
  readonly store: Pick<AgentReads, 'principalsById' | 'principalsNamed' | 'sharersOf'>
  /** How many verified tokens are remembered. */
  readonly cacheSize?: number
}

interface Selected {
  readonly adapter: TokenAdapter
  readonly issuer: Issuer
}

interface Seen extends Selected {
  readonly signedBy: VerifiedJwt['signedBy']
  readonly subject: TokenSubject
  readonly issuedAt: number
  readonly expiresAt: number
  readonly audiences: readonly string[]
  /** A clock that was set back may be before what was checked against it. */
  readonly checkedAt: number
}

interface Checked {
  readonly seen: Seen
  readonly inForce: InForce
}

const rejected = (code: string): Rejected => {
  if (!isRefusalCode(code)) throw new BridgeError('E_BUG', `"${code.slice(0, 64)}" is not a refusal code`)
  return { valid: false, codes: [code], principals: [] }
}

/** @throws BridgeError E_CONFIG when two issuers share an (issuer, audience) pair */
export function createVerifier({ adapters, keys, clock, store, cacheSize = 10_000 }: VerifierOptions): Verifier {
  let table = issuerTable(adapters())
  /** By SHA-256 of the token, oldest first; replaced, never cleared, so that a verification begun before fills the old one. */
  let seen = new Map<string, Seen>()

  async function check(token: string): Promise<Checked | Rejected> {
    const cache = seen
    // A token over the size limit is not even hashed.
    const parsed = parseJwt(token)
    if ('refused' in parsed) return rejected(parsed.refused)
    const hash = digestOf(token)
    const known = cache.get(hash)
    const stands = known && standing(known.issuer)
    if (known && stands && (await stillGood(known))) return { seen: known, inForce: stands(known.expiresAt) }
    cache.delete(hash)

    const fresh = await checkAnew(parsed)
    if ('valid' in fresh) return fresh
    if (cache.size >= cacheSize) for (const oldest of cache.keys()) if (cache.delete(oldest)) break
    cache.set(hash, fresh.seen)
    return fresh
  }

  /** The key must still be the one the issuer publishes, and within its 24 hours: asking for it again tells. */
  async function stillGood({ checkedAt, signedBy, issuer, expiresAt }: Seen): Promise<boolean> {
    const now = clock.now()
    return now >= checkedAt && now < expiresAt && (await keys(issuer).key(signedBy, issuer.issuer)) === signedBy.key
  }

  /** To be called before the key is asked for: keys that change while it is are other ones. */
  function standing(issuer: Issuer): (expiresAt: number) => InForce {
    const configured = table
    const source = keys(issuer)
    const version = source.version?.()
    return (expiresAt) => (now) =>
      version !== undefined && table === configured && now < expiresAt && source.version?.() === version
  }

  async function checkAnew(parsed: ParsedJwt): Promise<Checked | Rejected> {
    const selected = select(table, parsed.claims)
    if (typeof selected === 'string') return rejected(selected)
    const { adapter, issuer } = selected
    if (issuer.opaque) return rejected('R_OPAQUE')
    const stands = standing(issuer)
    const checkedAt = clock.now()
    const jwt = await verifyJwt(parsed, issuer, keys(issuer), checkedAt)
    if ('refused' in jwt) return rejected(jwt.refused)
    // RFC 7800: bound to a key whose proof nobody has checked here.
    if (Object.hasOwn(jwt.claims, 'cnf')) return rejected('R_CNF')
    const subject = adapter.identify(jwt.claims)
    if (!subject) return rejected('R_NOT_AGENT')
    if ('refused' in subject) return rejected(subject.refused)
    // An actor that the adapter did not follow the chain to would go unchecked.
    if (chainLength(jwt.claims.act) !== subject.act.length) return rejected('R_ACT')
    const { signedBy, issuedAt, expiresAt } = jwt
    const audiences = audiencesOf(jwt.claims, issuer.audienceClaim)
    const seen = { ...selected, signedBy, subject, issuedAt, expiresAt, audiences, checkedAt }
    return { seen, inForce: stands(expiresAt) }
  }

  return {
    async verify(token) {
      const checked = await check(token)
      if ('valid' in checked) return checked
      const { adapter, issuer, subject, issuedAt, expiresAt, audiences } = checked.seen
      const { names = [] } = subject
      const byName = names.length === 0 ? [] : await store.principalsNamed(adapter.name, names)
      const spoken = [...subject.principals, ...byName.map(({ id }) => id)]
      if (spoken.length === 0) return rejected('R_UNMAPPED')
      // The one it acts for may be an agent's account too, and held; but it never says who the actor is (DESIGN §5).
      const { onBehalfOf } = subject
      const ids = [...new Set([...spoken, ...(onBehalfOf ? [onBehalfOf.id] : [])])]
      const found = await store.principalsById(adapter.name, ids)
      const sorted = found.toSorted((a, b) => ids.indexOf(a.id) - ids.indexOf(b.id))
      const named = sorted.filter(({ id }) => spoken.includes(id))
      if (named.length === 0) return rejected('R_UNMAPPED')
      const principals = await ofOneDid(store, named.find(({ shared }) => !shared)?.did, sorted)
      const actor = principals?.find(({ id }) => spoken.includes(id))
      if (!principals || !actor) {
        const all = await Promise.all(sorted.map((principal) => mappingsOf(store, principal)))
        return { ...rejected('R_AMBIGUOUS'), principals: all.flat() }
      }
      return {
        valid: true,
        adapter: adapter.name,
        issuer: issuer.issuer,
        issuedAt,
        expiresAt,
        audiences,
        actor: { did: actor.did, principal: { adapter: actor.adapter, id: actor.id } },
        principals,
        // One of the agent's own accounts is nobody for whom it acts.
        onBehalfOf: principals.some(({ id }) => id === onBehalfOf?.id) ? undefined : onBehalfOf,
        act: subject.act,
        scopes: subject.scopes,
        inForce: checked.inForce,
      }
    },
    async subject(token) {
      const checked = await check(token)
      if ('valid' in checked) return checked
      const { adapter, issuer, subject, issuedAt, expiresAt } = checked.seen
      return { valid: true, adapter: adapter.name, issuer: issuer.issuer, subject, issuedAt, expiresAt }
    },
    reload() {
      table = issuerTable(adapters())
      seen = new Map()
    },
  }
}

/**
 * The accounts as this DID has them; undefined when one of them is not its own. A shared account proves no DID (rule 16):
 * only another account of the token, which is one agent's alone, says which of its DIDs acts.
 */
async function ofOneDid(
  store: VerifierOptions['store'],
  did: Did | undefined,
  principals: readonly JudgedPrincipal[],
): Promise<JudgedPrincipal[] | undefined> {
  if (did === undefined) return undefined
  const own: JudgedPrincipal[] = []
  for (const principal of principals) {
    const mapping = (await mappingsOf(store, principal)).find((one) => one.did === did)
    if (!mapping) return undefined
    own.push(mapping)
  }
  return own
}

type IssuerTable = ReadonlyMap<string, ReadonlyMap<string, Selected>>

/** Issuer → audience → who checks it. (issuer, audience) selects exactly one (DESIGN §5). */
function issuerTable(adapters: readonly TokenAdapter[]): IssuerTable {
  const table = new Map<string, Map<string, Selected>>()
  for (const adapter of adapters) {
    for (const issuer of adapter.issuers) {
      const audiences = table.get(issuer.issuer) ?? new Map<string, Selected>()
      table.set(issuer.issuer, audiences)
      for (const audience of new Set(issuer.audiences)) {
        const other = audiences.get(audience)
        if (other) {
          const text = `adapters ${other.adapter.name} and ${adapter.name} both take tokens of ${issuer.issuer} for ${audience}`
          throw new BridgeError('E_CONFIG', text, { hint: 'give each adapter its own tokens.audiences' })
        }
        audiences.set(audience, { adapter, issuer })
      }
    }
  }
  return table
}

/** Reads the unverified `iss`, or `sub`, and `aud` for this choice only; the chosen issuer then checks both again. */
function select(table: IssuerTable, claims: Claims): Selected | 'R_ISSUER' | 'R_AUDIENCE' {
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
