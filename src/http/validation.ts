import type { FastifySchemaCompiler } from 'fastify'
import type { z } from 'zod'
import { BridgeError } from '../core/errors.ts'

export interface Fault {
  readonly pointer: string
  readonly code: string
}

const MAX_FAULTS = 50
const NAMED = 3

/** RFC 6901. */
export const pointerOf = (path: readonly PropertyKey[]): string =>
  path.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')

const at = (value: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>(
    (inner, step) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, step) : undefined),
    value,
  )

/** What is wrong with a value, each fault by its place in it. */
export const faultsOf = (error: z.ZodError, input: unknown): Fault[] =>
  error.issues.flatMap((issue): Fault[] => {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({ pointer: pointerOf([...issue.path, key]), code: 'unknown_member' }))
    }
    const own: unknown = issue.code === 'custom' ? issue.params?.code : undefined
    if (typeof own === 'string') return [{ pointer: pointerOf(issue.path), code: own }]
    const absent = issue.code === 'invalid_type' || issue.code === 'invalid_value'
    const missing = absent && at(input, issue.path) === undefined
    return [{ pointer: pointerOf(issue.path), code: missing ? 'required' : issue.code }]
  })

const says: Readonly<Record<string, string>> = {
  required: 'is required',
  unknown_member: 'is unknown',
  invalid_type: 'has the wrong type',
  invalid_value: 'is not one of the values allowed',
  invalid_format: 'has the wrong form',
  too_small: 'is too small or too short',
  too_big: 'is too large or too long',
  conflict: 'contradicts another member',
  off_scale: 'is not on its scale (0-1000: an integer from 0 to 1000; 0-1: a number from 0 to 1)',
  in_future: 'is in the future',
}

/** A refusal that names the members at fault and never repeats their values. */
export const invalid = (part: string, faults: readonly Fault[], hint?: string): BridgeError => {
  const shown = faults
    .slice(0, NAMED)
    .map(({ pointer, code }) => `${pointer === '' ? 'it' : pointer} ${says[code] ?? 'is not valid'}`)
  const more = faults.length > NAMED ? ` and ${faults.length - NAMED} more` : ''
  return new BridgeError('E_VALIDATION', `The ${part} is not valid: ${shown.join(', ')}${more}.`, {
    details: faults.slice(0, MAX_FAULTS),
    ...(hint === undefined ? {} : { hint }),
  })
}

const parts: Readonly<Record<string, string>> = {
  body: 'body',
  querystring: 'query',
  params: 'path',
  headers: 'header',
}

/** Validates with the route's zod schema. The value the handler sees is the parsed one. */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> =
  ({ schema, httpPart }) =>
  (data: unknown) => {
    const result = schema.safeParse(data)
    if (result.success) return { value: result.data }
    return { error: invalid(parts[httpPart ?? 'body'] ?? 'request', faultsOf(result.error, data)) }
  }
