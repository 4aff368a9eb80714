import { z } from 'zod'

/** The shapes of the API: bodies and queries are checked by them, answers are typed by them, `/openapi.json` is made of them. */

export const exampleDid = 'did:agentmesh:a7f3b2c1'
const exampleHold = '01JD8Q6Z0V4W2N9K3M5T7R1YBC'
const time = z.string().meta({ format: 'date-time', description: 'RFC 3339, UTC, milliseconds' })
const text = (max: number) => z.string().min(1).max(max)
const count = z.int().min(0)

/** Opaque; the engine says what a DID is. */
export const did = text(512).describe('did:agentmesh:… or did:mesh:…, exactly as the runtime emits it')
export const reason = text(2000).describe('For operators')

export const agentPath = z.strictObject({ did })
export const holdPath = z.strictObject({ did, holdId: text(200) })
export const releasePath = z.strictObject({ releaseId: text(200) })
export const adapterPath = z.strictObject({ adapter: text(64) })
export const limit = z.coerce.number().int().min(1).max(1000).default(100).describe('At most this many items')
export const noBody = z.strictObject({}).nullable().describe('None, or an empty object')

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
  appId: text(200).optional(),
  scopes: scopes.optional(),
  shared: z
    .boolean()
    .optional()
    .describe('Several agents use the account; each of them registers it with shared: true'),
})

const agentMembers = {
  name: text(200),
  sponsor: sponsor.nullable().optional().describe('The human answerable for the agent'),
  blueprint: text(200).nullable().optional(),
  parentDid: did.nullable().optional(),
  labels: labels.optional(),
  capabilities: z.array(capability).max(1000).optional().describe('Those of source `manual`'),
  principals: z.array(principalBody).max(100).optional(),
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
    labels: z.record(text(63), z.string().max(256).nullable()).nullable().optional(),
    capabilities: z.array(capability).max(1000).nullable().optional(),
    principals: z.array(principalBody).max(100).nullable().optional(),
  })
  .meta({
    id: 'AgentPatch',
    description: 'RFC 7396: null removes, lists are replaced whole',
    examples: [{ labels: { unit: 'payments' }, blueprint: null }],
  })

export const severity = z.enum(['suspend', 'kill', 'disable', 'decommission'])

export const holdSchema = z
  .object({
    id: z.string(),
    did: z.string(),
    origin: z.string().describe('runtime:…, adapter:…/…, operator:…, cascade:… or policy:…'),
    severity,
    publicReason: z.string().nullable().describe('What gateways and agents may see'),
    placedAt: time,
    releasedAt: time.nullable(),
    releasableAt: time.nullable().describe('Set when the release waits for a person'),
    guarded: z.boolean().describe('Denies, but is not mirrored until the guard is approved'),
    receipt: z.string().describe('Where its receipt is read'),
    reason: z.string().optional().describe('Only for callers that may read'),
    actor: z.string().optional().describe('Only for callers that may read'),
    onBehalfOf: z.string().nullable().optional().describe('Only for callers that may read'),
    evidence: z.record(z.string(), z.unknown()).optional().describe('Only for callers that may read'),
  })
  .meta({
    id: 'Hold',
    examples: [
      {
        id: exampleHold,
        did: exampleDid,
        origin: 'operator:soc',
        severity: 'suspend',
        publicReason: 'under investigation',
        placedAt: '2026-11-21T10:00:00.000Z',
        releasedAt: null,
        releasableAt: null,
        guarded: false,
        receipt: `/v1/agents/${encodeURIComponent(exampleDid)}/receipts/${exampleHold}`,
        reason: 'case 4711',
        actor: 'soc',
        onBehalfOf: 'soc@contoso.com',
        evidence: {},
      },
    ],
  })

const principalSchema = z.object({
  adapter: z.string(),
  id: z.string(),
  kind: z.string(),
  appId: z.string().nullable(),
  scopes: z.array(z.string()),
  shared: z.boolean().describe('Switched off only while every agent that shares it is held'),
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

export const agentSchema = z
  .object({
    did: z.string(),
    name: z.string(),
    status: z.enum(['active', 'suspended', 'decommissioned']),
    severity: severity.nullable().describe('The gravest of its open holds'),
    sponsor: z.object({ email: z.string().optional(), objectId: z.string().optional() }).nullable(),
    blueprint: z.string().nullable(),
    parentDid: z.string().nullable(),
    labels: z.record(z.string(), z.string()),
    capabilities: z.array(
      z.object({ name: z.string(), sources: z.array(z.object({ source: z.string(), confirmedAt: time })) }),
    ),
    effective: z.array(z.string()).describe('Capabilities after narrowing by every ancestor'),
    principals: z.array(principalSchema),
    holds: z.array(holdSchema).describe('The open ones'),
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
        labels: { unit: 'payments' },
        capabilities: [
          { name: 'read:reports', sources: [{ source: 'manual', confirmedAt: '2026-11-21T09:00:00.000Z' }] },
        ],
        effective: ['read:reports'],
        principals: [],
        holds: [],
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

export const page = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), nextCursor: z.string().nullable().describe('Null on the last page') })

export const agentQuery = z.strictObject({
  status: z.enum(['active', 'suspended', 'decommissioned']).optional(),
  sponsor: text(320).optional().describe('E-mail address or object id'),
  adapter: text(64).optional(),
  label: text(320).optional().describe('name=value'),
  q: text(200).optional().describe('Part of the DID or name, whatever the case'),
  cursor: text(2048).optional().describe('nextCursor of the page before'),
  limit,
})

export const placement = z
  .strictObject({
    severity: z
      .enum(['suspend', 'kill', 'disable'])
      .describe('A runtime may only suspend here; its kills go to /v1/kill'),
    reason,
    publicReason: text(500).optional().describe('What gateways and agents may see'),
    onBehalfOf: text(320).optional().describe('Recorded as asserted; authorises nothing'),
  })
  .meta({
    id: 'HoldPlacement',
    examples: [{ severity: 'suspend', reason: 'case 4711', publicReason: 'under investigation' }],
  })

export const because = z.strictObject({ reason }).meta({ id: 'Because', examples: [{ reason: 'cleared by soc' }] })

export const awaitingSchema = z
  .object({
    releaseId: z.string(),
    status: z.enum(['awaiting', 'done', 'void']),
    holdId: z.string(),
    did: z.string(),
    kind: z.enum(['release', 'override', 'approve']),
    requestedBy: z.string(),
    requestedAt: time,
  })
  .meta({ id: 'Release', description: 'Waits for a second person: POST /v1/releases/{releaseId}/approve' })

/** What is left to say of a DID that a kill named and nobody registered. */
export const unknownAgentSchema = z
  .object({ did: z.string(), known: z.literal(false) })
  .meta({ id: 'UnregisteredAgent', description: 'The DID is not registered' })
