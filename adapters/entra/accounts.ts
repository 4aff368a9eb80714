import type { PrincipalRef, WriteResult } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'
import type { Sighting, Switch } from '../../src/core/types.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { Logger } from '../../src/lib/log.ts'
import { abortedError } from '../aborts.ts'
import { offByOurSwitch } from '../switches.ts'
import type { WriteLane } from './budget.ts'
import { answerError, laterError, malformed } from './errors.ts'
import { type BatchItem, type BatchResult, type Graph, MAX_BATCH, unclear } from './graph.ts'
import {
  isKind,
  type Kind,
  kindOf,
  notAnId,
  principalSwitches,
  purposes,
  readPath,
  readPurpose,
  type Spelling,
  sightingOf,
  userSwitch,
  writePath,
  writePurpose,
} from './kinds.ts'
import { foundOf } from './lookup.ts'
import { createRevoker } from './sessions.ts'

export interface SwitcherParts {
  readonly graph: Graph
  readonly clock: Clock
  readonly log: Logger
  readonly spelling: Spelling
  readonly vet: (ref: PrincipalRef) => BridgeError | undefined
  /** Learns what `vet` must know: who we are, by a token, and what is managed. Throws when it cannot. */
  readonly ready: (signal: AbortSignal) => Promise<unknown>
}

export interface Switcher {
  disable(refs: readonly PrincipalRef[], signal: AbortSignal, bulk?: boolean): Promise<WriteResult[]>
  enable(refs: readonly PrincipalRef[], signal: AbortSignal, stillWanted?: () => Promise<void>): Promise<WriteResult[]>
}

interface Sending {
  readonly lane: WriteLane
  readonly signal: AbortSignal
  readonly stillWanted?: (() => Promise<void>) | undefined
}

interface Target {
  readonly ref: PrincipalRef
  readonly id: string
  readonly kind: Kind
  before?: Sighting
  /** The proving read found the account, whatever else: then a 404 to the write means the path is spelled wrong. */
  exists?: boolean
}

/** Five batches a call, so that a mass suspension has them open side by side. */
export const BATCH = 100
const LATER_MS = 1000

export function openSwitcher({ graph, clock, log, spelling, vet, ready }: SwitcherParts): Switcher {
  const revoke = createRevoker({ graph, clock, log })

  const result = (target: Target, outcome: WriteResult['outcome'], error?: BridgeError): WriteResult => ({
    id: target.ref.id,
    before: target.before,
    outcome,
    ...(error ? { error } : {}),
  })

  /** Turned away as one too many: the writes below it wait, and all else for a single suspension. */
  const throttled = (target: Target, error: BridgeError, lane: WriteLane, scope?: string): void => {
    if (error.code !== 'E_DIRECTORY_THROTTLED') return
    const ms = error.retryAfterMs ?? LATER_MS
    graph.budget.pause(ms)
    if (lane !== 'suspend') return
    // Readings have a limit of their own.
    if (scope?.split('/')[1] === 'Write') graph.owed.paid(target.id)
    else graph.owed.owe(target.id, ms)
  }

  const failed = (target: Target, sent: BatchResult | undefined, lane: WriteLane): WriteResult => {
    const purpose = writePurpose[target.kind]
    // Answered as a whole, but not for this one: nobody can tell whether it was carried out.
    if (!sent) return result(target, 'lost', malformed(purpose))
    const error = answerError(sent, purpose, clock.now())
    throttled(target, error, lane, sent.scope)
    return result(target, unclear.has(sent.status) ? 'lost' : 'refused', error)
  }

  const patch = (target: Target, enabled: boolean, url = writePath(target.kind, target.id, spelling)): BatchItem => ({
    id: `w:${target.id}`,
    method: 'PATCH',
    url,
    body: { accountEnabled: enabled },
  })

  /** Sends the writes of one chunk in one parallel batch, each with one fallback to the other spelling of its path. */
  const write = async (targets: readonly Target[], sending: Sending): Promise<WriteResult[]> => {
    const { lane } = sending
    const enabled = lane === 'write'
    const send = async (items: readonly BatchItem[], kind: Kind) => {
      try {
        return await graph.writeBatch(items, { ...sending, purpose: writePurpose[kind] })
      } catch (error) {
        return { refused: asBridgeError(error) }
      }
    }
    const [first] = targets
    if (!first) return []
    const items = targets.map((target) => patch(target, enabled))
    const answers = await send(items, first.kind)
    if ('lost' in answers) return targets.map((target) => result(target, 'lost', answers.lost))
    if ('refused' in answers) return targets.map((target) => unsentOrRefused(target, answers.refused, lane))
    const results: WriteResult[] = []
    for (const target of targets) {
      const sent = answers.get(`w:${target.id}`)
      if (sent && sent.status >= 200 && sent.status <= 299) results.push(result(target, 'done'))
      else if (sent && misspelled(target, sent)) results.push(await writeOther(target, sent, sending))
      else results.push(failed(target, sent, lane))
    }
    return results
  }

  const misspelled = (target: Target, { status }: BatchResult) =>
    target.kind === 'agentIdentity' && target.exists !== false && (status === 400 || status === 404 || status === 405)

  const writeOther = async (target: Target, first: BatchResult, sending: Sending) => {
    const { lane } = sending
    const options = { ...sending, purpose: purposes.writeAgents }
    try {
      const answers = await graph.writeBatch([patch(target, lane === 'write', spelling.other(target.id))], options)
      if ('lost' in answers) return result(target, 'lost', answers.lost)
      const sent = answers.get(`w:${target.id}`)
      if (!sent || unclear.has(sent.status)) return failed(target, sent, lane)
      if (sent.status < 200 || sent.status > 299) return failed(target, first, lane)
      spelling.flip()
      return result(target, 'done')
    } catch (error) {
      return unsentOrRefused(target, asBridgeError(error), lane)
    }
  }

  /** The whole batch was turned away: nothing was carried out. Some failures happen before anything is sent. */
  const unsentOrRefused = (target: Target, error: BridgeError, lane: WriteLane): WriteResult => {
    throttled(target, error, lane)
    return result(target, error.code === 'E_ABORTED' ? 'unsent' : 'refused', error)
  }

  const prove = (target: Target, answer: BatchResult | undefined, begunAt: number): void => {
    const found = answer && foundOf(answer, target.id, readPurpose[target.kind], clock.now())
    if (!found || 'error' in found) return
    const read = { byId: true, begunAt }
    if ('absent' in found) {
      target.exists = false
      target.before = { id: target.ref.id, kind: undefined, state: 'absent', switches: [], ...read }
      return
    }
    target.exists = true
    const kind = kindOf(found.row, target.kind)
    const isUser = kind === 'user' || kind === 'agentUser'
    // What else could hold it off was not read: unknown, so that this reading never says that the account is free.
    const switches: Switch[] = isUser ? [userSwitch(found.row)] : principalSwitches(found.row)
    if (kind === 'agentIdentity') switches.push({ name: 'blueprint', state: 'unknown', ours: false })
    if (kind === 'agentUser') switches.push({ name: 'parent', state: 'unknown', ours: false })
    if (switches.some((each) => each.ours && each.state === 'unknown')) return
    target.before = { ...sightingOf(found.row, target.kind, switches, read), id: target.ref.id }
  }

  const readItem = (target: Target): BatchItem => ({
    id: `r:${target.id}`,
    method: 'GET',
    url: readPath(target.kind, target.id, spelling),
  })

  /** One fully serial batch: the read is answered before the write is sent, on the same server. */
  const disableOne = async (target: Target, signal: AbortSignal): Promise<WriteResult> => {
    const begunAt = clock.now()
    const options = { purpose: writePurpose[target.kind], lane: 'suspend', signal } as const
    const read = readItem(target)
    const items = [read, { ...patch(target, false), dependsOn: [read.id] }]
    let answers: Awaited<ReturnType<Graph['writeBatch']>>
    try {
      answers = await graph.writeBatch(items, options)
    } catch (error) {
      return unsentOrRefused(target, asBridgeError(error), 'suspend')
    }
    if ('lost' in answers) return result(target, 'lost', answers.lost)
    prove(target, answers.get(read.id), begunAt)
    const sent = answers.get(`w:${target.id}`)
    if (sent && sent.status >= 200 && sent.status <= 299) return result(target, 'done')
    if (target.before?.state === 'absent' && sent?.status === 424) return result(target, 'unsent')
    if (sent && misspelled(target, sent)) return writeOther(target, sent, { lane: 'suspend', signal })
    if (sent?.status !== 424) return failed(target, sent, 'suspend')
    // The read failed and took the write with it; an unreadable account is written all the same (DESIGN §3, first row).
    const [alone] = await write([target], { lane: 'suspend', signal })
    return alone ?? result(target, 'lost', malformed(options.purpose))
  }

  /** A batch is fully serial or fully parallel, so many are read in one and written in the next. */
  const disableMany = async (
    targets: readonly Target[],
    lane: 'suspend' | 'bulk',
    signal: AbortSignal,
  ): Promise<WriteResult[]> => {
    const begunAt = clock.now()
    const options = { purpose: purposes.readAny, lane, signal } as const
    // Not readable is no reason to wait: these reads are not repeated.
    const answers = await graph.writeBatch(targets.map(readItem), options).catch(() => new Map<string, BatchResult>())
    if (!('lost' in answers)) for (const target of targets) prove(target, answers.get(`r:${target.id}`), begunAt)
    const needless = (target: Target) =>
      target.before?.state === 'absent' || (target.before && offByOurSwitch(target.before.switches))
    const left = targets.filter((target) => !needless(target))
    graph.budget.giveBack(targets.length - left.length)
    return [
      ...targets.filter(needless).map((target) => result(target, 'unsent')),
      ...(await write(left, { lane, signal })),
    ]
  }

  const each = async (
    refs: readonly PrincipalRef[],
    lane: WriteLane,
    signal: AbortSignal,
    run: (targets: readonly Target[]) => Promise<WriteResult[]>,
  ): Promise<WriteResult[]> => {
    const targets: Target[] = []
    const results: WriteResult[] = []
    const unsent = (ref: PrincipalRef, error: BridgeError): WriteResult => ({
      id: ref.id,
      before: undefined,
      outcome: 'unsent',
      error,
    })
    try {
      await ready(signal)
    } catch (error) {
      return refs.map((ref) => unsent(ref, asBridgeError(error)))
    }
    const seen = new Set<string>()
    for (const ref of refs) {
      const id = ref.id.toLowerCase()
      const refused = signal.aborted ? abortedError(signal) : vet(ref)
      if (refused) results.push(unsent(ref, refused))
      else if (!isKind(ref.kind)) results.push(unsent(ref, notAnId(ref.id)))
      else if (!seen.has(id)) targets.push({ ref, id, kind: ref.kind })
      seen.add(id)
    }
    const chunks = Array.from({ length: Math.ceil(targets.length / MAX_BATCH) }, (_, at) =>
      targets.slice(at * MAX_BATCH, (at + 1) * MAX_BATCH),
    )
    const settled = await Promise.all(
      chunks.map(async (chunk) => {
        // Before the proving read, so that no wait comes between it and the write.
        const taken = await graph.budget.take(chunk.length, lane, signal).catch((error) => asBridgeError(error))
        if (taken === 0) return run(chunk)
        const error = taken instanceof BridgeError ? taken : laterError(taken)
        return chunk.map(({ ref }) => unsent(ref, error))
      }),
    )
    return [...results, ...settled.flat()]
  }

  return {
    disable: (refs, signal, bulk = false) =>
      each(refs, bulk ? 'bulk' : 'suspend', signal, async (chunk) => {
        const [only, ...more] = chunk
        const alone = only !== undefined && more.length === 0 && !bulk
        if (!bulk) for (const { id } of chunk) graph.owed.begun(id)
        const results = alone
          ? [await disableOne(only, signal)]
          : await disableMany(chunk, bulk ? 'bulk' : 'suspend', signal)
        for (const { id, error } of results) {
          if (error?.code !== 'E_DIRECTORY_THROTTLED') graph.owed.paid(id.toLowerCase())
        }
        // Not waited for: the account is off, and a slow answer must not keep the next suspension waiting.
        void revoke(revocable(results, chunk), signal)
        return results
      }),
    enable: (refs, signal, stillWanted) =>
      each(refs, 'write', signal, (chunk) => write(chunk, { lane: 'write', signal, stillWanted })),
  }
}

/** Users that were switched off just now; agents have no sessions. */
const revocable = (results: readonly WriteResult[], targets: readonly Target[]): string[] => {
  const done = new Set(results.filter((each) => each.outcome === 'done').map((each) => each.id))
  return targets
    .filter(({ ref, kind }) => done.has(ref.id) && (kind === 'user' || kind === 'agentUser'))
    .map(({ id }) => id)
}

const asBridgeError = (error: unknown): BridgeError =>
  error instanceof BridgeError ? error : new BridgeError('E_BUG', 'a directory write failed', { cause: error })
