import type { PrincipalRef, WriteResult } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'
import type { Sighting } from '../../src/core/types.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { live } from '../aborts.ts'
import { inParallel } from '../parallel.ts'
import type { Lane } from '../slots.ts'
import { offByOurSwitch } from '../switches.ts'
import type { Api, Sent } from './api.ts'
import { type Answer, asBridgeError, type Purpose, wordOf } from './errors.ts'
import { isKind, type Kind } from './ids.ts'
import { pathOf, purposes } from './kinds.ts'
import type { Ending, Operations } from './operations.ts'
import { OtherAccount, type Reading, readOne } from './reading.ts'
import type { Sessions } from './sessions.ts'

export interface SwitcherParts {
  readonly api: Api
  readonly clock: Clock
  readonly operations: Operations
  readonly sessions: Sessions
  readonly vet: (ref: PrincipalRef) => BridgeError | undefined
  /** Takes from a reading what the id alone does not tell. */
  readonly learn: (sighting: Sighting) => void
  /** Learns what `vet` must know: who we are, and what is managed. Throws when it cannot. */
  readonly ready: (signal: AbortSignal) => Promise<unknown>
}

export interface Switcher {
  disable(refs: readonly PrincipalRef[], signal: AbortSignal, bulk?: boolean): Promise<WriteResult[]>
  enable(refs: readonly PrincipalRef[], signal: AbortSignal, stillWanted?: () => Promise<void>): Promise<WriteResult[]>
}

/** How one kind of account is switched. */
interface Lever {
  readonly off: string
  readonly on: string
  readonly turnsOff: Purpose
  readonly turnsOn: Purpose
}

const levers: Readonly<Record<Kind, Lever>> = {
  user: {
    off: 'suspend',
    on: 'unsuspend',
    turnsOff: purposes.suspendUsers,
    turnsOn: purposes.unsuspendUsers,
  },
  serviceApp: { off: 'deactivate', on: 'activate', turnsOff: purposes.switchApps, turnsOn: purposes.switchApps },
  aiAgent: { off: 'deactivate', on: 'activate', turnsOff: purposes.switchAgents, turnsOn: purposes.switchAgents },
}

interface Target {
  readonly ref: PrincipalRef
  readonly id: string
  readonly kind: Kind
}

/** Every account is a call or two of its own, so that a larger batch would only be answered later. */
export const BATCH = 20
const WIDTH = 10
/** A single suspension is sent unread rather than held back longer. */
const PATIENCE_MS = 1000

/** Refusals that tell of the state of the account (error codes, read 2026-11): 403 means two things. */
const STATE_WORDS = new Set(['E0000016', 'E0000038'])
const tellsOfState = ({ status, body }: Answer): boolean =>
  status === 400 || status === 404 || status === 409 || (status === 403 && STATE_WORDS.has(wordOf(body) ?? ''))

export function openSwitcher({ api, clock, operations, sessions, vet, learn, ready }: SwitcherParts): Switcher {
  const result = (
    target: Pick<Target, 'ref'>,
    outcome: WriteResult['outcome'],
    before: Sighting | undefined,
    error?: BridgeError,
  ): WriteResult => ({ id: target.ref.id, before, outcome, ...(error ? { error } : {}) })

  /** Unreadable is no reason to wait, nor to leave the account on: not repeated, and not thrown. */
  const tryRead = async ({ kind, id }: Target, lane: Lane, signal: AbortSignal): Promise<Reading | BridgeError> => {
    const patience = lane === 'suspend' ? { patienceMs: PATIENCE_MS } : {}
    const options = { lane, signal, once: true, ...patience }
    if (kind === 'aiAgent' && (await operations.isPending(id, options)))
      return new BridgeError('E_DIRECTORY_DOWN', 'an operation on the agent is still under way')
    return readOne(api, clock, kind, id, options).catch(asBridgeError)
  }
  const readNow = async (target: Target, lane: Lane, signal: AbortSignal): Promise<Reading | undefined> => {
    const read = await tryRead(target, lane, signal)
    return read instanceof BridgeError ? undefined : read
  }

  const send = (target: Target, on: boolean, lane: Lane, signal: AbortSignal, stillWanted?: () => Promise<void>) => {
    const lever = levers[target.kind]
    const path = `${pathOf(target.kind, target.id)}/lifecycle/${on ? lever.on : lever.off}`
    return api.send('POST', path, { purpose: on ? lever.turnsOn : lever.turnsOff, lane, signal, stillWanted })
  }

  /** What a 202 began has ended; anything else is carried out when it is answered. */
  const ended = async (target: Target, sent: Sent, lane: Lane, signal: AbortSignal): Promise<Ending> =>
    sent.outcome === 'done' && sent.answer.status === 202
      ? operations.follow(target.id, sent.answer, { lane, signal })
      : 'done'

  const disableOne = async (target: Target, lane: 'suspend' | 'bulk', signal: AbortSignal): Promise<WriteResult> => {
    const first = await tryRead(target, lane, signal)
    // Many that are written unread would all have to be proven by the log; they can wait for room instead.
    if (lane === 'bulk' && first instanceof BridgeError && first.code === 'E_DIRECTORY_THROTTLED')
      return result(target, 'unsent', undefined, first)
    if (first instanceof OtherAccount) return result(target, 'unsent', undefined, first)
    const before = first instanceof BridgeError ? undefined : first.sighting
    if (before) learn(before)
    const unfit = vet(target.ref)
    if (unfit) return result(target, 'unsent', before, unfit)
    if (before && isNeedless(before)) return result(target, 'unsent', before)
    const sent = await send(target, false, lane, signal)
    if (sent.outcome === 'done') {
      const ending = await ended(target, sent, lane, signal)
      if (ending !== 'done') {
        return 'failed' in ending
          ? result(target, 'refused', before, ending.failed)
          : result(target, 'lost', before, ending.pending)
      }
      if (target.kind === 'user') sessions.owe(target.id, lane === 'bulk')
      return result(target, 'done', before)
    }
    if (sent.outcome === 'refused' && tellsOfState(sent.answer)) {
      // Nothing of ours happened between the two readings: the later one is as good a proof, and nearer to the truth.
      const again = await readNow(target, lane, signal)
      return result(target, 'refused', again?.sighting ?? before, impossible(target, sent.error, again, 'off'))
    }
    if (sent.outcome === 'lost' && target.kind === 'user') sessions.owe(target.id, lane === 'bulk', true)
    if (lane === 'suspend' && isCrowded(sent)) api.owed.owe(target.id, sent.error.retryAfterMs ?? 0)
    return result(target, sent.outcome, before, sent.error)
  }

  const enableOne = async (
    target: Target,
    signal: AbortSignal,
    stillWanted?: () => Promise<void>,
  ): Promise<WriteResult> => {
    const wanted = async () => {
      await stillWanted?.()
      sessions.forget(target.id)
    }
    const sent = await send(target, true, 'write', signal, wanted)
    if (sent.outcome === 'done') {
      const ending = await ended(target, sent, 'write', signal)
      if (ending === 'done') return result(target, 'done', undefined)
      return 'failed' in ending
        ? result(target, 'refused', undefined, ending.failed)
        : result(target, 'lost', undefined, ending.pending)
    }
    if (sent.outcome === 'refused' && tellsOfState(sent.answer)) {
      const again = await readNow(target, 'write', signal)
      // Refused because it is on already.
      if (again?.sighting.switches.some((each) => each.ours && each.state === 'on'))
        return result(target, 'done', undefined)
      return result(target, 'refused', undefined, impossible(target, sent.error, again, 'on'))
    }
    return result(target, sent.outcome, undefined, sent.error)
  }

  const each = async (
    refs: readonly PrincipalRef[],
    signal: AbortSignal,
    run: (target: Target) => Promise<WriteResult>,
  ): Promise<WriteResult[]> => {
    try {
      live(signal)
      await ready(signal)
    } catch (error) {
      return refs.map((ref) => result({ ref }, 'unsent', undefined, asBridgeError(error)))
    }
    const unique = [...new Map(refs.map((ref) => [ref.id, ref])).values()]
    return inParallel(unique, WIDTH, async (ref) => {
      const refused = vet(ref)
      if (refused || !isKind(ref.kind)) return result({ ref }, 'unsent', undefined, refused)
      try {
        return await run({ ref, id: ref.id, kind: ref.kind })
      } catch (error) {
        return result({ ref }, 'lost', undefined, asBridgeError(error))
      }
    })
  }

  return {
    disable: (refs, signal, bulk = false) =>
      each(refs, signal, async (target) => {
        if (!bulk) api.owed.begun(target.id)
        const passed = bulk ? sessions.busy() : () => undefined
        const answered = await disableOne(target, bulk ? 'bulk' : 'suspend', signal).finally(passed)
        if (answered.error?.code !== 'E_DIRECTORY_THROTTLED') api.owed.paid(target.id)
        return answered
      }),
    enable: (refs, signal, stillWanted) => each(refs, signal, (target) => enableOne(target, signal, stillWanted)),
  }
}

/**
 * Off by our switch, gone, or not in use: Okta suspends active users only, and an account that was never activated or
 * was deactivated cannot act.
 */
const isNeedless = ({ state, switches }: Sighting): boolean =>
  state === 'absent' || offByOurSwitch(switches) || switches.some((each) => each.state === 'off')

/** Turned away for requests open at once, which passes in a moment; a limit of its own does not. */
const isCrowded = (sent: Sent): sent is Extract<Sent, { outcome: 'refused' }> =>
  sent.outcome === 'refused' &&
  sent.answer.status === 429 &&
  !(Number(sent.answer.headers.get('x-rate-limit-limit')) > 0)

const mends: Readonly<Record<string, string>> = {
  LOCKED_OUT: 'unlock the user and the bridge suspends it, or deactivate the user for good',
  PASSWORD_EXPIRED: 'reset the password and the bridge suspends the user, or deactivate the user for good',
  RECOVERY: 'end the recovery and the bridge suspends the user, or deactivate the user for good',
}

/** The words of Okta do not tell which other status applies; the reading after it does. */
function impossible(target: Target, error: BridgeError, again: Reading | undefined, to: 'on' | 'off'): BridgeError {
  const status = again?.status
  if (status === undefined || !/^[A-Z_]{1,40}$/.test(status)) return error
  const hint = (to === 'off' ? mends[status] : undefined) ?? 'the bridge reads it again and tries again'
  const text = `Okta does not switch ${to} the ${target.kind} now, which is ${status}`
  return new BridgeError('E_DIRECTORY_REFUSED', text, { cause: error, hint, details: error.details })
}
