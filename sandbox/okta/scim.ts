import { Refusal } from './errors.ts'

/** Filters in the SCIM language, as far as the API takes them. */
export type Filter =
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Filter[] }
  | { readonly kind: 'not'; readonly part: Filter }
  | { readonly kind: 'present'; readonly path: string }
  | { readonly kind: 'compare'; readonly path: string; readonly op: Operator; readonly value: Value }

export type Operator = 'eq' | 'ne' | 'gt' | 'ge' | 'lt' | 'le' | 'sw' | 'co' | 'ew'
type Value = string | number | boolean | null

interface Token {
  readonly kind: 'word' | 'text' | 'open' | 'close'
  readonly text: string
}

const operators: ReadonlySet<string> = new Set(['eq', 'ne', 'gt', 'ge', 'lt', 'le', 'sw', 'co', 'ew'])
const isOperator = (word: string): word is Operator => operators.has(word)

/** Throws E0000031 for what is not a filter. */
export function parseFilter(text: string): Filter {
  const tokens = tokenize(text)
  let at = 0
  const peek = () => tokens[at]
  const isWord = (word: string) => peek()?.kind === 'word' && peek()?.text.toLowerCase() === word
  const take = () => {
    const token = tokens[at]
    if (token === undefined) throw malformed()
    at += 1
    return token
  }

  const list = (kind: 'and' | 'or', next: () => Filter): Filter => {
    const parts = [next()]
    while (isWord(kind)) {
      take()
      parts.push(next())
    }
    const [only] = parts
    return parts.length === 1 && only !== undefined ? only : { kind, parts }
  }
  const either = (): Filter => list('or', () => list('and', single))
  const grouped = (): Filter => {
    if (take().kind !== 'open') throw malformed()
    const inner = either()
    if (take().kind !== 'close') throw malformed()
    return inner
  }
  const single = (): Filter => {
    if (peek()?.kind === 'open') return grouped()
    if (isWord('not')) {
      take()
      return { kind: 'not', part: grouped() }
    }
    const path = take()
    const op = take().text.toLowerCase()
    if (path.kind !== 'word') throw malformed()
    if (op === 'pr') return { kind: 'present', path: path.text }
    if (!isOperator(op)) throw malformed()
    return { kind: 'compare', path: path.text, op, value: literal(take()) }
  }

  const filter = either()
  if (at < tokens.length) throw malformed()
  return filter
}

function malformed(): Refusal {
  return new Refusal('E0000031')
}

function tokenize(text: string): Token[] {
  const pattern = /\s*(?:(\()|(\))|"((?:[^"\\]|\\.)*)"|([^\s()"]+))/y
  const tokens: Token[] = []
  const trimmed = text.trimEnd()
  while (pattern.lastIndex < trimmed.length) {
    const found = pattern.exec(trimmed)
    if (found === null) throw malformed()
    const [, opening, closing, quoted, word] = found
    if (opening !== undefined) tokens.push({ kind: 'open', text: opening })
    else if (closing !== undefined) tokens.push({ kind: 'close', text: closing })
    else if (quoted !== undefined) tokens.push({ kind: 'text', text: quoted.replace(/\\(.)/g, '$1') })
    else tokens.push({ kind: 'word', text: word ?? '' })
  }
  return tokens
}

function literal({ kind, text }: Token): Value {
  if (kind === 'text') return text
  if (text === 'true' || text === 'false') return text === 'true'
  if (text === 'null') return null
  if (kind === 'word' && /^-?\d+(\.\d+)?$/.test(text)) return Number(text)
  throw malformed()
}

/** What an endpoint lets filters use: path → operators; a path that ends in `.` stands for all below it. */
export type Allowed = Readonly<Record<string, readonly (Operator | 'pr')[]>>

/** Throws E0000031 unless the filter keeps to what the endpoint supports. */
export function checkFilter(filter: Filter, allowed: Allowed): Filter {
  switch (filter.kind) {
    case 'and':
    case 'or':
      for (const part of filter.parts) checkFilter(part, allowed)
      return filter
    case 'not':
      checkFilter(filter.part, allowed)
      return filter
    case 'present':
      return allow(filter, filter.path, 'pr', allowed)
    case 'compare':
      return allow(filter, filter.path, filter.op, allowed)
  }
}

function allow(filter: Filter, path: string, op: Operator | 'pr', allowed: Allowed): Filter {
  const found = Object.entries(allowed).find(([name]) => (name.endsWith('.') ? path.startsWith(name) : path === name))
  if (found?.[1].includes(op) !== true) throw malformed()
  return filter
}

export function matches(filter: Filter, document: unknown): boolean {
  switch (filter.kind) {
    case 'and':
      return filter.parts.every((part) => matches(part, document))
    case 'or':
      return filter.parts.some((part) => matches(part, document))
    case 'not':
      return !matches(filter.part, document)
    case 'present':
      return found(document, filter.path.split('.')).some((each) => each !== null && each !== undefined && each !== '')
    case 'compare':
      return found(document, filter.path.split('.')).some((each) => compares(each, filter.op, filter.value))
  }
}

/** The values at a path; through a list, those of every element. */
function found(value: unknown, path: readonly string[]): unknown[] {
  if (Array.isArray(value)) return value.flatMap((each) => found(each, path))
  const [name, ...rest] = path
  if (name === undefined) return [value]
  if (typeof value !== 'object' || value === null) return []
  return found(Reflect.get(value, name), rest)
}

const isoDate = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}/

function compares(actual: unknown, op: Operator, wanted: Value): boolean {
  if (op === 'eq') return same(actual, wanted)
  if (op === 'ne') return !same(actual, wanted)
  if (typeof actual !== 'string' || typeof wanted !== 'string') return false
  const [left, right] = [actual.toLowerCase(), wanted.toLowerCase()]
  if (op === 'sw') return left.startsWith(right)
  if (op === 'ew') return left.endsWith(right)
  if (op === 'co') return left.includes(right)
  const order =
    isoDate.test(actual) && isoDate.test(wanted)
      ? Math.sign(Date.parse(actual) - Date.parse(wanted))
      : Math.sign(left < right ? -1 : Number(left > right))
  return { gt: order > 0, ge: order >= 0, lt: order < 0, le: order <= 0 }[op]
}

function same(actual: unknown, wanted: Value): boolean {
  if (typeof actual === 'string' && typeof wanted === 'string') {
    if (isoDate.test(actual) && isoDate.test(wanted)) return Date.parse(actual) === Date.parse(wanted)
    return actual.toLowerCase() === wanted.toLowerCase()
  }
  return actual === wanted
}
