import type {
  AccessPolicies,
  Accounts,
  Adapter,
  Claims,
  Groups,
  Page,
  PrincipalRef,
  SwitchLog,
  WriteResult,
} from '../../src/core/adapter.ts'
import type { Discovery } from '../../src/core/discovery.ts'
import { BridgeError, type ErrorCode } from '../../src/core/errors.ts'
import type { PrincipalId, Sighting } from '../../src/core/types.ts'
import type { AdapterDeps } from '../deps.ts'
import { discoveredOf, some } from '../discovering.ts'
import { offByOurSwitch, stateOf } from '../switches.ts'
import type { MemoryConfig } from './config.ts'
import { MemoryDirectory } from './directory.ts'
import { openHooks } from './hooks.ts'

export { type MemoryConfig, memoryConfig } from './config.ts'
export { MemoryDirectory } from './directory.ts'

const PAGE = 100
const BATCH = 20
const RETENTION_MS = 7 * 86_400_000
const WRITE_TIMEOUT_MS = 30_000

const codes: Readonly<Record<string, ErrorCode>> = {
  down: 'E_DIRECTORY_DOWN',
  midway: 'E_DIRECTORY_DOWN',
  dropped: 'E_DIRECTORY_DOWN',
  lost: 'E_DIRECTORY_DOWN',
  late: 'E_DIRECTORY_DOWN',
  forbidden: 'E_DIRECTORY_FORBIDDEN',
  auth: 'E_DIRECTORY_AUTH',
  throttled: 'E_DIRECTORY_THROTTLED',
  unsent: 'E_DIRECTORY_THROTTLED',
  refused: 'E_DIRECTORY_REFUSED',
  absent: 'E_DIRECTORY_ANSWER',
  expired: 'E_CHECKPOINT_EXPIRED',
}

function failure(fault: { mode: string; retryAfterMs?: number }): BridgeError {
  const waits = fault.mode === 'throttled' || fault.mode === 'unsent'
  return new BridgeError(
    codes[fault.mode] ?? 'E_DIRECTORY_ANSWER',
    `the memory directory was told to fail (${fault.mode})`,
    waits ? { retryAfterMs: fault.retryAfterMs ?? 1000 } : {},
  )
}

const aborted = (signal: AbortSignal): BridgeError | undefined =>
  signal.aborted ? new BridgeError('E_ABORTED', 'the call was given up', { cause: signal.reason }) : undefined

function live(signal: AbortSignal): void {
  const error = aborted(signal)
  if (error) throw error
}

/**
 * A directory in memory, for tests and for trying the bridge out. Tests hand in the `directory` that they control;
 * without one it starts empty.
 */
export function open(
  name: string,
  config: MemoryConfig,
  deps: Pick<AdapterDeps, 'clock'>,
  directory: MemoryDirectory = new MemoryDirectory(deps.clock),
): Adapter {
  const { clock } = deps
  const actor = 'bridge'

  const vet = (ref: PrincipalRef): BridgeError | undefined => {
    if (!/^[\w.:-]{1,128}$/.test(ref.id)) return new BridgeError('E_PRINCIPAL_ID', `${ref.id} is not an account id`)
    if (config.manage.kinds && !config.manage.kinds.includes(ref.kind))
      return new BridgeError('E_KIND_REFUSED', `accounts of kind ${ref.kind} are not managed by ${name}`)
    if (config.never.includes(ref.id)) return new BridgeError('E_NEVER', `${ref.id} is on the never list of ${name}`)
    const bounds = config.manage.groups
    if (bounds.length > 0 && !bounds.some((group) => directory.effective(group).has(ref.id)))
      return new BridgeError('E_KIND_REFUSED', `${ref.id} is in none of the groups that ${name} manages`)
    return undefined
  }

  const sighting = (id: PrincipalId, byId: boolean): Sighting => {
    const begunAt = clock.now()
    const seen = directory.view(id)
    if (!seen) return { id, kind: undefined, state: 'absent', switches: [], byId, begunAt }
    const { kind, appId, displayName, fleet } = seen.entry
    const { switches } = seen
    return { id, kind, state: stateOf(switches), switches, byId, begunAt, appId, displayName, dependsOn: fleet }
  }

  const read = (id: PrincipalId): Sighting => {
    directory.readIds.push(id)
    const fault = directory.reads.take(id, ['unreadable', 'gone'])
    if (!fault) return sighting(id, true)
    const state = fault.mode === 'gone' ? 'absent' : 'unknown'
    return { id, kind: undefined, state, switches: [], byId: true, begunAt: clock.now() }
  }

  const result = (
    id: PrincipalId,
    before: Sighting | undefined,
    outcome: WriteResult['outcome'],
    error?: BridgeError,
  ): WriteResult => ({ id, before, outcome, ...(error ? { error } : {}) })

  const write = (ref: PrincipalRef, action: 'disable' | 'enable', before: Sighting | undefined): WriteResult => {
    const fault = directory.writes.take(ref.id)
    if (fault?.mode === 'unsent') return result(ref.id, before, 'unsent', failure(fault))
    directory.write(ref.id, action, actor, fault?.mode ?? 'done', fault?.afterMs)
    if (!fault) return result(ref.id, before, 'done')
    const lost = fault.mode === 'lost' || fault.mode === 'dropped' || fault.mode === 'late'
    return result(ref.id, before, lost ? 'lost' : 'refused', failure(fault))
  }

  const disableOne = (ref: PrincipalRef, signal: AbortSignal): WriteResult => {
    const refused = vet(ref) ?? aborted(signal)
    if (refused) return result(ref.id, undefined, 'unsent', refused)
    const whole = directory.reads.take(ref.id, ['throttled', 'down', 'forbidden', 'auth'])
    const seen = whole ? undefined : read(ref.id)
    const before = seen?.state === 'unknown' && seen.switches.length === 0 ? undefined : seen
    if (before?.state === 'absent' || (before && offByOurSwitch(before.switches)))
      return result(ref.id, before, 'unsent')
    directory.between?.(ref.id)
    return write(ref, 'disable', before)
  }

  const enableOne = (ref: PrincipalRef, signal: AbortSignal): WriteResult => {
    const refused = vet(ref) ?? aborted(signal)
    if (refused) return result(ref.id, undefined, 'unsent', refused)
    return write(ref, 'enable', undefined)
  }

  const wait = async (signal: AbortSignal): Promise<void> => {
    if (directory.latencyMs > 0) await clock.sleep(directory.latencyMs, signal).catch(() => undefined)
  }

  const log: SwitchLog = {
    retentionMs: RETENTION_MS,
    async read({ from, to }, signal) {
      await wait(signal)
      live(signal)
      directory.logReads.push({ from, to })
      const fault = directory.logFaults.take(undefined)
      if (fault) throw failure(fault)
      return { entries: directory.logged(from, to), completeUntil: Math.min(to, clock.now() - directory.logLagMs) }
    },
  }

  const accounts: Accounts = {
    batch: BATCH,
    writeTimeoutMs: WRITE_TIMEOUT_MS,
    log,
    async disable(refs, signal) {
      await wait(signal)
      return refs.map((ref) => disableOne(ref, signal))
    },
    async enable(refs, signal, stillWanted) {
      try {
        await stillWanted?.()
      } catch (error) {
        if (!(error instanceof BridgeError)) throw error
        return refs.map(({ id }) => ({ id, before: undefined, outcome: 'unsent', error }))
      }
      await wait(signal)
      return refs.map((ref) => enableOne(ref, signal))
    },
  }

  const accessPolicies: AccessPolicies = {
    vet: (id) =>
      /^[\w.-]{1,128}$/.test(id) ? undefined : new BridgeError('E_ACCESS_POLICY', `${id} is no id of a policy`),
    async read(id, signal) {
      await wait(signal)
      live(signal)
      directory.policyReads.push(id)
      const fault = directory.policyFaults.take(id)
      if (fault) throw failure(fault)
      return directory.policies.get(id)
    },
  }

  const groups: Groups = {
    async *members(groupId, signal) {
      live(signal)
      const fault = directory.groupFaults.take(groupId)
      if (fault && fault.mode !== 'midway') throw failure(fault)
      if (!directory.members(groupId)) throw failure({ mode: 'absent' })
      const ids = directory.effective(groupId)
      for (let at = 0; at < ids.size; at += PAGE) {
        live(signal)
        yield [...ids].slice(at, at + PAGE)
        if (fault) throw failure(fault)
      }
      if (fault) throw failure(fault)
    },
  }

  async function* changes(since: string | undefined, signal: AbortSignal): AsyncIterable<Page> {
    live(signal)
    const fault = directory.feed.take(undefined)
    const isEmpty = fault?.mode === 'empty'
    if (fault && fault.mode !== 'midway' && !isEmpty) throw failure(fault)
    const [generation, seq] = (since ?? `${directory.generation}:0`).split(':').map(Number)
    if (generation !== directory.generation) throw failure({ mode: 'expired' })
    const head = directory.head
    const ids = isEmpty ? [] : since === undefined ? directory.ids : directory.changedSince(seq ?? 0)
    const checkpoint = `${generation}:${head}`
    let at = 0
    do {
      live(signal)
      const rows = ids.slice(at, at + directory.pageSize)
      const seen = rows.filter((id) => !directory.isFleet(id)).map((id) => sighting(id, false))
      // A row that says "gone" is no proof: only a read by id is (DESIGN §3), so the id is passed on to be read.
      const gone = seen.filter((each) => each.state === 'absent').map((each) => each.id)
      const touched = since === undefined ? [] : [...rows.filter((id) => directory.isFleet(id)), ...gone]
      at += directory.pageSize
      const last = at >= ids.length
      if (last && fault && !isEmpty) throw failure(fault)
      yield {
        sightings: seen.filter((each) => each.state !== 'absent'),
        touched,
        checkpoint: last ? checkpoint : undefined,
      }
      if (fault && !isEmpty) throw failure(fault)
    } while (at < ids.length)
  }

  const discovery: Discovery = {
    async page(from, _everything, signal) {
      live(signal)
      const fault = directory.feed.take(undefined)
      if (fault) throw failure(fault)
      const at = Number(from ?? 0)
      const rows = directory.ids.slice(at, at + directory.pageSize).filter((id) => !directory.isFleet(id))
      const accounts = rows.map((id) => discoveredOf(sighting(id, false), true))
      const next = at + directory.pageSize
      return { accounts: some(accounts), next: next < directory.ids.length ? `${next}` : undefined }
    },
  }

  const hooks = directory.hookKey === undefined ? undefined : openHooks(directory.hookKey)

  return {
    name,
    kind: 'memory',
    realm: directory.realm,
    issuers: config.tokens ? [directory.tokens.describe(config.tokens.audiences)] : [],
    identify: (claims: Claims) => directory.tokens.identify(claims),
    identity: { realm: directory.realm },
    vet,
    changes,
    async lookup(refs, signal) {
      await wait(signal)
      live(signal)
      const fault = directory.reads.take(undefined, ['throttled', 'down', 'forbidden', 'auth'])
      if (fault) throw failure(fault)
      return new Map(refs.map(({ id }) => [id, read(id)]))
    },
    groups,
    accounts,
    accessPolicies,
    discovery,
    ...(hooks ? { hooks } : {}),
    async check() {
      return [{ code: 'memory', level: 'ok', text: `${directory.ids.length} accounts in memory` }]
    },
  }
}
