import type { SecureContextOptions } from 'node:tls'
import { baseOf, milliseconds, type TokenOption, tokenOf, type Wrong } from '../place.ts'
import { AgtClientError, type Report } from './errors.ts'
import type { Peer } from './http.ts'
import type { GovernedLike, KillSwitchLike, LifecyclesLike, RegistryLike } from './sdk.ts'

export interface AttachOptions {
  /** Where the bridge is reached: https, or http on loopback. A path in it is kept as a prefix. */
  readonly url: string
  /** Bearer token of a client with the role `runtime`; a function is asked before every request. */
  readonly token: TokenOption
  /** One kill switch, or all of this process. */
  readonly killSwitch: KillSwitchLike | readonly KillSwitchLike[]
  /** Identities to suspend and reactivate, by DID. */
  readonly registry?: RegistryLike | undefined
  /** Lifecycles to suspend and activate, by DID. */
  readonly lifecycle?: LifecyclesLike | undefined
  /** `AgentMeshClient`s: gated, and their identity, lifecycle and kill switch attached. */
  readonly clients?: readonly GovernedLike[] | undefined
  /** The id an agent is killed by in this process → the DID it is registered under. Compared as exact strings. */
  readonly aliases?: Readonly<Record<string, string>> | undefined
  /** Where kills wait and the position is kept. Without one both live in memory and end with the process. */
  readonly folder?: string | undefined
  /** From which severity on the local kill switch fires too. Default `kill`: `suspend` closes gates and suspends. */
  readonly killFrom?: 'suspend' | 'kill' | undefined
  /** Without a sign of the bridge for so long every gate closes. Default 45 s: three heartbeats. */
  readonly silenceMs?: number | undefined
  /** How long the handlers of a local kill wait at most for the bridge to record it. Default 2 s. */
  readonly recordTimeoutMs?: number | undefined
  /** When handlers that have not settled are reported. Default 10 s. */
  readonly handlerTimeoutMs?: number | undefined
  /** Stops the client. Its gates stay closed. */
  readonly signal?: AbortSignal | undefined
  /** Hears what went wrong. Default: `process.emitWarning`. What it throws is ignored. */
  readonly onError?: Report | undefined
  /** Certificates for https: a private authority, a client certificate. */
  readonly tls?: Pick<SecureContextOptions, 'ca' | 'cert' | 'key'> | undefined
}

export interface Settings extends Peer {
  readonly switches: readonly KillSwitchLike[]
  readonly clients: readonly GovernedLike[]
  readonly registry: RegistryLike | undefined
  readonly lifecycle: LifecyclesLike | undefined
  readonly aliases: ReadonlyMap<string, string>
  readonly folder: string | undefined
  readonly killFrom: 'suspend' | 'kill'
  readonly silenceMs: number
  readonly recordTimeoutMs: number
  readonly handlerTimeoutMs: number
  readonly report: Report
}

const wrong: Wrong = (what) => new AgtClientError('E_OPTIONS', what)

const switchesOf = ({ killSwitch, clients = [] }: AttachOptions): KillSwitchLike[] => {
  const given = [killSwitch].flat()
  if (given.some((one) => typeof one?.kill !== 'function')) throw wrong('killSwitch has no kill method.')
  const all = [...given, ...clients.map((one) => one.killSwitch)]
  return [...new Set(all.filter((one) => one !== undefined))]
}

const aliasesOf = (aliases: Readonly<Record<string, string>> = {}): Map<string, string> => {
  const map = new Map(Object.entries(aliases))
  for (const [id, did] of map) {
    if (typeof did !== 'string' || did === '') throw wrong(`aliases: ${id} names no DID.`)
    if (map.has(did) && did !== id) throw wrong(`aliases: ${id} names ${did}, which is an alias itself.`)
  }
  return map
}

const warn: Report = (error) => process.emitWarning(error.message, { type: 'AgentMeshIdpBridge', code: error.code })

const quietly =
  (report: Report): Report =>
  (error) => {
    try {
      report(error)
    } catch {
      // A listener that throws must not keep an agent running.
    }
  }

/** @throws AgtClientError E_OPTIONS */
export const settingsOf = (options: AttachOptions): Settings => ({
  base: baseOf(options.url, wrong),
  token: tokenOf(options.token, wrong),
  switches: switchesOf(options),
  clients: options.clients ?? [],
  registry: options.registry,
  lifecycle: options.lifecycle,
  aliases: aliasesOf(options.aliases),
  folder: options.folder,
  killFrom: options.killFrom ?? 'kill',
  silenceMs: milliseconds('silenceMs', options.silenceMs, 45_000, wrong),
  recordTimeoutMs: milliseconds('recordTimeoutMs', options.recordTimeoutMs, 2_000, wrong),
  handlerTimeoutMs: milliseconds('handlerTimeoutMs', options.handlerTimeoutMs, 10_000, wrong),
  report: quietly(options.onError ?? warn),
  tls: options.tls ?? {},
})
