import { z } from 'zod'
import type { OutletKinds } from './outlet.ts'
import { type AdapterKinds, configSchema } from './schema.ts'

type Json = z.core.JSONSchema.BaseSchema

/** What a value looks like before the environment is read. */
const reference: Json = { type: 'string', pattern: String.raw`\$\{[A-Za-z_][A-Za-z0-9_]*\}` }

/**
 * The JSON Schema (draft 2020-12) of a configuration file as people write it: before defaults, and with `${NAME}` allowed
 * wherever a value is constrained. It is for editors; the daemon's own check also knows what spans several settings.
 */
export function configJsonSchema(kinds: AdapterKinds, outlets: OutletKinds): Json {
  const schema = z.toJSONSchema(configSchema(kinds, outlets), {
    target: 'draft-2020-12',
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      delete jsonSchema.id
      const { type } = zodSchema._zod.def
      if (type !== 'string' && type !== 'enum' && type !== 'number' && type !== 'boolean') return
      if (type === 'string' && jsonSchema.pattern === undefined && jsonSchema.format === undefined) return
      const { description, examples, default: fallback, ...own } = { ...jsonSchema }
      for (const key of Object.keys(own)) delete jsonSchema[key]
      jsonSchema.anyOf = [own, reference]
    },
  })
  return { ...schema, title: 'agentmesh-idp-bridge configuration' }
}
