import { badRequest } from './wire.ts'

/** A parsed `$filter`: comparison, `in`, `startswith`, `any`, and their combinations. */
export type Filter =
  | { readonly op: 'and'; readonly left: Filter; readonly right: Filter }
  | { readonly op: 'or'; readonly left: Filter; readonly right: Filter }
  | { readonly op: 'not'; readonly inner: Filter }
  | { readonly op: Comparison; readonly path: string; readonly value: Literal }
  | { readonly op: 'in'; readonly path: string; readonly values: readonly Literal[] }
  | { readonly op: 'startswith'; readonly path: string; readonly value: Literal }
  | { readonly op: 'any'; readonly path: string; readonly variable: string; readonly inner: Filter }
export type Comparison = 'eq' | 'ne' | 'ge' | 'gt' | 'le' | 'lt'
type Literal = string | boolean | number | null

const token = /\s*('(?:[^']|'')*'|[(),:]|[^\s(),:']+(?::\d[^\s(),']*)*)/y

function tokens(text: string): string[] {
  const found: string[] = []
  token.lastIndex = 0
  while (token.lastIndex < text.trimEnd().length) {
    const match = token.exec(text)
    if (match?.[1] === undefined) throw badRequest('Invalid filter clause')
    found.push(match[1])
  }
  return found
}

/** Parses the subset of OData filters that Graph documents for the collections served here; anything else is 400. */
export function parseFilter(text: string): Filter {
  const list = tokens(text)
  let at = 0
  const peek = () => list[at]?.toLowerCase()
  const take = (): string => {
    const next = list[at++]
    if (next === undefined) throw badRequest('Invalid filter clause')
    return next
  }
  const expect = (wanted: string) => {
    if (take() !== wanted) throw badRequest(`Invalid filter clause: '${wanted}' expected.`)
  }
  const or = (): Filter => {
    let left = and()
    while (peek() === 'or') {
      take()
      left = { op: 'or', left, right: and() }
    }
    return left
  }
  const and = (): Filter => {
    let left = unary()
    while (peek() === 'and') {
      take()
      left = { op: 'and', left, right: unary() }
    }
    return left
  }
  const unary = (): Filter => {
    if (peek() === 'not') {
      take()
      return { op: 'not', inner: unary() }
    }
    if (peek() === '(') {
      take()
      const inner = or()
      expect(')')
      return inner
    }
    return term()
  }
  const term = (): Filter => {
    const path = take()
    if (path.toLowerCase() === 'startswith') {
      expect('(')
      const property = take()
      expect(',')
      const value = literal(take())
      expect(')')
      return { op: 'startswith', path: property, value }
    }
    if (path.endsWith('/any') && peek() === '(') {
      take()
      const variable = take()
      expect(':')
      const inner = or()
      expect(')')
      return { op: 'any', path: path.slice(0, -4), variable, inner }
    }
    const op = take().toLowerCase()
    if (op === 'in') {
      expect('(')
      const values = [literal(take())]
      while (peek() === ',') {
        take()
        values.push(literal(take()))
      }
      expect(')')
      return { op, path, values }
    }
    if (!isComparison(op)) throw badRequest(`Invalid filter clause: operator '${op}'.`)
    return { op, path, value: literal(take()) }
  }
  const filter = or()
  if (at !== list.length) throw badRequest('Invalid filter clause')
  return filter
}

function isComparison(op: string): op is Comparison {
  return op === 'eq' || op === 'ne' || op === 'ge' || op === 'gt' || op === 'le' || op === 'lt'
}

function literal(text: string): Literal {
  if (text.startsWith("'")) return text.slice(1, -1).replaceAll("''", "'")
  if (text === 'true' || text === 'false') return text === 'true'
  if (text === 'null') return null
  if (/^\d{4}-\d\d-\d\d(T[\d:.]+(Z|[+-]\d\d:\d\d))?$/.test(text)) return text
  if (/^-?\d+(\.\d+)?$/.test(text)) return Number(text)
  throw badRequest(`Invalid filter clause: literal '${text}'.`)
}

/** Every property path the filter names, with the operators applied to it. */
export function* uses(filter: Filter): Generator<{ path: string; op: Filter['op'] }> {
  if (filter.op === 'and' || filter.op === 'or') {
    yield* uses(filter.left)
    yield* uses(filter.right)
  } else if (filter.op === 'not') {
    yield { path: '', op: 'not' }
    yield* uses(filter.inner)
  } else if (filter.op === 'any') {
    for (const use of uses(filter.inner)) {
      const below = use.path.slice(filter.variable.length)
      yield { path: `${filter.path}/any${below}`, op: use.op }
    }
  } else yield { path: filter.path, op: filter.op }
}

export function matches(filter: Filter, record: unknown): boolean {
  switch (filter.op) {
    case 'and':
      return matches(filter.left, record) && matches(filter.right, record)
    case 'or':
      return matches(filter.left, record) || matches(filter.right, record)
    case 'not':
      return !matches(filter.inner, record)
    case 'in':
      return filter.values.some((value) => same(at(record, filter.path), value))
    case 'startswith': {
      const value = at(record, filter.path)
      return typeof value === 'string' && value.toLowerCase().startsWith(String(filter.value).toLowerCase())
    }
    case 'any': {
      const elements = at(record, filter.path)
      return Array.isArray(elements) && elements.some((each) => matches(filter.inner, { [filter.variable]: each }))
    }
    default:
      return compare(filter.op, at(record, filter.path), filter.value)
  }
}

function at(record: unknown, path: string): unknown {
  let value = record
  for (const name of path.split('/')) {
    if (typeof value !== 'object' || value === null) return undefined
    value = Reflect.get(value, name)
  }
  return value
}

function same(value: unknown, wanted: Literal): boolean {
  if (typeof value === 'string' && typeof wanted === 'string') return value.toLowerCase() === wanted.toLowerCase()
  return (value ?? null) === wanted
}

const instant = /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d:\d\d)(?:\.(\d+))?Z)?$/

/** Times are compared with all seven fractional digits, which a Date would cut to three. */
function ticks(text: string): string {
  const match = instant.exec(text)
  return match === null ? text : `${match[1]}T${match[2] ?? '00:00:00'}.${(match[3] ?? '').padEnd(7, '0')}`
}

function compare(op: Comparison, value: unknown, wanted: Literal): boolean {
  if (op === 'eq') return same(value, wanted)
  if (op === 'ne') return !same(value, wanted)
  if (typeof value !== 'string' || typeof wanted !== 'string') return false
  const [left, right] = [ticks(value), ticks(wanted)]
  if (op === 'ge') return left >= right
  if (op === 'gt') return left > right
  return op === 'le' ? left <= right : left < right
}
