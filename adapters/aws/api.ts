import { BridgeError } from '../../src/core/errors.ts'
import { backoffMs } from '../../src/lib/backoff.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { live, pause } from '../aborts.ts'
import type { Owed } from '../owed.ts'
import type { Lane, Slots } from '../slots.ts'
import { asBridgeError, awsError, type Purpose, type Told, toldBy } from './errors.ts'
import type { Flight, Handling } from './handler.ts'

export interface CallOptions {
  readonly purpose: Purpose
  readonly lane: Lane
  readonly signal: AbortSignal
  /** Not repeated, whatever becomes of it: there is something better to do than to wait. */
  readonly once?: boolean
}

export interface WriteOptions extends CallOptions {
  /** Awaited right before the first byte; nothing is sent when it rejects. */
  readonly stillWanted?: (() => Promise<void>) | undefined
}

/** One command of an SDK client. The signal is the one to send it with. */
export type Call<T> = (options: { abortSignal: AbortSignal }) => Promise<T>

/**
 * What became of one write, which is sent once: only the engine knows whether it is still wanted later.
 * refused: answered with an error, nothing changed. lost: it may have been carried out. unsent: never put on the wire.
 */
export type Sent<T> =
  | { readonly outcome: 'done'; readonly value: T }
  | { readonly outcome: 'refused'; readonly told: Told; readonly error: BridgeError }
  | { readonly outcome: 'lost' | 'unsent'; readonly error: BridgeError }

/** Calls of one AWS account: its own turns on the wire, its own debts, its own failures. */
export interface Api {
  /** One read, repeated while that may help. @throws BridgeError */
  read<T>(call: Call<T>, options: CallOptions): Promise<T>
  /** The same, but that answers of these names are an answer. */
  ask<T>(call: Call<T>, names: readonly string[], options: CallOptions): Promise<T | { readonly told: Told }>
  write<T>(call: Call<T>, options: WriteOptions): Promise<Sent<T>>
  /** Suspensions turned away, for which everything below them waits. */
  readonly owed: Owed
}

export interface ApiParts {
  readonly handling: Handling
  readonly clock: Clock
  readonly random: () => number
  readonly slots: Slots
  readonly owed: Owed
  /** AWS does not accept what was signed. */
  readonly refused: () => void
}

const RETRY = { baseMs: 500, ceilingMs: 20_000 }
const TRIES = 4
const isRetried = ({ code }: BridgeError) => code === 'E_DIRECTORY_DOWN' || code === 'E_DIRECTORY_THROTTLED'

export function openApi({ handling, clock, random, slots, owed, refused }: ApiParts): Api {
  const exchange = async <T>(call: Call<T>, { lane, signal, purpose }: CallOptions, flight: Flight): Promise<T> => {
    live(signal)
    if (lane !== 'suspend') await owed.clear(signal)
    const leave = await slots.enter(lane, signal)
    try {
      return await handling.fly(flight, signal, (abortSignal) => call({ abortSignal }))
    } catch (error) {
      const failure = awsError(error, purpose, clock.now())
      if (failure.code === 'E_DIRECTORY_THROTTLED') owed.refused()
      if (failure.code === 'E_DIRECTORY_AUTH' && flight.sent) refused()
      throw new Failure(failure, toldBy(error))
    } finally {
      leave()
    }
  }

  /** A refused signature proves that nothing was done, so one repetition with a new credential is safe for writes too. */
  const signedIn = async <T>(call: Call<T>, options: CallOptions, flight: Flight): Promise<T> => {
    try {
      return await exchange(call, options, flight)
    } catch (error) {
      if (!(error instanceof Failure) || error.failure.code !== 'E_DIRECTORY_AUTH' || !flight.sent) throw error
      flight.sent = false
      return exchange(call, options, flight)
    }
  }

  const ask: Api['ask'] = async (call, names, options) => {
    for (let attempt = 0; ; attempt++) {
      try {
        return await signedIn(call, options, { sent: false })
      } catch (error) {
        const { failure, told } = asFailure(error)
        if (told && names.includes(told.name)) return { told }
        if (options.once === true || attempt >= TRIES - 1 || !isRetried(failure)) throw failure
        await pause(clock, backoffMs(attempt, RETRY, random(), failure.retryAfterMs), options.signal)
      }
    }
  }

  return {
    owed,
    ask,
    async read(call, options) {
      const answer = await ask(async (sending) => ({ value: await call(sending) }), [], options)
      if ('told' in answer) throw new BridgeError('E_BUG', 'an answer that nobody asked to be told of')
      return answer.value
    },
    async write(call, options) {
      const flight: Flight = { sent: false, stillWanted: options.stillWanted }
      try {
        return { outcome: 'done', value: await signedIn(call, options, flight) }
      } catch (error) {
        const { failure, told } = asFailure(error)
        if (!flight.sent) return { outcome: 'unsent', error: failure }
        const isClear = told?.status !== undefined && told.status >= 400 && told.status < 500
        return isClear ? { outcome: 'refused', told, error: failure } : { outcome: 'lost', error: failure }
      }
    },
  }
}

/** A failure of ours with what AWS told, which only this file tells apart. */
class Failure extends Error {
  readonly failure: BridgeError
  readonly told: Told | undefined

  constructor(failure: BridgeError, told: Told | undefined) {
    super(failure.message)
    this.failure = failure
    this.told = told
  }
}

const asFailure = (error: unknown): { readonly failure: BridgeError; readonly told: Told | undefined } =>
  error instanceof Failure ? error : { failure: asBridgeError(error), told: undefined }
