import { z } from 'zod'
import { duration, says } from '../lib/fields.ts'

/** What every kind of outlet is configured with. */
export const outletBase = z.strictObject({
  name: z
    .string()
    .regex(
      /^[a-z][a-z0-9-]{0,31}$/,
      says('is not an outlet name', 'use up to 32 lower-case letters, digits and -, a letter first'),
    )
    .describe('In metrics, alerts and paths'),
  types: z
    .array(z.enum(['suspended', 'resumed', 'capabilities']))
    .min(1, says('is an empty list', 'name at least one type, or leave it out for all'))
    .prefault(['suspended', 'resumed', 'capabilities'])
    .describe('The signals it is told'),
  giveUpAfter: duration({ minMs: 3_600_000 })
    .prefault('3d')
    .describe('When nothing was taken for this long, signals of that age are dead letters'),
})

export type OutletBase = z.output<typeof outletBase>

/** Every kind of outlet there is, by its key under `signals`. */
export type OutletKinds = Readonly<Record<string, z.ZodType<OutletBase>>>

/** `signals`: a list of each kind. */
export const signalsSchema = (kinds: OutletKinds) => {
  const lists = Object.entries(kinds).map(([key, kind]) => [key, z.array(kind).max(100).prefault([])] as const)
  const shape: Record<string, z.ZodType<OutletBase[]>> = Object.fromEntries(lists)
  return z.strictObject(shape)
}
