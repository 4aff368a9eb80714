import { z } from 'zod'
import type { ReplicaPage } from '../engine/replicaapi.ts'
import { type App, answers, type Context } from './context.ts'
import { answerOnce } from './faces.ts'
import { replicaPage } from './replicashapes.ts'
import { did, exampleDid } from './shapes.ts'

const tags = ['decisions']

const items = replicaPage.meta({
  id: 'ReplicaPage',
  examples: [
    {
      generation: '96f05d75ca44',
      items: [
        {
          did: exampleDid,
          seq: 41,
          agent: { blueprint: null, parentDid: null, decommissioned: false, resumedAt: null },
          delegation: null,
          holds: [],
          accounts: [],
          aliases: [],
          capabilities: [{ name: 'read:reports', source: 'manual', confirmedAt: '2026-11-21T10:00:00.000Z' }],
        },
      ],
      nextCursor: null,
    },
  ],
})

const body = ({ generation, items, nextCursor }: ReplicaPage) => ({ generation, items, nextCursor })

/** What the library that decides in its own process reads at first, and when what it has grows old. */
export const replicaRoutes = (app: App, context: Context): void => {
  const { bridge } = context
  app.route({
    method: 'GET',
    url: '/v1/replica',
    config: { access: ['gateway'] },
    schema: {
      operationId: 'listReplica',
      summary: 'What decisions read, page by page',
      description:
        'Registered and held DIDs in byte order. What changes meanwhile comes by `GET /v1/signals?replica=true`.',
      tags,
      querystring: z.strictObject({
        cursor: did.optional().describe('nextCursor of the page before'),
        limit: z.coerce.number().int().min(1).max(1000).default(500).describe('At most this many items'),
      }),
      response: { 200: answers('A page of DIDs', items) },
    },
    handler: async ({ query }) => body(await bridge.replicaPage(query.cursor, query.limit)),
  })

  app.route({
    method: 'POST',
    url: '/v1/replica',
    config: { access: ['gateway'], errors: ['E_DID'] },
    schema: {
      operationId: 'readReplica',
      summary: 'The same of some DIDs, as it is now',
      tags,
      body: z.strictObject({ dids: z.array(did).min(1).max(500) }).meta({
        id: 'ReplicaQuestion',
        examples: [{ dids: [exampleDid] }],
      }),
      response: { 200: answers('One item for each DID, in no order', items) },
    },
    handler: async (request) =>
      answerOnce(context, request, async () => body(await bridge.replicaItems(request.body.dids))),
  })
}
