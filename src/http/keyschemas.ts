import { z } from 'zod'
import { aliasesMost } from '../core/aliases.ts'
import { keysMost } from '../core/keys.ts'
import { did, text } from './shapes.ts'

/** The shapes of an agent's keys and of the other spellings of its DID. */

/** Loose: what else a JWK has is ignored, but a private part, which the engine refuses. */
const jwk = z
  .looseObject({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: text(256) })
  .meta({ id: 'PublicKey', description: 'RFC 8037; its `kid` proves nothing and is ignored' })
export const publicKey = z
  .union([jwk, text(256)])
  .describe('A JWK, or base64 of the 32 bytes or of the SPKI form, with or without `ed25519:` before it')
const signature = text(128).describe('Ed25519, base64 or base64url')

const alias = z.union([
  did,
  z.strictObject({
    did,
    signature: signature.optional().describe('By a key of the agent over `agentmesh-alias-v1\\n<did>\\n<alias>`'),
    key: publicKey.optional().describe('Which of its keys; any of them when left out'),
  }),
])

export const keyMembers = {
  keys: z
    .array(publicKey)
    .max(keysMost)
    .optional()
    .describe('Ed25519 public keys of the agent. Left out, those of a registered agent stay'),
  aliases: z
    .array(alias)
    .max(aliasesMost)
    .optional()
    .describe('Other spellings of the DID: derived from a key, signed by one, or declared by an operator'),
}

export const keyPatch = { keys: keyMembers.keys.nullable(), aliases: keyMembers.aliases.nullable() }

export const keySchemas = {
  keys: z.array(
    z.object({
      jwk: z.object({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: z.string() }),
      thumbprint: z.string().describe('RFC 7638'),
      binding: z
        .enum(['fingerprint', 'proven', 'declared'])
        .describe('The DID is derived from it; the agent showed that it has it; a registrar said so'),
    }),
  ),
  aliases: z.array(z.object({ did: z.string(), how: z.enum(['fingerprint', 'signature', 'asserted']) })),
}

export const provenSchema = z
  .object({ at: z.string().meta({ format: 'date-time' }), key: z.string().describe('Thumbprint') })
  .nullable()
  .describe('When the agent itself last showed that the account is its own, and the key it did so with')
