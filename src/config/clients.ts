import { z } from 'zod'
import { roles } from '../core/roles.ts'
import { duration, int, oneOrMany, says, textMap } from '../lib/fields.ts'
import { parseId } from '../lib/svid.ts'
import type { Fault } from './faults.ts'
import { accountName, oidc } from './oidc.ts'

const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

const tokenSha256 = z
  .string()
  .regex(
    /^[0-9a-fA-F]{64}$/,
    says('is not the SHA-256 of a token (64 hexadecimal digits)', 'printf %s "$TOKEN" | sha256sum | cut -d\' \' -f1'),
  )
  .transform((hex) => hex.toLowerCase())
  .refine(
    (hex) => hex !== EMPTY_SHA256,
    says('is the SHA-256 of an empty token', 'was $TOKEN set when it was computed?'),
  )

/** As `openssl x509 -noout -fingerprint -sha256` prints it, or without its colons. */
const certificateSha256 = z
  .string()
  .regex(
    /^(?:[0-9a-fA-F]{2}:?){31}[0-9a-fA-F]{2}$/,
    says(
      'is not the SHA-256 fingerprint of a certificate',
      'openssl x509 -in client.crt -noout -fingerprint -sha256 | cut -d= -f2',
    ),
  )
  .transform((hex) => hex.replaceAll(':', '').toLowerCase())

const spiffeId = z
  .string()
  .refine(
    (id) => parseId(id) !== undefined,
    says('is not the SPIFFE ID of a workload', 'write spiffe://example.org/path, letter by letter as in its SVID'),
  )

/** What proves who a client is; each is of one client only. */
const credentials = {
  tokenSha256: 'a token',
  certificateSha256: 'a certificate',
  spiffeId: 'the SPIFFE ID',
  principals: 'an account',
} as const
const kinds = ['tokenSha256', 'certificateSha256', 'spiffeId', 'principals'] as const

const ownRate = z.strictObject({
  perSecond: int(1, 1_000_000).describe('On average'),
  burst: int(1, 1_000_000).describe('At once, after a pause'),
})

const client = z
  .strictObject({
    name: z
      .string()
      .regex(
        /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
        says('is not a client name', 'use up to 64 letters, digits, ., _ or -'),
      )
      .refine(
        (name) => name !== 'directory' && name !== 'bridge',
        says('is a name the audit log keeps for itself', 'choose another'),
      )
      .describe('Shown in the audit log as the actor'),
    role: oneOrMany(z.enum(roles)),
    tokenSha256: oneOrMany(tokenSha256)
      .default([])
      .describe('SHA-256 of the bearer token, in hexadecimal; several to rotate'),
    spiffeId: oneOrMany(spiffeId)
      .default([])
      .describe('SPIFFE ID of its X.509-SVID, which an authority of server.tls.clientCa issued'),
    certificateSha256: oneOrMany(certificateSha256)
      .default([])
      .describe('SHA-256 fingerprint of its certificate, whoever issued it; several to rotate'),
    principals: oneOrMany(accountName)
      .default([])
      .describe('<adapter>/<id> of its account in a directory of auth.oidc, whose tokens then prove it'),
    agents: z
      .strictObject({ labels: textMap.describe('Every label must match') })
      .optional()
      .describe('The agents a runtime may stop; without it all of them'),
    rateLimit: z
      .strictObject({
        questions: ownRate.optional().describe('In place of auth.rateLimit.questions'),
        stops: ownRate.optional().describe('In place of auth.rateLimit.stops'),
      })
      .optional()
      .describe('Of this client; it is told in each answer how much is left'),
  })
  .superRefine((client, context) => {
    if (kinds.every((kind) => client[kind].length === 0)) {
      const hint = 'give it tokenSha256, spiffeId, certificateSha256 or principals'
      context.addIssue({ code: 'custom', message: says('has nothing to prove itself by', hint) })
    }
    const { role, agents } = client
    if (agents === undefined || role.includes('runtime')) return
    const hint = 'give the client the role runtime, or remove agents: other roles are not bounded by it'
    context.addIssue({ code: 'custom', path: ['agents'], message: says('bounds only the role runtime', hint) })
  })

const clients = z.array(client).superRefine((list, context) => {
  const conflict = (path: PropertyKey[], message: string, hint: string) =>
    context.addIssue({ code: 'custom', path, message: says(message, hint), params: { code: 'conflict' } })
  const names = new Set<string>()
  const taken = new Map<string, string>()
  for (const [index, client] of list.entries()) {
    const { name } = client
    if (names.has(name)) conflict([index, 'name'], 'is the name of another client too', 'client names are unique')
    names.add(name)
    for (const kind of kinds) {
      for (const one of client[kind]) {
        const holder = taken.get(`${kind} ${one}`)
        if (holder !== undefined) {
          const hint = 'give every client one of its own'
          conflict([index, kind], `is ${credentials[kind]} of the client ${holder} too`, hint)
        }
        taken.set(`${kind} ${one}`, name)
      }
    }
  }
  if (!list.some(({ role, tokenSha256 }) => role.includes('operator') && tokenSha256.length > 0)) {
    const hint = 'add one: certificates expire and directories fail, and a hold may need a person then'
    conflict([], 'has no client with the role operator and a token', hint)
  }
})

const rate = (perSecond: number, burst: number) =>
  z
    .strictObject({
      perSecond: int(1, 1_000_000).prefault(perSecond).describe('On average'),
      burst: int(1, 1_000_000).prefault(burst).describe('At once, after a pause'),
    })
    .prefault({})

const rateLimit = z.strictObject({
  questions: rate(10_000, 20_000).describe('Of each client, for everything that is not one of `stops`'),
  stops: rate(1000, 2000).describe('Of each client, for kills, holds, trust reports, signals and their acks'),
  unauthenticated: rate(50, 500).describe('Of each address: refused credentials, and what asks for none'),
})

export const auth = z.strictObject({
  clients: clients.describe('Who may call the API, by static bearer token or by certificate'),
  oidc: oidc.prefault([]).describe('Who else may, by tokens of a directory made for this API'),
  killBudget: z
    .strictObject({ max: int(1, 1_000_000).prefault(100), per: duration({ minMs: 1000 }).prefault('10m') })
    .prefault({})
    .describe('Kills and holds one runtime client may place; more are answered 429 and alerted'),
  rateLimit: rateLimit.prefault({}).describe('Requests of one caller; more are answered 429'),
})

const shape = z.object({
  auth: z.object({ clients: z.array(z.record(z.string(), z.unknown())) }),
  server: z
    .object({ tls: z.object({ clientCa: z.unknown() }).partial().optional() })
    .optional()
    .catch(undefined),
})

/**
 * Certificates are shown to a listener with TLS only, and SVIDs are believed by the authorities it was given. Checked
 * beside the schema, which sees one part at a time.
 */
export function credentialFaults(root: unknown): Fault[] {
  const parsed = shape.safeParse(root)
  if (!parsed.success) return []
  const { auth, server } = parsed.data
  const missing = { spiffeId: server?.tls?.clientCa === undefined, certificateSha256: server?.tls === undefined }
  const hints = {
    spiffeId: 'set server.tls.clientCa to the authorities of its trust domain',
    certificateSha256: 'set server.tls: without it no certificate is shown',
  }
  return auth.clients.flatMap((client, index) =>
    (['spiffeId', 'certificateSha256'] as const)
      .filter((kind) => client[kind] !== undefined && missing[kind])
      .map((kind): Fault => {
        const message = kind === 'spiffeId' ? 'needs server.tls.clientCa' : 'needs server.tls'
        return { path: `auth.clients.${index}.${kind}`, code: 'conflict', message, hint: hints[kind] }
      }),
  )
}
