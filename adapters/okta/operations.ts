import { z } from 'zod'
import { BridgeError } from '../../src/core/errors.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { pause } from '../aborts.ts'
import type { Api } from './api.ts'
import { type Answer, answerError, malformed, parse } from './errors.ts'
import { purposes } from './kinds.ts'
import { pinnedLink } from './links.ts'
import { isAbsence, type ReadOptions } from './reading.ts'

/** How an operation ended; pending: not yet, as far as anyone can tell. */
export type Ending = 'done' | { readonly failed: BridgeError } | { readonly pending: BridgeError }

export interface Operations {
  /** Follows what a 202 began until it ended, for `WAIT_MS` at most. */
  follow(id: string, answer: Answer, options: ReadOptions): Promise<Ending>
  /** Whether an operation of ours on this account was left unfinished and still is. */
  isPending(id: string, options: ReadOptions): Promise<boolean>
}

/** An operation is waited for this long. */
export const WAIT_MS = 45_000
const POLL_MS = { first: 250, longest: 4000 }
const MAX_PENDING = 10_000
const purpose = purposes.switchAgents

const operation = z.object({
  status: z.enum(['SCHEDULED', 'IN_PROGRESS', 'COMPLETED', 'FAILED']),
  errorDetails: z.object({ code: z.union([z.string(), z.number()]).optional() }).nullish(),
})

/** Changes of AI agents are answered with 202 and carried out later. */
export function openOperations(api: Api, clock: Clock): Operations {
  /** The operations nobody saw the end of, by account: until they end, no reading of it is final. */
  const pending = new Map<string, string>()

  const endingOf = async (link: string, options: ReadOptions): Promise<Ending | 'gone' | undefined> => {
    const answer = await api.ask({ link }, { ...options, purpose })
    if (isAbsence(answer)) return 'gone'
    if (answer.status !== 200) throw answerError(answer, purpose, clock.now())
    const value = parse(operation, answer.body, purpose)
    if (value.status === 'COMPLETED') return 'done'
    if (value.status !== 'FAILED') return undefined
    const code = value.errorDetails?.code
    const named = code !== undefined && /^[\w.-]{1,60}$/.test(String(code)) ? ` (${code})` : ''
    const text = `Okta could not carry out ${purpose.what}${named}`
    return {
      failed: new BridgeError('E_DIRECTORY_REFUSED', text, {
        hint: 'an agent needs an owner to be activated: see its page in the admin console',
      }),
    }
  }

  return {
    async follow(id, { headers }, options) {
      let link: string
      try {
        link = pinnedLink(new URL(headers.get('location') ?? '', `${api.origin}/`).href, api.origin)
      } catch (error) {
        return { pending: malformed(purpose, error) }
      }
      const end = clock.mono() + WAIT_MS
      let failure: unknown
      for (let waitMs = POLL_MS.first; clock.mono() < end; waitMs = Math.min(waitMs * 2, POLL_MS.longest)) {
        try {
          const ending = await endingOf(link, { ...options, once: true })
          // Not there yet, as far as anyone can tell: it was begun a moment ago.
          if (ending !== undefined && ending !== 'gone') {
            pending.delete(id)
            return ending
          }
          await pause(clock, waitMs, options.signal)
        } catch (error) {
          failure = error
          if (options.signal.aborted) break
          await pause(clock, waitMs, options.signal).catch(() => undefined)
        }
      }
      if (pending.size >= MAX_PENDING) pending.clear()
      pending.set(id, link)
      const text = `Okta did not finish ${purpose.what} in time`
      return { pending: new BridgeError('E_DIRECTORY_DOWN', text, { cause: failure }) }
    },
    async isPending(id, options) {
      const link = pending.get(id)
      if (link === undefined) return false
      const ending = await endingOf(link, options).catch(() => undefined)
      if (ending !== undefined) pending.delete(id)
      return ending === undefined
    },
  }
}
