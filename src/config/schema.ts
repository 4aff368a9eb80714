import { z } from 'zod'
import { duration, int, proxyException, proxyUrl, says, text, timeZone } from '../lib/fields.ts'
import type { AdapterBase } from './adapter.ts'
import { blueprints } from './blueprints.ts'
import { auth } from './clients.ts'
import { type OutletBase, type OutletKinds, signalsSchema } from './outlet.ts'
import { passports, signing, statusLists } from './publishing.ts'
import { server } from './server.ts'
import { telemetry } from './telemetry.ts'
import { tools } from './tools.ts'

export { type Role, roles } from '../core/roles.ts'

/** Every kind of adapter there is, by the word that `kind` has in the file. Each extends `adapterBase`. */
export type AdapterKinds = Readonly<Record<string, z.ZodObject>>

const limit = (max: number, percent: number) =>
  z.strictObject({ max: int(1, 1_000_000).prefault(max), percent: int(1, 100).prefault(percent) }).prefault({})

const maxStaleness = z
  .strictObject({ warn: duration({ minMs: 1000 }).prefault('15m'), deny: duration({ minMs: 1000 }).prefault('24h') })
  .refine(({ warn, deny }) => warn < deny, {
    message: says('warns later than it denies', 'make warn shorter than deny'),
    params: { code: 'conflict' },
  })

const trust = z
  .strictObject({
    suspendBelow: int(1, 999).prefault(300).describe('A report of a lower score suspends the agent'),
    liftAbove: int(2, 1000).prefault(500).describe('Lifted when the latest score of every client is at least this'),
  })
  .refine(({ suspendBelow, liftAbove }) => suspendBelow < liftAbove, {
    message: says('lifts below the score it suspends at', 'make liftAbove greater than suspendBelow'),
    params: { code: 'conflict' },
  })

const policy = z.strictObject({
  confirmReleaseAfter: duration()
    .prefault('30s')
    .describe('Time between the two readings that must both say enabled before a hold of the directory is lifted'),
  resume: z
    .enum(['approval', 'automatic'])
    .prefault('approval')
    .describe('Whether a person approves before a hold of directory origin is lifted'),
  drift: z
    .enum(['reassert', 'accept'])
    .prefault('reassert')
    .describe('What to do when somebody turns on an account the bridge turned off'),
  maxStaleness: maxStaleness.prefault({}).describe('Age of the last reading of an account'),
  unknownActors: z
    .enum(['deny', 'allow'])
    .prefault('deny')
    .describe("Whether an actor in a token's act chain that is no agent known here denies"),
  guard: z
    .strictObject({
      window: duration({ minMs: 1000 }).prefault('10m'),
      minAgents: int(1, 1_000_000).prefault(50).describe('percent counts once an adapter maps this many'),
      suspend: limit(50, 20),
      resume: limit(10, 5),
    })
    .prefault({})
    .describe('More changes than this, seen in one directory, wait for a person'),
  trust: trust.optional().describe('Trust scores that runtimes report, on 0-1000; without it none has an effect'),
})

const adapterName = z
  .string()
  .regex(
    /^[a-z][a-z0-9-]{0,31}$/,
    says('is not an adapter name', 'use up to 32 lower-case letters, digits and -, a letter first'),
  )

const registration = z.strictObject({
  self: z
    .strictObject({
      adapters: z.array(adapterName).min(1).describe('Directories whose tokens count'),
      blueprint: text.optional().describe('Of every agent that registers itself'),
    })
    .optional()
    .describe('Agents may register themselves with the key of their DID and a token of their account'),
})

const storeUrl = z.string().superRefine((url, context) => {
  const fault = (message: string, hint: string) => context.addIssue({ code: 'custom', message: says(message, hint) })
  const example = 'write sqlite:/var/lib/idp-bridge/bridge.db'
  if (/^postgres(ql)?:/.test(url)) fault('names a kind of store reserved for a later release', example)
  else if (!/^sqlite:[^?#]+$/.test(url) || url.startsWith('sqlite://')) fault('is not the URL of a store', example)
  else if (url.includes(':memory:')) fault('names a store in memory, which would lose every hold at a restart', example)
})

/** The whole file. The schema gives the types, the defaults, the faults and `config/schema.json`. */
export function configSchema<K extends AdapterKinds>(kinds: K, outlets: OutletKinds = {}) {
  // The registry is a record, the union wants a tuple: the cast says that the registry is not empty.
  const options = Object.values(kinds) as [K[keyof K], ...K[keyof K][]]
  return z.strictObject({
    version: z.literal(1),
    server: server.prefault({}),
    store: z.strictObject({ url: storeUrl.prefault('sqlite:/var/lib/idp-bridge/bridge.db') }).prefault({}),
    log: z
      .strictObject({ level: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace']).prefault('info') })
      .prefault({}),
    outbound: z
      .strictObject({
        proxy: proxyUrl.optional().describe('Forward proxy for every request to a directory; empty: none'),
        noProxy: z.array(proxyException).prefault([]).describe('Hosts reached without it: host, host:port or .suffix'),
        caFile: text.optional().describe('PEM file of authorities to trust besides the usual ones'),
      })
      .prefault({}),
    auth,
    registration: registration.optional().describe('How agents come in besides by a registrar'),
    policy: policy.prefault({}),
    capabilities: z
      .strictObject({ maxAge: duration({ minMs: 60_000 }).prefault('24h') })
      .prefault({})
      .describe('A capability from a group lapses when the group could not be read for this long'),
    schedule: z
      .strictObject({ timeZone: timeZone.prefault('UTC') })
      .prefault({})
      .describe('For cron expressions'),
    retention: z
      .strictObject({
        signals: duration({ minMs: 3_600_000 }).prefault('7d'),
        inbox: duration({ minMs: 3_600_000 }).prefault('3d'),
        receipts: duration({ minMs: 86_400_000 }).prefault('400d'),
        deadLetters: duration({ minMs: 86_400_000 }).prefault('30d'),
        audit: duration({ minMs: 86_400_000 }).prefault('400d'),
      })
      .prefault({}),
    telemetry: telemetry.optional().describe('Traces, for a collector of OpenTelemetry'),
    signals: signalsSchema(outlets).prefault({}).describe('Who is pushed the signals, besides those that stream them'),
    signing: signing
      .prefault({})
      .describe('Ed25519 keys in PEM: the first that is not revoked signs, all of those verify'),
    passports: passports.prefault({}).describe('What is vouched for about an agent, to be checked without asking'),
    statusLists: statusLists.prefault({}).describe('Signed lists of who is suspended, for everybody'),
    blueprints,
    tools,
    adapters: z
      .record(adapterName, z.discriminatedUnion('kind', options))
      .describe('The directories, each by a name of yours'),
  })
}

type Parsed = z.output<ReturnType<typeof configSchema<Record<string, z.ZodObject>>>>

/** The configuration in force: frozen, every default filled in, durations in milliseconds. */
export type Config<A extends AdapterBase = AdapterBase> = DeepReadonly<Omit<Parsed, 'adapters' | 'signals'>> & {
  /** Outlets by kind. */
  readonly signals: Readonly<Record<string, readonly OutletBase[]>>
  readonly adapters: Readonly<Record<string, A>>
}

export type DeepReadonly<T> = T extends { read(): string }
  ? T
  : T extends readonly (infer I)[]
    ? readonly DeepReadonly<I>[]
    : T extends object
      ? { readonly [P in keyof T]: DeepReadonly<T[P]> }
      : T
