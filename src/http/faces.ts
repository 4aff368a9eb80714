import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { DecisionInput, DecisionView } from '../engine/api.ts'
import type { TokenFacts } from '../engine/basis.ts'
import { type Soon, soon } from '../lib/soon.ts'
import { hasClient } from './auth.ts'
import type { Context } from './context.ts'
import { time } from './views.ts'

/** The spellings in which decisions are asked for. Each translates to and from the one function that decides. */
export type Face = 'decisions' | 'introspection' | 'authzen' | 'opa' | 'annotator' | 'ext_authz'

/** What a face needs; a listener without clients has no more. */
export type FaceContext = Pick<Context, 'bridge' | 'metrics' | 'once'>

export type Ask = (input: DecisionInput, reply: FastifyReply) => Soon<DecisionView>

/** Asks, and counts what was asked and answered. */
export const asker =
  ({ bridge, metrics }: FaceContext, face: Face): Ask =>
  (input, reply) => {
    const begun = reply.elapsedTime
    return soon(bridge.decide(input), (view) => {
      metrics.inc('decisions_total', { face, allow: String(view.allow) })
      for (const code of view.codes) metrics.inc('decision_refusals_total', { code })
      metrics.observe('decision_seconds', {}, (reply.elapsedTime - begun) / 1000)
      return view
    })
  }

/** Every POST takes `Idempotency-Key`; a question changes nothing, so a repeat is asked anew. Keys are kept for clients only. */
export const answerOnce = <T>({ once }: FaceContext, request: FastifyRequest, answer: () => Soon<T>): Soon<T> => {
  if (request.headers['idempotency-key'] === undefined || !hasClient(request)) return answer()
  const run = async () => ({ status: 200, body: await answer(), ref: '' })
  return once(request, { run, repeat: run }).then(({ body }) => body)
}

const account = z.object({ adapter: z.string(), id: z.string() })
const count = z.int().min(0)

/** What every spelled-out answer tells beside its verdict. */
export const basisShape = {
  did: z.string().nullable(),
  codes: z.array(z.string()).describe('R_* refusal codes'),
  checks: z.array(z.string()).describe('What was checked and found in order, each by its word'),
  holds: z.array(z.object({ origin: z.string(), publicReason: z.string().nullable() })),
  actor: z
    .object({ did: z.string(), principal: account.nullable() })
    .nullable()
    .describe('Who acts. Null when no single registered agent is meant'),
  onBehalfOf: z
    .object({ id: z.string(), kind: z.string() })
    .nullable()
    .describe('For whom it acts, when the token says so; never the agent'),
  token: z
    .object({
      issuer: z.string(),
      adapter: z.string(),
      audience: z.array(z.string()).describe('Its aud. A resource server takes none that was not issued for itself'),
      scopes: z.array(z.string()),
      issuedAt: z.string().meta({ format: 'date-time' }),
      expiresAt: z.string().meta({ format: 'date-time' }),
    })
    .nullable()
    .describe('What the token says of itself, once its signature and claims hold; null when none was asked about'),
  act: z
    .array(
      z.object({
        names: z.array(z.string()),
        dids: z.array(z.string()),
        status: z.enum(['active', 'suspended', 'unknown']),
      }),
    )
    .describe("The token's chain of actors, outermost first"),
  grants: z
    .array(
      z.object({
        did: z.string().describe('The agent, or the ancestor whose capabilities narrow it'),
        capability: z.string(),
        source: z.string(),
        confirmedAt: z.string().meta({ format: 'date-time' }),
        ageSeconds: count,
      }),
    )
    .describe('Why what is asked for is granted: sources of its capabilities'),
  epoch: count.describe('Head of the audit chain when the decision was begun; everything up to it is in the answer'),
  generation: z.string().describe('Epochs of one generation can be compared; a restored store starts another'),
}

/** @see basisShape */
export const basisBody = (view: DecisionView) => ({
  did: view.did ?? null,
  codes: [...view.codes],
  checks: [...view.checks],
  holds: view.holds.map(({ origin, publicReason }) => ({ origin, publicReason: publicReason ?? null })),
  actor: view.actor === undefined ? null : { did: view.actor.did, principal: accountBody(view.actor.principal) },
  onBehalfOf: view.onBehalfOf === undefined ? null : { id: view.onBehalfOf.id, kind: view.onBehalfOf.kind },
  token: view.token === undefined ? null : tokenBody(view.token),
  act: view.actors.map(({ names, dids, held }) => ({
    names: [...names],
    dids: [...dids],
    status: held ? ('suspended' as const) : dids.length > 0 ? ('active' as const) : ('unknown' as const),
  })),
  grants: view.grants.map(({ did, capability, source, confirmedAt, ageMs }) => ({
    did,
    capability,
    source,
    confirmedAt: time(confirmedAt),
    ageSeconds: Math.floor(ageMs / 1000),
  })),
  epoch: view.epoch.seq,
  generation: view.epoch.generation,
})

const tokenBody = ({ issuer, adapter, audiences, scopes, issuedAt, expiresAt }: TokenFacts) => ({
  issuer,
  adapter,
  audience: [...audiences],
  scopes: [...scopes],
  issuedAt: time(issuedAt),
  expiresAt: time(expiresAt),
})

const accountBody = (principal: { adapter: string; id: string } | undefined) =>
  principal === undefined ? null : { adapter: principal.adapter, id: principal.id }
