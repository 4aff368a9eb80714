import { z } from 'zod'
import { type Constraint, pointerForm, valueTypes } from '../core/constraints.ts'
import { says } from './fields.ts'

/** Constraints on JSON values as people write them: in files and in requests. */

const scalar = z.union([z.string().max(1000), z.number(), z.boolean(), z.null()])

/** `https://host` also begins `https://host.example`; what follows a host must be written out. */
const openHost = /^[a-z][a-z0-9+.-]*:\/\/[^/]*$/i
const prefix = z
  .string()
  .min(1, says('is empty', 'write what the value begins with'))
  .max(1000)
  .refine(
    (text) => !openHost.test(text),
    says('ends within a host name', 'write the / after it: https://crm.example.com/'),
  )
const prefixes = z.union([prefix, z.array(prefix).min(1).max(100)])
const count = z.int().min(0).max(1_000_000)

const item = {
  type: z.enum(valueTypes).optional(),
  enum: z.array(scalar).min(1).max(100).optional().describe('One of these; texts are compared byte by byte'),
  prefix: prefixes.optional().describe('A text that begins with it, or with one of them, without a .. segment'),
  min: z.number().optional(),
  max: z.number().optional(),
  maxLength: count.optional().describe('Of a text'),
}

/** All that is said must hold; what speaks of one type refuses every other. */
export const constraint: z.ZodType<Constraint> = z
  .strictObject({
    optional: z.boolean().optional().describe('It may be left out'),
    ...item,
    maxItems: count.optional().describe('Of a list'),
    each: z.strictObject(item).optional().describe('Of every item of a list'),
  })
  .meta({ id: 'Constraint' })

/** Constraints by JSON pointer. */
export const constraints = z
  .record(
    z
      .string()
      .max(256)
      .regex(
        pointerForm,
        says('is not a JSON pointer', 'write /name, or /name/inner; ~1 stands for a / within a name'),
      ),
    constraint,
  )
  .refine((all) => Object.keys(all).length <= 64, says('has too many', 'constrain at most 64'))
