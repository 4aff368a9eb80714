import { z } from 'zod'

/** Requests as they come out of the decoder: everything present, null for messages that were not sent. */

const long = z.coerce.number()
const spiffeId = z.object({ trust_domain: z.string(), path: z.string() })
const selector = z.object({ type: z.string(), value: z.string() })
const attributes = z.object({ disable_x509_svid_prefetch: z.boolean(), jwt_svid_include_jti: z.boolean() })

const sentEntry = z.object({
  id: z.string(),
  spiffe_id: spiffeId.nullable(),
  parent_id: spiffeId.nullable(),
  selectors: z.array(selector),
  x509_svid_ttl: z.number(),
  federates_with: z.array(z.string()),
  admin: z.boolean(),
  downstream: z.boolean(),
  expires_at: long,
  dns_names: z.array(z.string()),
  store_svid: z.boolean(),
  jwt_svid_ttl: z.number(),
  hint: z.string(),
  additional_attributes: attributes.nullish(),
})

const mask = z.record(z.string(), z.unknown()).nullable()
const filter = z
  .object({
    by_spiffe_id: spiffeId.nullable(),
    by_parent_id: spiffeId.nullable(),
    by_selectors: z.object({ selectors: z.array(selector), match: z.number() }).nullable(),
    by_federates_with: z.object({ trust_domains: z.array(z.string()), match: z.number() }).nullable(),
    by_hint: z.object({ value: z.string() }).nullable(),
    by_downstream: z.object({ value: z.boolean() }).nullable(),
  })
  .nullable()
const page = { page_size: z.number(), page_token: z.string() }

export const requests = {
  countEntries: z.object({ filter }),
  listEntries: z.object({ filter, output_mask: mask, ...page }),
  getEntry: z.object({ id: z.string(), output_mask: mask }),
  createEntries: z.object({ entries: z.array(sentEntry), output_mask: mask }),
  updateEntries: z.object({ entries: z.array(sentEntry), input_mask: mask, output_mask: mask }),
  deleteEntries: z.object({ ids: z.array(z.string()) }),
  listAgents: z.object({
    filter: z
      .object({
        by_attestation_type: z.string(),
        by_banned: z.object({ value: z.boolean() }).nullable(),
        by_can_reattest: z.object({ value: z.boolean() }).nullable(),
      })
      .nullable(),
    output_mask: mask,
    ...page,
  }),
  agent: z.object({ id: spiffeId.nullable(), output_mask: mask.optional() }),
  bundle: z.object({ output_mask: mask }),
  federatedBundle: z.object({ trust_domain: z.string(), output_mask: mask }),
  federatedBundles: z.object({ output_mask: mask, ...page }),
  mint: z.object({ id: spiffeId.nullable(), audience: z.array(z.string()), ttl: z.number() }),
  jwtSvid: z.object({ audience: z.array(z.string()), spiffe_id: z.string() }),
  page: z.object({ page_token: z.string() }),
}

export type Selector = z.infer<typeof selector>
export type SentEntry = z.infer<typeof sentEntry>
export type EntryFilter = NonNullable<z.infer<typeof filter>>
export type Mask = z.infer<typeof mask>

/** A registration entry, named as on the wire. Times in seconds since the epoch, as there. */
export interface Entry extends SentEntry {
  readonly spiffe_id: z.infer<typeof spiffeId>
  readonly parent_id: z.infer<typeof spiffeId>
  readonly revision_number: number
  readonly created_at: number
}

/** Only what the mask names, besides what is always told. */
export function masked<T extends object>(value: T, mask: Mask | undefined, always: readonly string[] = ['id']): object {
  if (mask === null || mask === undefined) return value
  return Object.fromEntries(Object.entries(value).filter(([name]) => always.includes(name) || mask[name] === true))
}
