import pino from 'pino'
import { clientTokens } from './clienttoken.ts'
import { SecretRef } from './secret.ts'

export type Logger = pino.Logger
export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace'

export interface LogOptions {
  readonly level?: LogLevel | 'silent'
  /** Standard output when left out. */
  readonly destination?: { write(line: string): void }
}

const MASK = '[redacted]'
const SECRET_KEY =
  /^(.*authorization|cookie|set-cookie|x-bridge-key|key|.*(api|private|shared|access)[-_]?key|.*(token|secret|password|passphrase|assertion|credential|jwt)s?)$/i
/** In every line in which there is anything to mask: most lines are about nothing of the kind, and are searched once. */
const SUSPECT =
  /authorization|cookie|key|token|secret|password|passphrase|assertion|credential|jwt|bearer|basic|eyj|idpb_|code=|sig=/i
const MAX_DEPTH = 6
const MAX_ITEMS = 100
const MAX_TEXT = 4096

/**
 * JSON lines. Fields named like a secret are masked at any depth, and every line is searched once more for what looks like
 * a bearer token, a JWT or a key in a query. The level can be changed while running: `log.level = 'debug'`.
 */
export function createLogger({ level = 'info', destination }: LogOptions = {}): Logger {
  const options: pino.LoggerOptions = {
    level,
    base: null,
    timestamp: isoTime,
    formatters: { level: (label) => ({ level: label }), log: record },
    // Errors were made plain by `record`; pino's own serializer would drop their code and keep what they quote.
    serializers: { err: (value) => value },
    hooks: { streamWrite: scrub },
  }
  return pino(options, destination ?? gathered(pino.destination(1)))
}

/** What the lines are of that may wait until the turn ends: one for each request, told when its answer is out. */
export const REQUEST = 'request'

/**
 * Lines of requests that were answered in the same turn go out together: writing each on its own costs as much as the
 * rest of a small request. Any other line goes out at once, after those that wait.
 */
export function gathered(destination: { write(line: string): void }): pino.DestinationStream & { lastMsg: string } {
  let waiting = ''
  const flush = () => {
    if (waiting === '') return
    const lines = waiting
    waiting = ''
    destination.write(lines)
  }
  return {
    // pino then tells the message of each line.
    [Symbol.for('pino.metadata')]: true,
    lastMsg: '',
    write(line: string) {
      if (this.lastMsg === REQUEST) {
        if (waiting === '') setImmediate(flush)
        waiting += line
      } else {
        flush()
        destination.write(line)
      }
    },
  }
}

/** As pino's own, written once a millisecond. */
const isoTime = (): string => {
  const now = Date.now()
  if (now !== written.at) written = { at: now, text: `,"time":"${new Date(now).toISOString()}"` }
  return written.text
}
let written = { at: Number.NaN, text: '' }

function record(fields: Record<string, unknown>): Record<string, unknown> {
  const plain: Record<string, unknown> = Object.create(null)
  for (const key of Object.keys(fields)) {
    const value = fields[key]
    plain[key] = typeof value === 'number' || typeof value === 'boolean' ? value : field(key, value, 0)
  }
  return plain
}

function field(key: string, value: unknown, depth: number): unknown {
  if (value instanceof SecretRef) return MASK
  // Numbers and booleans named like a secret are counts and flags.
  const maskable = typeof value === 'string' || (typeof value === 'object' && value !== null)
  return maskable && SECRET_KEY.test(key) ? MASK : plain(value, depth)
}

function plain(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}…` : value
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'function' || typeof value === 'symbol') return undefined
  if (typeof value !== 'object' || value === null) return value
  if (depth >= MAX_DEPTH) return '[deep]'
  if (value instanceof SecretRef) return MASK
  if (value instanceof Error) return plainError(value, depth)
  if (value instanceof Date) return value
  if (value instanceof URL) return value.origin + value.pathname
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`
  if (Array.isArray(value) || value instanceof Set) {
    return [...value].slice(0, MAX_ITEMS).map((item) => plain(item, depth + 1))
  }
  const entries = value instanceof Map || value instanceof Headers ? [...value] : Object.entries(value)
  return Object.fromEntries(
    entries.slice(0, MAX_ITEMS).map(([key, item]) => [String(key), field(String(key), item, depth + 1)]),
  )
}

function plainError(error: Error, depth: number): Record<string, unknown> {
  const code: unknown = 'code' in error ? error.code : undefined
  const hint: unknown = 'hint' in error ? error.hint : undefined
  return {
    type: error.name,
    ...(code === undefined ? {} : { code }),
    message: plain(error.message, depth),
    ...(hint === undefined ? {} : { hint }),
    ...(error.cause === undefined ? {} : { cause: plain(error.cause, depth + 1) }),
    stack: plain(error.stack, depth),
  }
}

/**
 * The last net. It also catches the bindings of child loggers, which pino writes without asking a formatter. A field named
 * `…Signed` is a signature of ours that is logged to be kept: it must come out whole.
 */
function scrub(line: string): string {
  if (!SUSPECT.test(line)) return line
  return line
    .replace(/"([\w-]{1,64})":"(?:[^"\\]|\\.)*"/g, (pair, key: string) =>
      SECRET_KEY.test(key) ? `"${key}":"${MASK}"` : pair,
    )
    .replace(clientTokens, MASK)
    .replace(/\b(Bearer|Basic) +[A-Za-z0-9._~+/=-]{8,}/gi, `$1 ${MASK}`)
    .replace(/("[A-Za-z]{0,64}Signed":")?\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{2,}(\.[A-Za-z0-9_-]*)*/g, (all, ours) =>
      ours === undefined ? MASK : all,
    )
    .replace(
      /([?&](?:key|code|sig|token|access_token|client_secret|client_assertion|assertion)=)[^&\s"\\#]+/gi,
      `$1${MASK}`,
    )
}
