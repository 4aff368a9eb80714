import { z } from 'zod'
import { didYouMean, type Fault, type FaultCode } from './faults.ts'

type Issue = z.core.$ZodIssue

/**
 * zod's findings in plain words: first line what is wrong, second how to mend it. For unknown keys it is the known ones,
 * which only this call can see; `issueFaults` makes words of them.
 */
export const plainWords: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case 'unrecognized_keys':
      return knownKeys(issue.inst).join(' ')
    case 'invalid_type':
      return issue.input === undefined ? missing(issue.inst) : wrongType(issue.expected, issue.input)
    case 'invalid_value':
      return issue.input === undefined
        ? `is missing\nset it to ${words(issue.values)}`
        : `has a value that is not known here\nuse ${words(issue.values)}${guess(issue.input, issue.values)}`
    case 'invalid_union':
      return unionWords(issue.inst, issue.discriminator, issue.input)
    case 'invalid_format':
      return 'has the wrong form'
    case 'too_small':
      return 'is too small or too short'
    case 'too_big':
      return 'is too big or too long'
    default:
      return 'is not valid here'
  }
}

function knownKeys(schema: unknown): string[] {
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : []
}

function missing(schema: unknown): string {
  const examples = schema instanceof z.ZodType ? schema.meta()?.examples : undefined
  const example = Array.isArray(examples) ? examples[0] : undefined
  return example === undefined ? 'is missing\nadd it' : `is missing\nadd it, for example: ${String(example)}`
}

const typeNames: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
  null: 'nothing',
}

function wrongType(expected: string, input: unknown): string {
  const is = input === null ? 'null' : Array.isArray(input) ? 'array' : typeof input
  const quotes = expected === 'string' && (is === 'number' || is === 'boolean') ? ': put it in quotes' : ''
  const wanted = typeNames[expected] ?? expected
  return `must be ${wanted}, but is ${typeNames[is] ?? is}\nwrite ${wanted}${quotes}`
}

function words(values: readonly unknown[]): string {
  const quoted = values.map(String)
  return quoted.length === 1 ? `${quoted[0]}` : `one of ${quoted.join(', ')}`
}

function guess(input: unknown, values: readonly unknown[]): string {
  const near = typeof input === 'string' ? didYouMean(input, values.map(String)) : undefined
  return near === undefined ? '' : `; did you mean ${near}?`
}

function unionWords(schema: unknown, discriminator: string | undefined, input: unknown): string {
  if (discriminator === undefined || !(schema instanceof z.ZodDiscriminatedUnion)) return 'has the wrong type'
  if (input === undefined) return `is missing\nadd it, with ${discriminator}: …`
  if (typeof input !== 'object' || input === null) return wrongType('object', input)
  const given: unknown =
    discriminator in input ? Object.entries(input).find(([key]) => key === discriminator)?.[1] : undefined
  const values = schema.options.flatMap((option) => {
    const literal = option instanceof z.ZodObject ? option.shape[discriminator] : undefined
    return literal instanceof z.ZodLiteral ? [...literal.values] : []
  })
  const said = given === undefined ? 'is missing' : 'has a value that is not known here'
  return `${said}\nset ${discriminator} to ${words(values)}${guess(given, values)}`
}

/** zod's findings as faults, one for each unknown key. */
export function issueFaults(issues: readonly Issue[], parents: readonly PropertyKey[] = []): Fault[] {
  return issues.flatMap((issue): Fault[] => {
    const path = [...parents, ...issue.path]
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey([...path, key], issue.message))
    if (issue.code === 'invalid_union' && issue.errors.length > 0) return issueFaults(likeliest(issue.errors), path)
    if (issue.code === 'invalid_key')
      return issueFaults(
        issue.issues.map((inner) => ({ ...inner, path: [] })),
        path,
      )
    const [message = '', hint] = issue.message.split('\n')
    return [{ path: path.join('.'), code: codeOf(issue, message), message, ...(hint === undefined ? {} : { hint }) }]
  })
}

/** Of several readings of one value, the one that got furthest: its type was right, something inside was not. */
function likeliest(branches: readonly (readonly Issue[])[]): readonly Issue[] {
  const typeWrong = (branch: readonly Issue[]) =>
    branch.some((issue) => issue.path.length === 0 && issue.code === 'invalid_type')
  return branches.find((branch) => !typeWrong(branch)) ?? branches[0] ?? []
}

function codeOf(issue: Issue, message: string): FaultCode {
  if (issue.code === 'custom') {
    const code: unknown = issue.params?.code
    return code === 'conflict' || code === 'unreadable' ? code : 'bad_value'
  }
  if (message === 'is missing') return 'missing'
  return issue.code === 'invalid_type' ? 'wrong_type' : 'bad_value'
}

function unknownKey(path: readonly PropertyKey[], known: string): Fault {
  const where = path.join('.')
  const key = String(path.at(-1))
  const keys = known === '' ? [] : known.split(' ')
  const near = didYouMean(key, keys)
  const hint = near === undefined ? `known here: ${keys.join(', ')}` : `did you mean ${near}?`
  return { path: where, code: 'unknown_key', message: 'is not a known key', hint }
}
