import { isIP } from 'node:net'
import { validate as validCron } from 'node-cron'
import { z } from 'zod'
import { SecretRef } from './secret.ts'

/**
 * Leaf types of configuration files. A message's first line says what is wrong, its second how to mend it; messages never
 * repeat the value, which may be a secret put in the wrong place.
 */
export function says(message: string, hint: string): string {
  return `${message}\n${hint}`
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const TEN_YEARS_MS = 3650 * 86_400_000

/** `30s`, `10m`, `24h`, `400d` → milliseconds. */
export function duration({ minMs = 0, maxMs = TEN_YEARS_MS }: { minMs?: number; maxMs?: number } = {}) {
  const wrong = says('is not a duration', 'write a whole number and a unit, such as 30s, 15m, 24h or 400d')
  return z
    .string(wrong)
    .regex(/^\d{1,12}(ms|s|m|h|d)$/, wrong)
    .meta({ examples: ['30s'] })
    .transform(durationMs)
    .refine((ms) => ms >= minMs, says('is too short', `use at least ${durationText(minMs)}`))
    .refine((ms) => ms <= maxMs, says('is too long', `use at most ${durationText(maxMs)}`))
}

function durationMs(text: string): number {
  const [, amount, unit] = /^(\d+)(\D+)$/.exec(text) ?? []
  return Number(amount) * (UNIT_MS[unit ?? ''] ?? Number.NaN)
}

/** Milliseconds as the longest unit that divides them: the inverse of `duration`. */
export function durationText(ms: number): string {
  const [unit, size] = Object.entries(UNIT_MS).findLast(([, size]) => ms !== 0 && ms % size === 0) ?? ['s', 1000]
  return `${ms / size}${unit}`
}

/** A cron expression of 5 or 6 fields; the sixth, in front, is seconds. */
export const cron = z
  .string()
  .refine(
    (text) => /^\S+( +\S+){4,5}$/.test(text) && validCron(text),
    says('is not a cron expression', 'write 5 fields, or 6 with seconds in front, in quotes: "*/5 * * * *"'),
  )
  .meta({ examples: ['*/5 * * * *'] })

/** An IANA time zone name. */
export const timeZone = z
  .string()
  .refine(isTimeZone, says('is not a time zone', 'use an IANA name such as UTC or Europe/Berlin'))
  .meta({ examples: ['UTC'] })

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return name !== ''
  } catch {
    return false
  }
}

/** Whether a URL's host is this machine for certain: `localhost`, 127.0.0.0/8 or `[::1]`. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(hostname)
}

const localForm = /^(?:unix:(\/.{1,100})|(127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\]):(\d{1,5}))$/

/** A Unix socket, or a port of a loopback address that is written out: a name could lead elsewhere. */
export const localListener = z
  .string()
  .refine(
    (text) => {
      const [, path, host, port] = localForm.exec(text) ?? []
      if (path !== undefined) return true
      return host !== undefined && isIP(host.replace(/[[\]]/g, '')) !== 0 && Number(port) <= 65_535
    },
    says('is not a place on this machine', 'write unix:/run/idp-bridge/policy.sock, 127.0.0.1:8181 or "[::1]:8181"'),
  )
  .meta({ examples: ['unix:/run/idp-bridge/policy.sock'] })
  .transform((text): { path: string } | { host: string; port: number } => {
    const [, path, host = '', port] = localForm.exec(text) ?? []
    return path === undefined ? { host: host.replace(/[[\]]/g, ''), port: Number(port) } : { path }
  })

function parsedUrl(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined
}

function isSafeUrl(text: string): boolean {
  const url = parsedUrl(text)
  if (url === undefined || url.username !== '' || url.password !== '') return false
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))
}

/** An https URL, or an http one on loopback; no user name or password in it. */
export const httpsUrl = z
  .string()
  .refine(isSafeUrl, says('is not an https URL', 'write https://…; http:// is accepted only for loopback addresses'))
  .meta({ examples: ['https://bridge.example.com'] })

/** Like `httpsUrl` but scheme, host and port only, returned without a trailing slash. */
export const httpsOrigin = z
  .string()
  .refine(
    (text) => isSafeUrl(text) && ['', '/'].includes(text.replace(/^https?:\/\/[^/?#]*/i, '')),
    says(
      'is not an https origin',
      'write https:// and a host name without a path; http:// is accepted only for loopback addresses',
    ),
  )
  .meta({ examples: ['https://directory.example.com'] })
  .transform((text) => new URL(text).origin)

/** A forward proxy. Its own leg may be plain http: requests go through it by CONNECT and stay encrypted end to end. */
export const proxyUrl = z
  .string()
  .refine(
    (text) => {
      if (text === '') return true
      const url = parsedUrl(text)
      return (url?.protocol === 'http:' || url?.protocol === 'https:') && url.pathname === '/' && url.search === ''
    },
    says('is not a proxy URL', 'write http://proxy.example.com:3128'),
  )
  .meta({ examples: ['http://proxy.example.com:3128'] })
  .transform((text) => (text === '' ? undefined : SecretRef.of(text)))

/** A host that is reached without the proxy. Address ranges are refused, not ignored. */
export const proxyException = z
  .string()
  .regex(
    /^(\*|\.[\w-]+(\.[\w-]+)*|(\[[0-9a-fA-F:]+\]|[\w-]+(\.[\w-]+)*)(:\d{1,5})?)$/,
    says('is not a host', 'write host.example.com, host.example.com:8443, .example.com for all below it, or *'),
  )

/** A GUID, returned in lower case. */
export const guid = z
  .string()
  .regex(
    /^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/,
    says('is not a GUID', 'write it as 11111111-2222-3333-4444-555555555555'),
  )
  .meta({ examples: ['11111111-2222-3333-4444-555555555555'] })
  .transform((text) => text.toLowerCase())

/** A whole number. Digits in a string are taken too: that is how `${PORT}` arrives. */
export function int(min: number, max: number) {
  const range = says(`is out of range`, `use a whole number from ${min} to ${max}`)
  const number = z
    .int(says('is not a whole number', `use one from ${min} to ${max}`))
    .min(min, range)
    .max(max, range)
  const digits = z.string().regex(/^\d{1,15}$/, says('is not a whole number', `use one from ${min} to ${max}`))
  return z.union([number, digits.transform(Number).pipe(number)])
}

/** An IP address or a CIDR range. */
export const cidr = z
  .string()
  .refine(isCidr, says('is not an IP address or range', 'write 10.0.0.0/8 or 2001:db8::1'))
  .meta({ examples: ['10.0.0.0/8'] })

function isCidr(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/')
  const family = isIP(address)
  if (family === 0 || rest.length > 0) return false
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128))
}

/** Text that is there: not empty, no spaces around it. */
export const text = z
  .string()
  .regex(/^\S(.*\S)?$/s, says('is empty or has spaces around it', 'write a value, without leading or trailing spaces'))

/**
 * A secret: a string, or `{ file: path }`. Reading it is part of checking it, so a missing file is a fault at its place.
 *
 * @param min the shortest that is accepted, in characters
 */
export function secret({ min = 1, check }: { min?: number; check?: (value: string) => string | undefined } = {}) {
  return z
    .custom<SecretRef | string>(
      (value) => typeof value === 'string' || value instanceof SecretRef,
      says('is not a secret', `write { file: /run/secrets/name }, or a string such as \${NAME_OF_A_VARIABLE}`),
    )
    .meta(secretJsonSchema)
    .transform((value) => (typeof value === 'string' ? SecretRef.of(value) : value))
    .superRefine((ref, context) => {
      const value = readable(ref)
      if (value instanceof Error) {
        const hint = 'mount the file, or make it readable by the user the bridge runs as'
        context.addIssue({ code: 'custom', message: says(value.message, hint), params: { code: 'unreadable' } })
      } else if (value.length < min) {
        context.addIssue({ code: 'custom', message: says('is too short', `use at least ${min} characters`) })
      } else {
        const fault = check?.(value)
        if (fault !== undefined) context.addIssue({ code: 'custom', message: fault })
      }
    })
}

const secretJsonSchema = {
  anyOf: [
    { type: 'string' },
    { type: 'object', properties: { file: { type: 'string' } }, required: ['file'], additionalProperties: false },
  ],
} as const

function readable(ref: SecretRef): string | Error {
  try {
    return ref.read()
  } catch (error) {
    return error instanceof Error ? error : new Error('cannot be read')
  }
}

/** One value or a non-empty list of them, returned as a list. */
export function oneOrMany<T extends z.ZodType>(item: T) {
  const list = z.array(item).min(1, { error: says('is an empty list', 'give at least one'), abort: true })
  return z.union([item.transform((value): z.output<T>[] => [value]), list])
}

/** A map from free text to free text. A map whose only key is `file` is a map here, not a secret. */
export const textMap = z
  .custom<unknown>(() => true)
  .transform((value) => (value instanceof SecretRef ? { file: value.path } : value))
  .pipe(z.record(text, text).refine((map) => Object.keys(map).length > 0, says('is empty', 'give at least one entry')))
  .meta({ type: 'object', additionalProperties: { type: 'string' } })
