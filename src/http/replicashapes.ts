import { z } from 'zod'
import { constraint, constraints } from '../lib/constraint.ts'
import { page, time } from './shapes.ts'

/** What replicas are told, as it goes over the wire: answers are written by these shapes, and the library reads by them. */

const moment = time.nullable()

export const replicaItem = z
  .object({
    did: z.string(),
    seq: z.int().min(0).describe('Position in the stream of changes as of which the rest is'),
    agent: z
      .object({
        blueprint: z.string().nullable(),
        parentDid: z.string().nullable(),
        decommissioned: z.boolean(),
        resumedAt: moment,
      })
      .nullable()
      .describe('Null when nobody registered the DID'),
    delegation: z.object({ expiresAt: moment, endedAt: moment }).nullable(),
    holds: z
      .array(
        z.object({
          origin: z.string(),
          severity: z.enum(['suspend', 'kill', 'disable', 'decommission']),
          publicReason: z.string().nullable(),
          placedAt: time,
        }),
      )
      .describe('Open ones'),
    accounts: z.array(
      z.object({
        adapter: z.string(),
        id: z.string(),
        shared: z.boolean(),
        scopes: z.array(z.string()),
        observedAt: moment,
      }),
    ),
    aliases: z.array(z.string()),
    capabilities: z.array(z.object({ name: z.string(), source: z.string(), confirmedAt: time })),
  })
  .meta({ id: 'ReplicaItem', description: 'What decisions read of one DID' })

export const replicaPage = page(replicaItem).extend({
  generation: z.string().describe('As in the ids of signals; positions of different ones are not comparable'),
})

/** Nothing of a rule may be passed over: what it says and nobody here understands would be allowed. */
const toolRule = z.strictObject({
  name: z.string(),
  capability: z.string(),
  resource: constraint.optional(),
  parameters: constraints.optional(),
  otherParameters: z.enum(['allow', 'deny']),
})

export const replicaSettings = z.object({
  denyAfterMs: z.number(),
  unknownActors: z.enum(['deny', 'allow']),
  adapters: z.array(
    z.object({
      name: z.string(),
      kind: z.string(),
      identity: z.record(z.string(), z.unknown()).nullable(),
      issuers: z.array(
        z.object({
          issuer: z.string(),
          audiences: z.array(z.string()),
          algorithms: z.array(z.string()),
          namedBy: z.literal('sub').nullable(),
          jwksUri: z.string(),
          keysFrom: z.enum(['address', 'bridge']),
          keys: z.array(z.record(z.string(), z.unknown())).nullable(),
          headers: z.array(z.string()).nullable(),
          types: z.array(z.string()).nullable(),
          audienceClaim: z.string().nullable(),
          lifetimeMs: z.number().nullable(),
          opaque: z.boolean(),
        }),
      ),
    }),
  ),
  limits: z.array(z.object({ blueprint: z.string(), maxDelegationDepth: z.number() })),
  toolServers: z.array(
    z.object({
      name: z.string(),
      resource: z.string().nullable(),
      unlisted: z.string().nullable(),
      tools: z.array(toolRule),
    }),
  ),
})
