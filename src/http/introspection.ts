import { z } from 'zod'
import type { DecisionView } from '../engine/api.ts'
import { audiencesOf, parseJwt } from '../lib/jwt.ts'
import { soon } from '../lib/soon.ts'
import { acceptForm } from './body.ts'
import { type App, answers, type Context } from './context.ts'
import { answerOnce, asker } from './faces.ts'

const MAX_FORM_BYTES = 64 * 1024

const question = z
  .object({
    token: z.string().min(1).describe('The access token as the agent sent it'),
    token_type_hint: z.string().optional().describe('Not looked at: a token says what it is'),
  })
  .meta({ id: 'Introspection' })

const seconds = z.int().describe('Seconds since 1970')

const active = z
  .object({
    active: z.literal(true),
    token_type: z.literal('Bearer'),
    iss: z.string(),
    sub: z.string().optional().describe('As the token has it: acting for a person, that person'),
    aud: z.array(z.string()),
    client_id: z.string().describe('client_id or azp of the token; without them the account that acts'),
    scope: z.string().optional(),
    exp: seconds,
    iat: seconds,
    nbf: seconds.optional(),
    jti: z.string().optional(),
    act: z.unknown().optional().describe('As the token has it (RFC 8693); every hop was looked up'),
    agt_did: z.string().describe('The agent that acts'),
    agt_status: z.literal('active'),
    agt_epoch: z.int().describe('As epoch of a Decision'),
    agt_generation: z.string(),
    agt_on_behalf_of: z.object({ id: z.string(), kind: z.string() }).optional(),
    capabilities: z.array(z.string()).describe('Effective ones'),
  })
  .meta({ id: 'ActiveToken' })
const inactive = z.object({ active: z.literal(false) }).meta({ id: 'InactiveToken' })

type Answer = z.output<typeof active> | z.output<typeof inactive>

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)
const secondsOf = (ms: number): number => Math.floor(ms / 1000)

/** RFC 7662 section 2.2. `view` has verified the token: its claims are read once more, and only as what it says. */
const answerOf = (view: DecisionView, token: string): Answer => {
  const parsed = parseJwt(token)
  const { actor, agent, onBehalfOf } = view
  const facts = view.token
  if (!view.allow || actor === undefined || agent === undefined || facts === undefined || 'refused' in parsed) {
    return { active: false }
  }
  const { claims } = parsed
  const { act, azp, client_id, jti, nbf, sub } = claims
  return {
    active: true,
    token_type: 'Bearer',
    iss: facts.issuer,
    ...(text(sub) !== undefined && { sub: text(sub) }),
    aud: [...audiencesOf(claims)],
    client_id: text(client_id) ?? text(azp) ?? actor.principal?.id ?? actor.did,
    ...(facts.scopes.length > 0 && { scope: facts.scopes.join(' ') }),
    exp: secondsOf(facts.expiresAt),
    iat: secondsOf(facts.issuedAt),
    ...(typeof nbf === 'number' && { nbf: Math.floor(nbf) }),
    ...(text(jti) !== undefined && { jti: text(jti) }),
    ...(act !== undefined && { act }),
    agt_did: actor.did,
    agt_status: 'active',
    agt_epoch: view.epoch.seq,
    agt_generation: view.epoch.generation,
    ...(onBehalfOf !== undefined && { agt_on_behalf_of: { id: onBehalfOf.id, kind: onBehalfOf.kind } }),
    capabilities: [...agent.capabilities],
  }
}

/** What was made of the object before. */
const kept = <K extends object, V>(map: WeakMap<K, V>, key: K, make: () => V): V => {
  const known = map.get(key)
  if (known !== undefined) return known
  const made = make()
  map.set(key, made)
  return made
}

/** RFC 7662: what resource servers and gateways ask of any authorization server. Takes forms, so it needs a scope of its own. */
export const introspectionRoutes = (app: App, context: Context): void => {
  acceptForm(app)
  const ask = asker(context, 'introspection')
  // Of a decision that stands the view is the same object each time: so are then its answer, and the text of that.
  const bodies = new WeakMap<DecisionView, Answer>()
  const texts = new WeakMap<Answer, string>()

  app.route({
    method: 'POST',
    url: '/oauth2/introspect',
    bodyLimit: MAX_FORM_BYTES,
    config: { access: ['gateway'], oauth: true, errors: ['E_JWKS_DOWN'], quiet: true },
    schema: {
      operationId: 'introspect',
      summary: 'May whoever carries this token act now? (RFC 7662)',
      description: 'A caller is a client with its token as bearer, or its name and token by HTTP Basic.',
      tags: ['decisions'],
      consumes: ['application/x-www-form-urlencoded'],
      body: question,
      response: {
        200: answers('What the token stands for, or that it stands for nothing', z.union([active, inactive])),
      },
    },
    serializerCompiler: () => (answer: Answer) => kept(texts, answer, () => JSON.stringify(answer)),
    handler: (request, reply) => {
      reply.header('pragma', 'no-cache')
      const { token } = request.body
      const bodyOf = (view: DecisionView) => kept(bodies, view, () => answerOf(view, token))
      return answerOnce(context, request, () => soon(ask({ token, describe: true }, reply), bodyOf))
    },
  })
}
