import type { Directory, Row, Snapshot } from './directory.ts'
import { type Filter, parseFilter, uses } from './filter.ts'
import { type Collection, type Kind, type KindModel, models } from './model.ts'
import { badRequest, type Call, unsupported } from './wire.ts'

export interface Query {
  readonly select: readonly string[] | undefined
  readonly filter: Filter | undefined
  readonly top: number | undefined
  readonly count: boolean
  readonly skipToken: string | undefined
  readonly deltaToken: string | undefined
  /** Reads the search index, which lags the primary store. */
  readonly eventual: boolean
}

export type Option = '$select' | '$filter' | '$top' | '$count' | '$orderby' | '$skiptoken' | '$deltatoken'

/** Reads the query options a resource takes; any other option, or one given twice, is 400. */
export function parseQuery(call: Call, allowed: readonly Option[]): Query {
  const options = new Map<string, string>()
  for (const [name, value] of call.search) {
    if (!allowed.some((option) => option === name)) throw badRequest(`Unrecognized query option '${name}'.`)
    if (options.has(name)) throw badRequest(`Query option '${name}' was specified more than once.`)
    options.set(name, value)
  }
  const select = options.get('$select')
  const filter = options.get('$filter')
  const count = options.get('$count')
  if (count !== undefined && count !== 'true' && count !== 'false') throw badRequest('Invalid value for $count.')
  return {
    select: select?.split(',').map((name) => name.trim()),
    filter: filter === undefined ? undefined : parseFilter(filter),
    top: parseTop(options.get('$top')),
    count: count === 'true',
    skipToken: options.get('$skiptoken'),
    deltaToken: options.get('$deltatoken'),
    eventual: call.header('consistencylevel')?.toLowerCase() === 'eventual',
  }
}

function parseTop(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const top = /^\d+$/.test(text) ? Number(text) : 0
  if (top < 1) throw badRequest(`Invalid page size specified: '${text}'. Must be between 1 and 999 inclusive.`)
  return top
}

/** Refuses names the type does not have: a misspelt `$select` must not pass as "property absent". */
export function checkSelect(
  select: readonly string[] | undefined,
  model: KindModel,
  also: readonly string[] = [],
): void {
  for (const name of select ?? []) {
    if (!model.selectable.has(name) && !also.includes(name)) {
      throw badRequest(`Could not find a property named '${name}' on type '${model.type}'.`)
    }
  }
}

/** Without `ConsistencyLevel: eventual` and `$count=true` the directory refuses its advanced queries. */
export function requireAdvanced(query: Query): void {
  if (query.eventual && query.count) return
  throw unsupported(
    'Request not supported: this query needs the ConsistencyLevel: eventual header and the $count=true parameter.',
  )
}

const plainFilters: Readonly<Record<Collection, ReadonlySet<string>>> = {
  servicePrincipals: new Set([
    'id',
    'accountEnabled',
    'agentIdentityBlueprintId',
    'appId',
    'createdByAppId',
    'displayName',
    'servicePrincipalType',
    'tags/any',
  ]),
  users: new Set(['id', 'accountEnabled', 'displayName', 'identityParentId', 'mail', 'userPrincipalName', 'userType']),
  groups: new Set(['id', 'displayName', 'groupTypes/any', 'mailEnabled', 'mailNickname', 'securityEnabled']),
}

export function checkFilter(query: Query, model: KindModel): void {
  if (query.count && !query.eventual) requireAdvanced(query)
  if (query.filter === undefined) return
  for (const { path, op } of uses(query.filter)) {
    if (op === 'not' || op === 'ne') requireAdvanced(query)
    if (op === 'not') continue
    const known = plainFilters[model.collection].has(path) && (path.includes('/') || model.selectable.has(path))
    if (!known) throw unsupported(`Unsupported or invalid query filter clause specified for property '${path}'.`)
    if (op !== 'eq' && op !== 'ne' && op !== 'in' && op !== 'startswith') {
      throw unsupported(`Unsupported filter operator '${op}' for property '${path}'.`)
    }
  }
}

/**
 * The properties an answer shows: the defaults, or exactly the selected ones, null where the object has none. `typed`: the
 * answer's declared type is a base type, so derived objects name their own.
 */
export function project(
  row: Row,
  snapshot: Snapshot,
  select: readonly string[] | undefined,
  typed: boolean,
): Record<string, unknown> {
  const model = models[row.kind]
  const item: Record<string, unknown> = typed && model.derived ? { '@odata.type': `#${model.type}` } : {}
  for (const name of select ?? model.defaults) item[name] = snapshot.properties[name] ?? empty(name)
  item.id = row.id
  return item
}

function empty(name: string): unknown {
  const lists = [
    'alternativeNames',
    'appRoles',
    'businessPhones',
    'groupTypes',
    'keyCredentials',
    'passwordCredentials',
  ]
  return [...lists, 'replyUrls', 'servicePrincipalNames', 'tags'].includes(name) ? [] : null
}

/** `$metadata#users(id,accountEnabled)/$entity` and its relatives. */
export function context(origin: string, set: string, select: readonly string[] | undefined, entity = false): string {
  const selected = select === undefined ? '' : `(${select.join(',')})`
  return `${origin}/v1.0/$metadata#${set}${selected}${entity ? '/$entity' : ''}`
}

/** A row of the wanted kind that a reader sees at that moment. */
export function visible(directory: Directory, row: Row | undefined, kinds: (kind: Kind) => boolean, at: number) {
  if (row === undefined || !kinds(row.kind)) return undefined
  const snapshot = directory.live(row, at)
  return snapshot === undefined ? undefined : { row, snapshot }
}
