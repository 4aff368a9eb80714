import { z } from 'zod'
import { isDid } from '../../src/core/did.ts'
import { says } from '../../src/lib/fields.ts'
import { parseId } from '../spiffeid.ts'

/**
 * How SPIFFE IDs and DIDs of a company go together, for suggestions only: `spiffe://example.org/agents/{name}` and
 * `did:agentmesh:{name}`. A variable is part of one segment of a path, so that every ID is read in one way only; two in a
 * DID have a character between them that no value has, so that no two IDs suggest the same DID.
 */

const variable = /\{([a-z][A-Za-z0-9]{0,31})\}/g
/** What may be in a segment of a path (SPIFFE-ID §2.2). */
const legal = 'A-Za-z0-9._-'

const variablesOf = (template: string): string[] => [...template.matchAll(variable)].map(([, name = '']) => name)
const filled = (template: string, values: Readonly<Record<string, string>>): string =>
  template.replaceAll(variable, (_, name: string) => values[name] ?? '')
const sample = (template: string): string => template.replaceAll(variable, 'x')
const hasBraces = (template: string): boolean => /[{}]/.test(sample(template))
const twice = (names: readonly string[]): string | undefined => names.find((name, at) => names.indexOf(name) !== at)

const spiffeTemplate = z.string().superRefine((template, context) => {
  const fault = (what: string, hint: string) => context.addIssue({ code: 'custom', message: says(what, hint) })
  const names = variablesOf(template)
  const again = twice(names)
  if (hasBraces(template))
    fault('has a variable that is none', 'write one as {name}: letters and digits, a small letter first')
  else if (!parseId(sample(template)) || template.slice('spiffe://'.length).split('/')[0]?.includes('{'))
    fault('is not a SPIFFE ID with variables', 'write spiffe://example.org/agents/{name}, variables in the path only')
  else if (names.length === 0)
    fault('has no variable', 'write one for what differs: spiffe://example.org/agents/{name}')
  else if (again !== undefined) fault(`has {${again}} twice`, 'give each its own name')
  else if (template.split('/').some((segment) => variablesOf(segment).length > 1))
    fault('has two variables in one segment', 'divide them by /: one segment could be read in several ways')
})

const didTemplate = z.string().superRefine((template, context) => {
  const fault = (what: string, hint: string) => context.addIssue({ code: 'custom', message: says(what, hint) })
  if (hasBraces(template)) fault('has a variable that is none', 'write one as {name}, as in spiffeId')
  else if (!isDid(sample(template))) fault('is not a DID with variables', 'write did:agentmesh:{name}')
  else if (new RegExp(`\\}[${legal}]*\\{`).test(template))
    fault('has variables that could run into each other', 'put a colon between them: did:agentmesh:{team}:{name}')
})

export const naming = z
  .array(
    z
      .strictObject({
        spiffeId: spiffeTemplate.describe('SPIFFE ID with variables in its path'),
        did: didTemplate.describe('DID with the same variables'),
      })
      .superRefine(({ spiffeId, did }, context) => {
        // Already told; what its variables are cannot be known.
        if (hasBraces(spiffeId) || hasBraces(did)) return
        const given = variablesOf(spiffeId)
        const used = variablesOf(did)
        const unknown = used.find((name) => !given.includes(name))
        const unused = given.find((name) => !used.includes(name))
        const fault = (what: string, hint: string) =>
          context.addIssue({ code: 'custom', path: ['did'], message: says(what, hint), params: { code: 'conflict' } })
        if (unknown !== undefined) fault(`has {${unknown}}, which spiffeId has not`, 'use the variables of spiffeId')
        else if (unused !== undefined)
          fault(`has no {${unused}}`, 'use every variable of spiffeId: two workloads would get the same DID')
      }),
  )
  .max(100)
  .prefault([])
  .describe(
    'What DID a SPIFFE ID suggests in the file that discover writes; the first that fits. Nothing is mapped by it',
  )

export type Naming = z.output<typeof naming>[number]

const escaped = (text: string): string => text.replaceAll(/[.\\^$*+?()[\]|]/g, '\\$&')

/** @returns what DID an ID suggests by the first template that fits; undefined: none does */
export function suggesting(templates: readonly Naming[]): (id: string) => string | undefined {
  const rules = templates.map(({ spiffeId, did }) => {
    const pattern = spiffeId
      .split(variable)
      // Every second piece is the name of a variable.
      .map((piece, at) => (at % 2 === 0 ? escaped(piece) : `(?<${piece}>[${legal}]+)`))
      .join('')
    return { shape: new RegExp(`^${pattern}$`), did }
  })
  return (id) => {
    for (const { shape, did } of rules) {
      const groups = shape.exec(id)?.groups
      const made = groups && filled(did, groups)
      if (made !== undefined && isDid(made)) return made
    }
    return undefined
  }
}
