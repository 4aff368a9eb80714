import { z } from 'zod'
import { cron, duration, oneOrMany, says, text } from '../lib/fields.ts'

/** `action:resource[:qualifier]`. */
export const capability = z
  .string()
  .regex(
    /^[^\s:]+:[^\s:]+(:[^\s:]+)?$/,
    says('is not a capability', 'write action:resource or action:resource:qualifier, such as read:reports'),
  )
  .meta({ examples: ['read:reports'] })

const ids = z.array(text)

/** The capabilities that a group gives. */
export const groupCapabilities = z
  .array(capability)
  .min(1, says('gives no capability', 'list at least one, such as read:reports'))

/** The shape of `tokens`: who the tokens of this directory must be meant for. */
export const tokens = z.strictObject({
  audiences: z.array(text).min(1, says('is an empty list', 'name at least one audience, such as api://agents')),
})

/** What every directory is asked, whatever its kind. A kind extends this object and narrows what it knows better. */
export const adapterBase = z.strictObject({
  kind: z.string(),
  mirror: z
    .enum(['both', 'inbound', 'outbound', 'observe'])
    .prefault('both')
    .describe('inbound: only read the directory; outbound: only write it; observe: report what would be written'),
  manage: z
    .strictObject({ kinds: oneOrMany(text).optional(), groups: ids.prefault([]) })
    .prefault({})
    .describe('The accounts the bridge may register and write; anything else is refused'),
  never: ids.prefault([]).describe('Ids of accounts that the bridge must never map, disable or mirror'),
  settle: duration({ maxMs: 3_600_000 })
    .prefault('5m')
    .describe('How long the directory may answer with old state after a write'),
  follows: text
    .optional()
    .describe('The adapter whose directory provisions this one: switches copied from it are echoes'),
  followWithin: duration({ minMs: 60_000, maxMs: 604_800_000 })
    .prefault('1h')
    .describe('How long provisioning may take to bring a change here'),
  trustedWriters: ids
    .prefault([])
    .describe('Ids of services whose changes are not attributed to a person, as the log of the directory names them'),
  tokens: tokens.optional().describe('Without it no token of this directory is accepted'),
  groups: z.record(text, groupCapabilities).prefault({}).describe('Immutable group id → capabilities'),
  sync: z
    .strictObject({
      accounts: cron.prefault('*/30 * * * * *').describe('Read account changes'),
      groups: cron.prefault('*/5 * * * *').describe('Read the members of mapped groups'),
      full: cron.prefault('0 3 * * *').describe('Read everything'),
    })
    .prefault({}),
})

/** What the bridge itself may rely on in any adapter's configuration. Durations are milliseconds. */
export type AdapterBase = z.output<typeof adapterBase>
