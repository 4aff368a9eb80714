import { z } from 'zod'
import type { KillResult } from '../engine/api.ts'
import type { Keep } from '../engine/keeping.ts'
import { callerOf } from './auth.ts'
import { type App, answers, type Context } from './context.ts'
import { stillOpen } from './holds.ts'
import { respond } from './idempotency.ts'
import { parseKill } from './killbody.ts'
import { killingMany, killPageSchema, killProgressRoute, parseKillMany, previewSchema } from './killmany.ts'
import { exampleDid } from './shapes.ts'
import { receiptPath } from './views.ts'

const killBody = z
  .looseObject({
    agentId: z.unknown().describe('The DID; also as agentDid, AgentId, agent_did, agent_id, did, agent or scope'),
    reason: z.unknown().describe('Any vocabulary; also as Reason, details, detail or message'),
    action: z.unknown().describe('What the agent was doing'),
    killedAt: z.unknown().describe('RFC 3339; also as timestamp, Timestamp or timestamp_secs'),
    agentIds: z
      .unknown()
      .describe('Instead of agentId: up to 10,000 DIDs, held all or none; also as agent_ids or AgentIds'),
    selector: z
      .unknown()
      .describe('Instead of agentId: { sponsor, blueprint, parent, adapter }; all given must match. Not for runtimes'),
    dryRun: z.unknown().describe('With agentIds or selector: true answers whom it would hold, and holds nobody'),
    inResponseTo: z.unknown().describe('A hold of ours that this kill answers: acknowledges it and places none'),
  })
  .partial()
  .meta({
    id: 'Kill',
    description:
      'The kill result of any AGT SDK, as it is. Members not known here are kept with the hold, up to 8 KiB.',
    examples: [
      { agentId: exampleDid, reason: 'policy violation', action: 'exfiltrate', killedAt: '2026-11-21T10:00:00Z' },
      {
        kill_id: 'kill:1f2e3d4c',
        agent_did: exampleDid,
        session_id: 's-1',
        reason: 'ring_breach',
        timestamp: '2026-11-21T10:00:00+00:00',
        handoffs: [],
        terminated: true,
        details: '',
      },
      { selector: { sponsor: 'alice@contoso.com' }, reason: 'sponsor left', dryRun: true },
      { AgentId: exampleDid, Reason: 'PolicyViolation', Detail: 'egress', Timestamp: '2026-11-21T10:00:00+00:00' },
      {
        scope: { kind: 'agent', value: exampleDid },
        event: { active: true, reason: 'security_incident', message: 'egress', timestamp: '2026-11-21T10:00:00Z' },
      },
    ],
  })

const killed = z
  .object({
    did: z.string(),
    holdId: z.string(),
    status: z.enum(['suspended', 'acknowledged']),
    known: z.boolean().describe('False: not registered yet; the hold applies at registration'),
    receipt: z.string().describe('Where the receipt of the hold is read'),
  })
  .meta({ id: 'Killed' })

/** Takes what a runtime's kill switch reports (DESIGN §3 rules 13 and 14, §7). */
export const killRoutes = (app: App, context: Context): void => {
  const { bridge, once } = context
  killProgressRoute(app, context)
  app.route({
    method: 'POST',
    url: '/v1/kill',
    // A reason cut in the middle of a character must not keep an agent alive.
    config: {
      access: ['runtime', 'responder'],
      mendText: true,
      lane: 'stops',
      errors: ['E_DID', 'E_BUDGET', 'E_AGENT_UNKNOWN', 'E_ADAPTER_UNKNOWN', 'E_IDEMPOTENCY_RELEASED'],
    },
    schema: {
      operationId: 'kill',
      summary: 'Report a kill: stops the agent, or many, everywhere',
      description: 'Answered once every hold is durable; from then on every decision for these agents is deny.',
      tags: ['holds'],
      body: killBody,
      response: {
        200: answers('Dry run: whom it would hold', previewSchema),
        202: answers('Every hold is durable', z.union([killed, killPageSchema])),
      },
    },
    handler: async (request, reply) => {
      const many = parseKillMany(request.body)
      if (many !== undefined) return respond(reply, await once(request, killingMany(bridge, many, request)))
      const bodyOf = ({ did, holdId, status, known }: KillResult) => {
        return { did, holdId, status, known, receipt: receiptPath(did, holdId) }
      }
      const answer = await once(request, {
        run: async (keep: Keep<KillResult> | undefined) => {
          return { status: 202, body: bodyOf(await bridge.kill(parseKill(request.body), callerOf(request), keep)) }
        },
        kept: (result) => ({ status: 202, ref: JSON.stringify(bodyOf(result)) }),
        repeat: async (ref, status) => {
          const body = killed.parse(JSON.parse(ref))
          // One that acknowledged placed no hold, and has none that could have been released.
          if (body.status === 'suspended') await stillOpen(bridge, body.holdId)
          return { status, body }
        },
      })
      return respond(reply, answer)
    },
  })
}
