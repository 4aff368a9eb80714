import { Server as HttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { BridgeError } from '../core/errors.ts'
import type { Clock } from '../lib/clock.ts'
import { createHooksServer, createManagementServer } from './apart.ts'
import { createPolicyServer, listenLocally, type PolicyAddress, type PolicyOptions } from './policy.ts'
import { observeRequests } from './requests.ts'
import { createServer, type ServerOptions } from './server.ts'
import { createTls, type Tls, type TlsParts, type TlsSettings } from './tls.ts'

const cannotListen =
  (setting: string) =>
  (cause: unknown): never => {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
    if (!['EADDRINUSE', 'EADDRNOTAVAIL', 'EACCES', 'ENOENT'].includes(code)) throw cause
    const text = cause instanceof Error ? cause.message : code
    const hint = `Choose another ${setting}, or stop what listens there.`
    throw new BridgeError('E_CONFIG', `The daemon cannot listen: ${text}.`, { cause, hint })
  }

const originOf = (scheme: string, host: string, address: AddressInfo | string | null): string => {
  const port = address !== null && typeof address === 'object' ? address.port : 0
  const shown = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  return `${scheme}://${shown.includes(':') ? `[${shown}]` : shown}:${port}`
}

export interface ListenSettings {
  readonly host: string
  readonly port: number
  readonly publicUrl: string | undefined
  readonly trustProxy: readonly string[]
  /** Undefined: deliveries come to the port of the API. */
  readonly hooksPort: number | undefined
  /** Undefined: health and metrics are on the port of the API. */
  readonly managementPort: number | undefined
  readonly policySocket: PolicyAddress | undefined
  /** Undefined: plain HTTP. */
  readonly tls: TlsSettings | undefined
}

export interface Listeners extends AsyncDisposable {
  /** Where the API is, as this machine reaches it. */
  readonly origin: string
  /** Whether callers are asked for a certificate: that is settled when a listener begins. */
  readonly asks: boolean
}

type Parts = Omit<ServerOptions, 'tls' | 'publicUrl' | 'trustProxy' | 'requests' | 'apart'> &
  Pick<TlsParts, 'alert' | 'metrics'> & {
    readonly clock: Pick<Clock, 'now' | 'sleep'>
  }

/** Every listener of the daemon, until disposed of. @throws BridgeError E_CONFIG, E_SECRET when one cannot begin */
export const listenAll = async (settings: ListenSettings, parts: Parts): Promise<Listeners> => {
  const { host, port, publicUrl, trustProxy, policySocket, hooksPort, managementPort } = settings
  const { bridge, metrics, log, clock, trace } = parts
  const requests = observeRequests()
  await using stack = new AsyncDisposableStack()
  const tls = settings.tls && createTls(settings.tls, parts)
  if (policySocket !== undefined) stack.use(await listenForPolicy(policySocket, { bridge, metrics, log, requests }))
  if (tls !== undefined) {
    const stop = new AbortController()
    stack.defer(() => stop.abort())
    void follow(tls, clock, stop.signal)
  }
  const { graceMs, version } = parts
  const small = { bridge, metrics, log, clock, version, requests, trustProxy, graceMs, trace }
  const begin = async (made: FastifyInstance, at: number, setting: string): Promise<void> => {
    stack.defer(() => made.close())
    log.info({ at: await listenOn(made, host, at, setting) }, `listening by ${setting}`)
  }
  const apart = { hooks: hooksPort !== undefined, management: managementPort !== undefined }
  // Opened first, and so closed last: a probe sees the daemon stop.
  if (managementPort !== undefined) await begin(createManagementServer(small), managementPort, 'server.managementPort')
  if (hooksPort !== undefined) await begin(createHooksServer({ ...small, tls }), hooksPort, 'server.hooksPort')
  const server = createServer({ ...parts, tls, publicUrl, trustProxy, requests, apart })
  stack.defer(() => server.close())
  const origin = await listenOn(server, host, port)
  const held = stack.move()
  return { origin, asks: tls?.asks === true, [Symbol.asyncDispose]: () => held.disposeAsync() }
}

const LOOK_MS = 10_000

const follow = async (tls: Tls, clock: Parts['clock'], signal: AbortSignal): Promise<void> => {
  while (!signal.aborted) {
    await clock.sleep(LOOK_MS, signal).catch(() => undefined)
    if (!signal.aborted) tls.refresh()
  }
}

/** Where it then listens, as this machine reaches it. @throws BridgeError E_CONFIG when it cannot */
export const listenOn = async (
  server: FastifyInstance,
  host: string,
  port: number,
  setting = 'server.host or server.port',
): Promise<string> => {
  const scheme = server.server instanceof HttpsServer ? 'https' : 'http'
  const listenTextResolver = (address: string) => `listening at ${address.replace(/^http:/, `${scheme}:`)}`
  await server.listen({ host, port, listenTextResolver }).catch(cannotListen(setting))
  return originOf(scheme, host, server.server.address())
}

/** The listener without tokens, until it is disposed of. @throws BridgeError E_CONFIG when it cannot listen */
export const listenForPolicy = async (
  address: PolicyAddress,
  options: Omit<PolicyOptions, 'graceMs'>,
): Promise<AsyncDisposable> => {
  const server = createPolicyServer({ ...options, graceMs: undefined })
  const at = await listenLocally(server, address).catch(cannotListen('server.policySocket'))
  options.log.info({ at }, 'listening for policy engines, which are asked for no token')
  return { [Symbol.asyncDispose]: () => server.close() }
}
