import {
  type ChannelCredentials,
  Client,
  type ClientOptions,
  Metadata,
  type MethodDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js'
import { BridgeError, type ErrorCode } from '../src/core/errors.ts'
import { abortedError, live } from './aborts.ts'
import type { Named } from './answers.ts'

export type Method = MethodDefinition<object, object>

/** What a call was for. */
export interface Purpose extends Named {
  /** Who answers, as errors name it. */
  readonly of: string
  /** What mends a refusal for want of rights. */
  readonly forbidden: string
  /** What to look at when nobody answers. */
  readonly down: string
}

export interface CallOptions {
  readonly purpose: Purpose
  readonly signal: AbortSignal
  readonly metadata?: Metadata
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

const codes: Readonly<Partial<Record<status, ErrorCode>>> = {
  [status.UNAUTHENTICATED]: 'E_DIRECTORY_AUTH',
  [status.PERMISSION_DENIED]: 'E_DIRECTORY_FORBIDDEN',
  [status.RESOURCE_EXHAUSTED]: 'E_DIRECTORY_THROTTLED',
  [status.INVALID_ARGUMENT]: 'E_DIRECTORY_REFUSED',
  [status.NOT_FOUND]: 'E_DIRECTORY_REFUSED',
  [status.ALREADY_EXISTS]: 'E_DIRECTORY_REFUSED',
  [status.FAILED_PRECONDITION]: 'E_DIRECTORY_REFUSED',
  [status.OUT_OF_RANGE]: 'E_DIRECTORY_ANSWER',
  [status.UNIMPLEMENTED]: 'E_DIRECTORY_REFUSED',
}

const RETRY_MS = 1000

/** A failed call, with the status by which gRPC tells it. */
export class CallError extends BridgeError {
  readonly grpc: status
  constructor(grpc: status, code: ErrorCode, text: string, options: ConstructorParameters<typeof BridgeError>[2]) {
    super(code, text, options)
    this.grpc = grpc
  }
}

/** A status of a call, or of one item of a batch. What the server says beside it may quote an entry, and is not kept. */
export function statusError(code: status, { of, what, forbidden, down }: Purpose): CallError {
  const text = `${of} answered ${code} (${status[code] ?? 'unknown'}) to ${what}`
  return new CallError(code, codes[code] ?? 'E_DIRECTORY_DOWN', text, {
    ...(code === status.RESOURCE_EXHAUSTED && { retryAfterMs: RETRY_MS }),
    ...(code === status.PERMISSION_DENIED && { hint: forbidden }),
    ...(code === status.UNAVAILABLE && { hint: down }),
  })
}

const isServiceError = (error: unknown): error is ServiceError =>
  error instanceof Error && 'code' in error && typeof error.code === 'number' && 'details' in error

const failure = (error: unknown, { purpose, signal }: CallOptions) => {
  if (signal.aborted) return abortedError(signal)
  return statusError(isServiceError(error) ? error.code : status.UNKNOWN, purpose)
}

/**
 * One call with one answer.
 * @throws BridgeError E_DIRECTORY_*, E_ABORTED
 */
export async function ask(client: Client, method: Method, request: object, options: CallOptions): Promise<object> {
  const { signal, metadata = new Metadata() } = options
  live(signal)
  const { promise, resolve, reject } = Promise.withResolvers<object>()
  const { path, requestSerialize, responseDeserialize } = method
  const call = client.makeUnaryRequest(
    path,
    requestSerialize,
    responseDeserialize,
    request,
    metadata,
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
export async function first(client: Client, method: Method, options: CallOptions): Promise<object> {
  const { signal, metadata = new Metadata() } = options
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
