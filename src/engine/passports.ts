import { standsUntil } from '../core/decide.ts'
import { nextEnd, widenings } from '../core/delegation.ts'
import { parseDid } from '../core/did.ts'
import { BridgeError, codeOf } from '../core/errors.ts'
import type { AgentKey } from '../core/keys.ts'
import { type Hop, type Passport, passportMostBytes, passportMostMs, passportType } from '../core/passport.ts'
import { placesOfList, type StatusPlace } from '../core/statuslist.ts'
import type { Agent, Did, Principal } from '../core/types.ts'
import { keyJwk } from '../lib/agentkey.ts'
import { signJson } from '../lib/jws.ts'
import type { Soon } from '../lib/soon.ts'
import type { Caller } from './agentapi.ts'
import type { DecisionInput, DecisionView } from './api.ts'
import { chainView } from './chain.ts'
import { change } from './change.ts'
import type { Deps } from './deps.ts'
import { effectiveIn } from './granting.ts'
import type { IssuedPassport, PassportInput } from './publishingapi.ts'
import type { ListSigner, StatusLists } from './statuslists.ts'
import { checkBounds, requireAgent } from './views.ts'

export interface PassportSettings {
  readonly lifetimeMs: number
  /** What is told of the sponsor. */
  readonly sponsor: 'none' | 'id' | 'email'
}

export interface IssuingParts {
  readonly lists: Pick<StatusLists, 'uri'>
  readonly decide: (input: DecisionInput) => Soon<DecisionView>
  readonly settings: () => PassportSettings
  readonly randomPlace: (most: number) => number
}

/** A place that is taken this often in a row is one of a list that is nearly full. */
const triesAList = 32

const held = () =>
  new BridgeError('E_HELD', 'The agent is suspended.', { hint: 'A passport is issued once every hold is released.' })

/** @throws BridgeError E_DECOMMISSIONED, E_HELD, E_REFUSED */
const admit = ({ allow, codes }: Pick<DecisionView, 'allow' | 'codes'>): void => {
  if (allow) return
  if (codes.includes('R_DECOMMISSIONED')) throw new BridgeError('E_DECOMMISSIONED', 'The agent was decommissioned.')
  if (codes.includes('R_SUSPENDED')) throw held()
  throw refused(codes)
}

const refused = (codes: readonly string[]) =>
  new BridgeError('E_REFUSED', `The agent would be denied now: ${codes.join(', ')}.`, {
    hint: 'POST /v1/decisions with its DID says the same; docs/errors.md says what to do about each.',
    details: codes.map((code) => ({ pointer: '', code })),
  })

const firmness: readonly AgentKey['binding'][] = ['fingerprint', 'proven', 'declared']

const keyFor = (keys: readonly AgentKey[], wanted: string | undefined): AgentKey | undefined => {
  if (wanted === undefined) {
    return [...keys].sort((a, b) => firmness.indexOf(a.binding) - firmness.indexOf(b.binding))[0]
  }
  const found = keys.find(({ thumbprint }) => thumbprint === wanted)
  if (found !== undefined) return found
  throw new BridgeError('E_KEY', 'The agent has no key of this thumbprint.', {
    hint: 'GET /v1/agents/{did} lists them.',
  })
}

const sponsorOf = ({ sponsor }: Agent, told: PassportSettings['sponsor']): Passport['sponsor'] => {
  const objectId = told === 'none' ? undefined : sponsor?.objectId
  const email = told === 'email' ? sponsor?.email : undefined
  if (objectId === undefined && email === undefined) return null
  return { ...(objectId !== undefined && { objectId }), ...(email !== undefined && { email }) }
}

const secondsOf = (ms: number): number => Math.floor(ms / 1000)

const hopsOf = async (deps: Deps, did: Did, now: number): Promise<Hop[]> =>
  (await chainView(deps.store, did, now)).map((hop) => ({
    did: hop.did,
    depth: hop.depth,
    granted: hop.granted ?? null,
    expiresAt: hop.expiresAt === undefined ? null : secondsOf(hop.expiresAt),
    signed: hop.signed === undefined ? null : { key: hop.signed.key, signature: hop.signed.signature },
  }))

/**
 * Issues passports: for an agent that would be allowed to act now, and for no longer than that is known to last. Issuing
 * changes nothing but the first time, when the agent gets its place in a status list: that is in the audit chain, and
 * every passport is counted and in the log by its `jti`.
 */
export const passportIssuer = (deps: Deps, { decide, lists, randomPlace, settings }: IssuingParts) => {
  const { clock, log, metrics, mounts, newId, policy, store } = deps

  const place = (did: Did, { name, requestId }: Caller): Promise<StatusPlace> =>
    change(deps, { actor: name, requestId }, async ({ actor, now, tx }) => {
      const known = await tx.statusPlace(did)
      if (known !== undefined) return known
      let list = Math.max(1, await tx.newestStatusList())
      for (let tries = 1; ; tries++) {
        const taken = { list, idx: randomPlace(placesOfList) }
        if (await tx.takeStatusPlace(did, taken)) {
          await tx.appendAudit({ time: now, type: 'passport.enabled', did, actor, requestId, details: { ...taken } })
          return taken
        }
        if (tries % triesAList === 0) list += 1
      }
    })

  const principalsOf = (accounts: readonly Principal[]): Passport['principals'] =>
    accounts.map(({ adapter, id, kind }) => ({
      adapter,
      id,
      kind,
      realm: mounts().get(adapter)?.adapter.realm ?? null,
    }))

  const issue = async (
    given: string,
    input: PassportInput,
    caller: Caller,
    signer: ListSigner,
  ): Promise<IssuedPassport> => {
    const asked = await requireAgent(store, parseDid(given))
    checkBounds(asked, caller)
    const { did } = asked
    admit(await decide({ did }))
    const at = (await store.statusPlace(did)) ?? (await place(did, caller))
    const uri = await lists.uri(signer.base, at)

    const agent = await requireAgent(store, did)
    const accounts = await store.principalsOf(did)
    const chain = await store.chain(did)
    const now = clock.now()
    const effective = effectiveIn(chain, now)(did)
    const key = keyFor(await store.keysOf(did), input.key)
    const delegation = await hopsOf(deps, did, now)
    const capabilities = [...new Set(input.capabilities ?? effective)].sort()
    const wider = widenings(input.capabilities ?? [], effective)
    if (wider.length > 0) {
      throw new BridgeError('E_WIDENING', 'The agent does not have these capabilities.', {
        details: wider.map((index) => ({ pointer: `/capabilities/${index}`, code: 'conflict' })),
      })
    }
    // What is of the second of a release counts as from before it.
    const iat = Math.max(secondsOf(now), secondsOf(agent.resumedAt ?? 0) + 1)
    if (iat > secondsOf(now) + 1) throw refused(['R_BEFORE_RESUME'])
    const { lifetimeMs, sponsor } = settings()
    const lifetime = Math.min(lifetimeMs, input.lifetimeMs ?? lifetimeMs, passportMostMs)
    // No longer than the readings and delegations that it rests on.
    const read = [...accounts]
    for (const { did: above } of chain.slice(1)) read.push(...(await store.principalsOf(above)))
    const staleAt = standsUntil({ accounts: read, denyAfterMs: policy().maxStaleness.denyMs })
    const endsAt = nextEnd(chain, now)
    const exp = secondsOf(Math.min(iat * 1000 + lifetime, staleAt, endsAt))
    if (exp <= iat) throw refused([staleAt < endsAt ? 'R_STALE' : 'R_DELEGATION'])

    const jti = newId()
    const claims: Passport = {
      iss: signer.issuer,
      sub: did,
      iat,
      exp,
      jti,
      ...(input.audience !== undefined && { aud: input.audience }),
      name: agent.name,
      principals: principalsOf(accounts),
      capabilities,
      sponsor: sponsorOf(agent, sponsor),
      delegation,
      status: { status_list: { idx: at.idx, uri } },
      ...(key !== undefined && { cnf: { jwk: keyJwk(key.key) } }),
      delegation_claims: {
        authority_scope: capabilities,
        issued_at: new Date(iat * 1000).toISOString(),
        revocation_check_url: `${uri}/${at.idx}/${iat}/jwks-revoked.json`,
      },
    }
    const passport = await signJson(claims, passportType, signer.pem)
    if (passport.length > passportMostBytes) {
      throw new BridgeError('E_VALIDATION', 'The passport would be over 16 KiB.', {
        hint: 'Name fewer capabilities: those it is needed for.',
        details: [{ pointer: '/capabilities', code: 'too_big' }],
      })
    }
    // Last of all: what was read before may have been from before a hold.
    if ((await store.openHolds(did)).length > 0) throw held()
    log.info({ did, jti, client: caller.name, expiresAt: new Date(exp * 1000).toISOString() }, 'a passport was issued')
    return {
      did,
      passport,
      jti,
      issuedAt: iat * 1000,
      expiresAt: exp * 1000,
      capabilities,
      status: { uri, idx: at.idx },
      key: key?.thumbprint,
    }
  }

  return async (...given: Parameters<typeof issue>): Promise<IssuedPassport> => {
    try {
      const issued = await issue(...given)
      metrics.inc('passports_total', { outcome: 'issued' })
      return issued
    } catch (error) {
      metrics.inc('passports_total', { outcome: codeOf(error) })
      throw error
    }
  }
}
