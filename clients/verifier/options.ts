import type { SecureContextOptions } from 'node:tls'
import { BridgeError } from '../../src/core/errors.ts'
import type { OutboundOptions } from '../../src/lib/outbound.ts'
import type { Peer } from '../agt/http.ts'
import { baseOf, type TokenOption, tokenOf, type Wrong } from '../place.ts'

/** Hears what went wrong. */
export type Report = (error: BridgeError) => void

export interface VerifierOptions {
  /** Where the bridge is reached: https, or http on loopback. A path in it is kept as a prefix. */
  readonly url: string
  /** Bearer token of a client with the role `gateway`; a function is asked before every request. */
  readonly token: TokenOption
  /** Once the bridge has not said for so long that it told everything, every answer is a refusal. Default 30 s. */
  readonly maxAgeMs?: number | undefined
  /** Most agents that are kept, about 2 KiB each. Default 200,000. */
  readonly maxAgents?: number | undefined
  /** Stops it. From then on every answer is a refusal. */
  readonly signal?: AbortSignal | undefined
  /** Hears what went wrong. Default: `process.emitWarning`. What it throws is ignored. */
  readonly onError?: Report | undefined
  /** Certificates for the bridge: a private authority, a client certificate. */
  readonly tls?: Pick<SecureContextOptions, 'ca' | 'cert' | 'key'> | undefined
  /** How the signing keys of the directories are fetched: as `outbound` of the bridge's configuration. */
  readonly outbound?: Pick<OutboundOptions, 'proxy' | 'noProxy' | 'caFile'> | undefined
}

export interface Settings extends Peer {
  readonly maxAgeMs: number
  readonly maxAgents: number
  readonly signal: AbortSignal | undefined
  readonly report: Report
  readonly outbound: Pick<OutboundOptions, 'proxy' | 'noProxy' | 'caFile'>
}

const wrong: Wrong = (what) => new BridgeError('E_CONFIG', what, { hint: 'See docs/verifier.md.' })

const within = (name: string, value: number, least: number, most: number): number => {
  if (Number.isFinite(value) && value >= least && value <= most) return value
  throw wrong(`${name} must be from ${least} to ${most}.`)
}

const warn: Report = (error) => process.emitWarning(error.message, { type: 'AgentMeshIdpBridge', code: error.code })

/** The bridge speaks up every two seconds. */
const leastAgeMs = 3_000

/** @throws BridgeError E_CONFIG */
export const settingsOf = (options: VerifierOptions): Settings => {
  const told = options.onError ?? warn
  return {
    base: baseOf(options.url, wrong),
    token: tokenOf(options.token, wrong),
    tls: options.tls ?? {},
    maxAgeMs: within('maxAgeMs', options.maxAgeMs ?? 30_000, leastAgeMs, 86_400_000),
    maxAgents: within('maxAgents', options.maxAgents ?? 200_000, 1, 10_000_000),
    signal: options.signal,
    report: (error) => {
      try {
        told(error)
      } catch {
        // A listener that throws changes no answer.
      }
    },
    outbound: options.outbound ?? {},
  }
}
