import { z } from 'zod'
import {
  cidr,
  duration,
  httpsUrl,
  int,
  localListener,
  oneOrMany,
  proxyException,
  proxyUrl,
  says,
  text,
  textMap,
  timeZone,
} from '../lib/fields.ts'
import type { AdapterBase } from './adapter.ts'
import { blueprints } from './blueprints.ts'
import { type OutletBase, type OutletKinds, signalsSchema } from './outlet.ts'
import { passports, signing, statusLists } from './publishing.ts'
import { telemetry } from './telemetry.ts'
import { tools } from './tools.ts'

/** Every kind of adapter there is, by the word that `kind` has in the file. Each extends `adapterBase`. */
export type AdapterKinds = Readonly<Record<string, z.ZodObject>>

export const roles = ['reader', 'gateway', 'runtime', 'registrar', 'responder', 'approver', 'operator'] as const
export type Role = (typeof roles)[number]

/** Parts of the contract that this release does not have yet: refused by name, never accepted and ignored. */
export const reservedKeys: readonly string[] = [
  'auth.oidc',
  'server.hooksPort',
  'server.managementPort',
  'server.tls',
]

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
    tokenSha256: oneOrMany(tokenSha256).describe('SHA-256 of the bearer token, in hexadecimal; several to rotate'),
    agents: z
      .strictObject({ labels: textMap.describe('Every label must match') })
      .optional()
      .describe('The agents a runtime may stop; without it all of them'),
  })
  .superRefine(({ role, agents }, context) => {
    if (agents === undefined || role.includes('runtime')) return
    const hint = 'give the client the role runtime, or remove agents: other roles are not bounded by it'
    context.addIssue({ code: 'custom', path: ['agents'], message: says('bounds only the role runtime', hint) })
  })

const clients = z.array(client).superRefine((list, context) => {
  const conflict = (path: PropertyKey[], message: string, hint: string) =>
    context.addIssue({ code: 'custom', path, message: says(message, hint), params: { code: 'conflict' } })
  const names = new Set<string>()
  const tokens = new Map<string, string>()
  for (const [index, { name, tokenSha256 }] of list.entries()) {
    if (names.has(name)) conflict([index, 'name'], 'is the name of another client too', 'client names are unique')
    names.add(name)
    for (const hash of tokenSha256) {
      const holder = tokens.get(hash)
      if (holder !== undefined) {
        conflict(
          [index, 'tokenSha256'],
          `is a token of the client ${holder} too`,
          'give every client a token of its own',
        )
      }
      tokens.set(hash, name)
    }
  }
  if (!list.some(({ role }) => role.includes('operator'))) {
    conflict([], 'has no client with the role operator', 'add one, or nobody could settle a hold that needs a person')
  }
})

const auth = z.strictObject({
  clients: clients.describe('Who may call the API, by static bearer token'),
  killBudget: z
    .strictObject({ max: int(1, 1_000_000).prefault(100), per: duration({ minMs: 1000 }).prefault('10m') })
    .prefault({})
    .describe('Kills and holds one runtime client may place; more are answered 429 and alerted'),
})

const server = z.strictObject({
  host: text.prefault('0.0.0.0').describe('Address to listen on'),
  port: int(0, 65_535).prefault(8480).describe('0 takes a free one'),
  publicUrl: httpsUrl.optional().describe('Where callers reach the bridge'),
  trustProxy: z.array(cidr).prefault([]).describe('Proxies whose X-Forwarded-For is logged; it never authorises'),
  policySocket: localListener.optional().describe('For policy engines on this machine, which are asked for no token'),
})

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
