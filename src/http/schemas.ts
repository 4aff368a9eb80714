import { z } from 'zod'
import { trustScales } from '../core/trust.ts'
import { delegationInput, delegationSchema } from './delegationschemas.ts'
import { holdSchema, severity } from './holdschemas.ts'
import { keyMembers, keyPatch, keySchemas, provenSchema } from './keyschemas.ts'
import { count, did, exampleDid, limit, text, time } from './shapes.ts'

/** The shapes of agents. */

const sponsor = z.strictObject({ email: text(320).optional(), objectId: text(200).optional() })
const labels = z
  .record(text(63), z.string().max(256))
  .refine((given) => Object.keys(given).length <= 64, { error: 'has more than 64 labels' })
const scopes = z.array(text(500)).max(1000)
const capability = text(256).describe('action:resource[:qualifier]')

const principalBody = z.strictObject({
  adapter: text(64).describe('Name of a configured adapter'),
  id: text(2048).describe('Immutable id of the account in its directory'),
  kind: text(64),
  appId: text(1024).optional(),
  scopes: scopes.optional(),
  shared: z
    .boolean()
    .optional()
    .describe('Several agents use the account; each of them registers it with shared: true'),
})

const agentMembers = {
  name: text(200),
  sponsor: sponsor.nullable().optional().describe('The human answerable for the agent'),
  blueprint: text(200).nullable().optional().describe('Name of a defined blueprint'),
  parentDid: did.nullable().optional(),
  delegation: delegationInput.nullable().optional(),
  labels: labels.optional(),
  capabilities: z.array(capability).max(1000).optional().describe('Those of source `manual`'),
  principals: z.array(principalBody).max(100).optional(),
  ...keyMembers,
}

const registrationExample = {
  did: exampleDid,
  name: 'data-analyst-agent',
  sponsor: { email: 'alice@contoso.com', objectId: '7d2c6f0e-3f0b-4c58-9d53-0c8a2f6f9c11' },
  blueprint: 'Data Analyst Agent',
  parentDid: null,
  labels: { unit: 'payments' },
  capabilities: ['read:reports'],
  principals: [
    {
      adapter: 'contoso',
      id: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee',
      kind: 'agentIdentity',
      scopes: ['https://graph.microsoft.com/.default'],
    },
  ],
}

export const registration = z
  .strictObject({ did, ...agentMembers })
  .meta({ id: 'AgentRegistration', examples: [registrationExample] })

export const replacement = z
  .strictObject({ did: did.optional().describe('If given, the one in the path'), ...agentMembers })
  .meta({ id: 'AgentReplacement' })

export const agentPatch = z
  .strictObject({
    name: text(200).optional(),
    sponsor: z
      .strictObject({ email: text(320).nullable().optional(), objectId: text(200).nullable().optional() })
      .nullable()
      .optional(),
    blueprint: text(200).nullable().optional(),
    parentDid: did.nullable().optional(),
    delegation: delegationInput.nullable().optional(),
    labels: z.record(text(63), z.string().max(256).nullable()).nullable().optional(),
    capabilities: z.array(capability).max(1000).nullable().optional(),
    principals: z.array(principalBody).max(100).nullable().optional(),
    ...keyPatch,
  })
  .meta({
    id: 'AgentPatch',
    description: 'RFC 7396: null removes, lists are replaced whole',
    examples: [{ labels: { unit: 'payments' }, blueprint: null }],
  })

const principalSchema = z.object({
  adapter: z.string(),
  id: z.string(),
  kind: z.string(),
  appId: z.string().nullable(),
  scopes: z.array(z.string()),
  shared: z.boolean().describe('Switched off only while every agent that shares it is held'),
  proven: provenSchema,
  account: z.object({
    desired: z.enum(['enabled', 'disabled']),
    observed: z.string().describe('enabled, disabled, absent or unknown'),
    observedAt: time.nullable(),
    mark: z.enum(['none', 'claimed', 'ours', 'lifted']).describe('Our claim on the switch; only `ours` lets us enable'),
    switches: z.array(z.object({ name: z.string(), state: z.enum(['on', 'off', 'unknown']), ours: z.boolean() })),
    contested: z.boolean(),
    overridden: z.boolean(),
    lastError: z.string().nullable(),
  }),
})

const trustSchema = z.object({
  score: z.number().describe('The lowest of the reports, on 0–1000'),
  reports: z
    .array(
      z.object({
        client: z.string(),
        score: z.number().describe('On its scale'),
        scale: z.enum(trustScales),
        at: time,
        settled: z.boolean().describe('Two operators ended the hold since: it keeps none open'),
      }),
    )
    .describe('The latest of each client'),
})

export const agentSchema = z
  .object({
    did: z.string(),
    name: z.string(),
    status: z.enum(['active', 'suspended', 'decommissioned']),
    severity: severity.nullable().describe('The gravest of its open holds'),
    sponsor: z.object({ email: z.string().optional(), objectId: z.string().optional() }).nullable(),
    blueprint: z.string().nullable(),
    parentDid: z.string().nullable(),
    delegation: delegationSchema.nullable().describe('What its parent granted it'),
    depth: count.describe('Hops from its root'),
    labels: z.record(z.string(), z.string()),
    capabilities: z.array(
      z.object({ name: z.string(), sources: z.array(z.object({ source: z.string(), confirmedAt: time })) }),
    ),
    effective: z.array(z.string()).describe('Capabilities after narrowing by every ancestor'),
    principals: z.array(principalSchema),
    ...keySchemas,
    holds: z.array(holdSchema).describe('The open ones'),
    trust: trustSchema.nullable().describe('What runtimes reported; null: nothing'),
    lastActivity: time.nullable(),
    createdAt: time,
    updatedAt: time,
    revision: count.describe('The ETag; send it as If-Match'),
  })
  .meta({
    id: 'Agent',
    examples: [
      {
        did: exampleDid,
        name: 'data-analyst-agent',
        status: 'active',
        severity: null,
        sponsor: { email: 'alice@contoso.com' },
        blueprint: 'Data Analyst Agent',
        parentDid: null,
        delegation: null,
        depth: 0,
        labels: { unit: 'payments' },
        capabilities: [
          { name: 'read:reports', sources: [{ source: 'manual', confirmedAt: '2026-11-21T09:00:00.000Z' }] },
        ],
        effective: ['read:reports'],
        principals: [],
        keys: [],
        aliases: [],
        holds: [],
        trust: null,
        lastActivity: null,
        createdAt: '2026-11-21T09:00:00.000Z',
        updatedAt: '2026-11-21T09:00:00.000Z',
        revision: 1,
      },
    ],
  })

export const sharedSchema = z
  .object({ adapter: z.string(), id: z.string(), shared: z.literal(true), agents: z.array(agentSchema) })
  .meta({ id: 'SharedPrincipal', description: 'Nothing says which of the agents acts through a shared account' })

export const agentQuery = z.strictObject({
  status: z.enum(['active', 'suspended', 'decommissioned']).optional(),
  sponsor: text(320).optional().describe('E-mail address or object id'),
  blueprint: text(200).optional(),
  adapter: text(64).optional(),
  label: text(320).optional().describe('name=value'),
  q: text(200).optional().describe('Part of the DID or name, whatever the case'),
  cursor: text(2048).optional().describe('nextCursor of the page before'),
  limit,
})

/** What is left to say of a DID that a kill named and nobody registered. */
export const unknownAgentSchema = z
  .object({ did: z.string(), known: z.literal(false) })
  .meta({ id: 'UnregisteredAgent', description: 'The DID is not registered' })
