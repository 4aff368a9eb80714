import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import type { SecureContextOptions } from 'node:tls'
import { type Answer, createHttp, type Http } from '../agt/http.ts'
import type { Authority } from '../decisions.ts'
import { baseOf, milliseconds, type TokenOption, tokenOf } from '../place.ts'
import { isDecisionAnswer } from './answer.ts'
import { McpGuardError, wrong } from './errors.ts'

export interface RemoteAuthorityOptions {
  /** Where the bridge is reached: https, or http on loopback. A path in it is kept as a prefix. */
  readonly url: string
  /** Bearer token of a client with the role `gateway`; a function is asked before every request. */
  readonly token: TokenOption
  /** How long a question may take. Default 2 s. */
  readonly timeoutMs?: number | undefined
  /** Connections that are kept. Default 64; further questions wait for one. */
  readonly connections?: number | undefined
  /** Certificates for https: a private authority, a client certificate. */
  readonly tls?: Pick<SecureContextOptions, 'ca' | 'cert' | 'key'> | undefined
}

export interface RemoteAuthority extends Authority, Disposable {
  /** Ends the connections. Questions under way reject. */
  close(): void
}

/**
 * Asks the bridge over HTTP, `POST /v1/decisions`, a question each time: nothing is remembered. Connections are kept; an
 * idle one keeps no process alive.
 *
 * @throws McpGuardError E_OPTIONS. `decide` rejects with E_AUTHORITY when no answer came, or none that is understood.
 */
export const createRemoteAuthority = (options: RemoteAuthorityOptions): RemoteAuthority => {
  const { tls = {}, connections: maxSockets = 64 } = options
  const base = baseOf(options.url, wrong)
  const token = tokenOf(options.token, wrong)
  const timeoutMs = milliseconds('timeoutMs', options.timeoutMs, 2_000, wrong)
  if (!Number.isInteger(maxSockets) || maxSockets < 1) throw wrong('connections must be a whole number from 1.')
  const pool = { keepAlive: true, maxSockets }
  const agent = base.protocol === 'https:' ? new HttpsAgent({ ...pool, ...tls }) : new HttpAgent(pool)
  const kept = createHttp({ base, token, tls }, agent)
  const anew = createHttp({ base, token, tls })
  const closed = new AbortController()

  const ask = async (question: object): Promise<Answer> => {
    const limit = AbortSignal.any([AbortSignal.timeout(timeoutMs), closed.signal])
    const post = (http: Http) => http.post('v1/decisions', question, { timeoutMs, signal: limit, foreground: true })
    try {
      // A kept connection may end just as it is used. A question changes nothing, so it is asked once more, on a new one.
      return await post(kept).catch((error) => (limit.aborted ? Promise.reject(error) : post(anew)))
    } catch (cause) {
      throw new McpGuardError('E_AUTHORITY', 'The bridge did not answer.', { cause })
    }
  }

  return {
    decide: async (question) => {
      const { status, body, problem } = await ask(question)
      const told = { status, bridgeCode: problem }
      if (status !== 200) throw new McpGuardError('E_AUTHORITY', `The bridge answered with status ${status}.`, told)
      if (!isDecisionAnswer(body)) throw new McpGuardError('E_AUTHORITY', 'The answer is not understood.', told)
      return body
    },
    close() {
      closed.abort()
      agent.destroy()
    },
    [Symbol.dispose]() {
      this.close()
    },
  }
}
