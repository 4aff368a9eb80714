import { Client, type GraphRequest, ResponseType } from '@microsoft/microsoft-graph-client'
import type { z } from 'zod'
import { BridgeError } from '../../src/core/errors.ts'
import { backoffMs } from '../../src/lib/backoff.ts'
import { pause } from '../aborts.ts'
import type { Owed } from '../owed.ts'
import type { Lane } from '../slots.ts'
import type { WriteBudget } from './budget.ts'
import { Call, type ChainParts, chain } from './chain.ts'
import { answerError, isRefusal, malformed, type Purpose, parse, retryAfterOf } from './errors.ts'
import { batchAnswer } from './wire.ts'

export interface CallOptions {
  readonly purpose: Purpose
  readonly lane: Lane
  readonly signal: AbortSignal
  readonly stillWanted?: (() => Promise<void>) | undefined
}

export interface BatchItem {
  readonly id: string
  readonly method: 'GET' | 'PATCH' | 'POST' | 'DELETE'
  /** Below the version root, starting with a slash. */
  readonly url: string
  readonly body?: unknown
  readonly dependsOn?: readonly string[]
}

export interface BatchResult {
  readonly status: number
  readonly retryAfter: string | undefined
  /** `x-ms-throttle-scope` of a 429: which calls are too many. */
  readonly scope?: string | undefined
  readonly body: unknown
}

/** Writes that were sent and not answered, or not clearly: they may have been applied. */
export interface Unanswered {
  readonly lost: BridgeError
}

/** Microsoft Graph v1.0 of one tenant. Every method throws BridgeError; answers are parsed. */
export interface Graph {
  get<T extends z.ZodType>(path: string, schema: T, options: CallOptions & Headed): Promise<z.output<T>>
  /** One object that may not be there: undefined when Graph itself says so. Asked once: repeating it is the caller's. */
  find<T extends z.ZodType>(path: string, schema: T, options: CallOptions): Promise<z.output<T> | undefined>
  /** An opaque nextLink or deltaLink, byte for byte. E_OUTBOUND_ORIGIN when it leads elsewhere; nothing is sent then. */
  follow<T extends z.ZodType>(link: string, schema: T, options: CallOptions & Headed): Promise<z.output<T>>
  /** Up to 20 reads, all parallel. Items that fail for a while are asked again; each id asked is in the answer. */
  readBatch(items: readonly BatchItem[], options: CallOptions): Promise<Map<string, BatchResult>>
  /** Up to 20 requests that may write, sent once. Items without an answer are missing. Throws when nothing was carried out. */
  writeBatch(items: readonly BatchItem[], options: CallOptions): Promise<Map<string, BatchResult> | Unanswered>
  /** The moment of the server's last answer by its own `Date`, less ours, ms; undefined before the first. */
  skewMs(): number | undefined
  readonly budget: WriteBudget
  /** Suspensions turned away, for which everything below them waits. */
  readonly owed: Owed
  readonly origin: string
}

interface Headed {
  readonly headers?: Readonly<Record<string, string>>
}

export const MAX_BATCH = 20
const ROUNDS = 4
const RETRY = { baseMs: 500, ceilingMs: 20_000 }
const MAX_RETRY_AFTER_MS = 30_000
const transient = new Set([429, 500, 502, 503, 504])
/** Statuses that leave open whether a write was carried out. 503 is Graph's other way to say "later". */
export const unclear = new Set([500, 502, 504])

export function openGraph(parts: ChainParts): Graph {
  const { clock, random, origin, budget, owed } = parts
  const client = Client.initWithMiddleware({ middleware: chain(parts), baseUrl: `${origin}/`, defaultVersion: 'v1.0' })
  let skew: number | undefined

  const send = async (
    call: Call,
    path: string,
    run: (request: GraphRequest) => Promise<unknown>,
  ): Promise<Response> => {
    const request = client.api(path).middlewareOptions([call]).responseType(ResponseType.RAW)
    let answer: unknown
    try {
      answer = await run(request)
    } catch (error) {
      throw call.failure instanceof BridgeError ? call.failure : wrapped(call.failure ?? error, call.purpose)
    }
    if (!(answer instanceof Response)) throw malformed(call.purpose)
    const date = Date.parse(answer.headers.get('date') ?? '')
    if (!Number.isNaN(date)) skew = date - clock.now()
    return answer
  }

  const body = async (response: Response): Promise<unknown> => {
    const text = await response.text()
    try {
      return text === '' ? undefined : JSON.parse(text)
    } catch {
      return undefined
    }
  }

  const read = async <T extends z.ZodType>(
    path: string,
    schema: T,
    options: CallOptions & Headed,
    exactUrl?: string,
  ) => {
    const { purpose, headers = {} } = options
    const call = new Call({ ...options, repeatable: true, ...(exactUrl === undefined ? {} : { exactUrl }) })
    const response = await send(call, path, (request) => request.headers({ ...headers }).get())
    return parse(schema, await checked(response, purpose), purpose)
  }

  /** The parsed body of a success; any other answer thrown as what it means. */
  const checked = async (response: Response, purpose: Purpose): Promise<unknown> => {
    const content = await body(response)
    if (response.ok) return content
    const { status, headers } = response
    throw answerError({ status, retryAfter: headers.get('retry-after'), body: content }, purpose, clock.now())
  }

  const find: Graph['find'] = async (path, schema, options) => {
    const { purpose } = options
    const call = new Call({ ...options, repeatable: false })
    const response = await send(call, path, (request) => request.get())
    const content = await body(response)
    const { status, headers } = response
    if (response.ok) return parse(schema, content, purpose)
    if (status === 404 && isRefusal(content)) return undefined
    throw answerError({ status, retryAfter: headers.get('retry-after'), body: content }, purpose, clock.now())
  }

  const post = (items: readonly BatchItem[], call: Call): Promise<Response> => {
    const requests = items.map(({ id, method, url, body, dependsOn }) => ({
      id,
      method,
      url,
      ...(body === undefined ? {} : { headers: { 'Content-Type': 'application/json' }, body }),
      ...(dependsOn ? { dependsOn } : {}),
    }))
    return send(call, '/$batch', (request) => request.post({ requests }))
  }

  const answers = async (response: Response, purpose: Purpose) => {
    const answer = parse(batchAnswer, await checked(response, purpose), purpose)
    return new Map(
      answer.responses.map(({ id, status, headers, body }): [string, BatchResult] => {
        const of = (name: string) => Object.entries(headers ?? {}).find(([key]) => key.toLowerCase() === name)?.[1]
        budget.heed(of('x-ms-throttle-limit-percentage'))
        if (status === 429) owed.refused()
        return [id, { status, retryAfter: of('retry-after'), scope: of('x-ms-throttle-scope'), body }]
      }),
    )
  }

  const writeBatch: Graph['writeBatch'] = async (items, options) => {
    const call = new Call({ ...options, repeatable: false })
    let response: Response | undefined
    try {
      response = await post(items, call)
      return await answers(response, options.purpose)
    } catch (error) {
      const open = response ? response.ok || unclear.has(response.status) : call.sent
      if (open && error instanceof BridgeError) return { lost: error }
      throw error
    }
  }

  const readBatch = async (items: readonly BatchItem[], options: CallOptions) => {
    const results = new Map<string, BatchResult>()
    let left = items
    for (let round = 0; ; round++) {
      const response = await post(left, new Call({ ...options, repeatable: true }))
      const answered = await answers(response, options.purpose)
      for (const { id } of left) {
        const answer = answered.get(id)
        if (!answer) throw malformed(options.purpose)
        results.set(id, answer)
      }
      left = left.filter(({ id }) => transient.has(results.get(id)?.status ?? 0))
      // Facts of Graph's batching: resend only what failed, after the largest Retry-After among them.
      const waits = left.map(({ id }) => retryAfterOf(results.get(id)?.retryAfter, clock.now()) ?? 0)
      const longest = Math.max(0, ...waits)
      if (left.length === 0 || round >= ROUNDS - 1 || longest > MAX_RETRY_AFTER_MS) return results
      await pause(clock, backoffMs(round, RETRY, random(), longest), options.signal)
    }
  }

  return {
    origin,
    budget,
    owed,
    skewMs: () => skew,
    get: (path, schema, options) => read(path, schema, options),
    find,
    follow: (link, schema, options) => read('/', schema, options, link),
    readBatch,
    writeBatch,
  }
}

function wrapped(error: unknown, purpose: Purpose): BridgeError {
  return error instanceof BridgeError
    ? error
    : new BridgeError('E_BUG', `calling Microsoft Graph failed at ${purpose.what}`, { cause: error })
}
