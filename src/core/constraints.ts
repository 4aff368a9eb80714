/** What a JSON value must be for a call to pass: declarative, and decided in one walk over the value. */

export type Scalar = string | number | boolean | null

export const valueTypes = ['string', 'number', 'integer', 'boolean', 'null', 'array', 'object'] as const
export type ValueType = (typeof valueTypes)[number]

/** All that is said must hold. A member that speaks of one type refuses values of every other. */
export interface ItemConstraint {
  readonly type?: ValueType | undefined
  readonly enum?: readonly Scalar[] | undefined
  /** A text that begins with one of them, and has no `..` segment that leads out of it again. */
  readonly prefix?: string | readonly string[] | undefined
  readonly min?: number | undefined
  readonly max?: number | undefined
  /** Of a text, in UTF-16 code units. */
  readonly maxLength?: number | undefined
}

export interface Constraint extends ItemConstraint {
  /** It may be left out. */
  readonly optional?: boolean | undefined
  readonly maxItems?: number | undefined
  /** Of every item of a list. */
  readonly each?: ItemConstraint | undefined
}

/** RFC 6901; never the whole document. */
export const pointerForm = /^(\/([^~/]|~[01])*)+$/

const stepsOf = (pointer: string): string[] =>
  pointer
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))

/** Past 2^53 two numbers that were written differently read the same. */
const isExact = (value: number): boolean =>
  Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value))

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const typeTests: Readonly<Record<ValueType, (value: unknown) => boolean>> = {
  string: (value) => typeof value === 'string',
  number: (value) => typeof value === 'number',
  integer: (value) => Number.isSafeInteger(value),
  boolean: (value) => typeof value === 'boolean',
  null: (value) => value === null,
  array: (value) => Array.isArray(value),
  object: isObject,
}

const mostDecodings = 4
const up = /(?:^|[/\\?#;])[\s\p{Cc}]*\.\.[\s\p{Cc}]*(?:$|[/\\?#;])/u

/** `..` as a whole segment, in any way that a reader of paths or URLs may undo, or encoded more often than anybody does. */
const climbs = (text: string): boolean => {
  let read = text
  for (let times = 0; times <= mostDecodings; times++) {
    // Readers of URLs drop the three anywhere, readers of C strings what follows a NUL.
    if (up.test(read.replaceAll(/[\t\n\r]/g, '').replaceAll('\0', '/'))) return true
    const decoded = read.replaceAll(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
    if (decoded === read) return false
    read = decoded
  }
  return true
}

/** Whether one value is what the constraint says. */
export const fits = (constraint: Constraint, value: unknown): boolean => {
  const { each, max, maxItems, maxLength, min, prefix, type } = constraint
  if (typeof value === 'number' && !isExact(value)) return false
  if (type !== undefined && !typeTests[type](value)) return false
  if (constraint.enum !== undefined && !constraint.enum.some((one) => one === value)) return false
  if (min !== undefined && !(typeof value === 'number' && value >= min)) return false
  if (max !== undefined && !(typeof value === 'number' && value <= max)) return false
  if (maxLength !== undefined && !(typeof value === 'string' && value.length <= maxLength)) return false
  if (prefix !== undefined) {
    const prefixes = typeof prefix === 'string' ? [prefix] : prefix
    if (typeof value !== 'string' || !prefixes.some((one) => value.startsWith(one)) || climbs(value)) return false
  }
  if (maxItems !== undefined && !(Array.isArray(value) && value.length <= maxItems)) return false
  return each === undefined || (Array.isArray(value) && value.every((item) => fits(each, item)))
}

const missing = Symbol('missing')

const index = /^(0|[1-9]\d{0,8})$/

const child = (value: unknown, step: string): unknown => {
  if (Array.isArray(value)) return index.test(step) && Object.hasOwn(value, step) ? value[Number(step)] : missing
  return isObject(value) && Object.hasOwn(value, step) ? value[step] : missing
}

/** What is named so far below one value. */
interface Named {
  /** The value itself is, with all that is in it. */
  whole: boolean
  readonly below: Map<string, Named>
}

const namedBy = (pointers: readonly string[]): Named => {
  const root: Named = { whole: false, below: new Map() }
  for (const pointer of pointers) {
    let at = root
    for (const step of stepsOf(pointer)) {
      const next = at.below.get(step) ?? { whole: false, below: new Map() }
      at.below.set(step, next)
      at = next
    }
    at.whole = true
  }
  return root
}

/** Whether every part of the value is named, or within one that is. */
const isNamed = (value: unknown, { whole, below }: Named): boolean => {
  if (whole) return true
  if (below.size === 0 || typeof value !== 'object' || value === null) return false
  return Object.entries(value).every(([step, inner]) => {
    const next = below.get(step)
    return next !== undefined && isNamed(inner, next)
  })
}

/**
 * Whether the members of a JSON object are what is said of them, each by its pointer.
 *
 * @param others whether parts that no pointer names may be there
 */
export const allFit = (
  value: Readonly<Record<string, unknown>>,
  constraints: Readonly<Record<string, Constraint>>,
  others: 'allow' | 'deny',
): boolean => {
  const entries = Object.entries(constraints)
  for (const [pointer, constraint] of entries) {
    const found = stepsOf(pointer).reduce<unknown>(child, value)
    if (found === missing ? constraint.optional !== true : !fits(constraint, found)) return false
  }
  if (others === 'allow' || Object.keys(value).length === 0) return true
  return isNamed(value, namedBy(entries.map(([pointer]) => pointer)))
}

const mostDepth = 32

/** An array without holes; an object of nothing but members. Its values, or undefined. */
const plainValues = (one: object): readonly { readonly name: string; readonly value: unknown }[] | undefined => {
  const prototype: unknown = Object.getPrototypeOf(one)
  const members = Object.entries(Object.getOwnPropertyDescriptors(one)).filter(
    ([name]) => !(Array.isArray(one) && name === 'length'),
  )
  const isPlain = Array.isArray(one)
    ? prototype === Array.prototype && members.length === one.length && members.every(([name], at) => name === `${at}`)
    : prototype === Object.prototype || prototype === null
  if (!isPlain || Object.getOwnPropertySymbols(one).length > 0) return undefined
  if (!members.every(([, { enumerable, get, set }]) => enumerable === true && get === undefined && set === undefined)) {
    return undefined
  }
  return members.map(([name, { value }]) => ({ name, value }))
}

/**
 * Whether a value is a JSON object of at most so many bytes, and no deeper than anybody needs. It may come from a caller
 * in the process: what is no plain data (a getter, a cycle, a hole) is none.
 */
export const isSmallObject = (value: unknown, mostBytes: number): value is Readonly<Record<string, unknown>> => {
  let left = mostBytes
  const isPlain = (one: unknown, depth: number): boolean => {
    // Never more than it has as JSON, so that a cycle ends here.
    left -= typeof one === 'string' ? one.length + 2 : 1
    if (left < 0 || depth > mostDepth) return false
    if (typeof one === 'number') return Number.isFinite(one)
    if (typeof one === 'string' || typeof one === 'boolean' || one === null) return true
    if (typeof one !== 'object' || (Array.isArray(one) && one.length > left)) return false
    const values = plainValues(one)
    return (
      values?.every((member) => {
        if (!Array.isArray(one)) left -= member.name.length + 3
        return isPlain(member.value, depth + 1)
      }) === true
    )
  }
  return isObject(value) && isPlain(value, 0) && Buffer.byteLength(JSON.stringify(value)) <= mostBytes
}

const itemOf = (given: ItemConstraint): ItemConstraint => ({
  ...(given.type !== undefined && { type: given.type }),
  ...(given.enum !== undefined && { enum: given.enum }),
  ...(given.prefix !== undefined && { prefix: given.prefix }),
  ...(given.min !== undefined && { min: given.min }),
  ...(given.max !== undefined && { max: given.max }),
  ...(given.maxLength !== undefined && { maxLength: given.maxLength }),
})

/** The same, its members always in one order. */
export const constraintOf = (given: Constraint): Constraint => ({
  ...(given.optional === true && { optional: true }),
  ...itemOf(given),
  ...(given.maxItems !== undefined && { maxItems: given.maxItems }),
  ...(given.each !== undefined && { each: itemOf(given.each) }),
})
