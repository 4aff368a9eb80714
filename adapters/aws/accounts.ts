import type { PrincipalRef, WriteResult } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'
import type { Sighting } from '../../src/core/types.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { live } from '../aborts.ts'
import { inParallel } from '../parallel.ts'
import { offByOurSwitch } from '../switches.ts'
import { type Session, type Sessions, sessionFor } from './account.ts'
import { asBridgeError } from './errors.ts'
import { roleOf, type User, userOf } from './ids.ts'
import type { Outcome, RoleSwitch } from './roleswitch.ts'
import type { Scim } from './scim.ts'
import { readUser } from './users.ts'

export interface SwitcherParts {
  readonly sessions: Sessions
  /** Of the identity store; undefined: none is configured. */
  readonly center: Session | undefined
  readonly roles: RoleSwitch
  readonly scim: Scim | undefined
  readonly clock: Clock
  readonly vet: (ref: PrincipalRef) => BridgeError | undefined
  /** Takes from a reading what the id alone does not tell. */
  readonly learn: (sighting: Sighting) => void
  /** Learns what `vet` must know of users. Throws when it cannot. */
  readonly ready: (signal: AbortSignal) => Promise<unknown>
  /** A write of ours over SCIM, as the event history will name it. */
  readonly noteScim: (requestId: string) => void
}

export interface Switcher {
  disable(refs: readonly PrincipalRef[], signal: AbortSignal, bulk?: boolean): Promise<WriteResult[]>
  enable(refs: readonly PrincipalRef[], signal: AbortSignal, stillWanted?: () => Promise<void>): Promise<WriteResult[]>
}

/** Every account takes some calls of its own, so that a larger batch would only be answered later. */
export const BATCH = 20
const WIDTH = 10

type Lane = 'suspend' | 'bulk' | 'write'

export function openSwitcher(parts: SwitcherParts): Switcher {
  const { sessions, center, roles, scim, clock, vet, learn, ready, noteScim } = parts

  const unfit = (ref: PrincipalRef) => (before: Sighting | undefined) => {
    if (before) learn(before)
    return vet(ref)
  }

  const switchUser = async (
    ref: PrincipalRef,
    user: User,
    active: boolean,
    lane: Lane,
    signal: AbortSignal,
    stillWanted?: () => Promise<void>,
  ): Promise<Outcome> => {
    if (!scim || !center) return { outcome: 'unsent', before: undefined, error: unswitched() }
    let before: Sighting | undefined
    if (!active) {
      const read = await readUser(center, clock, user, { lane, signal, once: true }).catch(asBridgeError)
      if (lane === 'bulk' && read instanceof BridgeError && read.code === 'E_DIRECTORY_THROTTLED')
        return { outcome: 'unsent', before, error: read }
      before = read instanceof BridgeError || read.state === 'unknown' ? undefined : read
      const refused = unfit(ref)(before)
      if (refused) return { outcome: 'unsent', before, error: refused }
      if (before && (before.state === 'absent' || offByOurSwitch(before.switches))) return { outcome: 'unsent', before }
    }
    const sent = await scim.setActive(user, active, { lane, signal, stillWanted })
    if (sent.outcome !== 'done') return { outcome: sent.outcome, before, error: sent.error }
    if (sent.value.requestId !== undefined) noteScim(sent.value.requestId)
    return { outcome: 'done', before }
  }

  const disableOne = async (ref: PrincipalRef, lane: 'suspend' | 'bulk', signal: AbortSignal): Promise<Outcome> => {
    const role = roleOf(ref.id)
    const user = userOf(ref.id)
    if (user) return switchUser(ref, user, false, lane, signal)
    if (!role) return { outcome: 'unsent', before: undefined }
    const session = await sessionFor(sessions, role.account, signal).catch(asBridgeError)
    if (session instanceof BridgeError) return { outcome: 'unsent', before: undefined, error: session }
    const { owed } = session.api
    if (lane === 'suspend') owed.begun(ref.id)
    const answered = await roles.suspend({ session, role, lane, signal }, unfit(ref))
    if (answered.error?.code !== 'E_DIRECTORY_THROTTLED') owed.paid(ref.id)
    else if (lane === 'suspend') owed.owe(ref.id, answered.error.retryAfterMs ?? 0)
    return answered
  }

  const enableOne = async (ref: PrincipalRef, signal: AbortSignal, wanted?: () => Promise<void>): Promise<Outcome> => {
    const role = roleOf(ref.id)
    const user = userOf(ref.id)
    if (user) return switchUser(ref, user, true, 'write', signal, wanted)
    if (!role) return { outcome: 'unsent', before: undefined }
    const session = await sessionFor(sessions, role.account, signal).catch(asBridgeError)
    if (session instanceof BridgeError) return { outcome: 'unsent', before: undefined, error: session }
    return roles.lift({ session, role, lane: 'write', signal }, wanted)
  }

  const each = async (
    refs: readonly PrincipalRef[],
    signal: AbortSignal,
    run: (ref: PrincipalRef) => Promise<Outcome>,
  ): Promise<WriteResult[]> => {
    const unique = [...new Map(refs.map((ref) => [ref.id, ref])).values()]
    // What is managed of users is no concern of roles.
    const readiness = unique.some(({ id }) => userOf(id))
      ? ready(signal).then(() => undefined)
      : Promise.resolve(undefined)
    const unready = await readiness.catch(asBridgeError)
    return inParallel(unique, WIDTH, async (ref): Promise<WriteResult> => {
      const { id } = ref
      try {
        live(signal)
        const refused = vet(ref) ?? (userOf(id) ? unready : undefined)
        if (refused) return { id, outcome: 'unsent', before: undefined, error: refused }
      } catch (error) {
        return { id, outcome: 'unsent', before: undefined, error: asBridgeError(error) }
      }
      return run(ref).then(
        (outcome) => ({ id, ...outcome }),
        (error) => ({ id, outcome: 'lost', before: undefined, error: asBridgeError(error) }),
      )
    })
  }

  return {
    disable: (refs, signal, bulk = false) =>
      each(refs, signal, (ref) => disableOne(ref, bulk ? 'bulk' : 'suspend', signal)),
    enable: (refs, signal, stillWanted) => each(refs, signal, (ref) => enableOne(ref, signal, stillWanted)),
  }
}

/** Identity Center has no call that switches a user (identitystore API, read 2026-11). */
export const unswitched = (): BridgeError =>
  new BridgeError('E_NOT_SWITCHABLE', 'Identity Center has no call that switches a user off', {
    hint: 'set identityCenter.scim where an identity provider provisions the instance, or switch the user off in its identity source',
  })
