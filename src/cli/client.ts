import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { BridgeError, codeOf } from '../core/errors.ts'
import { backoffMs, parseRetryAfter } from '../lib/backoff.ts'
import { systemClock } from '../lib/clock.ts'
import { isLoopback } from '../lib/fields.ts'
import { createOutbound } from '../lib/outbound.ts'
import { contents, usage } from './files.ts'
import type { Io } from './io.ts'
import { version } from './version.ts'

export interface Where {
  readonly url?: string
  readonly tokenFile?: string
  readonly caFile?: string
}

export interface Answer {
  readonly status: number
  readonly ok: boolean
  /** The body as JSON; undefined when it is none. */
  readonly body: unknown
  /** What the daemon's clock said. */
  readonly at: number | undefined
}

/**
 * A running daemon, spoken to as the client whose token is given. What was lost on the way or refused for now is asked again, for
 * all of it can be: a POST carries an Idempotency-Key.
 */
export interface Daemon {
  readonly origin: string
  /** @param timeoutMs for what may take the daemon long */
  get(path: string, timeoutMs?: number): Promise<Answer>
  post(path: string, body?: unknown, timeoutMs?: number): Promise<Answer>
  put(path: string, body: unknown): Promise<Answer>
  delete(path: string): Promise<Answer>
  /** An answer that does not end by itself. Not asked again. @throws BridgeError E_UNREACHABLE */
  stream(path: string, headers: Readonly<Record<string, string>>, idleMs: number): Promise<StreamAnswer>
}

export interface StreamAnswer {
  readonly status: number
  /** In pieces as they come; rejects when it is cut, or idle for too long. */
  readonly body: AsyncIterable<Uint8Array>
}

const timeoutMs = 60_000
const maxBytes = 64 * 1024 * 1024
const tries = 5
const backoff = { baseMs: 250, ceilingMs: 5_000 }
/** Longer than this nobody is kept waiting: the daemon's refusal is told. */
const patienceMs = 15_000
const passing = new Set([429, 502, 503, 504])

/**
 * Runs `work` with the daemon at `--url` or IDP_BRIDGE_URL. The token comes from the environment or a file: an argument can be
 * read by every process of the host.
 *
 * @throws BridgeError E_USAGE for a missing or unsafe address or token, E_UNREACHABLE when nothing answers there
 */
export const withDaemon = async <T>(io: Io, where: Where, work: (daemon: Daemon) => Promise<T>): Promise<T> => {
  const origin = originOf(where.url ?? io.env.IDP_BRIDGE_URL)
  const token = tokenOf(io, where.tokenFile)
  const { caFile } = where
  if (caFile !== undefined) certificatesIn(caFile)
  const clock = systemClock
  const outbound = createOutbound({ userAgent: `idp-bridge/${version}`, clock, caFile })
  const fetch = outbound.origin([origin], { timeoutMs, maxBytes })
  let wasReached = false

  const once = async (method: string, path: string, body: unknown, key: string | undefined, within: number) => {
    const response = await fetch(new URL(path, origin), {
      method,
      signal: io.stop,
      timeoutMs: within,
      headers: {
        authorization: `Bearer ${token}`,
        accept: 'application/json',
        ...(key !== undefined && { 'idempotency-key': key }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    })
    wasReached = true
    const at = Date.parse(response.headers.get('date') ?? '')
    const waitMs = parseRetryAfter(response.headers.get('retry-after'), clock.now())
    const text = await response.text()
    const { ok, status } = response
    return { answer: { status, ok, body: parsed(text), at: Number.isNaN(at) ? undefined : at }, waitMs }
  }

  const ask = async (method: string, path: string, body?: unknown, within = timeoutMs): Promise<Answer> => {
    const key = method === 'POST' ? randomUUID() : undefined
    for (let attempt = 0; ; attempt++) {
      const isLast = attempt === tries - 1
      let askedMs: number | undefined
      try {
        const { answer, waitMs } = await once(method, path, body, key, within)
        if (isLast || !passing.has(answer.status) || (waitMs ?? 0) > patienceMs) return answer
        askedMs = waitMs
      } catch (error) {
        // Nobody there at all is told at once; a daemon that was there may be restarting.
        if (isLast || !wasReached || codeOf(error) !== 'E_OUTBOUND_NETWORK') throw unreachable(origin, error)
      }
      await clock.sleep(backoffMs(attempt, backoff, Math.random(), askedMs), io.stop)
    }
  }
  try {
    return await work({
      origin,
      get: (path, within) => ask('GET', path, undefined, within),
      post: (path, body, within) => ask('POST', path, body, within),
      put: (path, body) => ask('PUT', path, body),
      delete: (path) => ask('DELETE', path),
      stream: async (path, headers, idleMs) => {
        try {
          const sent = { ...headers, authorization: `Bearer ${token}` }
          return await outbound.stream(origin, new URL(path, origin), { headers: sent, idleMs, signal: io.stop })
        } catch (error) {
          throw unreachable(origin, error)
        }
      },
    })
  } catch (error) {
    // What waited says so by the signal's own reason, which is no failure of anything.
    if (io.stop.aborted && error === io.stop.reason) throw new BridgeError('E_ABORTED', 'Interrupted.')
    throw error
  } finally {
    await outbound.close()
  }
}

const tokenOf = (io: Io, file: string | undefined): string => {
  const token = file === undefined ? io.env.IDP_BRIDGE_TOKEN : contents(file, `The token file ${file}`).trim()
  if (token !== undefined && /^[\x21-\x7e]+$/.test(token)) return token
  throw new BridgeError('E_USAGE', 'There is no token to identify you with.', {
    hint: 'Set IDP_BRIDGE_TOKEN, or --token-file, to the bearer token of a client in auth.clients.',
  })
}

const certificatesIn = (file: string): void => {
  if (contents(file, `The certificate file ${file}`).includes('-----BEGIN CERTIFICATE-----')) return
  throw usage(`${file} holds no certificate.`, "Name the authority of the daemon's certificate, in PEM.")
}

const originOf = (text: string | undefined): string => {
  if (text === undefined || text === '') {
    throw new BridgeError('E_USAGE', 'No daemon was named.', {
      hint: 'Use --url https://bridge.example.com or set IDP_BRIDGE_URL.',
    })
  }
  const url = URL.canParse(text) ? new URL(text) : undefined
  const plain = url?.protocol === 'http:' && isLoopback(url.hostname)
  const isOrigin = url !== undefined && url.href === `${url.origin}/`
  if (url !== undefined && isOrigin && (url.protocol === 'https:' || plain)) return url.origin
  throw new BridgeError('E_USAGE', "The daemon's address is not of the form https://host[:port].", {
    hint: 'http:// is possible for loopback addresses only: your token would be readable on the way.',
  })
}

const unreachable = (origin: string, error: unknown): unknown => {
  const code = codeOf(error)
  if (code === 'E_OUTBOUND_TIMEOUT') {
    return new BridgeError('E_UNREACHABLE', `The daemon at ${origin} did not answer in time.`, {
      cause: error,
      hint: 'What was asked for may have been done all the same: look before you repeat it.',
    })
  }
  if (code !== 'E_OUTBOUND_NETWORK') return error
  return new BridgeError('E_UNREACHABLE', `No daemon answers at ${origin}.`, {
    cause: error,
    hint: 'Does it run there? Does your trust store know its certificate (--ca-file)?',
  })
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const problem = z.object({
  code: z.string(),
  detail: z.string(),
  hint: z.string().nullish(),
  requestId: z.string().optional(),
})

/** What the daemon refused, told on standard error; the exit code of it. */
export const refused = (io: Io, { status, body }: Pick<Answer, 'status' | 'body'>, then?: string): number => {
  const told = problem.safeParse(body)
  const text = told.success
    ? `${told.data.detail} (${told.data.code})`
    : `The daemon answered ${status}, and not as one of this version does.`
  const id = status >= 500 && told.data?.requestId ? `Its log has it under ${told.data.requestId}.` : undefined
  const hints = [told.data?.hint, then, id].filter((one) => one !== undefined && one !== null)
  io.err([`idp-bridge: ${text}`, ...hints.map((hint) => `  ${hint}`)].join('\n'))
  if (status === 401 || status === 403) return 77
  if (status === 429 || status === 503) return 75
  return told.success && status >= 400 && status < 500 ? 64 : 70
}

/** A body of the daemon in the shape this version knows. @throws BridgeError E_USAGE for a daemon of another version */
export const bodyOf = <T>(schema: z.ZodType<T>, { body }: Pick<Answer, 'body'>): T => {
  const result = schema.safeParse(body)
  if (result.success) return result.data
  throw new BridgeError('E_USAGE', 'The daemon does not answer as one of this version does.', {
    cause: result.error,
    hint: `This is idp-bridge ${version}; use the one of the daemon.`,
  })
}
