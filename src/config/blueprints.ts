import { z } from 'zod'
import { blueprintName } from '../core/blueprints.ts'
import { isCapability } from '../core/capabilities.ts'
import { mostHops } from '../core/delegation.ts'
import { int, says, text } from '../lib/fields.ts'
import { didYouMean, type Fault } from './faults.ts'

const name = z
  .string()
  .regex(
    blueprintName,
    says('is not a name for a blueprint', 'use up to 200 visible characters, white space only between them'),
  )

const capability = z
  .string()
  .refine(
    isCapability,
    says('is not a capability', 'write action:resource or action:resource:qualifier, such as read:reports'),
  )
  .meta({ examples: ['read:reports'] })

const blueprint = z.strictObject({
  description: z.string().max(2000, says('is too long', 'use at most 2,000 characters')).optional(),
  capabilities: z
    .array(capability)
    .max(1000, says('has too many', 'list at most 1,000'))
    .prefault([])
    .describe('Granted to every agent that carries the blueprint, as long as it does'),
  requireSponsor: z.boolean().prefault(false).describe('Refuse agents without a sponsor'),
  maxDelegationDepth: int(0, mostHops).optional().describe('Hops that may be delegated below an agent of it; 0: none'),
  accessPolicy: z
    .strictObject({
      adapter: text.describe('Name of an adapter of this file'),
      id: text.describe('Id of the policy in that directory'),
    })
    .optional()
    .describe('A policy of a directory on who may sign in, checked to exist'),
})

/** `blueprints` of the file. */
export const blueprints = z
  .record(name, blueprint)
  .prefault({})
  .describe('What agents of a kind have in common, each by the name that registrations give')

const shape = z.object({
  adapters: z.record(z.string(), z.unknown()),
  blueprints: z.record(z.string(), z.unknown()),
})
const naming = z.object({ accessPolicy: z.object({ adapter: z.string() }) })

/** `accessPolicy.adapter` must name an adapter. Checked beside the schema, which sees one part at a time. */
export function blueprintFaults(root: unknown): Fault[] {
  const parsed = shape.safeParse(root)
  if (!parsed.success) return []
  const adapters = Object.keys(parsed.data.adapters)
  return Object.entries(parsed.data.blueprints).flatMap(([key, value]): Fault[] => {
    const found = naming.safeParse(value)
    if (!found.success || adapters.includes(found.data.accessPolicy.adapter)) return []
    const near = didYouMean(found.data.accessPolicy.adapter, adapters)
    const hint = near === undefined ? `adapters here: ${adapters.join(', ')}` : `did you mean ${near}?`
    const path = `blueprints.${key}.accessPolicy.adapter`
    return [{ path, code: 'bad_value', message: 'names no adapter of this file', hint }]
  })
}
