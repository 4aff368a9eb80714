import { z } from 'zod'
import { roles } from '../core/roles.ts'
import { oneOrMany, says, text } from '../lib/fields.ts'
import { didYouMean, type Fault } from './faults.ts'

const appRole = z
  .string()
  .regex(/^\S{1,256}$/, says('is not a role of a directory', 'write its value as tokens carry it in the claim roles'))

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** Ids are compared letter by letter. The text form of a UUID is lower case (RFC 9562 section 4); of others nothing is known. */
const canonical = (id: string): string => (UUID.test(id) ? id.toLowerCase() : id)

/** Callers that a directory vouches for, by tokens made for the bridge itself. */
export const oidc = z.array(
  z.strictObject({
    adapter: text.describe('The directory that issues the tokens, by its name under adapters'),
    audience: oneOrMany(text).describe('`aud` of the tokens: for callers of this API alone'),
    roles: z
      .partialRecord(z.enum(roles), oneOrMany(appRole))
      .describe('Which roles of the directory give which role here; without runtime no token gives it'),
    applications: z
      .array(text.transform(canonical))
      .default([])
      .describe('Applications through which people may call, by their application id; none: no person may'),
  }),
)

/** Of a client that proves itself by its directory's tokens: `<adapter>/<account id>`. */
export const accountName = z
  .string()
  .regex(
    /^[a-z][a-z0-9-]{0,31}\/\S{1,512}$/,
    says('is not an account of a directory', 'write <adapter>/<id>, with the immutable id of the account'),
  )
  .transform((name) => {
    const slash = name.indexOf('/') + 1
    return name.slice(0, slash) + canonical(name.slice(slash))
  })

const texts = z.union([z.string().transform((one) => [one]), z.array(z.string())])
const shape = z.object({
  adapters: z.record(z.string(), z.unknown()),
  auth: z.object({
    oidc: z.array(z.object({ adapter: z.string(), audience: texts }).optional().catch(undefined)).default([]),
    clients: z.array(z.object({ principals: texts.default([]) }).catch({ principals: [] })).catch([]),
  }),
})
const ofKind = z.object({ kind: z.string() })

/** Every audience that a part of the configuration names, at any depth, with where it stands. */
const audiencesIn = (value: unknown, path: string): readonly (readonly [audience: string, path: string])[] => {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => {
    const at = `${path}.${key}`
    if (key !== 'audience' && key !== 'audiences') return audiencesIn(inner, at)
    const found = texts.safeParse(inner)
    return found.success ? found.data.map((one) => [one, at] as const) : []
  })
}

/**
 * Directories that callers come from are of this file, and can tell callers; a token is good for one purpose. Checked
 * beside the schema, which sees one part at a time.
 *
 * @param kinds of adapters that can tell callers; undefined: not checked here
 */
export function oidcFaults(root: unknown, kinds: readonly string[] | undefined): Fault[] {
  const parsed = shape.safeParse(root)
  if (!parsed.success) return []
  const { adapters, auth } = parsed.data
  const names = Object.keys(adapters)
  const known = new Set<string>()
  const taken = new Map(audiencesIn(adapters, 'adapters'))
  const faults = auth.oidc.flatMap((one, index): Fault[] => {
    if (one === undefined) return []
    known.add(one.adapter)
    const path = `auth.oidc.${index}`
    const found: Fault[] = []
    if (!names.includes(one.adapter)) {
      const near = didYouMean(one.adapter, names)
      const hint = near === undefined ? `adapters here: ${names.join(', ')}` : `did you mean ${near}?`
      found.push({ path: `${path}.adapter`, code: 'bad_value', message: 'names no adapter of this file', hint })
    }
    const kind = ofKind.safeParse(adapters[one.adapter]).data?.kind
    if (kind !== undefined && kinds?.includes(kind) === false) {
      const message = `names an adapter of kind ${kind}, which cannot tell who calls the API`
      found.push({ path: `${path}.adapter`, code: 'bad_value', message, hint: `use one of kind ${kinds.join(', ')}` })
    }
    for (const audience of one.audience) {
      const other = taken.get(audience)
      taken.set(audience, `${path}.audience`)
      if (other === undefined) continue
      const hint = 'register the API of the bridge on its own: a token for one must never be good for the other'
      const message = `is an audience of ${other} too`
      found.push({ path: `${path}.audience`, code: 'conflict', message, hint })
    }
    return found
  })
  const strangers = auth.clients.flatMap(({ principals }, index): Fault[] =>
    principals.every((name) => known.has(name.slice(0, name.indexOf('/'))))
      ? []
      : [
          {
            path: `auth.clients.${index}.principals`,
            code: 'conflict',
            message: 'is of a directory that is not under auth.oidc',
            hint: 'add the directory there: it says for which audience tokens must be',
          },
        ],
  )
  return [...faults, ...strangers]
}
