import { mostHops } from '../core/delegation.ts'
import { BridgeError, errorTable } from '../core/errors.ts'
import type { ImportJob, ImportRow, RowFault, RowVerdict } from '../core/imports.ts'
import type { StoreReads } from '../core/store.ts'
import { breathe } from '../lib/breathe.ts'
import type { AgentInput, Caller } from './agentapi.ts'
import { vetBlueprint } from './blueprints.ts'
import { type Change, change } from './change.ts'
import type { Deps, Mount } from './deps.ts'
import { type Checked, checked, enter, repeated, unaliased } from './enrolling.ts'
import { type Accounts, createPlan, type Plan } from './importplan.ts'
import { absentFrom, vetAll } from './mapping.ts'
import type { Recall } from './recall.ts'
import { fields } from './registration.ts'
import { agentView } from './views.ts'

export type RecallOf = (adapter: string) => Recall

/** One transaction of the store takes so many works at most, and a kill waits for no more than that. */
export const rowsAtOnce = 64
const page = 500
/** Fewer accounts are read by id at once: a listing takes more calls than that. */
const fewAccounts = 20
/** What a listing did not tell is read by id, so many in a call. */
const readAtOnce = 200
const readTimeoutMs = 60_000
const ancestorsKept = 1_000

export const callerOf = ({ actor, requestId, roles }: ImportJob): Caller => ({
  name: actor,
  roles,
  labels: undefined,
  requestId: requestId ?? '',
})

export const inputOfRow = ({ body }: Pick<ImportRow, 'body'>): AgentInput | undefined =>
  body === undefined ? undefined : JSON.parse(body)

/** A refusal as a row carries it; whatever is not the caller's to mend is thrown on. */
export const faultOf = (error: unknown): RowFault => {
  if (!(error instanceof BridgeError) || errorTable[error.code].act !== 'caller' || error.retry) throw error
  const { code, details, hint, message } = error
  const errors = Array.isArray(details) ? details.map(({ pointer, code }) => ({ pointer, code })) : undefined
  return { code, detail: message, ...(hint !== undefined && { hint }), ...(errors !== undefined && { errors }) }
}

/** Whether the same registration is there already. @throws BridgeError when another one is */
const isThere = async (deps: Deps, reads: StoreReads, input: Checked): Promise<boolean> => {
  const rival = await unaliased(reads, input.did)
  if (rival !== undefined) repeated(await agentView(deps, reads, rival), input)
  return rival !== undefined
}

/** Registers a row, or finds its registration there; what it answers is true in this transaction. */
export const enrol = async (
  c: Change,
  recallOf: RecallOf,
  given: AgentInput,
  caller: Caller,
): Promise<'registered' | 'unchanged'> => {
  const input = await checked(c.tx, given)
  if (await isThere(c.deps, c.tx, input)) return 'unchanged'
  // The configuration may be another one than at the check.
  vetAll(c.deps, input.principals ?? [])
  await enter(c, recallOf, input, 'later', caller)
  return 'registered'
}

/**
 * Gives every row its verdict, and changes nothing else: accounts against one listing of each directory, and the rest by
 * registering each row, below those above it in the file, in a transaction that is taken back.
 */
export const checkRows = async (deps: Deps, recallOf: RecallOf, job: ImportJob, signal: AbortSignal): Promise<void> => {
  const plan = createPlan()
  await eachPage(deps, job, signal, async (rows) => {
    for (const row of rows) {
      const input = inputOfRow(row)
      if (input !== undefined) plan.add(row.line, input)
    }
  })
  await eachPage(deps, job, signal, (rows) =>
    judge(
      deps,
      job,
      rows.flatMap((row) => planned(plan, row)),
    ),
  )
  const absent = await absentOf(deps, plan.accounts, signal)
  const look = createLook(deps, recallOf, job, absent)
  let after = { depth: -1, line: -1 }
  for (;;) {
    signal.throwIfAborted()
    const rows = oneDepth(await deps.store.importRowsIn(job.id, 'staged', after, rowsAtOnce))
    const last = rows.at(-1)
    if (last === undefined) return
    after = last
    await judge(deps, job, await Promise.all(rows.map(look)))
    await breathe()
  }
}

/** Whoever is below one of them waits until all of them are told. */
export const oneDepth = (rows: readonly ImportRow[]): readonly ImportRow[] =>
  rows.filter(({ depth }) => depth === rows[0]?.depth)

const eachPage = async (
  { store }: Deps,
  { id }: ImportJob,
  signal: AbortSignal,
  work: (rows: readonly ImportRow[]) => Promise<void>,
): Promise<void> => {
  for (let after = -1; ; ) {
    signal.throwIfAborted()
    const rows = await store.importRows(id, after, page)
    const last = rows.at(-1)
    if (last === undefined) return
    after = last.line
    await work(rows)
    await breathe()
  }
}

/** Ends a check that nobody waits for. */
export const isDiscarded = Symbol('discarded')

const judge = async ({ store }: Deps, { id }: ImportJob, verdicts: readonly RowVerdict[]): Promise<void> => {
  if (verdicts.length === 0) return
  await store.write(async (tx) => {
    if ((await tx.importJob(id))?.state !== 'checking') throw isDiscarded
    await tx.judgeImportRows(id, verdicts)
  })
}

const circle: RowFault = {
  code: 'E_CYCLE',
  detail: 'Its parents go round in a circle.',
  hint: 'A delegation chain ends at an agent without a parent.',
}

const tooLong: RowFault = {
  code: 'E_DEPTH',
  detail: `The chain would have more than ${mostHops} hops.`,
  hint: 'Delegate from an agent nearer to the root.',
}

/** What the file alone tells of a row; none for one that stays where it is. */
const planned = (plan: Plan, { did, line, state }: ImportRow): RowVerdict[] => {
  if (did === undefined || state !== 'staged') return []
  const depth = plan.depthOf(did)
  const fault = plan.faultOf(line) ?? (depth === undefined ? circle : depth > mostHops ? tooLong : undefined)
  if (fault !== undefined) return [{ line, depth: depth ?? 0, state: 'bad', fault }]
  return depth === undefined || depth === 0 ? [] : [{ line, depth, state: 'staged', fault: undefined }]
}

type Absent = ReadonlyMap<string, ReadonlySet<string>>

/**
 * Which of the accounts do not exist, by adapter: one listing, and of those that it does not tell a read by id, for only
 * that may say absent. @throws BridgeError when a directory cannot be listed now
 */
const absentOf = async (deps: Deps, accounts: Accounts, signal: AbortSignal): Promise<Absent> => {
  const absent = new Map<string, Set<string>>()
  for (const [name, given] of accounts) {
    const mount = deps.mounts().get(name)
    if (mount !== undefined) absent.set(name, await absentIn(deps, mount, given, signal))
  }
  return absent
}

const absentIn = async (
  deps: Deps,
  { adapter }: Mount,
  given: Accounts extends ReadonlyMap<string, infer Of> ? Of : never,
  signal: AbortSignal,
): Promise<Set<string>> => {
  const untold = new Map([...given].filter(([, one]) => adapter.vet(one) === undefined))
  if (untold.size > fewAccounts) {
    for await (const { sightings } of adapter.changes(undefined, signal, true)) {
      signal.throwIfAborted()
      for (const { id, state } of sightings) if (state === 'enabled' || state === 'disabled') untold.delete(id)
    }
  }
  deps.log.info({ adapter: adapter.name, accounts: given.size, byId: untold.size }, 'accounts of an import are read')
  const absent = new Set<string>()
  const left = [...untold.values()]
  for (let at = 0; at < left.length; at += readAtOnce) {
    const within = AbortSignal.any([signal, AbortSignal.timeout(readTimeoutMs)])
    for (const { id, state } of (await adapter.lookup(left.slice(at, at + readAtOnce), within)).values()) {
      if (state === 'absent') absent.add(id)
    }
  }
  return absent
}

/** Takes the transaction back, and says nothing against the row. */
const takenBack = Symbol('taken back')

const createLook = (deps: Deps, recallOf: RecallOf, job: ImportJob, absent: Absent) => {
  const caller = callerOf(job)
  const above = new Map<string, ImportRow | undefined>()
  const heeded = new Map<string, RowFault | undefined>()

  const rowOf = async (did: string): Promise<ImportRow | undefined> => {
    if (above.has(did)) return above.get(did)
    const row = await deps.store.importRowOf(job.id, did)
    if (above.size >= ancestorsKept) above.clear()
    above.set(did, row)
    return row
  }

  /** Rows above it, the root first. Their verdicts are known: they come before it. */
  const ancestorsOf = async ({ depth, line, parentDid }: ImportRow): Promise<AgentInput[]> => {
    const found: AgentInput[] = []
    for (let at = parentDid, left = depth; at !== undefined && left > 0; left--) {
      const row = await rowOf(at)
      const input = row && inputOfRow(row)
      if (row === undefined || row.state === 'bad' || input === undefined) {
        throw new BridgeError('E_PARENT', `Its parent in line ${row?.line ?? line} is refused.`, {
          hint: 'Mend that line.',
        })
      }
      found.unshift(input)
      at = row.parentDid
    }
    return found
  }

  /** The blueprint's access policy is looked at outside the store, and once for all that carry it. */
  const heed = async (input: AgentInput): Promise<void> => {
    const { blueprint, sponsor } = fields(input)
    if (blueprint === undefined) return
    const key = JSON.stringify([blueprint, sponsor !== undefined])
    if (!heeded.has(key)) {
      heeded.set(
        key,
        await vetBlueprint(deps, fields(input)).then(
          () => undefined,
          (error: unknown) => faultOf(error),
        ),
      )
    }
    const fault = heeded.get(key)
    if (fault !== undefined) throw new Refused(fault)
  }

  const tried = async (row: ImportRow, input: AgentInput): Promise<void> => {
    if (await isThere(deps, deps.store, await checked(deps.store, input))) return
    for (const one of input.principals ?? []) if (absent.get(one.adapter)?.has(one.id)) throw absentFrom(one)
    await heed(input)
    const ancestors = await ancestorsOf(row)
    await change(deps, { actor: caller.name, requestId: caller.requestId }, async (c) => {
      for (const one of ancestors) await enrol(c, recallOf, one, caller)
      await enrol(c, recallOf, input, caller)
      throw takenBack
    })
  }

  return async (row: ImportRow): Promise<RowVerdict> => {
    const { depth, line } = row
    const input = inputOfRow(row)
    if (input === undefined) return { line, depth, state: 'bad', fault: row.fault }
    try {
      await tried(row, input)
    } catch (error) {
      if (error === takenBack) return { line, depth, state: 'good', fault: undefined }
      return { line, depth, state: 'bad', fault: error instanceof Refused ? error.fault : faultOf(error) }
    }
    return { line, depth, state: 'good', fault: undefined }
  }
}

class Refused extends Error {
  readonly fault: RowFault
  constructor(fault: RowFault) {
    super(fault.detail)
    this.fault = fault
  }
}
