import { status } from '@grpc/grpc-js'
import { BridgeError } from '../../src/core/errors.ts'
import { CallError } from '../grpc.ts'
import { workloadClient } from '../workloadapi.ts'
import type { EntraConfig } from './config.ts'

const UNANSWERED: ReadonlySet<status> = new Set([status.UNAVAILABLE, status.DEADLINE_EXCEEDED])

/**
 * The JWT-SVID of the bridge, to sign in with as a federated assertion. It is asked for each time and kept nowhere: the
 * agent hands the same one out until half of its life is over.
 *
 * @throws BridgeError E_DIRECTORY_AUTH, E_DIRECTORY_DOWN, E_DIRECTORY_ANSWER, E_ABORTED
 */
export async function fetchAssertion(
  { socket, audience, spiffeId }: Extract<EntraConfig['credential'], { type: 'spiffe' }>,
  signal: AbortSignal,
): Promise<string> {
  const client = workloadClient(socket)
  try {
    return await client.jwtSvid(audience, spiffeId, signal)
  } catch (error) {
    if (!(error instanceof CallError) || UNANSWERED.has(error.grpc)) throw error
    throw new BridgeError('E_DIRECTORY_AUTH', 'the Workload API gave the bridge no JWT-SVID to sign in with', {
      cause: error,
      ...(error.hint !== undefined && { hint: error.hint }),
    })
  } finally {
    client.close()
  }
}
