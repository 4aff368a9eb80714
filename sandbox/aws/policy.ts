import { z } from 'zod'

/** Policy documents: their grammar, and what they decide. Only what the documents of the bridge and its tests use of it. */

const texts = z.union([z.string(), z.array(z.string())]).transform((value) => (Array.isArray(value) ? value : [value]))
const conditions = z.record(z.string(), z.record(z.string(), texts))
const principals = z.union([z.literal('*'), z.record(z.string(), texts)])
const statement = z.strictObject({
  Sid: z
    .string()
    .regex(/^[A-Za-z0-9]*$/)
    .exactOptional(),
  Effect: z.enum(['Allow', 'Deny']),
  Action: texts.exactOptional(),
  NotAction: texts.exactOptional(),
  Resource: texts.exactOptional(),
  NotResource: texts.exactOptional(),
  Principal: principals.exactOptional(),
  Condition: conditions.exactOptional(),
})
const document = z.strictObject({
  Version: z.enum(['2012-10-17', '2008-10-17']).default('2008-10-17'),
  Id: z.string().exactOptional(),
  Statement: z
    .union([statement, z.array(statement).min(1)])
    .transform((value) => (Array.isArray(value) ? value : [value])),
})

export type PolicyDocument = z.infer<typeof document>
type Statement = PolicyDocument['Statement'][number]

/** What it attaches to: an identity (`Resource`, no `Principal`), or who may assume a role (`Principal`, no `Resource`). */
export type PolicyKind = 'identity' | 'trust' | 'resource'

/** The document; a reason when it is malformed. */
export function parsePolicy(text: string, kind: PolicyKind): PolicyDocument | string {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return 'This policy contains invalid Json'
  }
  const parsed = document.safeParse(json)
  if (!parsed.success) return 'Syntax errors in policy.'
  for (const each of parsed.data.Statement) {
    if ((each.Action === undefined) === (each.NotAction === undefined)) return 'Policy statement must contain actions.'
    const resources = [each.Resource, each.NotResource].filter((value) => value !== undefined).length
    if (resources !== (kind === 'trust' ? 0 : 1)) {
      return kind === 'trust' ? 'Has prohibited field Resource' : 'Policy statement must contain resources.'
    }
    if ((each.Principal === undefined) !== (kind === 'identity')) {
      return kind === 'identity'
        ? 'Policy document should not specify a principal.'
        : 'Missing required field Principal'
    }
    const wild = Object.keys(each.Condition ?? {}).find((name) => !Object.hasOwn(operators, operatorOf(name).base))
    if (wild !== undefined) return `Invalid Condition type : ${wild}.`
  }
  return parsed.data
}

/** Values of condition keys by their lower-case name. */
export type Context = ReadonlyMap<string, readonly string[]>

export interface Question {
  readonly action: string
  readonly resource: string
  readonly context: Context
  /** Who asks, for a document that names principals: every name they answer to. */
  readonly principals?: readonly string[]
}

export type Verdict = 'allow' | 'deny' | 'silent'

/** An explicit denial beats every permission; where no statement fits there is none. */
export function judge(documents: readonly PolicyDocument[], question: Question): Verdict {
  const fitting = documents.flatMap(({ Statement }) => Statement).filter((each) => fits(each, question))
  if (fitting.some(({ Effect }) => Effect === 'Deny')) return 'deny'
  return fitting.length > 0 ? 'allow' : 'silent'
}

function fits(each: Statement, { action, context, principals = [], resource }: Question): boolean {
  const isAction = (pattern: string) => like(pattern, action, true)
  const isResource = (pattern: string) => like(pattern, resource)
  if (each.Action !== undefined && !each.Action.some(isAction)) return false
  if (each.NotAction?.some(isAction)) return false
  if (each.Resource !== undefined && !each.Resource.some(isResource)) return false
  if (each.NotResource?.some(isResource)) return false
  if (each.Principal !== undefined && each.Principal !== '*') {
    const named = Object.values(each.Principal).flat()
    if (!named.includes('*') && !named.some((name) => principals.includes(name))) return false
  }
  return Object.entries(each.Condition ?? {}).every(([operator, wanted]) =>
    Object.entries(wanted).every(([key, values]) => holds(operator, values, context.get(key.toLowerCase()))),
  )
}

const date = (text: string) => (/^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text))
const operators: Readonly<Record<string, (wanted: string, got: string) => boolean>> = {
  StringEquals: (wanted, got) => wanted === got,
  StringEqualsIgnoreCase: (wanted, got) => wanted.toLowerCase() === got.toLowerCase(),
  StringNotEquals: (wanted, got) => wanted !== got,
  StringLike: (wanted, got) => like(wanted, got),
  StringNotLike: (wanted, got) => !like(wanted, got),
  ArnEquals: (wanted, got) => like(wanted, got),
  ArnLike: (wanted, got) => like(wanted, got),
  ArnNotEquals: (wanted, got) => !like(wanted, got),
  ArnNotLike: (wanted, got) => !like(wanted, got),
  DateLessThan: (wanted, got) => date(got) < date(wanted),
  DateGreaterThan: (wanted, got) => date(got) > date(wanted),
  Bool: (wanted, got) => wanted.toLowerCase() === got.toLowerCase(),
  NumericLessThanEquals: (wanted, got) => Number(got) <= Number(wanted),
  Null: () => true,
}

function operatorOf(name: string): { base: string; set: string | undefined; ifExists: boolean } {
  const [set, rest] = name.includes(':') ? name.split(':', 2) : [undefined, name]
  return { base: (rest ?? '').replace(/IfExists$/, ''), set, ifExists: name.endsWith('IfExists') }
}

/** A key that the request does not have satisfies no condition, but negated ones and those that say so. */
function holds(name: string, wanted: readonly string[], got: readonly string[] | undefined): boolean {
  const { base, ifExists, set } = operatorOf(name)
  if (base === 'Null') return wanted.includes('true') === (got === undefined)
  const negated = base.includes('Not')
  if (got === undefined || got.length === 0) return ifExists || negated || set === 'ForAllValues'
  const compare = operators[base] ?? (() => false)
  const one = (value: string) =>
    negated ? wanted.every((each) => compare(each, value)) : wanted.some((each) => compare(each, value))
  return set === 'ForAnyValue' ? got.some(one) : got.every(one)
}

/** `*` and `?`; without a regular expression, which a document could make slow. */
export function like(pattern: string, text: string, ignoreCase = false): boolean {
  const [wanted, got] = ignoreCase ? [pattern.toLowerCase(), text.toLowerCase()] : [pattern, text]
  let [at, from] = [0, 0]
  let [star, mark] = [-1, 0]
  while (from < got.length) {
    if (wanted[at] === '*') {
      star = at
      mark = from
      at += 1
    } else if (at < wanted.length && (wanted[at] === '?' || wanted[at] === got[from])) {
      at += 1
      from += 1
    } else if (star >= 0) {
      at = star + 1
      mark += 1
      from = mark
    } else return false
  }
  while (wanted[at] === '*') at += 1
  return at === wanted.length
}

/** An unconditional denial of everything. */
export function deniesAll({ Statement }: PolicyDocument): boolean {
  return Statement.some(
    ({ Action = [], Condition = {}, Effect, Resource = [] }) =>
      Effect === 'Deny' && Action.includes('*') && Resource.includes('*') && Object.keys(Condition).length === 0,
  )
}
