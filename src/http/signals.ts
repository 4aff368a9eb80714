import { z } from 'zod'
import { BridgeError } from '../core/errors.ts'
import { callerOf, entitlement, hasRole } from './auth.ts'
import type { App, Context } from './context.ts'
import { failure } from './problem.ts'
import { exampleDid, noBody } from './shapes.ts'

const tags = ['signals']
const eventId = z.string().min(1).max(200)

const signal = z
  .object({
    seq: z.int(),
    type: z.enum(['suspended', 'resumed', 'capabilities']),
    did: z.string(),
    aliases: z.array(z.string()).optional().describe('Other spellings of the DID; left out when there are none'),
    holdId: z.string().optional(),
    at: z.string().meta({ format: 'date-time' }),
    severity: z.string().optional(),
    origin: z.string().optional(),
    reason: z.string().optional(),
    capabilities: z.array(z.string()).optional(),
  })
  .meta({
    id: 'Signal',
    description: 'The data of one event',
    examples: [
      {
        seq: 41,
        type: 'suspended',
        did: exampleDid,
        holdId: '01JD8Q6Z0V4W2N9K3M5T7R1YBC',
        at: '2026-11-21T10:00:00.000Z',
        severity: 'kill',
        origin: 'runtime:agt-1',
      },
    ],
  })

/** The stream that tells runtimes whom to stop, and their acknowledgements (DESIGN §7). */
export const signalRoutes = (app: App, { bridge, door, streams }: Context): void => {
  app.route({
    method: 'GET',
    url: '/v1/signals',
    exposeHeadRoute: false,
    config: { access: ['runtime', 'gateway'], lane: 'stops', errors: ['E_BUDGET'] },
    schema: {
      operationId: 'streamSignals',
      summary: 'Server-sent events: whom to stop, whom to let go on',
      description:
        'Events `suspended`, `resumed` and `capabilities`. Without an id, or with one past retention, first comes ' +
        '`snapshot`: all held DIDs. After a usable id, `current` comes once everything since was told. ' +
        'A comment every 15 s tells that the stream lives. With `replica`, for the role gateway: `settings`, `changed` and ' +
        '`current`, all that a replica of what decisions read needs.',
      tags,
      headers: z.object({ 'last-event-id': eventId.optional().describe('Resume after this event') }),
      querystring: z.strictObject({
        lastEventId: eventId.optional().describe('The same, for clients that cannot set a header'),
        replica: z.literal('true').optional().describe('Changes of all that decisions read; another sequence of ids'),
      }),
      response: {
        200: { description: 'Never ends by itself', content: { 'text/event-stream': { schema: signal } } },
      },
    },
    handler: async (request, reply) => {
      const caller = callerOf(request)
      const lastEventId = request.headers['last-event-id'] ?? request.query.lastEventId
      const isReplica = request.query.replica !== undefined
      const role = isReplica ? 'gateway' : 'runtime'
      if (!hasRole(request, role)) {
        throw new BridgeError('E_FORBIDDEN', `The client ${caller.name} has no role for this stream.`, {
          hint: `Give it the role ${role}, or ask ${isReplica ? 'without' : 'with'} replica=true.`,
        })
      }
      try {
        const entitled = entitlement(request, door)
        await streams.run(reply, caller.name, entitled, (ended) =>
          isReplica ? bridge.replicaSignals(lastEventId, ended) : bridge.signals(caller, lastEventId, ended),
        )
      } catch (error) {
        if (!reply.raw.headersSent) throw error
        // The answer has begun: all that can be said is to end it. The client reconnects.
        request.log.warn({ err: failure(error) }, 'signal stream failed')
      }
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/signals/:seq/ack',
    config: { access: ['runtime'], lane: 'stops', errors: ['E_NOT_FOUND'] },
    schema: {
      operationId: 'ackSignal',
      summary: 'Tell that a signal was acted on',
      description: 'Repeating it changes nothing.',
      tags,
      params: z.strictObject({ seq: z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER) }),
      body: noBody,
      response: { 204: z.undefined().describe('Recorded') },
    },
    handler: async (request, reply) => {
      await bridge.ack(request.params.seq, callerOf(request))
      reply.code(204)
    },
  })
}
