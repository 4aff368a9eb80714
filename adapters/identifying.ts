import { z } from 'zod'
import type { Adapter } from '../src/core/adapter.ts'
import { identify as identifyAws } from './aws/tokens.ts'
import { identify as identifyEntra } from './entra/tokens.ts'
import { identify as identifyMemory } from './memory/tokens.ts'
import { identify as identifyOkta } from './okta/tokens.ts'
import { identify as identifySpiffe } from './spiffe/tokens.ts'

type Identify = Adapter['identify']

const kind = <T>(shape: z.ZodType<T>, identify: (claims: Parameters<Identify>[0], of: T) => ReturnType<Identify>) => ({
  of: (identity: unknown): Identify | undefined => {
    const { success, data } = shape.safeParse(identity)
    return success ? (claims) => identify(claims, data) : undefined
  },
})

const named = z.record(z.string(), z.string())

/** Nothing of an identity may be passed over: what it says and nobody here understands could mean somebody else. */
const kinds = new Map([
  [
    'aws',
    kind(
      z.strictObject({
        outbound: named,
        eks: z.array(z.strictObject({ issuer: z.string(), subjects: named })),
        cognito: z.array(z.strictObject({ issuer: z.string(), clients: named })),
        store: z.string().optional(),
      }),
      (claims, { store, ...naming }) => identifyAws(claims, naming, store),
    ),
  ],
  ['entra', kind(z.strictObject({ tenantId: z.string() }), (claims, { tenantId }) => identifyEntra(claims, tenantId))],
  ['memory', kind(z.strictObject({ realm: z.string() }), (claims, { realm }) => identifyMemory(claims, realm))],
  ['okta', kind(z.strictObject({ clients: named }), (claims, { clients }) => identifyOkta(claims, clients))],
  [
    'spiffe',
    kind(z.strictObject({ trustDomains: z.array(z.string()) }), (claims, { trustDomains }) =>
      identifySpiffe(claims, new Set(trustDomains)),
    ),
  ],
])

/**
 * An adapter's `identify`, made of its kind and its `identity` alone: for processes that judge tokens of directories and
 * have none of them open. Undefined: this version does not know the kind, or not the shape of what is said of it.
 */
export const identifierOf = (name: string, identity: unknown): Identify | undefined => kinds.get(name)?.of(identity)
