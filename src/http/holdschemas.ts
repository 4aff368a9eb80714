import { z } from 'zod'
import { exampleDid, exampleHold, reason, text, time } from './shapes.ts'

/** The shapes of holds and releases. */

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
