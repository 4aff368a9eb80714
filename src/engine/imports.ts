import { BridgeError, codeOf } from '../core/errors.ts'
import type { ImportJob, ImportState, RowState } from '../core/imports.ts'
import type { StoreReads } from '../core/store.ts'
import { breathe } from '../lib/breathe.ts'
import type { Caller } from './agentapi.ts'
import { topics } from './bus.ts'
import { type Change, change } from './change.ts'
import type { Deps } from './deps.ts'
import { type Imports, type ImportView, openMost, rowsMost } from './importapi.ts'
import {
  callerOf,
  checkRows,
  enrol,
  faultOf,
  inputOfRow,
  isDiscarded,
  oneDepth,
  type RecallOf,
  rowsAtOnce,
} from './importcheck.ts'

const dayMs = 86_400_000
/** What nobody goes on with, and how long it is told what became of one. */
const keptMs: readonly (readonly [ImportState, number])[] = [
  ['staging', dayMs],
  ['checked', dayMs],
  ['done', 7 * dayMs],
  ['discarded', 0],
]
const retryMs = 10_000
const open = ['staging', 'checking', 'checked', 'applying'] as const
const ever = Number.MAX_SAFE_INTEGER
const droppedAtATime = 100
const droppedAtOnce = 2_000

const viewOf = async (reads: StoreReads, job: ImportJob): Promise<ImportView> => {
  const counts = new Map((await reads.countImportRows(job.id)).map(({ n, state }) => [state, n]))
  const of = (state: RowState): number => counts.get(state) ?? 0
  const { actor, at, changedAt, failure, id, name, state } = job
  return {
    ...{ id, name, state, at, changedAt, actor, failure },
    rows: {
      total: [...counts.values()].reduce((sum, n) => sum + n, 0),
      staged: of('staged'),
      good: of('good'),
      bad: of('bad'),
      registered: of('registered'),
      unchanged: of('unchanged'),
      failed: of('failed'),
    },
  }
}

const requireJob = async (reads: StoreReads, id: string): Promise<ImportJob> => {
  const job = await reads.importJob(id)
  if (job !== undefined && job.state !== 'discarded') return job
  throw new BridgeError('E_NOT_FOUND', 'There is no such import.', {
    hint: 'One that nobody goes on with is dropped after a day; one that is done after seven.',
  })
}

const refuse = (job: ImportJob, wants: string, hint: string): BridgeError =>
  new BridgeError('E_IMPORT_STATE', `The import is ${job.state}: ${wants}.`, { hint })

const by = ({ name, roles, requestId }: Caller) => ({ actor: name, roles, requestId })

export const createImports = (deps: Deps): Imports => {
  const { store } = deps
  const as = ({ name, requestId }: Caller) => ({ actor: name, requestId })
  const view = (c: Change, job: ImportJob) => viewOf(c.tx, job)
  const move = async (c: Change, job: ImportJob): Promise<ImportView> => {
    await c.tx.putImport({ ...job, changedAt: c.now })
    c.after(() => deps.bus.wake(topics.imports))
    return view(c, { ...job, changedAt: c.now })
  }

  return {
    openImport: (name, caller, keep) =>
      change(
        deps,
        as(caller),
        async (c) => {
          let waiting = 0
          for (const state of open) waiting += (await c.tx.importJobsIn(state, ever, openMost)).length
          if (waiting >= openMost) {
            throw new BridgeError('E_BUDGET', `${openMost} imports wait already.`, {
              hint: 'Apply or discard one of them: GET /v1/imports.',
              retryAfterMs: 60_000,
            })
          }
          const fresh = { id: deps.newId(), at: c.now, changedAt: c.now, name, failure: undefined }
          return move(c, { ...fresh, state: 'staging', ...by(caller) })
        },
        keep,
      ),
    imports: async (limit) => {
      const views: ImportView[] = []
      for (const job of await store.importJobs(limit)) {
        if (job.state !== 'discarded') views.push(await viewOf(store, job))
      }
      return views
    },
    importOf: async (id) => viewOf(store, await requireJob(store, id)),
    stageRows: (id, rows, caller) =>
      change(deps, as(caller), async (c) => {
        const job = await requireJob(c.tx, id)
        if (job.state !== 'staging' && job.state !== 'checked') {
          throw refuse(job, 'no rows are taken now', 'Begin another import.')
        }
        await c.tx.putImportRows(
          id,
          rows.map(({ agent, did, fault, line }) => ({
            line,
            did,
            parentDid: agent?.parentDid ?? undefined,
            depth: 0,
            state: fault === undefined ? 'staged' : 'bad',
            body: agent === undefined ? undefined : JSON.stringify(agent),
            fault,
          })),
        )
        const told = await move(c, { ...job, state: 'staging', failure: undefined })
        if (told.rows.total <= rowsMost) return told
        throw new BridgeError('E_VALIDATION', `An import has at most ${rowsMost} rows.`, { hint: 'Split the file.' })
      }),
    checkImport: (id, caller) =>
      change(deps, as(caller), async (c) => {
        const job = await requireJob(c.tx, id)
        if (job.state === 'checking') return view(c, job)
        if (job.state !== 'staging' && job.state !== 'checked') {
          throw refuse(job, 'it was checked before', 'Begin another import.')
        }
        await c.tx.restageImportRows(id)
        return move(c, { ...job, state: 'checking', failure: undefined, ...by(caller) })
      }),
    applyImport: (id, caller) =>
      change(deps, as(caller), async (c) => {
        const job = await requireJob(c.tx, id)
        if (job.state === 'applying' || job.state === 'done') return view(c, job)
        if (job.state !== 'checked') throw refuse(job, 'it has to be checked first', `POST /v1/imports/${id}/check`)
        const { rows } = await view(c, job)
        if (rows.bad > 0 || rows.staged > 0) {
          throw refuse(job, `${rows.bad} of its rows are refused`, `Mend them: GET /v1/imports/${id}/faults`)
        }
        await audit(c, 'import.begun', job, { rows: rows.total })
        return move(c, { ...job, state: 'applying', ...by(caller) })
      }),
    discardImport: (id, caller) =>
      change(deps, as(caller), async (c) => {
        const job = await requireJob(c.tx, id)
        if (job.state === 'applying') {
          throw refuse(job, 'it cannot be discarded now', 'Wait until it is over.')
        }
        await move(c, { ...job, state: 'discarded' })
      }),
    importFaults: async (id, afterLine, limit) => {
      await requireJob(store, id)
      const rows = await store.importFaults(id, afterLine, limit + 1)
      const items = rows.slice(0, limit).map(({ did, fault, line }) => ({
        line,
        did,
        ...(fault ?? { code: 'E_BUG', detail: 'Why is not known.' }),
      }))
      return { items, nextCursor: rows.length > limit ? String(items.at(-1)?.line) : null }
    },
  }
}

const audit = async (c: Change, type: string, job: ImportJob, details: Readonly<Record<string, number>>) => {
  await c.tx.appendAudit({
    time: c.now,
    type,
    actor: c.actor,
    requestId: c.requestId,
    details: { importId: job.id, ...details },
    ...(job.name !== undefined && { text: { name: job.name } }),
  })
}

export interface ImportParts {
  readonly deps: Deps
  readonly recallOf: RecallOf
  /** Reads a whole directory: what was registered is seen by one pass. */
  readonly full: (adapter: string, signal: AbortSignal) => Promise<unknown>
}

/** Does what was asked for, one import after another, and goes on where the process ended. */
export const tendImports = async (parts: ImportParts, signal: AbortSignal): Promise<void> => {
  const { bus, log } = parts.deps
  while (!signal.aborted) {
    const woken = bus.count(topics.imports)
    await workOffImports(parts, signal).catch((err) => {
      if (!signal.aborted) log.warn({ err }, 'an import is not done yet; it goes on')
    })
    await bus.wait(topics.imports, woken, retryMs, signal)
  }
}

/** One look at everything that was asked for. */
export const workOffImports = async (parts: ImportParts, signal: AbortSignal): Promise<void> => {
  const { clock, store } = parts.deps
  for (const job of await store.importJobsIn('applying', ever, openMost)) await apply(parts, job, signal)
  for (const job of await store.importJobsIn('checking', ever, openMost)) await check(parts, job, signal)
  for (const [state, ms] of keptMs) {
    for (const job of await store.importJobsIn(state, clock.now() - ms, droppedAtATime)) {
      if (signal.aborted) return
      await drop(parts, job)
    }
  }
}

const drop = async ({ deps: { store } }: ImportParts, job: ImportJob): Promise<void> => {
  const { changedAt, id, state } = job
  // Somebody may have gone on with it just now; and nobody may go on with what is left of it later.
  const isLeft = await store.write(async (tx) => {
    const now = await tx.importJob(id)
    if (now?.state !== state || now.changedAt !== changedAt) return true
    await tx.putImport({ ...now, state: 'discarded' })
    return false
  })
  if (isLeft) return
  while (!(await store.write((tx) => tx.dropImport(id, droppedAtOnce)))) await breathe()
}

const check = async ({ deps, recallOf }: ImportParts, job: ImportJob, signal: AbortSignal): Promise<void> => {
  const end = async (next: Pick<ImportJob, 'state' | 'failure'>): Promise<void> => {
    await deps.store.write(async (tx) => {
      const present = await tx.importJob(job.id)
      if (present?.state === 'checking') await tx.putImport({ ...job, ...next, changedAt: deps.clock.now() })
    })
  }
  try {
    await checkRows(deps, recallOf, job, signal)
  } catch (error) {
    if (signal.aborted || deps.isFatal(error)) throw error
    if (error === isDiscarded) return
    deps.log.warn({ importId: job.id, err: error }, 'an import could not be checked')
    const told = error instanceof BridgeError ? error.message : 'The bridge failed.'
    return end({ state: 'staging', failure: { code: codeOf(error), detail: told } })
  }
  await end({ state: 'checked', failure: undefined })
}

const apply = async (parts: ImportParts, job: ImportJob, signal: AbortSignal): Promise<void> => {
  const { deps } = parts
  let after = { depth: -1, line: -1 }
  for (;;) {
    signal.throwIfAborted()
    const rows = oneDepth(await deps.store.importRowsIn(job.id, 'good', after, rowsAtOnce))
    const last = rows.at(-1)
    if (last === undefined) break
    after = last
    await Promise.all(rows.map(({ line }) => applyRow(parts, job, line)))
    deps.probe?.('import.advanced')
    await breathe()
  }
  const { actor, requestId } = job
  await change(deps, { actor, requestId }, async (c) => {
    const { registered, unchanged, failed } = (await viewOf(c.tx, job)).rows
    await audit(c, 'import.done', job, { registered, unchanged, failed })
    await c.tx.putImport({ ...job, state: 'done', changedAt: c.now })
  })
  deps.log.info({ importId: job.id }, 'an import is done')
  // Not awaited: what no pass has seen is found again by the upkeep of readings, whatever becomes of this one.
  for (const name of deps.mounts().keys()) {
    if ((await deps.store.countUnseen(name)) === 0) continue
    void parts.full(name, signal).catch((err) => deps.log.warn({ adapter: name, err }, 'a pass after an import failed'))
  }
}

/** The agent and the verdict of its row in one transaction: whatever ends the process, the row tells whether it is there. */
const applyRow = async ({ deps, recallOf }: ImportParts, job: ImportJob, line: number): Promise<void> => {
  const { actor, requestId } = job
  try {
    await change(deps, { actor, requestId }, async (c) => {
      const [row] = await c.tx.importRows(job.id, line - 1, 1)
      const input = row && inputOfRow(row)
      if (row?.line !== line || row.state !== 'good' || input === undefined) return
      const state = await enrol(c, recallOf, input, callerOf(job))
      await c.tx.judgeImportRows(job.id, [{ line, depth: row.depth, state, fault: undefined, done: true }])
    })
  } catch (error) {
    const verdict = { line, depth: 0, state: 'failed', fault: faultOf(error), done: true } as const
    await deps.store.write((tx) => tx.judgeImportRows(job.id, [verdict]))
  }
}
