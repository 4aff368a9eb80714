import { z } from 'zod'
import type { DiscoverPage } from '../engine/discoverapi.ts'
import { whileAsked } from './asking.ts'
import { type App, answers, type Context } from './context.ts'
import { adapterPath, count, page, text } from './shapes.ts'

const kind = z.string().describe('As registrations name it')
const appId = z.string().nullable()

const unmapped = z
  .object({
    finding: z.literal('unmapped'),
    id: z.string(),
    kind,
    name: z.string().describe('As the directory shows it'),
    appId,
    state: z.enum(['enabled', 'disabled', 'unknown']).describe('As far as the listing alone tells'),
    isAgent: z.boolean().describe('The directory, or what the adapter manages, says that it is an agent’s'),
    suggested: z
      .object({ did: z.string(), by: z.enum(['label', 'naming']) })
      .nullable()
      .describe('A DID that a label in the directory or the configured naming speaks of: to be confirmed by a person'),
    replaces: z
      .array(z.object({ did: z.string(), id: z.string() }))
      .describe('Mapped accounts that are gone and had its name or application: it is another account all the same'),
  })
  .meta({ id: 'UnmappedAccount', description: 'An account that no DID maps' })

const gone = z
  .object({
    finding: z.literal('gone'),
    did: z.string(),
    name: z.string().describe('Of the agent'),
    id: z.string(),
    kind,
    appId,
  })
  .meta({
    id: 'GoneAccount',
    description: 'A mapped account that is not there any more: a read by id just now said so',
  })

const result = page(z.discriminatedUnion('finding', [unmapped, gone]))
  .extend({
    looked: count.describe('Accounts listed, or read by id, for this page'),
    passedOver: count.describe('Of those, unmapped ones that nothing says to be an agent’s: all=true lists them'),
    unread: count.describe('Mapped accounts that could not be read: whether they are there is not known'),
  })
  .meta({
    id: 'Discovered',
    examples: [
      {
        items: [
          {
            finding: 'unmapped',
            id: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee',
            kind: 'agentIdentity',
            name: 'market-scout-agent',
            appId: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee',
            state: 'enabled',
            isAgent: true,
            suggested: null,
            replaces: [],
          },
        ],
        nextCursor: null,
        looked: 100,
        passedOver: 3,
        unread: 0,
      },
    ],
  })

const body = ({ items, ...rest }: DiscoverPage): z.input<typeof result> => ({
  ...rest,
  items: items.map((one) =>
    one.finding === 'gone'
      ? { ...one, appId: one.appId ?? null }
      : { ...one, appId: one.appId ?? null, suggested: one.suggested ?? null, replaces: [...one.replaces] },
  ),
})

const flag = z.enum(['true', 'false']).default('false')

/** What is in a directory and in no registration, and the other way round. */
export const discoverRoutes = (app: App, { bridge }: Context): void => {
  const asked = whileAsked(app)
  app.route({
    method: 'GET',
    url: '/v1/discover/:adapter',
    config: {
      access: ['reader'],
      errors: [
        'E_NOT_FOUND',
        'E_NOT_IMPLEMENTED',
        'E_DIRECTORY_AUTH',
        'E_DIRECTORY_FORBIDDEN',
        'E_DIRECTORY_THROTTLED',
        'E_DIRECTORY_DOWN',
        'E_DIRECTORY_ANSWER',
        'E_DIRECTORY_REFUSED',
        'E_ABORTED',
      ],
    },
    schema: {
      operationId: 'discover',
      summary: 'List accounts of a directory that no DID maps, and mapped ones that are gone',
      description:
        'Each page takes a few calls to the directory; pages may be empty and not the last, and an account may be on several. Nothing is told of a page that could not be read whole. An account is gone only by a read of it by its id.',
      tags: ['agents'],
      params: adapterPath,
      querystring: z.strictObject({
        only: z.enum(['unmapped', 'gone']).optional().describe('Both when left out'),
        all: flag.describe('Also accounts that nothing says to be an agent’s'),
        cursor: text(12_000).optional().describe('nextCursor of the page before, with the same filters'),
      }),
      response: { 200: answers('One page', result) },
    },
    handler: async ({ params, query }, reply) => {
      const { all, cursor, only } = query
      return body(await bridge.discover(params.adapter, { only, all: all === 'true', cursor }, asked(reply)))
    },
  })
}
