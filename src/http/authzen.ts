import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import { isDid } from '../core/did.ts'
import { BridgeError } from '../core/errors.ts'
import type { DecisionInput } from '../engine/api.ts'
import { type App, answers, type Context } from './context.ts'
import { type Ask, answerOnce, asker, basisBody, basisShape } from './faces.ts'
import { isMembers, type Members } from './killbody.ts'
import { failure } from './problem.ts'
import { exampleDid } from './shapes.ts'
import { faultsOf, invalid, pointerOf } from './validation.ts'

const MAX_EVALUATIONS = 256

const name = z.string().min(1).max(512)
const properties = z.record(z.string(), z.unknown()).optional()

const subject = z.looseObject({
  type: name.describe('agent (a DID), account (an id of the directory that properties.adapter names), or token'),
  id: z.string().min(1).describe('The DID, the id of the account, or the token'),
  properties: properties.describe('adapter, of an account; token, of an agent: it must then be a token of that agent'),
})
const action = z.looseObject({ name, properties })
const resource = z.looseObject({
  type: name.describe(
    'capability or scope: id is the rest of the capability, or the scope. tool: its name. Others: part of the capability',
  ),
  id: z.string().min(1).max(512),
  properties: properties.describe('server, resource and parameters, of a tool'),
})
const context = z.record(z.string(), z.unknown()).describe('Not looked at')

const tuple = z.looseObject({ subject, action, resource, context: context.optional() })
type Tuple = z.output<typeof tuple>

const example = {
  subject: { type: 'agent', id: exampleDid },
  action: { name: 'read' },
  resource: { type: 'capability', id: 'reports' },
}
const evaluation = tuple.meta({ id: 'Evaluation', examples: [example] })

const part = z.record(z.string(), z.unknown()).optional()
/** Of one of several anything is taken: what is wrong with it is its own answer, and none of the others'. */
const own = z.unknown().optional().describe('As of an evaluation; what it leaves out comes from the top')
const each = z.looseObject({ subject: own, action: own, resource: own })
const semantics = z.enum(['execute_all', 'deny_on_first_deny', 'permit_on_first_permit'])
const evaluations = z
  .looseObject({
    subject: part,
    action: part,
    resource: part,
    evaluations: z.array(each).max(MAX_EVALUATIONS).optional(),
    options: z.looseObject({ evaluations_semantic: semantics.optional() }).optional(),
  })
  .meta({
    id: 'Evaluations',
    description: 'What is given at the top holds for each evaluation that does not say otherwise',
    examples: [{ ...example, resource: undefined, evaluations: [{ resource: { type: 'capability', id: 'reports' } }] }],
  })

const fault = z.object({ error: z.object({ status: z.int(), code: z.string(), message: z.string() }) })
const decision = z
  .object({ decision: z.boolean(), context: z.union([z.object(basisShape), fault]) })
  .meta({ id: 'EvaluationDecision' })
const decisions = z.object({ evaluations: z.array(decision) }).meta({ id: 'EvaluationDecisions' })
type Decided = z.output<typeof decision>

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)

/** Who is asked about; undefined when that cannot be an agent. */
const subjectOf = ({ type, id, properties: more }: Tuple['subject']): DecisionInput | undefined => {
  if (type === 'agent') {
    if (!isDid(id)) return undefined
    const token = more?.token
    if (token !== undefined && text(token) === undefined) return undefined
    return { did: id, token: text(token) }
  }
  if (type === 'token') return { token: id }
  const adapter = text(more?.adapter)
  return type === 'account' && adapter !== undefined ? { principal: { adapter, id } } : undefined
}

/** What is done to a tool is to call it; anything else that is asked of one is the call of no tool. */
const callOf = (verb: string, tool: string, more: Members | undefined): DecisionInput => ({
  tool: verb === 'call' || verb === 'tools/call' ? tool : '',
  server: text(more?.server),
  resource: more?.resource,
  parameters: more?.parameters,
})

/** A capability is `action:resource[:qualifier]` (DESIGN section 4); what it is to be is said by the resource's type. */
const wantedOf = ({ action: { name: verb }, resource: { type, id, properties: more } }: Tuple): DecisionInput => {
  if (type === 'scope') return { scope: id }
  if (type === 'tool') return callOf(verb, id, more)
  return { capability: type === 'capability' ? `${verb}:${id}` : `${verb}:${type}:${id}` }
}

const evaluate = async (ask: Ask, asked: Tuple, reply: FastifyReply): Promise<Decided> => {
  const who = subjectOf(asked.subject)
  // No face decides by itself: a question about nobody is refused by the decision function too.
  const view = await ask(who === undefined ? { nobody: true } : { ...who, ...wantedOf(asked) }, reply)
  return { decision: view.allow, context: basisBody(view) }
}

const whole = (candidate: unknown, at: readonly PropertyKey[]): Tuple => {
  const result = tuple.safeParse(candidate)
  if (result.success) return result.data
  const faults = faultsOf(result.error, candidate)
  throw invalid(
    'body',
    faults.map(({ pointer, code }) => ({ pointer: pointerOf(at) + pointer, code })),
  )
}

/** What says which entity is meant falls back to the top; its properties do not, for they may be another's. */
const merged = (given: unknown, above: Members | undefined, names: readonly string[]): unknown => {
  if (given === undefined || above === undefined) return given ?? above
  if (!isMembers(given)) return given
  return { ...Object.fromEntries(names.filter((key) => key in above).map((key) => [key, above[key]])), ...given }
}

type Several = z.output<typeof evaluations>

const completed = (given: z.output<typeof each>, above: Several) => ({
  subject: merged(given.subject, above.subject, ['type', 'id']),
  action: merged(given.action, above.action, ['name']),
  resource: merged(given.resource, above.resource, ['type', 'id']),
})

const stops = { execute_all: undefined, deny_on_first_deny: false, permit_on_first_permit: true } as const

const evaluateEach = async (ask: Ask, asked: Several, reply: FastifyReply): Promise<Decided[]> => {
  const stop = stops[asked.options?.evaluations_semantic ?? 'execute_all']
  const decided: Decided[] = []
  for (const [index, given] of (asked.evaluations ?? []).entries()) {
    let one: Decided
    try {
      one = await evaluate(ask, whole(completed(given, asked), ['evaluations', index]), reply)
    } catch (error) {
      const { code, message, status } = failure(error)
      if (code === 'E_BUG') throw error
      one = { decision: false, context: { error: { status, code, message } } }
    }
    decided.push(one)
    if (one.decision === stop) break
  }
  return decided
}

const tags = ['decisions']

/** OpenID AuthZEN Authorization API 1.0: evaluation, evaluations and discovery; no search. */
export const authzenRoutes = (app: App, parts: Context): void => {
  const { publicUrl } = parts
  const ask = asker(parts, 'authzen')
  // Its section on the HTTPS binding wants 400 where ours says 415.
  app.addContentTypeParser('*', (_request, _body, done) =>
    done(new BridgeError('E_JSON', 'The body is not application/json.'), undefined),
  )

  app.route({
    method: 'POST',
    url: '/access/v1/evaluation',
    config: { access: ['gateway'], errors: ['E_JWKS_DOWN'], uniqueNames: true, quiet: true },
    schema: {
      operationId: 'evaluate',
      summary: 'May this subject do that? (OpenID AuthZEN 1.0)',
      tags,
      body: evaluation,
      response: { 200: answers('The decision, and in its context what it rests on', decision) },
    },
    handler: async (request, reply) => answerOnce(parts, request, () => evaluate(ask, request.body, reply)),
  })

  app.route({
    method: 'POST',
    url: '/access/v1/evaluations',
    config: { access: ['gateway'], errors: ['E_JWKS_DOWN'], uniqueNames: true, quiet: true },
    schema: {
      operationId: 'evaluateEach',
      summary: 'Several evaluations in one request (OpenID AuthZEN 1.0)',
      description: `At most ${MAX_EVALUATIONS}. One that is not whole, or cannot be judged now, is a denial with an error.`,
      tags,
      body: evaluations,
      response: { 200: answers('The decisions in the same order, or the only one', z.union([decisions, decision])) },
    },
    handler: async (request, reply) => {
      const asked = request.body
      return answerOnce<z.output<typeof decisions> | Decided>(parts, request, async () => {
        if (asked.evaluations === undefined || asked.evaluations.length === 0) {
          return evaluate(ask, whole(asked, []), reply)
        }
        return { evaluations: await evaluateEach(ask, asked, reply) }
      })
    },
  })

  app.route({
    method: 'GET',
    url: '/.well-known/authzen-configuration',
    config: { access: 'public', errors: ['E_NOT_FOUND'] },
    schema: {
      operationId: 'getAuthzenConfiguration',
      summary: 'Where evaluations are asked for (OpenID AuthZEN 1.0)',
      tags,
      response: {
        200: answers(
          'Endpoints below server.publicUrl',
          z.object({
            policy_decision_point: z.string(),
            access_evaluation_endpoint: z.string(),
            access_evaluations_endpoint: z.string(),
          }),
        ),
      },
    },
    handler: async () => {
      if (publicUrl === undefined) {
        const hint = 'Set server.publicUrl: the document names endpoints as callers reach them.'
        throw new BridgeError('E_NOT_FOUND', 'It is not configured where callers reach the bridge.', { hint })
      }
      const base = publicUrl.replace(/\/+$/, '')
      return {
        policy_decision_point: base,
        access_evaluation_endpoint: `${base}/access/v1/evaluation`,
        access_evaluations_endpoint: `${base}/access/v1/evaluations`,
      }
    },
  })
}
