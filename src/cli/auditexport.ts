import { z } from 'zod'
import { BridgeError, codeOf } from '../core/errors.ts'
import { backoffMs } from '../lib/backoff.ts'
import { systemClock } from '../lib/clock.ts'
import { type Daemon, refused, type StreamAnswer, type Where, withDaemon } from './client.ts'
import { usage } from './files.ts'
import type { Io } from './io.ts'
import { openSink, type Sink } from './outfile.ts'
import { progressOf } from './progress.ts'

export interface AuditExportOptions extends Where {
  readonly format: string
  readonly from?: string
  readonly to?: string
  readonly after?: string
  readonly out?: string
  readonly force?: boolean
}

const idleMs = 90_000
/** Asks so often in a row without a single entry. */
const tries = 6
const backoff = { baseMs: 250, ceilingMs: 10_000 }
const passing = new Set([429, 502, 503, 504])
const mostCharacters = 16 * 1024 * 1024

const linked = z.object({ seq: z.int(), prev: z.string(), hash: z.string() })
const formats = { jsonl: linked, cloudevents: z.object({ data: linked }).transform(({ data }) => data) } as const
type Format = keyof typeof formats
const isFormat = (text: string): text is Format => Object.hasOwn(formats, text)

/** Where it is: what comes next must follow on this. */
interface Place {
  seq: number
  hash: string | undefined
  entries: number
}

/**
 * The audit log, a line an entry. A stream that is cut is taken up behind the last whole line; each entry must be linked to
 * the one before, so that nothing is missing in between. Returns the exit code.
 */
export const auditExport = (io: Io, options: AuditExportOptions): Promise<number> => {
  const { format, out, force } = options
  if (!isFormat(format)) throw usage(`${format} is no format.`, 'Write --format jsonl or --format cloudevents.')
  const query = new URLSearchParams({ format })
  if (options.from !== undefined) query.set('from', instantOf(options.from, '--from', 'T00:00:00.000Z'))
  if (options.to !== undefined) query.set('to', instantOf(options.to, '--to', 'T23:59:59.999Z'))
  const after = seqOf(options.after ?? '0')
  return withDaemon(io, options, async (daemon) => {
    await using sink = await openSink(io, out, force === true)
    const place: Place = { seq: after, hash: undefined, entries: 0 }
    const code = await follow(io, daemon, query, format, place, sink)
    if (code !== 0) return code
    await sink.keep()
    if (out !== undefined) io.err(`${place.entries} entries in ${out}, to go on from there: --after ${place.seq}`)
    return 0
  })
}

const follow = async (
  io: Io,
  daemon: Daemon,
  query: URLSearchParams,
  format: Format,
  place: Place,
  sink: Sink,
): Promise<number> => {
  const show = progressOf(io, 'export')
  const told = new Set<string>()
  for (let failures = 0; ; ) {
    const before = place.entries
    try {
      query.set('after', String(place.seq))
      const answer = await daemon.stream(`/v1/audit/export?${query}`, { accept: 'application/x-ndjson' }, idleMs)
      if (answer.status === 200) {
        await take(answer, format, place, sink, query.has('from') || query.has('to'), show)
        return 0
      }
      const body = await bodyOf(answer)
      if (!passing.has(answer.status) || failures + 1 >= tries)
        return refused(io, { status: answer.status, body }, place.entries === 0 ? undefined : goOn(place))
    } catch (error) {
      if (io.stop.aborted || !isPassing(error)) throw error
      failures = place.entries > before ? 0 : failures
      if (failures + 1 >= tries) throw cut(error, place)
    } finally {
      io.progress?.('')
    }
    failures += 1
    const text = `the stream was cut: it is taken up behind entry ${place.seq}`
    if (place.entries > 0 && !told.has(text)) io.err(text)
    told.add(text)
    await systemClock.sleep(backoffMs(failures - 1, backoff, Math.random()) + 50, io.stop)
  }
}

const isPassing = (error: unknown): boolean => {
  const code = codeOf(error)
  return code === 'E_UNREACHABLE' || (code.startsWith('E_OUTBOUND') && code !== 'E_OUTBOUND_ORIGIN')
}

const goOn = ({ seq }: Place): string => `The last whole entry is ${seq}: go on with --after ${seq}.`

const cut = (cause: unknown, place: Place): BridgeError =>
  new BridgeError('E_UNREACHABLE', 'The export broke off, and the daemon does not take it up again.', {
    cause,
    hint: place.entries === 0 ? 'Does it run there?' : goOn(place),
  })

const bodyOf = async ({ body }: StreamAnswer): Promise<unknown> => {
  let text = ''
  for await (const piece of body) {
    text += Buffer.from(piece).toString('utf8')
    if (text.length > 65_536) break
  }
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const take = async (
  { body }: StreamAnswer,
  format: Format,
  place: Place,
  sink: Sink,
  isPart: boolean,
  show: (done: number) => void,
): Promise<void> => {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const piece of body) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > mostCharacters) throw new RangeError('a line of the export has no end')
    for (const line of lines) step(line, format, place, isPart)
    if (lines.length > 0) await sink.write(`${lines.join('\n')}\n`)
    show(place.entries)
  }
  if (rest !== '') throw new BridgeError('E_OUTBOUND_NETWORK', 'The export ended within a line.')
}

/** @param isPart entries of a span of time: those between them may be of another */
const step = (line: string, format: Format, place: Place, isPart: boolean): void => {
  const parsed = formats[format].safeParse(parsedLine(line))
  if (!parsed.success) {
    throw new BridgeError('E_USAGE', 'The daemon does not answer as one of this version does.', {
      hint: 'Use the command of the version of the daemon.',
    })
  }
  const { seq, prev, hash } = parsed.data
  const isNext = seq === place.seq + 1 && (place.hash === undefined || prev === place.hash)
  const isLinked = place.entries === 0 || (isPart && seq > place.seq + 1) || isNext
  if (!isLinked || seq <= place.seq) {
    throw new BridgeError('E_CHAIN_BROKEN', `Entry ${seq} does not follow on entry ${place.seq}.`, {
      hint: 'Either what lies between was pruned meanwhile: export again. Or the log was changed: idp-bridge audit verify.',
    })
  }
  place.seq = seq
  place.hash = hash
  place.entries += 1
}

const parsedLine = (line: string): unknown => {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

const seqOf = (text: string): number => {
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw usage(`${text} is no number of an audit entry.`, 'Write a whole number; 0 begins at the first.')
}

const instantOf = (text: string, option: string, ofDay: string): string => {
  const whole = /^\d{4}-\d\d-\d\d$/.test(text) ? `${text}${ofDay}` : text
  if (z.iso.datetime({ offset: true }).safeParse(whole).success) return whole
  throw usage(`${option} ${text} is no time.`, 'Write 2026-11-21 or 2026-11-21T10:00:00Z.')
}
