import { z } from 'zod'
import { errorTable } from '../core/errors.ts'
import type { Subscription } from '../core/tending.ts'
import { timeOrNull } from './views.ts'

const nullableTime = z.string().meta({ format: 'date-time' }).nullable()

/** How a directory tells of changes by itself, in the status. */
export const subscriptionSchema = z.object({
  resource: z.string(),
  state: z
    .enum(['active', 'pending', 'degraded'])
    .describe('pending: not looked at yet; degraded: there is none, or it is not renewed, and `error` says why'),
  expiresAt: nullableTime,
  notifiedAt: nullableTime.describe('When this process last heard something through it'),
  error: z
    .object({
      code: z.string().meta({ examples: Object.keys(errorTable).filter((code) => code === 'E_HOOK_UNREACHABLE') }),
      text: z.string(),
      mend: z.string().nullable(),
    })
    .nullable(),
})

export const subscriptionBody = ({
  error,
  expiresAt,
  notifiedAt,
  resource,
}: Subscription): z.output<typeof subscriptionSchema> => ({
  resource,
  state: error !== undefined ? 'degraded' : expiresAt === undefined ? 'pending' : 'active',
  expiresAt: timeOrNull(expiresAt),
  notifiedAt: timeOrNull(notifiedAt),
  error: error === undefined ? null : { code: error.code, text: error.message, mend: error.hint ?? null },
})
