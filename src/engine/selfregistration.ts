import { parseDid } from '../core/did.ts'
import { BridgeError } from '../core/errors.ts'
import { fitOf, meshDidOf, parseAgentKey, thumbprintOf, verifySignature } from '../lib/agentkey.ts'
import { Bucket } from '../lib/bucket.ts'
import { Nonces } from '../lib/nonces.ts'
import { isSigned, type SignedRequest, signedText, timeOf } from '../lib/signedrequest.ts'
import type { AgentInput, Caller } from './agentapi.ts'
import { vetBlueprint } from './blueprints.ts'
import { type Change, change } from './change.ts'
import type { Deps } from './deps.ts'
import { checked, create } from './enrolling.ts'
import { effectiveOf } from './granting.ts'
import { type Readings, readForMapping } from './mapping.ts'
import { named } from './naming.ts'
import { insufficient, prove, type Shown } from './proving.ts'
import type { Recall } from './recall.ts'
import { fields } from './registration.ts'
import { keyText } from './seen.ts'
import type { SelfInput, SelfRegistered, SelfRegistration, SelfSettings } from './selfapi.ts'
import type { Verifier } from './verify.ts'

/** How old a signature and a challenge may be; AGT's own replay window. */
const windowMs = 300_000
const perSecond = 20
/** More than come back within the window at that rate. */
const noncesMost = 10_000
const readTimeoutMs = 20_000

export interface SelfParts {
  readonly deps: Deps
  readonly verifier: Verifier
  /** As configured now; undefined: nobody registers itself. */
  readonly settings: () => SelfSettings | undefined
  readonly recallOf: (adapter: string) => Recall
}

const unproven = (why: string): BridgeError =>
  new BridgeError('E_UNAUTHENTICATED', 'The request does not prove who sends it.', {
    cause: new Error(why),
    hint: 'Take a new challenge, sign with the key of the DID, and send a token of the account: docs/self-registration.md.',
  })

const busy = (retryAfterMs: number): BridgeError =>
  new BridgeError('E_BUDGET', 'Too many agents register themselves at once.', { retryAfterMs })

/** Agents that register themselves, or prove what was registered: with a DID's key and a token of the account, in one request. */
export const createSelfRegistration = ({ deps, verifier, settings, recallOf }: SelfParts): SelfRegistration => {
  const nonces = new Nonces(deps.clock, windowMs, noncesMost)
  const challenges = new Bucket(deps.clock, perSecond)
  const registrations = new Bucket(deps.clock, perSecond)

  const open = (): SelfSettings => {
    const present = settings()
    if (present !== undefined) return present
    throw new BridgeError('E_NOT_FOUND', 'Agents do not register themselves here.', {
      hint: 'registration.self of the configuration turns it on.',
    })
  }

  const spend = (bucket: Bucket): void => {
    const wait = bucket.take()
    if (wait !== undefined) throw busy(wait)
  }

  /** What is cheap to see comes first, and nothing is read before the challenge is ours. */
  const checkForm = (request: SignedRequest): void => {
    if (!isSigned(request)) throw unproven('a header is missing, too long or not ASCII')
    const at = timeOf(request.timestamp)
    if (at === undefined) throw unproven('the timestamp is no time with a time zone')
    if (Math.abs(deps.clock.now() - at) > windowMs) throw unproven('the timestamp is too old or of the future')
    const taken = nonces.take(request.nonce)
    if (taken === 'full') throw busy(1000)
    if (taken === 'bad') throw unproven('the nonce is not ours, expired or used')
  }

  const show = async (request: SignedRequest, input: SelfInput, present: SelfSettings): Promise<Shown> => {
    const { publicKey, token } = input
    if (input.did !== request.did) throw unproven('the DID of the body is not that of the header')
    const did = parseDid(input.did)
    const key = parseAgentKey(publicKey)
    if (!verifySignature(key, signedText(request, present.audience), request.signature)) {
      throw unproven('the signature is not of this request and key')
    }
    const subject = await verifier.subject(token)
    if (!subject.valid) throw unproven(`the token is refused: ${subject.codes.join(', ')}`)
    if (!present.adapters.includes(subject.adapter)) throw unproven('the token is of a directory that does not count')
    if (subject.subject.onBehalfOf !== undefined || subject.subject.act.length > 0) {
      throw unproven('the token speaks for somebody besides the account')
    }
    return { did, key, subject }
  }

  const registerSelf = async (
    request: SignedRequest,
    read: () => SelfInput,
    requestId: string,
  ): Promise<SelfRegistered> => {
    const present = open()
    spend(registrations)
    checkForm(request)
    const input = read()
    const shown = await show(request, input, present)
    const first = await named(deps.store, shown.did)
    const fresh = first.agent === undefined ? await newcomer(deps, shown, input, present) : undefined
    const caller: Caller = { name: `agent:${first.did}`, roles: [], labels: undefined, requestId }
    return change(deps, { actor: caller.name, requestId }, async (c) => {
      const { agent, did } = await named(c.tx, shown.did)
      if (agent !== undefined && input.parentDid !== undefined) throw insufficient('a registered agent names no parent')
      if (agent === undefined) {
        if (fresh === undefined) throw insufficient('the agent is gone')
        await checkAlone(c, shown)
        await enter(c, fresh, caller, recallOf)
      }
      const registered = agent ?? (await c.tx.agent(did))
      if (registered === undefined) throw insufficient('the agent was not registered')
      const { principals, at } = await prove(c, registered, shown)
      return {
        did,
        created: agent === undefined,
        principals,
        provenAt: at,
        key: thumbprintOf(shown.key),
        capabilities: await effectiveOf(c.tx, did, c.now),
      }
    })
  }

  /** Told without a reason to the caller, and with it to the log. */
  const told = async (work: Promise<SelfRegistered>, did: string): Promise<SelfRegistered> => {
    try {
      const registered = await work
      deps.metrics.inc('self_registrations_total', { outcome: registered.created ? 'created' : 'proven' })
      return registered
    } catch (error) {
      const refused = refusalOf(error)
      const outcome = refused === undefined ? 'failed' : refused.code === 'E_BUDGET' ? 'busy' : 'refused'
      deps.metrics.inc('self_registrations_total', { outcome })
      if (refused === undefined) throw error
      if (outcome === 'refused') deps.log.info({ did: did.slice(0, 512), err: refused }, 'an agent was not registered')
      throw refused
    }
  }

  return {
    selfChallenge: () => {
      const { audience } = open()
      spend(challenges)
      return { nonce: nonces.issue(), expiresAt: deps.clock.now() + windowMs, audience }
    },
    registerSelf: (request, read, requestId) => told(registerSelf(request, read, requestId), request.did),
  }
}

/** What a caller may learn: faults of its own request, and nothing of what the store or the directory has. */
const plain: ReadonlySet<string> = new Set([
  'E_NOT_FOUND',
  'E_BUDGET',
  'E_UNAUTHENTICATED',
  'E_FORBIDDEN',
  'E_KEY',
  'E_DID',
  'E_JSON',
  'E_VALIDATION',
])

/** Undefined for what is no refusal: a bug, or a directory that is down. */
const refusalOf = (error: unknown): BridgeError | undefined => {
  if (!(error instanceof BridgeError) || error.status >= 500) return undefined
  return plain.has(error.code) ? error : insufficient(error.code, error)
}

interface Newcomer {
  readonly input: AgentInput
  readonly readings: Readings
}

/**
 * A DID that nobody registered is registered by its own key alone, with the one account: the acting one of the token,
 * which the directory must say is on now. Under a parent it comes only by that one's signature.
 */
const newcomer = async (
  deps: Deps,
  { did, key, subject }: Shown,
  { delegation, kind, name, parentDid }: SelfInput,
  { blueprint }: SelfSettings,
): Promise<Newcomer> => {
  if (fitOf(did, key) !== 'fits') throw insufficient('the DID is not registered, and is not derived from the key')
  if (parentDid !== undefined && !delegation?.proof) throw insufficient('the parent did not sign for it')
  const [id] = subject.subject.principals
  if (id === undefined || kind === undefined) throw insufficient('nothing says which kind of account it is')
  const principal = { adapter: subject.adapter, id, kind }
  const readings = await readForMapping(deps, [principal], AbortSignal.timeout(readTimeoutMs))
  const reading = readings.get(keyText(principal))
  if (reading === undefined || reading.state === 'unknown') {
    throw new BridgeError('E_DIRECTORY_DOWN', 'The directory cannot be asked about the account now.', {
      hint: 'Try again later.',
    })
  }
  if (reading.state !== 'enabled') throw insufficient(`the account is ${reading.state}`)
  if (reading.kind !== undefined && reading.kind !== kind) throw insufficient(`the account is a ${reading.kind}`)
  const account = { ...principal, ...(reading.appId !== undefined && { appId: reading.appId }) }
  const input = { did, name, blueprint, parentDid, delegation, principals: [account], keys: [key] }
  await vetBlueprint(deps, fields(input))
  return { input, readings }
}

/**
 * A key that is an agent's already brings in no other one: whoever is held would be free under another spelling.
 * @throws BridgeError E_FORBIDDEN
 */
const checkAlone = async (c: Change, { did, key }: Shown): Promise<void> => {
  const holders = await c.tx.holdersOf([thumbprintOf(key)])
  const mesh = meshDidOf(key)
  const other = await named(c.tx, mesh)
  if (holders.length > 0 || (mesh !== did && other.agent !== undefined)) throw insufficient('another agent has the key')
  if ((await c.tx.openHolds(mesh)).length > 0) throw insufficient('the DID derived from the key is held')
}

const enter = async (
  c: Change,
  { input, readings }: Newcomer,
  caller: Caller,
  recallOf: SelfParts['recallOf'],
): Promise<void> => {
  await create(c, recallOf, await checked(c.tx, input), readings, caller)
}
