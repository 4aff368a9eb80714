import { z } from 'zod'

/** Ids are compared in lower case everywhere: Graph itself does not care. */
export const objectId = z
  .string()
  .regex(/^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/)
  .transform((id) => id.toLowerCase())

const removed = { '@removed': z.object({ reason: z.string() }).optional() }

/**
 * A service principal of any type, a user, or a row of their feeds. Absent and null differ: a delta row has only what
 * changed, and an object that may not be read has nulls.
 */
export const row = z.object({
  id: objectId,
  '@odata.type': z.string().optional(),
  displayName: z.string().nullish(),
  appId: objectId.nullish(),
  accountEnabled: z.boolean().nullish(),
  isDisabled: z.boolean().nullish(),
  disabledByMicrosoftStatus: z.string().nullish(),
  servicePrincipalType: z.string().nullish(),
  agentIdentityBlueprintId: objectId.nullish(),
  identityParentId: objectId.nullish(),
  tags: z.array(z.string()).nullish(),
  appOwnerOrganizationId: z.string().nullish(),
  ...removed,
})
export type Row = z.output<typeof row>

/** One page of a list or a delta round. */
export const pageOf = <T extends z.ZodType>(item: T) =>
  z.object({
    value: z.array(item),
    '@odata.nextLink': z.string().min(1).optional(),
    '@odata.deltaLink': z.string().min(1).optional(),
  })

/** A Conditional Access policy, as far as it is told whether it is there and on. */
export const policy = z.object({ id: objectId, displayName: z.string().nullish(), state: z.string() })

export const batchAnswer = z.object({
  responses: z.array(
    z.object({
      id: z.string(),
      status: z.int().min(100).max(599),
      headers: z.record(z.string(), z.string()).nullish(),
      body: z.unknown().optional(),
    }),
  ),
})
