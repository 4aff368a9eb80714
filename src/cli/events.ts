import { z } from 'zod'
import { BridgeError, codeOf } from '../core/errors.ts'
import { backoffMs } from '../lib/backoff.ts'
import { systemClock } from '../lib/clock.ts'
import { bodyOf, type Daemon, refused, type Where, withDaemon } from './client.ts'
import { usage } from './files.ts'
import { type Io, paint } from './io.ts'
import { type Event, eventsOf } from './sse.ts'
import { plain } from './table.ts'

export interface EventsOptions extends Where {
  readonly only?: string
  readonly lastEventId?: string
  readonly after?: string
  readonly json?: boolean
}

const sources = ['signals', 'audit'] as const
type Source = (typeof sources)[number]

/** Three heartbeats of the stream. */
const idleMs = 45_000
const pollMs = 1_000
const backoff = { baseMs: 500, ceilingMs: 15_000 }
const page = 1_000

const whoami = z.object({ name: z.string(), roles: z.array(z.string()) })
const signal = z.looseObject({
  did: z.string().optional(),
  at: z.string().optional(),
  severity: z.string().optional(),
  origin: z.string().optional(),
  reason: z.string().optional(),
  capabilities: z.array(z.string()).optional(),
  held: z.array(z.unknown()).optional(),
})
const entryForm = z.looseObject({
  seq: z.int(),
  time: z.string(),
  type: z.string(),
  did: z.string().optional(),
  actor: z.string(),
  hold: z.string().optional(),
})
const entries = z.object({ items: z.array(entryForm), nextCursor: z.string().nullable() })

const readers = ['reader', 'registrar', 'responder', 'approver', 'operator']

/** Signals and audit entries as they come, one a line, until it is told to stop. Returns the exit code. */
export const events = (io: Io, options: EventsOptions): Promise<number> => {
  const wanted = sources.filter((one) => options.only === undefined || options.only === one)
  if (wanted.length === 0) throw usage(`${options.only} is nothing to follow.`, 'Write --only signals or --only audit.')
  return withDaemon(io, options, async (daemon) => {
    // What ends one of the two ends the other.
    const over = new AbortController()
    try {
      return await follow({ ...io, stop: AbortSignal.any([io.stop, over.signal]) }, daemon, wanted, options)
    } catch (error) {
      if (io.stop.aborted) return 0
      throw error
    } finally {
      over.abort()
    }
  })
}

const follow = async (io: Io, daemon: Daemon, wanted: readonly Source[], options: EventsOptions): Promise<number> => {
  const answer = await daemon.get('/v1/whoami')
  if (!answer.ok) return refused(io, answer)
  const { name, roles } = bodyOf(whoami, answer)
  const may: Readonly<Record<Source, boolean>> = {
    signals: roles.includes('runtime'),
    audit: roles.some((role) => readers.includes(role)),
  }
  const needs: Readonly<Record<Source, string>> = { signals: 'runtime', audit: 'reader' }
  const following = wanted.filter((one) => may[one])
  for (const one of wanted.filter((each) => !may[each])) {
    io.err(
      `idp-bridge: ${name} does not see ${one === 'audit' ? 'the audit log' : one}: that takes the role ${needs[one]}`,
    )
  }
  if (following.length === 0) return 77
  io.err(`following ${following.join(' and ')} of ${daemon.origin}; end with Ctrl-C`)
  const begun = new Date(answer.at ?? systemClock.now()).toISOString()
  const told = await Promise.race(
    following.map((one) =>
      one === 'signals' ? followSignals(io, daemon, options) : followAudit(io, daemon, begun, options),
    ),
  )
  return io.stop.aborted ? 0 : told
}

const isPassing = (error: unknown): boolean => {
  const code = codeOf(error)
  return code === 'E_UNREACHABLE' || (code.startsWith('E_OUTBOUND') && code !== 'E_OUTBOUND_ORIGIN')
}

/** Waits longer the more often it failed in a row. */
const pause = (io: Io, failures: number) =>
  systemClock.sleep(backoffMs(failures, backoff, Math.random()) + 100, io.stop)

const followSignals = async (io: Io, daemon: Daemon, options: EventsOptions): Promise<number> => {
  let last = options.lastEventId
  for (let failures = 0; !io.stop.aborted; failures++) {
    try {
      const resume: Readonly<Record<string, string>> = last === undefined ? {} : { 'last-event-id': last }
      const { body, status } = await daemon.stream('/v1/signals', { ...resume, accept: 'text/event-stream' }, idleMs)
      if (status === 401 || status === 403)
        throw new BridgeError('E_FORBIDDEN', 'The daemon shows its signals no longer.')
      if (status !== 200) throw new BridgeError('E_UNREACHABLE', `The stream answered ${status}.`)
      for await (const event of eventsOf(body)) {
        failures = 0
        last = event.id ?? last
        tellSignal(io, event, options)
      }
    } catch (error) {
      if (io.stop.aborted) return 0
      if (!isPassing(error)) throw error
    }
    io.err('the stream was cut: it is taken up where it was')
    await pause(io, failures)
  }
  return 0
}

const followAudit = async (io: Io, daemon: Daemon, begun: string, options: EventsOptions): Promise<number> => {
  let cursor = options.after === undefined ? undefined : seqOf(options.after)
  for (let failures = 0; !io.stop.aborted; ) {
    try {
      const since = cursor === undefined ? `from=${encodeURIComponent(begun)}` : `after=${cursor}`
      const answer = await daemon.get(`/v1/audit?${since}&limit=${page}`)
      if (answer.status === 401 || answer.status === 403) return refused(io, answer)
      if (!answer.ok) throw new BridgeError('E_UNREACHABLE', `The audit log answered ${answer.status}.`)
      const { items } = bodyOf(entries, answer)
      for (const entry of items) tellEntry(io, entry, options)
      cursor = items.at(-1)?.seq ?? cursor
      failures = 0
      if (items.length < page) await systemClock.sleep(pollMs, io.stop)
    } catch (error) {
      if (io.stop.aborted) return 0
      if (!isPassing(error)) throw error
      await pause(io, failures++)
    }
  }
  return 0
}

const seqOf = (text: string): number => {
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw usage(`${text} is no number of an audit entry.`, 'Write a whole number; 0 begins at the first.')
}

const tellSignal = (io: Io, { data, event, id }: Event, { json }: EventsOptions): void => {
  const value: unknown = JSON.parse(data)
  if (json) {
    io.out(JSON.stringify({ source: 'signal', id: id ?? null, event, data: value }))
    return
  }
  const told = signal.safeParse(value).data ?? {}
  const { dim, green, red, yellow } = paint(io)
  const colour = event === 'suspended' ? red : event === 'resumed' ? green : yellow
  const words = [told.did, told.severity, told.origin, told.reason, told.capabilities?.join(' ')]
  if (told.held !== undefined) words.push(`${told.held.length} held`)
  io.out(`${dim(told.at ?? '-')}  signal  ${colour(event)}  ${plain(words.filter(Boolean).join('  '))}`.trimEnd())
}

const tellEntry = (io: Io, entry: z.output<typeof entryForm>, { json }: EventsOptions): void => {
  if (json) {
    io.out(JSON.stringify({ source: 'audit', entry }))
    return
  }
  const { bold, dim } = paint(io)
  const { actor, did, hold, seq, time, type } = entry
  const words = [did, hold, `by ${actor}`].filter((one) => one !== undefined)
  io.out(`${dim(time)}  audit   ${bold(type)}  ${plain(words.join('  '))}  ${dim(`#${seq}`)}`)
}
