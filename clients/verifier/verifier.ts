import { BridgeError, codeOf } from '../../src/core/errors.ts'
import { question } from '../../src/http/decisions.ts'
import { basisBody } from '../../src/http/faces.ts'
import { backgroundClock, type Clock } from '../../src/lib/clock.ts'
import { createHttp, type Http } from '../agt/http.ts'
import type { Authority, DecisionAnswer, DecisionRequest } from '../decisions.ts'
import { createAsking, isForbidden } from './asking.ts'
import { type Copy, createCopy, known } from './copying.ts'
import { follow } from './following.ts'
import { Freshness } from './freshness.ts'
import { createKeyring, type Keyring } from './keyring.ts'
import { settingsOf, type VerifierOptions } from './options.ts'
import type { Frame } from './wire.ts'

/** How far what is decided by may be behind the bridge. */
export interface Staleness {
  /** Since the bridge last said that it had told everything; null when it never did. */
  readonly ageMs: number | null
  /** As in the answer: everything the bridge recorded up to it is known here. */
  readonly epoch: number
  /** Empty before the first word of the bridge. */
  readonly generation: string
  /** Whether the stream is open and has told everything. */
  readonly connected: boolean
}

/** The answer of `POST /v1/decisions`, and how old what it rests on may be. */
export interface LocalAnswer extends DecisionAnswer {
  readonly staleness: Staleness
}

/** Decides in this process what the bridge would. */
export interface Verifier extends Authority, AsyncDisposable {
  /**
   * May this agent act now? Asks nobody, except for the signing keys of a directory.
   *
   * While it is not known well enough what the bridge knows, every answer is a refusal with `R_REPLICA`.
   *
   * @throws BridgeError E_VALIDATION, E_DID a request that `POST /v1/decisions` answers 400; E_JWKS_DOWN the keys of the
   *   token's directory cannot be had: the caller denies then, too
   */
  decide(request: DecisionRequest): Promise<LocalAnswer>
  /**
   * Resolves once it answers by what the bridge knows.
   *
   * @throws BridgeError E_REPLICA_LARGE more agents than `maxAgents`; E_UNAUTHENTICATED, E_FORBIDDEN the bridge does not
   *   take the token; E_SHUTTING_DOWN it was closed; or whatever the signal says
   */
  ready(options?: { readonly signal?: AbortSignal }): Promise<void>
  readonly staleness: Staleness
  /** Ends every connection. From then on every answer is a refusal. */
  close(): Promise<void>
}

/** What tests put in the place of the real ones. */
export interface VerifierParts {
  readonly clock?: Clock
  readonly random?: () => number
  readonly http?: Pick<Http, 'get' | 'post' | 'stream'>
  readonly keyring?: Keyring
}

const closedError = () => new BridgeError('E_SHUTTING_DOWN', 'The verifier was closed.')

/**
 * Keeps what the bridge decides by in memory, and decides by it with the bridge's own code.
 *
 * @throws BridgeError E_CONFIG an option is wrong
 */
export const createVerifier = (options: VerifierOptions, parts: VerifierParts = {}): Verifier => {
  const settings = settingsOf(options)
  const { maxAgeMs, maxAgents, report } = settings
  const { clock = backgroundClock, random = Math.random } = parts
  const http = parts.http ?? createHttp(settings)
  const keyring = parts.keyring ?? createKeyring(settings.outbound, clock)
  const asking = createAsking(http)
  const closing = new AbortController()
  const freshness = new Freshness(clock)
  const waiting = new Set<() => void>()
  let copy: Copy | undefined
  let copying = new AbortController()
  let position: string | undefined
  let epoch = 0
  /** Why nothing that is known counts, until the bridge takes the token again. */
  let refused: BridgeError | undefined
  /** Why nothing will ever count again. */
  let ended: BridgeError | undefined

  const wake = () => {
    for (const one of [...waiting]) one()
  }
  const end = (error: BridgeError) => {
    if (ended === undefined && error.code !== 'E_SHUTTING_DOWN') report(error)
    ended ??= error
    copying.abort()
    closing.abort()
    wake()
  }
  const refuse = (error: BridgeError) => {
    refused = error
    report(error)
    wake()
  }

  const begin = (generation: string, first: Extract<Frame, { type: 'settings' }>['settings']) => {
    copying.abort()
    copying = new AbortController()
    const { signal } = copying
    freshness.forget()
    epoch = 0
    const own = createCopy({ asking, keyring, clock, random, maxAgents, report, whole: wake }, generation, first)
    copy = own
    own.run(signal).catch((error: unknown) => {
      if (signal.aborted) return
      // A copy that is not read on is none: the stream begins another.
      copy = undefined
      position = undefined
      if (isForbidden(error)) refuse(error)
      else end(known(error))
    })
  }

  const take = (frame: Frame, id: string) => {
    if (frame.type === 'settings') {
      refused = undefined
      const goesOn = frame.resumed && copy?.replica.generation === frame.generation
      if (goesOn) copy?.settle(frame.settings)
      else begin(frame.generation, frame.settings)
    } else if (copy === undefined) {
      throw new BridgeError('E_UNREACHABLE', 'The stream is to begin anew.')
    } else if (frame.type === 'changed') copy.take(frame.rows)
    else if (frame.type === 'current') {
      const wasSkewed = freshness.isSkewed
      freshness.current(frame.at)
      if (freshness.isSkewed && !wasSkewed) {
        report(new BridgeError('E_CONFIG', 'The clock of this machine is not that of the bridge.'))
      }
      epoch = frame.epoch
      copy.replica.reached(epoch)
      wake()
    }
    position = id
  }

  const staleness = (): Staleness => ({
    ageMs: freshness.ageMs === undefined ? null : Math.ceil(freshness.ageMs),
    epoch,
    generation: copy?.replica.generation ?? '',
    connected: freshness.isConnected,
  })
  /** What may be decided by now; undefined when nothing may. */
  const usable = (): Copy | undefined => {
    const { ageMs } = freshness
    if (ended !== undefined || refused !== undefined || ageMs === undefined || ageMs > maxAgeMs) return undefined
    return freshness.isSkewed || copy?.isWhole !== true ? undefined : copy
  }
  const notCurrent = (): LocalAnswer => ({
    allow: false,
    did: null,
    codes: ['R_REPLICA'],
    holds: [],
    actor: null,
    onBehalfOf: null,
    act: [],
    grants: [],
    epoch,
    generation: copy?.replica.generation ?? '',
    staleness: staleness(),
  })

  const close = async () => {
    end(closedError())
    await keyring.close()
  }
  const abort = () => void close()
  if (settings.signal?.aborted) abort()
  else settings.signal?.addEventListener('abort', abort, { once: true })

  void follow(
    {
      http,
      clock,
      random,
      position: () => position,
      connecting: () => freshness.connecting(),
      take: (frame, id) => {
        try {
          take(frame, id)
        } catch (error) {
          // Nothing that is held here can be trusted to be all there is.
          copying.abort()
          copy = undefined
          position = undefined
          if (codeOf(error) === 'E_REPLICA_LARGE') end(known(error))
          throw error
        }
        // Behind by that much, or one of the clocks has jumped: a connection of its own tells, and goes on where this ends.
        if (frame.type === 'current' && (freshness.ageMs ?? 0) > maxAgeMs) {
          throw new BridgeError('E_UNREACHABLE', 'What the stream tells is too old.')
        }
      },
      lost: (error) => {
        freshness.disconnected()
        if (isForbidden(error)) refuse(error)
        else report(error)
      },
    },
    closing.signal,
  )

  return {
    decide: async (request) => {
      const { success, data, error } = question.safeParse(request)
      if (!success) {
        throw new BridgeError('E_VALIDATION', 'The question is not valid.', {
          hint: 'Exactly one of did, token and principal, as POST /v1/decisions takes them.',
          details: error.issues.map(({ path, code }) => ({ pointer: `/${path.join('/')}`, code })),
        })
      }
      const used = usable()
      if (used === undefined) return notCurrent()
      const view = await used.judge.decide(data)
      // Keys may have been waited for: meanwhile another copy may have come, or too much time gone.
      if (usable() !== used) return notCurrent()
      return { allow: view.allow, ...basisBody(view), staleness: staleness() }
    },
    ready: ({ signal } = {}) =>
      new Promise((resolve, reject) => {
        const look = (): boolean => {
          const failure = ended ?? refused
          if (signal?.aborted) reject(signal.reason)
          else if (failure !== undefined) reject(failure)
          else if (usable() !== undefined) resolve()
          else return false
          waiting.delete(look)
          signal?.removeEventListener('abort', look)
          return true
        }
        if (look()) return
        waiting.add(look)
        signal?.addEventListener('abort', look, { once: true })
      }),
    get staleness() {
      return staleness()
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}
