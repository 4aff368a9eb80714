import { type ChannelCredentials, Client, type ClientOptions, Metadata, status } from '@grpc/grpc-js'
import { abortedError, live } from '../aborts.ts'
import { isServiceError, type Purpose, statusError } from './errors.ts'
import type { Method } from './wire.ts'

export interface CallOptions {
  readonly purpose: Purpose
  readonly signal: AbortSignal
}

/** From the call to its answer. */
export const TIMEOUT_MS = 15_000
const MAX_BYTES = 32 * 1024 * 1024

const options: ClientOptions = {
  // Neither the environment nor DNS decides where calls go, and what is repeated is decided here.
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
  'grpc.enable_retries': 0,
  // Clients would share connections, and with them who they are.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.max_receive_message_length': MAX_BYTES,
  'grpc.initial_reconnect_backoff_ms': 200,
  'grpc.max_reconnect_backoff_ms': 5000,
}

export const connect = (address: string, credentials: ChannelCredentials, more: ClientOptions = {}): Client =>
  new Client(address, credentials, { ...options, ...more })

/** gRPC waits for ever without a deadline; it wants a moment of the system's clock, whatever the clock of the bridge says. */
const deadline = () => ({ deadline: Date.now() + TIMEOUT_MS })

const failure = (error: unknown, { purpose, signal }: CallOptions) => {
  if (signal.aborted) return abortedError(signal)
  return statusError(isServiceError(error) ? error.code : status.UNKNOWN, purpose)
}

/**
 * One call with one answer.
 * @throws BridgeError E_DIRECTORY_*, E_ABORTED
 */
export async function ask(client: Client, method: Method, request: object, options: CallOptions): Promise<object> {
  const { signal } = options
  live(signal)
  const { promise, resolve, reject } = Promise.withResolvers<object>()
  const { path, requestSerialize, responseDeserialize } = method
  const call = client.makeUnaryRequest(
    path,
    requestSerialize,
    responseDeserialize,
    request,
    new Metadata(),
    deadline(),
    (error, answer) => (answer === undefined ? reject(failure(error, options)) : resolve(answer)),
  )
  const abort = () => call.cancel()
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await promise
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/** The first message of a stream, each of which is the whole present state (SPIFFE Workload API §4). */
export async function first(client: Client, method: Method, metadata: Metadata, options: CallOptions): Promise<object> {
  const { signal } = options
  live(signal)
  const { promise, resolve, reject } = Promise.withResolvers<object>()
  const { path, requestSerialize, responseDeserialize } = method
  const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, {}, metadata, deadline())
  call.on('data', resolve)
  call.on('error', (error) => reject(failure(error, options)))
  call.on('end', () => reject(failure(undefined, options)))
  const abort = () => call.cancel()
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await promise
  } finally {
    signal.removeEventListener('abort', abort)
    call.cancel()
  }
}
