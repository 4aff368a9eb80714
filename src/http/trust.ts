import type { FastifySchemaCompiler } from 'fastify'
import { z } from 'zod'
import { isOnScale, trustScales } from '../core/trust.ts'
import type { Keep } from '../engine/keeping.ts'
import { maxScores, type TrustAnswer, type TrustInput, trustStatuses } from '../engine/trustapi.ts'
import { callerOf } from './auth.ts'
import { type App, answers, type Context } from './context.ts'
import { respond } from './idempotency.ts'
import { isMembers } from './killbody.ts'
import { did, exampleDid, exampleHold } from './shapes.ts'
import { invalid, validatorCompiler } from './validation.ts'

const names = ['did', 'agentId', 'agent_did', 'AgentId'] as const

const item = z
  .strictObject({
    did: did.optional(),
    agentId: did.optional(),
    agent_did: did.optional(),
    AgentId: did.optional(),
    score: z.number().describe('On 0-1000 an integer'),
    scale: z.enum(trustScales).describe('Never guessed from the number'),
    at: z.iso.datetime({ offset: true }).optional().describe('When it was measured; now, if left out'),
  })
  .superRefine((given, context) => {
    const fault = (path: string, code: string) => context.addIssue({ code: 'custom', path: [path], params: { code } })
    const [first, second] = names.filter((name) => given[name] !== undefined)
    if (first === undefined) fault('did', 'required')
    if (second !== undefined) fault(second, 'conflict')
    if (!isOnScale(given.score, given.scale)) fault('score', 'off_scale')
  })
  .meta({
    id: 'TrustScore',
    description: 'The agent is named by one of `did`, `agentId`, `agent_did` and `AgentId`',
    examples: [{ did: exampleDid, score: 720, scale: '0-1000', at: '2026-11-21T10:00:00Z' }],
  })
const batch = z.strictObject({ items: z.array(item).min(1).max(maxScores) }).meta({ id: 'TrustScores' })

type Item = z.output<typeof item>

const result = z
  .object({
    items: z
      .array(
        z.object({
          did: z.string(),
          status: z.enum(trustStatuses).describe('Only with ok was the score recorded'),
          score: z.number().nullable().describe('The latest of this client, on 0–1000'),
          hold: z.string().nullable().describe('The open hold for the score, whoever reported it'),
        }),
      )
      .describe('In the order sent'),
  })
  .meta({
    id: 'TrustRecorded',
    examples: [{ items: [{ did: exampleDid, status: 'ok', score: 120, hold: exampleHold }] }],
  })

/** A batch and a single score are told apart first, so that faults are named where they stand. Only the body has a schema. */
const eitherCompiler: FastifySchemaCompiler<unknown> =
  ({ schema: _either, ...route }) =>
  (body: unknown) => {
    const schema = isMembers(body) && 'items' in body ? batch : item
    return validatorCompiler({ ...route, schema })(body)
  }

const skewMs = 60_000

const inputsOf = (body: z.output<typeof batch> | Item, now: number): TrustInput[] => {
  const items = 'items' in body ? body.items : [body]
  return items.map((one, index) => {
    const at = one.at === undefined ? undefined : Date.parse(one.at)
    if (at !== undefined && at > now + skewMs) {
      const pointer = 'items' in body ? `/items/${index}/at` : '/at'
      throw invalid('body', [{ pointer, code: 'in_future' }], 'Set the clock of the runtime.')
    }
    return { did: didOf(one), score: one.score, scale: one.scale, at }
  })
}

const didOf = (one: Item): string => one.did ?? one.agentId ?? one.agent_did ?? one.AgentId ?? ''

const bodyOf = (list: readonly TrustAnswer[]): z.output<typeof result> => ({
  items: list.map(({ did, status, score, hold }) => ({ did, status, score: score ?? null, hold: hold ?? null })),
})

/** Takes the trust scores that AGT's runtimes keep. */
export const trustRoutes = (app: App, { bridge, once, clock }: Context): void => {
  app.route({
    method: 'POST',
    url: '/v1/trust',
    config: { access: ['runtime'], lane: 'stops', errors: ['E_DID', 'E_BUDGET'] },
    validatorCompiler: eitherCompiler,
    schema: {
      operationId: 'reportTrust',
      summary: 'Report trust scores of agents',
      description: 'What they lead to, policy.trust says. Answered once recorded.',
      tags: ['holds'],
      body: z.union([item, batch]),
      response: { 200: answers('What became of each', result) },
    },
    handler: async (request, reply) => {
      const items = inputsOf(request.body, clock.now())
      const caller = callerOf(request)
      const answer = await once(request, {
        run: async (keep: Keep<readonly TrustAnswer[]> | undefined) => {
          return { status: 200, body: bodyOf(await bridge.reportTrust(items, caller, keep)) }
        },
        kept: () => ({ status: 200, ref: '' }),
        repeat: async (_ref, status) => ({ status, body: bodyOf(await bridge.trustNow(items, caller)) }),
      })
      return respond(reply, answer)
    },
  })
}
