import { z } from 'zod'
import { isConcrete } from '../core/capabilities.ts'
import { isResource, isSmallDefinition, toolName, toolServerName, writtenServer } from '../core/tools.ts'
import { constraint, constraints } from '../lib/constraint.ts'
import { says } from '../lib/fields.ts'

const serverName = z
  .string()
  .regex(toolServerName, says('is not a name for a tool server', 'use up to 64 letters, digits, ., _ or -'))

const name = z
  .string()
  .regex(toolName, says('is not the name of a tool', 'use up to 128 visible characters, white space only between them'))

const capability = z
  .string()
  .refine(isConcrete, says('is not one capability', 'write action:resource or action:resource:qualifier, without *'))
  .meta({ examples: ['read:customers'] })

const tool = z.strictObject({
  capability: capability.describe('What an agent needs to call it'),
  resource: constraint.optional().describe('On what it may be called'),
  parameters: constraints.optional().describe('What its parameters must be, by JSON pointer; without it: anything'),
  otherParameters: z
    .enum(['deny', 'allow'])
    .prefault('deny')
    .describe('Whether parameters that no pointer names may be there'),
})

const server = z
  .strictObject({
    description: z.string().max(2000, says('is too long', 'use at most 2,000 characters')).optional(),
    resource: z
      .string()
      .refine(
        isResource,
        says('is not a resource identifier', 'write an absolute URI in lower case, without # or default port'),
      )
      .optional()
      .meta({ examples: ['https://mcp.example.com/crm'] })
      .describe('Its resource identifier (RFC 8707), compared byte by byte'),
    unlisted: z
      .union([z.literal('deny'), capability])
      .prefault('deny')
      .describe('What a tool that is not listed takes: deny, or a capability'),
    tools: z
      .record(name, tool)
      .prefault({})
      .refine((all) => Object.keys(all).length <= 1000, says('has too many', 'list at most 1,000')),
  })
  .refine(
    (one) => isSmallDefinition(writtenServer(one)),
    says('is over 64 KiB', 'list fewer tools, or say less of them'),
  )

const servers = z.record(serverName, server).superRefine((all, context) => {
  const seen = new Map<string, string>()
  for (const [key, { resource }] of Object.entries(all)) {
    if (resource === undefined) continue
    const other = seen.get(resource)
    seen.set(resource, key)
    if (other === undefined) continue
    const message = says(`is that of ${other} too`, 'a resource identifier is of one server')
    context.addIssue({ code: 'custom', path: [key, 'resource'], message, params: { code: 'conflict' } })
  }
})

/** `tools` of the file. */
export const tools = z
  .strictObject({
    servers: servers.prefault({}).describe('The servers whose tools may be called, each by a name of yours'),
  })
  .prefault({})
