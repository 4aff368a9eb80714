import { z } from 'zod'
import { type Answer, bodyOf, type Daemon, refused, type Where, withDaemon } from './client.ts'
import { type Io, paint } from './io.ts'
import { table } from './table.ts'

export interface GuardOptions extends Where {
  readonly json?: boolean
}

const row = z.object({ holdId: z.string(), did: z.string(), origin: z.string(), placedAt: z.string() })
const approval = z.object({
  hash: z.string(),
  rows: z.int(),
  by: z.string(),
  expiresAt: z.string(),
  second: z.string().nullable(),
  done: z.int(),
})
const direction = z.object({
  tripped: z.boolean(),
  since: z.string().nullable(),
  count: z.int(),
  plan: z.object({ hash: z.string(), rows: z.array(row) }).nullable(),
  approval: approval.nullable(),
})
const guard = z.object({ adapter: z.string(), suspend: direction, resume: direction })
const quarantine = z.object({ since: z.string(), why: z.array(z.string()) }).nullable()
const status = z.object({ adapters: z.array(z.object({ adapter: z.string(), quarantine })) })
const approved = z.object({ status: z.enum(['done', 'awaiting']), applied: z.int(), dropped: z.int() })

type Guard = z.output<typeof guard>
type Direction = z.output<typeof direction>
interface Shown extends Guard {
  readonly quarantine: z.output<typeof quarantine>
}

const directions = ['suspend', 'resume'] as const
/** Rows of a plan shown on a terminal. */
const most = 20
/** Applying a plan reads each of its accounts again. */
const applyMs = 15 * 60_000

const pathOf = (adapter: string): string => `/v1/guard/${encodeURIComponent(adapter)}`

/** What the guard holds back in one directory or in all of them, and why a directory is not believed. */
export const guardShow = (io: Io, adapter: string | undefined, options: GuardOptions): Promise<number> =>
  withDaemon(io, options, async (daemon) => {
    const shown = await read(daemon, adapter)
    if (!Array.isArray(shown)) return refused(io, shown)
    if (options.json) io.out(JSON.stringify({ items: shown }, null, 2))
    else print(io, shown)
    return 0
  })

const read = async (daemon: Daemon, wanted: string | undefined): Promise<Shown[] | Answer> => {
  const overview = await daemon.get('/v1/status')
  if (!overview.ok) return overview
  const adapters = bodyOf(status, overview).adapters
  const shown: Shown[] = []
  for (const name of wanted === undefined ? adapters.map((one) => one.adapter) : [wanted]) {
    const answer = await daemon.get(pathOf(name))
    if (!answer.ok) return answer
    const doubt = adapters.find((one) => one.adapter === name)?.quarantine ?? null
    shown.push({ ...bodyOf(guard, answer), quarantine: doubt })
  }
  return shown
}

const print = (io: Io, list: readonly Shown[]): void => {
  const { yellow } = paint(io)
  const cells = list.flatMap((one) =>
    directions.map((each) => {
      const { count, plan, since } = one[each]
      return [one.adapter, each, since ?? '-', String(count), String(plan?.rows.length ?? 0)]
    }),
  )
  table(io, ['ADAPTER', 'DIRECTION', 'TRIPPED SINCE', 'SEEN', 'WAITING'], cells)
  for (const one of list) {
    if (one.quarantine !== null) {
      io.out(
        yellow(`\n${one.adapter} is in quarantine since ${one.quarantine.since}: ${one.quarantine.why.join(', ')}`),
      )
    }
    for (const each of directions) printPlan(io, one.adapter, each, one[each])
  }
}

const printPlan = (io: Io, adapter: string, name: string, { approval: frozen, plan }: Direction): void => {
  if (plan !== null) {
    io.out(`\n${adapter}, ${name}: plan ${plan.hash}`)
    for (const { did, origin, placedAt } of plan.rows.slice(0, most)) io.out(`  ${placedAt}  ${did}  ${origin}`)
    if (plan.rows.length > most) io.out(`  … and ${plan.rows.length - most} more (--json names them all)`)
    if (plan.rows.length === 0) io.out('  nothing waits: it clears itself when the window has passed')
    else if (frozen === null) io.out(`  approve it, two of you: idp-bridge guard approve ${adapter} ${plan.hash}`)
  }
  if (frozen === null) return
  if (frozen.second !== null) {
    io.out(`\n${adapter}, ${name}: being applied, ${frozen.done} of ${frozen.rows} rows: ${frozen.hash}`)
    return
  }
  const same = plan?.hash === frozen.hash ? 'this plan' : `a plan of ${frozen.rows} rows, ${frozen.hash}`
  io.out(`  ${frozen.by} approved ${same}; another person completes it until ${frozen.expiresAt}:`)
  io.out(`  idp-bridge guard approve ${adapter} ${frozen.hash}`)
}

/** One of the two approvals of a plan, named by its hash. */
export const guardApprove = (io: Io, adapter: string, hash: string, options: GuardOptions): Promise<number> =>
  withDaemon(io, options, async (daemon) => {
    const answer = await daemon.post(`${pathOf(adapter)}/approve`, { hash }, applyMs)
    if (!answer.ok) return refused(io, answer, `See what waits now: idp-bridge guard show ${adapter}`)
    const result = bodyOf(approved, answer)
    const { green, yellow } = paint(io)
    if (options.json) io.out(JSON.stringify(result))
    else if (result.status === 'awaiting') {
      io.out(`${yellow('awaiting')}: a second person must approve the same plan within the hour:`)
      io.out(`  idp-bridge guard approve ${adapter} ${hash}`)
    } else {
      io.out(`${green('done')}: ${result.applied} applied, ${result.dropped} dropped`)
      if (result.dropped > 0)
        io.out('  Dropped rows are no longer true, or could not be read and wait in the next plan.')
    }
    return 0
  })
