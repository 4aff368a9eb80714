import { z } from 'zod'
import { credential } from '../adapters/entra/config.ts'
import { outletBase } from '../src/config/outlet.ts'
import { guid, httpsOrigin, httpsUrl, secret } from '../src/lib/fields.ts'

const key = z
  .strictObject({ auth: z.literal('key'), key: secret({ min: 16 }).describe('Access key of the topic') })
  .describe('By an access key')

const entra = z
  .strictObject({
    auth: z.literal('entra'),
    tenantId: guid.describe('Directory (tenant) id'),
    cloud: z.enum(['public', 'usgov', 'usgovdod', 'china']).prefault('public'),
    authority: httpsOrigin.optional().describe('Overrides that of the cloud'),
    audience: httpsOrigin.prefault('https://eventgrid.azure.net').describe('What tokens are asked for'),
    credential,
  })
  .describe('By a token; the identity needs the role EventGrid Data Sender on the topic')

/** An Event Grid custom topic whose input schema is CloudEvents v1.0. */
export const eventGridConfig = outletBase.extend({
  endpoint: httpsUrl.describe('Of the topic: https://{topic}.{region}-1.eventgrid.azure.net/api/events'),
  access: z.discriminatedUnion('auth', [key, entra]).describe('How the bridge proves itself to the topic'),
})

export type EventGridConfig = z.output<typeof eventGridConfig>
