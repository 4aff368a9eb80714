import type { PrincipalRef } from '../../src/core/adapter.ts'
import type { BridgeError } from '../../src/core/errors.ts'
import type { Sighting, Switch } from '../../src/core/types.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { Logger } from '../../src/lib/log.ts'
import { live } from '../aborts.ts'
import { answerError, malformed, type Purpose } from './errors.ts'
import { type BatchItem, type BatchResult, type CallOptions, type Graph, MAX_BATCH } from './graph.ts'
import {
  blueprintPath,
  combined,
  isKind,
  type Kind,
  kindOf,
  principalSwitches,
  purposes,
  readPath,
  readPurpose,
  type Spelling,
  sightingOf,
  userSwitch,
} from './kinds.ts'
import { type Row, row } from './wire.ts'

export interface Reader {
  /** See `Adapter.lookup`. */
  lookup(refs: readonly PrincipalRef[], signal: AbortSignal): Promise<Map<string, Sighting>>
}

export interface ReaderParts {
  readonly graph: Graph
  readonly clock: Clock
  readonly log: Logger
  readonly spelling: Spelling
}

/** One read by id: the row, `absent` when the directory said so, or the error of one that could not be read. */
export type Found = { readonly row: Row } | { readonly absent: true } | { readonly error: BridgeError }

export function foundOf(result: BatchResult, id: string, purpose: Purpose, nowMs: number): Found {
  const { status, retryAfter, body } = result
  if (status === 404) return { absent: true }
  if (status < 200 || status > 299) return { error: answerError({ status, retryAfter, body }, purpose, nowMs) }
  const parsed = row.safeParse(body)
  if (!parsed.success || parsed.data.id !== id || parsed.data['@removed']) return { error: malformed(purpose) }
  return { row: parsed.data }
}

/** How many agents' blueprints are remembered, so that a lookup can read both in one batch. */
const MAX_REMEMBERED = 50_000

export function openReader({ graph, clock, log, spelling }: ReaderParts): Reader {
  const blueprintOf = new Map<string, string>()

  /** Results by item id. A batch that fails as a whole fails its items; all failing, its error is thrown. */
  const readAll = async (items: readonly BatchItem[], options: CallOptions) => {
    const results = new Map<string, BatchResult>()
    const chunks = Array.from({ length: Math.ceil(items.length / MAX_BATCH) }, (_, at) =>
      items.slice(at * MAX_BATCH, (at + 1) * MAX_BATCH),
    )
    const settled = await Promise.allSettled(chunks.map((chunk) => graph.readBatch(chunk, options)))
    live(options.signal)
    const failures: unknown[] = []
    for (const each of settled) {
      if (each.status === 'rejected') failures.push(each.reason)
      else for (const [id, result] of each.value) results.set(id, result)
    }
    if (failures.length > 0 && failures.length === settled.length) throw failures[0]
    if (failures.length > 0) log.warn({ err: failures[0] }, 'some accounts could not be read')
    return results
  }

  const remember = (each: Row) => {
    if (each.agentIdentityBlueprintId == null) return
    if (blueprintOf.size >= MAX_REMEMBERED) blueprintOf.clear()
    blueprintOf.set(each.id, each.agentIdentityBlueprintId)
  }

  const lookup: Reader['lookup'] = async (refs, signal) => {
    live(signal)
    const begunAt = clock.now()
    const wanted = refs.map((ref) => ({ ref, id: ref.id.toLowerCase(), kind: kindAsked(ref) }))
    const options = { purpose: purposes.readAny, lane: 'read', signal } as const
    const rows = new Map<string, Found>()
    const blueprints = new Map<string, Switch['state']>()

    const readRows = async (ids: readonly { id: string; kind: Kind }[], appIds: readonly string[]) => {
      const items: BatchItem[] = [
        ...ids.map(({ id, kind }) => ({ id, method: 'GET' as const, url: readPath(kind, id, spelling) })),
        ...appIds.map((appId) => ({ id: `b:${appId}`, method: 'GET' as const, url: blueprintPath(appId) })),
      ]
      if (items.length === 0) return
      const results = await readAll(items, options)
      for (const { id, kind } of ids) {
        const result = results.get(id)
        const found = result && foundOf(result, id, readPurpose[kind], clock.now())
        rows.set(id, found ?? { error: malformed(readPurpose[kind]) })
        if (found && 'row' in found) remember(found.row)
      }
      for (const appId of appIds) blueprints.set(appId, blueprintState(results.get(`b:${appId}`)))
    }
    const missing = (ids: Iterable<string>) => [...new Set(ids)].filter((id) => !blueprints.has(id))
    const rowOf = (id: string) => {
      const found = rows.get(id)
      return found && 'row' in found ? found.row : undefined
    }

    // First the accounts with the blueprints they are known to have; then what they turned out to depend on.
    const unique = [...new Map(wanted.map((each) => [each.id, each])).values()]
    const known = unique.map(({ id }) => blueprintOf.get(id)).filter((id) => id !== undefined)
    await readRows(unique, [...new Set(known)])
    const parents = unique.map(({ id }) => rowOf(id)?.identityParentId).filter((id) => id != null)
    const asked = [...new Set(parents)].filter((id) => !rows.has(id))
    const needed = () => [...rows.keys()].map((id) => rowOf(id)?.agentIdentityBlueprintId).filter((id) => id != null)
    await readRows(
      asked.map((id) => ({ id, kind: 'agentIdentity' as const })),
      missing(needed()),
    )
    await readRows([], missing(needed()))

    const agentSwitches = (each: Row): Switch[] => {
      const appId = each.agentIdentityBlueprintId
      const state = appId == null ? 'unknown' : (blueprints.get(appId) ?? 'unknown')
      return [...principalSwitches(each), { name: 'blueprint', state, ours: false }]
    }
    const parentState = (id: string): Switch['state'] => {
      const found = rows.get(id)
      if (!found || 'error' in found) return 'unknown'
      return 'absent' in found ? 'off' : combined(agentSwitches(found.row))
    }
    const sighting = (id: string, asked: Kind): Sighting => {
      const found = rows.get(id)
      const read = { byId: true, begunAt }
      if (found && 'absent' in found) return { id, kind: undefined, state: 'absent', switches: [], ...read }
      if (!found || 'error' in found) {
        if (found) log.warn({ err: found.error, principal: id }, 'an account could not be read')
        return { id, kind: undefined, state: 'unknown', switches: [], ...read }
      }
      const kind = kindOf(found.row, asked)
      if (kind === 'user') return sightingOf(found.row, kind, [userSwitch(found.row)], read)
      if (kind === 'agentUser') {
        const parent = found.row.identityParentId
        const state = parent == null ? 'unknown' : parentState(parent)
        return sightingOf(
          found.row,
          kind,
          [userSwitch(found.row), { name: 'parent', state, ours: false, via: found.row.identityParentId ?? undefined }],
          read,
        )
      }
      // An agent identity asked for as an ordinary service principal does not tell its blueprint: never "on" then.
      if (kind === 'agentIdentity') return sightingOf(found.row, kind, agentSwitches(found.row), read)
      return sightingOf(found.row, kind, principalSwitches(found.row), read)
    }
    return new Map(wanted.map(({ ref, id, kind }) => [ref.id, { ...sighting(id, kind), id: ref.id }]))
  }

  /** A blueprint principal that is gone cannot give its agents tokens. */
  const blueprintState = (result: BatchResult | undefined): Switch['state'] => {
    if (!result) return 'unknown'
    if (result.status === 404) return 'off'
    if (result.status !== 200) {
      log.warn({ err: answerError(result, purposes.readBlueprints, clock.now()) }, 'a blueprint could not be read')
      return 'unknown'
    }
    const parsed = row.safeParse(result.body)
    if (parsed.success) return combined(principalSwitches(parsed.data))
    log.warn({ err: malformed(purposes.readBlueprints) }, 'a blueprint could not be read')
    return 'unknown'
  }

  return { lookup }
}

const kindAsked = (ref: PrincipalRef): Kind => (isKind(ref.kind) ? ref.kind : 'servicePrincipal')
