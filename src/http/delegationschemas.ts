import { z } from 'zod'
import { count, text, time } from './shapes.ts'

/** The shapes of delegations. */

const expiry = z.iso.datetime({ offset: true }).max(64)
const key = z
  .union([text(256), z.record(z.string().max(64), z.unknown())])
  .describe('A public key of the parent: a JWK, or as its SDK exports it. Not needed when the bridge knows it')

export const delegationInput = z
  .strictObject({
    capabilities: z.array(text(256)).max(1000).describe('What the parent grants: no more than it has itself'),
    expiresAt: expiry.nullable().optional().describe('RFC 3339; from then on the agent and all below have nothing'),
    depth: count.max(1000).optional().describe('Hops from the root, refused when it is not so'),
    proof: z
      .strictObject({ key: key.optional(), signature: text(128).describe('64 bytes in base64 or base64url') })
      .nullable()
      .optional()
      .describe("The parent's signature, see docs/delegation.md"),
  })
  .meta({ id: 'DelegationGrant', description: 'Kept or replaced as a whole; only with parentDid' })

const signed = z
  .object({
    key: z.string().describe("Thumbprint (RFC 7638) of the parent's key"),
    binding: z
      .enum(['fingerprint', 'proven', 'declared'])
      .nullable()
      .describe("What says that the key is the parent's; null: the parent has it no more"),
    signature: z.string().describe('base64url'),
  })
  .nullable()
  .describe('Null: no signature was offered')

const ended = z.boolean().describe('Over: nothing is left to the agent and to all below it')

export const delegationSchema = z
  .object({
    capabilities: z.array(z.string()),
    expiresAt: time.nullable(),
    ended,
    grantedAt: time,
    grantedBy: z.string(),
    signed,
  })
  .meta({ id: 'Delegation' })

export const chainSchema = z
  .object({
    items: z.array(
      z.object({
        did: z.string(),
        status: z.enum(['active', 'suspended', 'decommissioned']),
        parentDid: z.string().nullable(),
        depth: count,
        granted: z.array(z.string()).nullable().describe('By its parent; null: nothing in particular'),
        effective: z.array(z.string()),
        expiresAt: time.nullable(),
        ended,
        signed,
      }),
    ),
  })
  .meta({ id: 'DelegationChain', description: 'From the root to the agent' })
