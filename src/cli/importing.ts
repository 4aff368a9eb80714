import { basename } from 'node:path'
import { z } from 'zod'
import { BridgeError, type ErrorCode, errorTable } from '../core/errors.ts'
import { systemClock } from '../lib/clock.ts'
import { type Answer, bodyOf, type Daemon, refused, type Where, withDaemon } from './client.ts'
import { uneditedRow } from './discovered.ts'
import { type Io, paint } from './io.ts'
import { list } from './paging.ts'
import { progressOf } from './progress.ts'
import { type Row, rowsOf } from './rows.ts'
import { plain } from './table.ts'

export interface ImportOptions extends Where {
  readonly format?: string
  readonly dryRun?: boolean
  readonly json?: boolean
}

const count = z.int()
const importForm = z.looseObject({
  id: z.string(),
  state: z.string(),
  failure: z.object({ code: z.string(), detail: z.string() }).nullable(),
  rows: z.object({
    total: count,
    staged: count,
    good: count,
    bad: count,
    registered: count,
    unchanged: count,
    failed: count,
  }),
})
const faultForm = z.object({
  line: count,
  did: z.string().nullable(),
  code: z.string(),
  detail: z.string(),
  hint: z.string().nullable(),
  errors: z.array(z.object({ pointer: z.string(), code: z.string() })),
})
type Import = z.output<typeof importForm>
type Fault = z.output<typeof faultForm>

/** What one request carries: within what the daemon takes. */
const rowsAtOnce = 500
const charactersAtOnce = 300_000
const forgetMs = 5_000
const everything = 1_000_000
const pollMs = { first: 100, most: 1_000 }

/** A refusal of the daemon in the middle: it ends the command with its exit code. */
class Ended extends Error {
  readonly answer: Answer
  constructor(answer: Answer) {
    super('refused')
    this.answer = answer
  }
}

const isCode = (code: string): code is ErrorCode => Object.hasOwn(errorTable, code)

const expected = (answer: Answer): Import => {
  if (!answer.ok) throw new Ended(answer)
  return bodyOf(importForm, answer)
}

/**
 * Checks a whole file and registers all of its agents, or none. The daemon does both and goes on by itself once it registers: what
 * ends this command then does not end the import. Returns the exit code.
 */
export const agentsImport = (io: Io, file: string, options: ImportOptions): Promise<number> =>
  withDaemon(io, options, async (daemon) => {
    try {
      return await importFile(io, daemon, file, options)
    } catch (error) {
      if (error instanceof Ended) return refused(io, error.answer)
      throw error
    } finally {
      io.progress?.('')
    }
  })

const importFile = async (io: Io, daemon: Daemon, file: string, options: ImportOptions): Promise<number> => {
  const name = file === '-' ? 'standard input' : basename(file).slice(0, 200)
  const { id } = expected(await daemon.post('/v1/imports', { name }))
  const path = `/v1/imports/${id}`
  let begun = false
  try {
    const broken = await stage(io, daemon, path, rowsOf(file, options.format))
    const view = await check(io, daemon, path)
    const faults = [...broken, ...(await faultsOf(daemon, path))].toSorted((a, b) => a.line - b.line)
    if (faults.length > 0 || options.dryRun === true) return report(io, view, faults, options)
    if (view.rows.total === 0) {
      throw new BridgeError('E_USAGE', 'The file has no row.', { hint: 'Its first line names the columns, for CSV.' })
    }
    // Whatever becomes of the answer: but for a refusal it may have begun.
    begun = true
    const answer = await daemon.post(`${path}/apply`)
    begun = answer.ok
    expected(answer)
    const done = await watch(io, daemon, path, 'registering', 'applying', ({ good, total }) => total - good)
    return report(io, done, done.rows.failed > 0 ? await faultsOf(daemon, path) : [], options)
  } catch (error) {
    if (begun) io.err('The daemon goes on registering. Repeat the command to see the end of it: nothing is done twice.')
    throw error
  } finally {
    // Best effort: it would be dropped after a day.
    if (!begun) await forget(io, options, path)
  }
}

/** Though the command was told to stop: what is left behind counts among those that wait. */
const forget = (io: Io, where: Where, path: string): Promise<unknown> =>
  withDaemon({ ...io, stop: AbortSignal.timeout(forgetMs) }, where, (daemon) => daemon.delete(path)).catch(
    () => undefined,
  )

/** Sends rows as they are read. Returns those that were none. */
const stage = async (io: Io, daemon: Daemon, path: string, rows: AsyncIterable<Row>): Promise<Fault[]> => {
  const broken: Fault[] = []
  const show = progressOf(io, 'reading')
  let part: { line: number; agent: unknown }[] = []
  let characters = 0
  let read = 0
  const send = async () => {
    if (part.length > 0) expected(await daemon.put(`${path}/rows`, { rows: part }))
    part = []
    characters = 0
    show(read)
  }
  for await (const row of rows) {
    read += 1
    if ('broken' in row) {
      broken.push({ line: row.line, did: null, code: 'E_VALIDATION', detail: row.broken, hint: null, errors: [] })
      continue
    }
    const unedited = uneditedRow(row.agent)
    if (unedited !== undefined) {
      const errors = [{ pointer: '/did', code: 'missing' }]
      broken.push({ line: row.line, did: null, code: 'E_VALIDATION', ...unedited, errors })
      continue
    }
    part.push({ line: row.line, agent: row.agent })
    characters += JSON.stringify(row.agent).length
    if (part.length >= rowsAtOnce || characters >= charactersAtOnce) await send()
  }
  await send()
  return broken
}

const check = async (io: Io, daemon: Daemon, path: string): Promise<Import> => {
  expected(await daemon.post(`${path}/check`))
  const view = await watch(io, daemon, path, 'checking', 'checking', ({ staged, total }) => total - staged)
  if (view.failure === null) return view
  const { code, detail } = view.failure
  throw new BridgeError(isCode(code) ? code : 'E_DIRECTORY_DOWN', `The file could not be checked: ${detail}`, {
    hint: 'Nothing was imported. Repeat it once that is mended; GET /v1/status tells how the directories are.',
  })
}

/** Asks until the daemon is no longer at it. */
const watch = async (
  io: Io,
  daemon: Daemon,
  path: string,
  what: string,
  state: string,
  done: (rows: Import['rows']) => number,
): Promise<Import> => {
  const show = progressOf(io, what)
  for (let waitMs = pollMs.first; ; waitMs = Math.min(pollMs.most, waitMs * 1.5)) {
    const view = expected(await daemon.get(path))
    show(done(view.rows), view.rows.total)
    if (view.state !== state) return view
    await systemClock.sleep(waitMs, io.stop)
  }
}

const faultsOf = async (daemon: Daemon, path: string): Promise<Fault[]> => {
  const found = await list(daemon, `${path}/faults`, {}, faultForm, everything)
  if (!('items' in found)) throw new Ended(found)
  return found.items
}

const report = (io: Io, view: Import, faults: readonly Fault[], { dryRun, json }: ImportOptions): number => {
  io.progress?.('')
  if (json) io.out(JSON.stringify({ import: view, faults }, null, 2))
  else tell(io, view, faults, dryRun === true)
  return faults.length > 0 ? 64 : 0
}

const tell = (io: Io, { rows, state }: Import, faults: readonly Fault[], isDry: boolean): void => {
  const { bold, dim, green, red } = paint(io)
  for (const { code, detail, did, errors, hint, line } of faults) {
    io.err(`${bold(`line ${line}`)}: ${red(code)} ${plain(did ?? '')}${did === null ? '' : ': '}${plain(detail)}`)
    if (errors.length > 3) io.err(dim(`  at ${errors.map(({ pointer }) => plain(pointer)).join(', ')}`))
    if (hint !== null) io.err(dim(`  ${plain(hint)}`))
  }
  const accepted = rows.good + rows.registered + rows.unchanged
  if (state === 'done') {
    io.out(
      `${green('imported')}: ${rows.registered} registered, ${rows.unchanged} there already, ${rows.failed} failed`,
    )
    if (rows.registered > 0)
      io.out('  their accounts are read by the pass that began now; until then decisions are deny')
  } else if (faults.length > 0)
    io.out(`${red('nothing was imported')}: ${faults.length} rows are refused, ${accepted} are not`)
  else if (isDry) io.out(`${green('ok')}: all ${rows.total} rows would be imported`)
}
