import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { SelfInput } from '../engine/selfapi.ts'
import type { SignedRequest } from '../lib/signedrequest.ts'
import { acceptBytes, parseJson } from './body.ts'
import { type App, answers, type Context } from './context.ts'
import { delegationInput } from './delegationschemas.ts'
import { publicKey } from './keyschemas.ts'
import { did, exampleDid, text } from './shapes.ts'
import { invalid } from './validation.ts'
import { time } from './views.ts'

const tags = ['agents']
const maxBytes = 64 * 1024
const at = z.string().meta({ format: 'date-time' })

const body = z
  .strictObject({
    did,
    publicKey,
    token: text(16_384).describe('A directory token of the account'),
    name: text(200),
    kind: text(64).optional().describe('Of the account; needed when the DID is not registered'),
    parentDid: did.optional().describe('Only when the DID is not registered, with a delegation signed by that parent'),
    delegation: delegationInput.optional(),
  })
  .refine(({ delegation, parentDid }) => (delegation === undefined) === (parentDid === undefined), {
    error: 'has one of parentDid and delegation without the other',
  })
  .meta({
    id: 'SelfRegistration',
    examples: [
      {
        did: 'did:mesh:e32a9463d5c121ec729a4551af794305',
        publicKey: { kty: 'OKP', crv: 'Ed25519', x: 'X5AgsvNF5HXsg_tWlE_9QE1dCTg_7k0WcmKbmhEOFMY' },
        token: 'eyJhbGciOi…',
        name: 'billing-bot',
        kind: 'agentIdentity',
      },
    ],
  })

const challenge = z
  .object({ nonce: z.string(), expiresAt: at, audience: z.string().describe('What the signature must name') })
  .meta({ id: 'SelfChallenge' })
const registered = z
  .object({
    did: z.string(),
    created: z.boolean().describe('False: it was registered, and is proven now'),
    principals: z.array(z.object({ adapter: z.string(), id: z.string() })).describe('Mappings that are proven'),
    proven: z.object({ at, key: z.string().describe('Thumbprint') }),
    capabilities: z.array(z.string()).describe('Effective ones'),
  })
  .meta({
    id: 'SelfRegistered',
    examples: [
      {
        did: exampleDid,
        created: false,
        principals: [{ adapter: 'contoso', id: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee' }],
        proven: { at: '2026-11-21T10:00:00.000Z', key: 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k' },
        capabilities: [],
      },
    ],
  })

const header = (request: FastifyRequest, name: string): string => {
  const value = request.headers[name]
  return typeof value === 'string' ? value : ''
}

const signedOf = (request: FastifyRequest, bytes: Uint8Array): SignedRequest => ({
  method: request.method,
  target: request.raw.url ?? '',
  contentType: header(request, 'content-type'),
  body: bytes,
  did: header(request, 'x-agent-did'),
  timestamp: header(request, 'x-agent-timestamp'),
  nonce: header(request, 'x-agent-nonce'),
  signature: header(request, 'x-agent-signature'),
})

const inputOf = (bytes: Uint8Array): SelfInput => {
  const parsed = body.safeParse(parseJson(bytes))
  if (parsed.success) return parsed.data
  const faults = parsed.error.issues.map(({ path, code }) => ({ pointer: `/${path.join('/')}`, code }))
  throw invalid('body', faults, 'See the schema SelfRegistration in /openapi.json.')
}

/**
 * Agents that register themselves (docs/self-registration.md). No client of ours is asked for: the request is signed by
 * the key of the DID, over its bytes, and carries a token of the account.
 */
export const selfRoutes = (app: App, { bridge }: Context): void => {
  acceptBytes(app)

  app.route({
    method: 'POST',
    url: '/v1/agents/self/challenge',
    bodyLimit: maxBytes,
    config: { access: 'public', errors: ['E_NOT_FOUND', 'E_BUDGET', 'E_TOO_LARGE'] },
    schema: {
      operationId: 'challengeSelf',
      summary: 'A nonce for an agent that registers itself',
      tags,
      response: { 200: answers('Good for one request, for five minutes', challenge) },
    },
    handler: async () => {
      const { nonce, expiresAt, audience } = bridge.selfChallenge()
      return { nonce, expiresAt: time(expiresAt), audience }
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/agents/self',
    bodyLimit: maxBytes,
    // The signature covers the bytes: they are read by `inputOf`, when their turn has come.
    validatorCompiler: () => (value: unknown) => ({ value }),
    config: {
      access: 'public',
      errors: [
        'E_NOT_FOUND',
        'E_BUDGET',
        'E_TOO_LARGE',
        'E_JSON',
        'E_VALIDATION',
        'E_DID',
        'E_KEY',
        'E_UNAUTHENTICATED',
        'E_FORBIDDEN',
        'E_JWKS_DOWN',
        'E_DIRECTORY_DOWN',
      ],
    },
    schema: {
      operationId: 'registerSelf',
      summary: 'An agent registers itself, or proves what was registered',
      description:
        'Signed as AGT signs requests (`agentmesh-http-request-v1`): `X-Agent-DID`, `X-Agent-Timestamp`, ' +
        '`X-Agent-Nonce` and `X-Agent-Signature`, with the nonce and audience of a challenge.',
      tags,
      body,
      consumes: ['application/json'],
      response: {
        200: answers('Proven', registered),
        201: answers('Registered, and proven', registered),
      },
    },
    handler: async (request, reply) => {
      const sent: unknown = request.body
      const bytes = sent instanceof Uint8Array ? sent : new Uint8Array()
      const outcome = await bridge.registerSelf(signedOf(request, bytes), () => inputOf(bytes), request.id)
      reply.code(outcome.created ? 201 : 200)
      return {
        did: outcome.did,
        created: outcome.created,
        principals: outcome.principals.map(({ adapter, id }) => ({ adapter, id })),
        proven: { at: time(outcome.provenAt), key: outcome.key },
        capabilities: [...outcome.capabilities],
      }
    },
  })
}
