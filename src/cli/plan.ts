import { z } from 'zod'
import { bodyOf, refused, type Where, withDaemon } from './client.ts'
import { type Io, paint } from './io.ts'
import { counted, plain, table } from './table.ts'

export interface PlanOptions extends Where {
  readonly adapter?: string
  readonly json?: boolean
}

const change = z.looseObject({
  change: z.string(),
  dids: z.array(z.string()),
  principal: z.string().nullable(),
  because: z.array(z.string()),
  cause: z.string().nullable(),
  capability: z.string().nullable(),
  guarded: z.boolean(),
})
const wait = z.looseObject({
  wants: z.string(),
  why: z.string(),
  dids: z.array(z.string()),
  principal: z.string().nullable(),
  because: z.array(z.string()),
  detail: z.string().nullable(),
})
const part = z.looseObject({
  adapter: z.string(),
  complete: z.boolean(),
  hash: z.string().nullable(),
  mapped: z.int(),
  counts: z.record(z.string(), z.int()),
  changes: z.array(change),
  left: z.int(),
  waiting: z.array(wait),
  guard: z.array(
    z.looseObject({
      direction: z.string(),
      state: z.string(),
      frozen: z.looseObject({ hash: z.string(), rows: z.int(), applying: z.boolean() }).nullable(),
    }),
  ),
  quarantine: z.array(z.string()),
  faults: z.array(z.looseObject({ asked: z.string(), code: z.string(), text: z.string(), n: z.int() })),
})
const form = z.looseObject({
  at: z.string(),
  paused: z.boolean(),
  hash: z.string().nullable(),
  adapters: z.array(part),
})

type Part = z.output<typeof part>
type Plan = z.output<typeof form>

/** Rows of each kind shown on a terminal. */
const most = 50
/** Whole directories are read. */
const planMs = 11 * 60_000

const differs = 2
const unanswered = 75
const forbidden = 77

/** What the next full pass would change. Returns the exit code. */
export const plan = (io: Io, options: PlanOptions): Promise<number> =>
  withDaemon(io, options, async (daemon) => {
    const { adapter } = options
    io.progress?.('reading the directories …')
    const path = adapter === undefined ? '/v1/plan' : `/v1/plan?adapter=${encodeURIComponent(adapter)}`
    const answer = await daemon.get(path, planMs).finally(() => io.progress?.(''))
    if (!answer.ok) return refused(io, answer)
    const found = bodyOf(form, answer)
    if (options.json) io.out(JSON.stringify(answer.body, null, 2))
    else print(io, found)
    return exitOf(found)
  })

/** A directory that did not answer may hide anything: neither "no differences" nor "these". */
const exitOf = ({ adapters }: Plan): number => {
  const faults = adapters.flatMap((one) => one.faults)
  const isRefused = faults.some(({ code }) => code === 'E_DIRECTORY_AUTH' || code === 'E_DIRECTORY_FORBIDDEN')
  if (isRefused) return forbidden
  if (adapters.some(({ complete }) => !complete)) return unanswered
  return adapters.some(({ changes }) => changes.length > 0) ? differs : 0
}

const print = (io: Io, { adapters, hash, paused }: Plan): void => {
  const { bold, green, yellow } = paint(io)
  if (paused) io.out(yellow('paused: nothing is written to any directory (POST /v1/pause)'))
  for (const one of adapters) printPart(io, one)
  if (hash === null) return
  const isSame = adapters.every(({ changes }) => changes.length === 0)
  io.out(`${isSame ? green('no differences') : bold('plan')} ${hash}`)
}

const printPart = (io: Io, one: Part): void => {
  const { bold, red, yellow } = paint(io)
  const counts = Object.entries(one.counts).map(([kind, n]) => `${n} ${kind}`)
  const told = counts.length === 0 ? 'no differences' : counts.join(', ')
  io.out(
    `${bold(plain(one.adapter))}: ${counted(one.mapped, 'account')}, ${one.complete ? told : `${told} as far as it answered`}`,
  )
  for (const { asked, code, n, text } of one.faults) {
    io.err(red(`${plain(one.adapter)}: ${asked}: ${plain(text)} (${code}${n > 1 ? `, ${n} times` : ''})`))
  }
  if (one.quarantine.length > 0) io.out(yellow(`  not believed: ${one.quarantine.join(', ')}`))
  printGuard(io, one)
  if (one.changes.length > 0) {
    table(io, ['CHANGE', 'AGENT', 'ACCOUNT', 'BECAUSE'], one.changes.slice(0, most).map(changeCells))
    more(io, one.changes.length - most + one.left)
  }
  if (one.waiting.length > 0) {
    table(io, ['WAITS FOR', 'WANTED', 'AGENT', 'ACCOUNT', 'BECAUSE'], one.waiting.slice(0, most).map(waitCells))
    more(io, one.waiting.length - most)
  }
  io.out('')
}

const more = (io: Io, n: number): void => {
  if (n > 0) io.out(`… and ${n} more (--json names them)`)
}

const changeCells = (row: Part['changes'][number]): string[] => [
  row.guarded ? `${row.change}, guarded` : row.change,
  row.dids.join(' '),
  row.principal ?? '-',
  [row.capability, row.because.join(' '), row.cause].filter((one) => one !== null && one !== '').join(', ') || '-',
]

const waitCells = (row: Part['waiting'][number]): string[] => [
  row.detail === null ? row.why : `${row.why}, ${row.detail}`,
  row.wants,
  row.dids.join(' '),
  row.principal ?? '-',
  row.because.join(' '),
]

const printGuard = (io: Io, { adapter, guard }: Part): void => {
  const { yellow } = paint(io)
  for (const { direction, frozen, state } of guard) {
    const says = state === 'trips' ? 'would trip' : 'is tripped'
    io.out(yellow(`  the guard ${says} (${direction}): idp-bridge guard show ${adapter}`))
    if (frozen === null) continue
    const rows = `${frozen.rows} rows, ${frozen.hash}`
    io.out(`  ${frozen.applying ? 'being applied' : 'waits for a second person'}, beside any pass: ${rows}`)
  }
}
