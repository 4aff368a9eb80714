import { z } from 'zod'
import { BridgeError, codeOf } from '../core/errors.ts'
import { systemClock } from '../lib/clock.ts'
import { isLoopback } from '../lib/fields.ts'
import { createOutbound } from '../lib/outbound.ts'
import type { Io } from './io.ts'
import { version } from './version.ts'

export interface Where {
  readonly url?: string
}

export interface Answer {
  readonly status: number
  readonly ok: boolean
  /** The body as JSON; undefined when it is none. */
  readonly body: unknown
}

/** A running daemon, spoken to as the client whose token IDP_BRIDGE_TOKEN is. */
export interface Daemon {
  get(path: string): Promise<Answer>
  /** @param timeoutMs for what may take the daemon long */
  post(path: string, body: unknown, timeoutMs?: number): Promise<Answer>
}

const timeoutMs = 60_000
const maxBytes = 64 * 1024 * 1024

/**
 * Runs `work` with the daemon at `--url` or IDP_BRIDGE_URL. The token comes from the environment only: an argument can be
 * read by every process of the host.
 *
 * @throws BridgeError E_USAGE for a missing or unsafe address or token, E_UNREACHABLE when nothing answers there
 */
export const withDaemon = async <T>(io: Io, where: Where, work: (daemon: Daemon) => Promise<T>): Promise<T> => {
  const origin = originOf(where.url ?? io.env.IDP_BRIDGE_URL)
  const token = io.env.IDP_BRIDGE_TOKEN
  if (token === undefined || !/^[\x21-\x7e]+$/.test(token)) {
    throw new BridgeError('E_USAGE', 'There is no token to identify you with.', {
      hint: 'Set IDP_BRIDGE_TOKEN to the bearer token of a client in auth.clients.',
    })
  }
  const outbound = createOutbound({ userAgent: `idp-bridge/${version}`, clock: systemClock })
  const fetch = outbound.origin([origin], { timeoutMs, maxBytes })
  const ask = async (method: string, path: string, body?: unknown, within = timeoutMs): Promise<Answer> => {
    try {
      const response = await fetch(new URL(path, origin), {
        method,
        signal: io.stop,
        timeoutMs: within,
        headers: {
          authorization: `Bearer ${token}`,
          accept: 'application/json',
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        body: body === undefined ? undefined : JSON.stringify(body),
      })
      return { status: response.status, ok: response.ok, body: parsed(await response.text()) }
    } catch (error) {
      throw unreachable(origin, error)
    }
  }
  try {
    return await work({
      get: (path) => ask('GET', path),
      post: (path, body, within) => ask('POST', path, body, within),
    })
  } finally {
    await outbound.close()
  }
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
    hint: 'Does it run there? Does your trust store know its certificate (NODE_EXTRA_CA_CERTS)?',
  })
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const problem = z.object({ code: z.string(), detail: z.string(), hint: z.string().nullish() })

/** What the daemon refused, told on standard error; the exit code of it. */
export const refused = (io: Io, { status, body }: Answer, then?: string): number => {
  const told = problem.safeParse(body)
  const text = told.success
    ? `${told.data.detail} (${told.data.code})`
    : `The daemon answered ${status}, and not as one of this version does.`
  const hints = [told.data?.hint, then].filter((one) => one !== undefined && one !== null)
  io.err([`idp-bridge: ${text}`, ...hints.map((hint) => `  ${hint}`)].join('\n'))
  if (status === 401 || status === 403) return 77
  if (status === 429 || status === 503) return 75
  return told.success && status >= 400 && status < 500 ? 64 : 70
}

/** A body of the daemon in the shape this version knows. @throws BridgeError E_USAGE for a daemon of another version */
export const bodyOf = <T>(schema: z.ZodType<T>, { body }: Answer): T => {
  const result = schema.safeParse(body)
  if (result.success) return result.data
  throw new BridgeError('E_USAGE', 'The daemon does not answer as one of this version does.', {
    cause: result.error,
    hint: `This is idp-bridge ${version}; use the one of the daemon.`,
  })
}
