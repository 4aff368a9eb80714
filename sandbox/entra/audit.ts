import { randomUUID } from 'node:crypto'
import { matches, type parseFilter, uses } from './filter.ts'
import { type Option, parseQuery } from './odata.ts'
import { listBody, readPage } from './paging.ts'
import { permissions, requireAny } from './permissions.ts'
import { badRequest, type Call, ok, unsupported } from './wire.ts'
import type { World } from './world.ts'

/** Who did it, as the log names them. */
export type Actor =
  | {
      readonly kind: 'app'
      readonly appId: string
      readonly servicePrincipalId: string
      readonly displayName: string
    }
  | { readonly kind: 'user'; readonly id: string; readonly userPrincipalName: string }

export interface ModifiedProperty {
  readonly displayName: string
  readonly oldValue: string | null
  readonly newValue: string | null
}

export interface AuditTarget {
  readonly id: string
  readonly displayName: string | null
  readonly type: 'ServicePrincipal' | 'User' | 'Group'
  readonly userPrincipalName: string | null
  readonly modifiedProperties: readonly ModifiedProperty[]
}

interface AuditRecord {
  readonly ordinal: number
  readonly visibleAt: number
  readonly entry: Readonly<Record<string, unknown>>
}

const capacity = 100_000
const filterable = new Set([
  'activityDateTime',
  'activityDisplayName',
  'category',
  'correlationId',
  'initiatedBy/app/appId',
  'initiatedBy/user/id',
  'loggedByService',
  'targetResources/any/id',
])

/** `/auditLogs/directoryAudits`: written with every change, readable only after a delay. */
export class AuditLog {
  readonly #now: () => number
  readonly #steady: () => number
  readonly #delayMs: number
  #records: AuditRecord[] = []
  #ordinal = 0
  #settled = 0

  /** `now` dates the records; the delay runs by `steady`. */
  constructor(options: { now: () => number; steady: () => number; delayMs: number }) {
    this.#now = options.now
    this.#steady = options.steady
    this.#delayMs = options.delayMs
  }

  /** Everything written so far can be read from now on. */
  settle(): void {
    this.#settled = this.#ordinal
  }

  write(
    activity: string,
    category: string,
    actor: Actor,
    targets: readonly AuditTarget[],
    correlationId: string,
  ): void {
    const at = this.#now()
    const ordinal = ++this.#ordinal
    const entry = {
      id: `Directory_${correlationId}_${randomUUID().slice(0, 5).toUpperCase()}_${ordinal}`,
      category,
      correlationId,
      result: 'success',
      resultReason: '',
      activityDisplayName: activity,
      // Seven fractional digits, as the service writes them; the last four tell records of one millisecond apart.
      activityDateTime: `${new Date(at).toISOString().slice(0, -1)}${String(ordinal % 10_000).padStart(4, '0')}Z`,
      loggedByService: 'Core Directory',
      operationType: activity.split(' ')[0],
      initiatedBy: initiator(actor),
      targetResources: targets.map((target) => ({ ...target, groupType: null })),
      additionalDetails: [],
    }
    this.#records.push({ ordinal, visibleAt: this.#steady() + this.#delayMs, entry })
    if (this.#records.length > capacity) this.#records = this.#records.slice(capacity / 2)
  }

  /** What a reader may see now, newest first. */
  visible(): readonly AuditRecord[] {
    const at = this.#steady()
    return this.#records.filter((record) => record.ordinal <= this.#settled || record.visibleAt <= at)
  }
}

function initiator(actor: Actor): Record<string, unknown> {
  if (actor.kind === 'user') {
    const { id, userPrincipalName } = actor
    return { app: null, user: { id, displayName: null, userPrincipalName, ipAddress: '' } }
  }
  const { appId, displayName, servicePrincipalId } = actor
  return { app: { appId, displayName, servicePrincipalId, servicePrincipalName: null }, user: null }
}

const options: readonly Option[] = ['$filter', '$orderby', '$top', '$skiptoken']

/** `GET /auditLogs/directoryAudits`, newest first unless ordered otherwise. */
export function readAudit(world: World, call: Call) {
  requireAny(call.caller, permissions.auditLogs)
  const query = parseQuery(call, options)
  const ascending = order(call.search.get('$orderby'))
  const filter = query.filter === undefined ? undefined : checked(query.filter)
  const found = world.audit.visible().filter((record) => filter === undefined || matches(filter, record.entry))
  // Page tokens count upwards: newest first is the same list with its positions mirrored.
  const rows = ascending
    ? found
    : found.map((record) => ({ ...record, ordinal: Number.MAX_SAFE_INTEGER - record.ordinal })).reverse()
  const limits = { defaultSize: 999, maxSize: 999, bound: world.logPageSize }
  const page = readPage(world, call, query, rows, limits, (record) => record.entry)
  return ok(listBody(`${world.origin}/v1.0/$metadata#auditLogs/directoryAudits`, page, undefined))
}

function checked(filter: ReturnType<typeof parseFilter>) {
  for (const { path, op } of uses(filter)) {
    if (!filterable.has(path) || op === 'ne' || op === 'not') {
      throw badRequest(`Invalid filter clause: '${path} ${op}' is not supported on directoryAudits.`)
    }
  }
  return filter
}

function order(text: string | null): boolean {
  if (text === null || text === 'activityDateTime desc') return false
  if (text === 'activityDateTime' || text === 'activityDateTime asc') return true
  throw unsupported(`Sorting by '${text}' is not supported on directoryAudits.`)
}
