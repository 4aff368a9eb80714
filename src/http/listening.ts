import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { BridgeError } from '../core/errors.ts'
import { createPolicyServer, listenLocally, type PolicyAddress, type PolicyOptions } from './policy.ts'

const cannotListen =
  (setting: string) =>
  (cause: unknown): never => {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
    if (!['EADDRINUSE', 'EADDRNOTAVAIL', 'EACCES', 'ENOENT'].includes(code)) throw cause
    const text = cause instanceof Error ? cause.message : code
    const hint = `Choose another ${setting}, or stop what listens there.`
    throw new BridgeError('E_CONFIG', `The daemon cannot listen: ${text}.`, { cause, hint })
  }

const originOf = (host: string, address: AddressInfo | string | null): string => {
  const port = address !== null && typeof address === 'object' ? address.port : 0
  const shown = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  return `http://${shown.includes(':') ? `[${shown}]` : shown}:${port}`
}

/** Where it then listens, as this machine reaches it. @throws BridgeError E_CONFIG when it cannot */
export const listenOn = async (server: FastifyInstance, host: string, port: number): Promise<string> => {
  await server.listen({ host, port }).catch(cannotListen('server.host or server.port'))
  return originOf(host, server.server.address())
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
