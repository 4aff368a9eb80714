import { z } from 'zod'
import { httpsUrl, says, secret, text } from '../lib/fields.ts'

const headerName = z
  .string()
  .regex(
    /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/,
    says('is not the name of a header', 'write it as the collector asks for it'),
  )
  .refine(
    (name) => name.toLowerCase() !== 'content-type',
    says('is set by the bridge', 'leave it out: spans are sent as application/json'),
  )

/** Where spans go, and how many. */
export const telemetry = z.strictObject({
  traces: z.strictObject({
    endpoint: httpsUrl
      .describe('Where the collector takes OTLP over HTTP, with its path')
      .meta({ examples: ['https://collector.example.com/v1/traces'] }),
    headers: z.record(headerName, secret()).prefault({}).describe('Sent with each request, such as authorization'),
    sampleRatio: z
      .number()
      .min(0, says('is not a share', 'write a number from 0 to 1'))
      .max(1, says('is not a share', 'write a number from 0 to 1'))
      .prefault(1)
      .describe('The share of traces that is recorded'),
    serviceName: text.prefault('idp-bridge'),
  }),
})
