import { chainLength } from '../core/actors.ts'
import type { Claims, Issuer, TokenSubject } from '../core/adapter.ts'
import type { TokenCaller } from '../core/caller.ts'
import { isRefusalCode, type RefusalCode } from '../core/decide.ts'
import { BridgeError } from '../core/errors.ts'
import type { AgentReads, JudgedPrincipal } from '../core/judging.ts'
import type { Did, PrincipalKey } from '../core/types.ts'
import type { Clock } from '../lib/clock.ts'
import { digestOf } from '../lib/digest.ts'
import type { KeySource } from '../lib/jwks.ts'
import {
  audiencesOf,
  isTooLarge,
  type Keys,
  keyOf,
  type ParsedJwt,
  parseJwt,
  type VerifiedJwt,
  verifyJwt,
} from '../lib/jwt.ts'
import { type Soon, soon } from '../lib/soon.ts'
import { type CallerDirectory, issuerTable, select, type TokenAdapter } from './issuertable.ts'
import { mappingsOf, ofOneDid } from './sharing.ts'
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

/** A token that says who calls our own API, before anything is known of the caller. */
export interface VerifiedCaller {
  readonly valid: true
  readonly directory: CallerDirectory
  /** The same object for the same token, as long as it is remembered. */
  readonly caller: TokenCaller
  readonly issuedAt: number
  readonly expiresAt: number
}

export interface CallerVerifier {
  /**
   * As far as the directory goes: signature, claims and whom it names. A token for agents is none. Throws as `verify` does.
   */
  caller(token: string): Promise<VerifiedCaller | Rejected>
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
   * Takes the present adapters, and who vouches for callers unless that is as before, and forgets every token seen. Throws
   * E_CONFIG, and leaves all as it was, when two issuers share an (issuer, audience) pair.
   */
  reload(callers?: readonly CallerDirectory[]): void
}

export interface VerifierOptions {
  readonly adapters: () => readonly TokenAdapter[]
  /** Left out: nobody calls our own API by a directory's token. */
  readonly callers?: readonly CallerDirectory[]
  /** The key source of an issuer; the same one each time. */
  readonly keys: (issuer: Issuer) => Keys & Partial<Pick<KeySource, 'version'>>
  readonly clock: Pick<Clock, 'now'>
  readonly store: Pick<AgentReads, 'principalsById' | 'principalsNamed' | 'sharersOf'>
  /** How many verified tokens are remembered. */
  readonly cacheSize?: number
}

interface Remembered {
  readonly issuer: Issuer
  readonly signedBy: VerifiedJwt['signedBy']
  readonly issuedAt: number
  readonly expiresAt: number
  readonly audiences: readonly string[]
  /** A clock that was set back may be before what was checked against it. */
  readonly checkedAt: number
}

interface SeenAgent extends Remembered {
  readonly use: 'agent'
  readonly adapter: TokenAdapter
  readonly subject: TokenSubject
}

interface SeenCaller extends Remembered {
  readonly use: 'caller'
  readonly adapter: CallerDirectory
  readonly caller: TokenCaller
}

type Seen = SeenAgent | SeenCaller

interface Checked {
  readonly seen: Seen
  readonly inForce: InForce
}

const rejected = (code: string): Rejected => {
  if (!isRefusalCode(code)) throw new BridgeError('E_BUG', `"${code.slice(0, 64)}" is not a refusal code`)
  return { valid: false, codes: [code], principals: [] }
}

/** @throws BridgeError E_CONFIG when two issuers share an (issuer, audience) pair */
export function createVerifier(options: VerifierOptions): Verifier & CallerVerifier {
  const { adapters, keys, clock, store, cacheSize = 10_000 } = options
  let { callers = [] } = options
  let table = issuerTable(adapters(), callers)
  /** By SHA-256 of the token, oldest first; replaced, never cleared, so that a verification begun before fills the old one. */
  let seen = new Map<string, Seen>()

  async function check(token: string): Promise<Checked | Rejected> {
    const cache = seen
    // A token over the size limit is not even hashed.
    const hash = isTooLarge(token) ? '' : digestOf(token)
    const known = cache.get(hash)
    if (known) {
      const stands = standing(known.issuer)
      if (await stillGood(known)) return { seen: known, inForce: stands(known.expiresAt) }
      cache.delete(hash)
    }
    const parsed = parseJwt(token)
    if ('refused' in parsed) return rejected(parsed.refused)
    const fresh = await checkAnew(parsed)
    if ('valid' in fresh) return fresh
    if (cache.size >= cacheSize) for (const oldest of cache.keys()) if (cache.delete(oldest)) break
    cache.set(hash, fresh.seen)
    return fresh
  }

  /** The key must still be the one the issuer publishes, and within its 24 hours: asking for it again tells. */
  function stillGood({ checkedAt, signedBy, issuer, expiresAt }: Seen): Soon<boolean> {
    const now = clock.now()
    if (now < checkedAt || now >= expiresAt) return false
    return soon(keyOf(keys(issuer), signedBy, issuer.issuer), (key) => key === signedBy.key)
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
    const { issuer } = selected
    if (issuer.opaque) return rejected('R_OPAQUE')
    const stands = standing(issuer)
    const checkedAt = clock.now()
    const jwt = await verifyJwt(parsed, issuer, keys(issuer), checkedAt)
    if ('refused' in jwt) return rejected(jwt.refused)
    // RFC 7800: bound to a key whose proof nobody has checked here.
    if (Object.hasOwn(jwt.claims, 'cnf')) return rejected('R_CNF')
    const { signedBy, issuedAt, expiresAt } = jwt
    const audiences = audiencesOf(jwt.claims, issuer.audienceClaim)
    const seen = { issuer, signedBy, issuedAt, expiresAt, audiences, checkedAt }
    const known =
      selected.use === 'agent' ? agentOf(selected.adapter, jwt.claims) : callerOf(selected.adapter, jwt.claims, seen)
    return 'valid' in known ? known : { seen: { ...seen, ...known }, inForce: stands(expiresAt) }
  }

  return {
    async verify(token) {
      const checked = await check(token)
      if ('valid' in checked) return checked
      const { seen } = checked
      if (seen.use !== 'agent') return rejected('R_AUDIENCE')
      const { adapter, issuer, subject, issuedAt, expiresAt, audiences } = seen
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
      const { seen } = checked
      if (seen.use !== 'agent') return rejected('R_AUDIENCE')
      const { adapter, issuer, subject, issuedAt, expiresAt } = seen
      return { valid: true, adapter: adapter.name, issuer: issuer.issuer, subject, issuedAt, expiresAt }
    },
    async caller(token) {
      const checked = await check(token)
      if ('valid' in checked) return checked
      const { seen } = checked
      if (seen.use !== 'caller') return rejected('R_AUDIENCE')
      const { adapter, caller, issuedAt, expiresAt } = seen
      return { valid: true, directory: adapter, caller, issuedAt, expiresAt }
    },
    reload(next = callers) {
      table = issuerTable(adapters(), next)
      callers = next
      seen = new Map()
    },
  }
}

function agentOf(adapter: TokenAdapter, claims: Claims): Pick<SeenAgent, 'use' | 'adapter' | 'subject'> | Rejected {
  const subject = adapter.identify(claims)
  if (!subject) return rejected('R_NOT_AGENT')
  if ('refused' in subject) return rejected(subject.refused)
  // An actor that the adapter did not follow the chain to would go unchecked.
  if (chainLength(claims.act) !== subject.act.length) return rejected('R_ACT')
  return { use: 'agent', adapter, subject }
}

function callerOf(
  adapter: CallerDirectory,
  claims: Claims,
  { audiences }: Remembered,
): Pick<SeenCaller, 'use' | 'adapter' | 'caller'> | Rejected {
  // Whoever else it was made for could send it here.
  if (!audiences.every((audience) => adapter.audiences.includes(audience))) return rejected('R_AUDIENCE')
  if (chainLength(claims.act) !== 0) return rejected('R_ACT')
  const caller = adapter.callers.identify(claims)
  if (!caller) return rejected('R_CLAIMS')
  if ('refused' in caller) return rejected(caller.refused)
  return { use: 'caller', adapter, caller }
}
