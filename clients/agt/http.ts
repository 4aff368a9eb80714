import { type Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { SecureContextOptions } from 'node:tls'
import { parseRetryAfter } from '../../src/lib/backoff.ts'
import { isMembers, parsed } from './frames.ts'

export interface Answer {
  readonly status: number
  readonly body: unknown
  /** The code of a problem document of the bridge; undefined when somebody else answered. */
  readonly problem: string | undefined
  readonly retryAfterMs: number | undefined
}

export interface AskOptions {
  readonly headers?: Readonly<Record<string, string>>
  readonly timeoutMs: number
  readonly signal?: AbortSignal
  /** Whether an exiting process waits for the answer. */
  readonly foreground: boolean
  /** Of the answer's body; 256 KiB when left out. */
  readonly maxBytes?: number
}

/** The one server that is spoken to. */
export interface Peer {
  readonly base: URL
  readonly token: () => Promise<string>
  readonly tls: Pick<SecureContextOptions, 'ca' | 'cert' | 'key'>
}

export interface Http {
  /** Rejects when no answer came: refused, cut, too late, too large. Redirects are answers. */
  post(path: string, body: unknown, options: AskOptions): Promise<Answer>
  /** The same without a body. */
  get(path: string, options: AskOptions): Promise<Answer>
  /**
   * Opens the stream. Resolves when it ended; rejects when it could not be opened or was cut. `timeoutMs` bounds the time
   * to the first byte.
   */
  stream(path: string, options: StreamOptions): Promise<Answer | undefined>
}

export interface StreamOptions {
  readonly headers: Readonly<Record<string, string>>
  readonly timeoutMs: number
  readonly signal: AbortSignal
  /** Every chunk of text; what it throws ends the stream and rejects. */
  readonly onText: (text: string) => void
}

const maxAnswerBytes = 256 * 1024
const unheld = (sent: ClientRequest) => sent.on('socket', (socket) => socket.unref())

const answerOf = (response: IncomingMessage, text: string): Answer => {
  const body = parsed(text)
  const isProblem = response.headers['content-type']?.startsWith('application/problem+json') === true
  const code = isProblem && isMembers(body) ? body.code : undefined
  return {
    status: response.statusCode ?? 0,
    body,
    problem: typeof code === 'string' ? code : undefined,
    retryAfterMs: parseRetryAfter(response.headers['retry-after'], Date.now()),
  }
}

const read = async (response: IncomingMessage, maxBytes = maxAnswerBytes): Promise<string> => {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response) {
    if (!(chunk instanceof Uint8Array)) continue
    size += chunk.length
    if (size > maxBytes) throw new Error('the answer is too large')
    chunks.push(Buffer.from(chunk))
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** What the work gives, unless the signal comes first. */
const within = <T>(work: Promise<T>, signal: AbortSignal): Promise<T> =>
  new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })

/**
 * Requests to the one origin that was configured, by Node's own client: a connection each, so that none is found dead at
 * the moment of a kill, unless an agent that keeps them is given. Nothing is redirected; the token goes nowhere else.
 */
export const createHttp = ({ base, token, tls }: Peer, agent?: Agent): Http => {
  const open = async (method: string, path: string, headers: Readonly<Record<string, string>>, signal: AbortSignal) => {
    const url = new URL(path, base)
    const authorization = `Bearer ${await within(token(), signal)}`
    const options = { method, agent: agent ?? false, signal, headers: { authorization, ...headers } } as const
    return url.protocol === 'https:' ? httpsRequest(url, { ...options, ...tls }) : httpRequest(url, options)
  }
  const responded = (sent: ClientRequest) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      sent.once('response', resolve)
      // Stays: a socket that fails after the answer emits once more.
      sent.on('error', reject)
    })

  const ask = async (method: string, path: string, payload: Buffer | undefined, options: AskOptions) => {
    const { headers = {}, timeoutMs, signal, foreground, maxBytes } = options
    const limits = [AbortSignal.timeout(timeoutMs), ...(signal === undefined ? [] : [signal])]
    const described =
      payload === undefined
        ? { 'content-length': '0' }
        : { 'content-type': 'application/json', 'content-length': String(payload.length) }
    const sent = await open(method, path, { ...described, ...headers }, AbortSignal.any(limits))
    if (!foreground) unheld(sent)
    const answered = responded(sent)
    sent.end(payload)
    const response = await answered
    return answerOf(response, await read(response, maxBytes))
  }

  return {
    post: (path, body, options) =>
      ask('POST', path, body === undefined ? undefined : Buffer.from(JSON.stringify(body)), options),
    get: (path, options) => ask('GET', path, undefined, options),

    stream: async (path, { headers, timeoutMs, signal, onText }) => {
      const late = new AbortController()
      const timer = setTimeout(() => late.abort(new Error('the stream did not begin in time')), timeoutMs)
      timer.unref()
      const accept = { accept: 'text/event-stream', 'cache-control': 'no-store' }
      try {
        const sent = await open('GET', path, { ...accept, ...headers }, AbortSignal.any([signal, late.signal]))
        unheld(sent)
        const answered = responded(sent)
        sent.end()
        const response = await answered
        if (response.statusCode !== 200) return answerOf(response, await read(response))
        clearTimeout(timer)
        response.setEncoding('utf8')
        for await (const chunk of response) if (typeof chunk === 'string') onText(chunk)
        return undefined
      } finally {
        clearTimeout(timer)
      }
    },
  }
}
