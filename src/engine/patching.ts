import { BridgeError } from '../core/errors.ts'
import type { AgentInput } from './agentapi.ts'

const members = [
  'name',
  'sponsor',
  'blueprint',
  'parentDid',
  'delegation',
  'labels',
  'capabilities',
  'principals',
  'keys',
  'aliases',
] as const

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const merge = (target: unknown, patch: unknown): unknown => {
  if (!isObject(patch)) return patch
  const result: Record<string, unknown> = isObject(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key]
    else result[key] = merge(result[key], value)
  }
  return result
}

/**
 * JSON Merge Patch (RFC 7396) over what may be changed of an agent. The schema of the route has checked the types.
 * @throws BridgeError E_VALIDATION for a member that cannot be changed or removed
 */
export const mergePatch = (input: AgentInput, patch: Readonly<Record<string, unknown>>): AgentInput => {
  const unknown = Object.keys(patch).filter((key) => !members.some((member) => member === key))
  if (unknown.length > 0) {
    throw new BridgeError('E_VALIDATION', `These members cannot be changed: ${unknown.join(', ')}.`, {
      hint: `Changeable: ${members.join(', ')}.`,
      details: unknown.map((key) => ({ pointer: `/${key}`, code: 'read_only' })),
    })
  }
  if (patch['name'] === null)
    throw new BridgeError('E_VALIDATION', 'An agent needs a name.', { hint: 'Give another name.' })
  // A delegation was granted, and perhaps signed, as a whole and by this parent: it is kept or replaced, never merged.
  const moved = Object.hasOwn(patch, 'parentDid') && patch['parentDid'] !== (input.parentDid ?? null)
  const kept = moved || Object.hasOwn(patch, 'delegation') ? null : input.delegation
  const merged = merge({ ...input, delegation: kept }, patch) as AgentInput
  // Absent leaves what the agent has when it is written: a key that it proved meanwhile is not taken away again.
  const said = <T>(name: string, given: T | undefined, none: T) =>
    Object.hasOwn(patch, name) ? (given ?? none) : undefined
  return { ...merged, keys: said('keys', merged.keys, []), aliases: said('aliases', merged.aliases, []) }
}
