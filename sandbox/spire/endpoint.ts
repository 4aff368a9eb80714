import { rmSync } from 'node:fs'
import type { TLSSocket } from 'node:tls'
import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
} from '@grpc/grpc-js'
import type { ServiceDefinition } from '@grpc/proto-loader'
import { type Alteration, type Fault, type Faults, staged } from '../faults.ts'
import type { RequestLog } from '../requests.ts'
import { Refused, status } from './refused.ts'

export type Surface = 'server' | 'workload'

/** Who calls: whoever reaches the socket, or who the certificate of the connection says. */
export type Caller = 'local' | { readonly id: string | undefined }

export interface Context {
  readonly path: string
  readonly caller: Caller
  readonly metadata: Metadata
}

export interface Unary {
  readonly run: (request: unknown, context: Context) => object
  /** What a fault makes of the answer, where it can. */
  readonly altered?: (how: Alteration, run: () => object, request: unknown) => object
}

/** Sends until the returned function is called. */
export interface Streaming {
  readonly open: (
    request: unknown,
    context: Context,
    sink: { send: (message: object) => void; refuse: (refused: Refused) => void },
  ) => () => void
}

export interface Service {
  readonly definition: ServiceDefinition
  readonly calls: Readonly<Record<string, Unary | Streaming>>
}

export interface EndpointOptions {
  readonly surface: Surface
  readonly services: readonly Service[]
  readonly faults: Faults
  readonly requests: RequestLog<Surface>
  readonly now: () => number
  /** Path of a socket, or mutual TLS on loopback. */
  readonly at: { readonly socket: string } | { readonly tls: () => TlsOptions; readonly maxConnectionAgeMs: number }
}

export interface TlsOptions {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/** A certificate is asked for, and it is up to each call what it takes to be nobody. */
class OptionalClientCredentials extends ServerCredentials {
  constructor(options: TlsOptions) {
    super({ requestCert: true, rejectUnauthorized: false }, { ...options })
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other
  }
}

/** One gRPC address, which can go away and come back. */
export class Endpoint implements AsyncDisposable {
  readonly #options: EndpointOptions
  #server: Server | undefined
  #port = 0

  constructor(options: EndpointOptions) {
    this.#options = options
  }

  /** As gRPC clients want it. */
  get address(): string {
    const { at } = this.#options
    return 'socket' in at ? `unix://${at.socket}` : `127.0.0.1:${this.#port}`
  }

  async up(): Promise<void> {
    if (this.#server !== undefined) return
    const { at, services } = this.#options
    const server = new Server('socket' in at ? {} : { 'grpc.max_connection_age_ms': at.maxConnectionAgeMs })
    for (const { calls, definition } of services) {
      const handlers = Object.entries(calls).map(([name, call]) => {
        const path = definition[name]?.path
        if (path === undefined) throw new Error(`there is no call ${name}`)
        return [name, 'run' in call ? this.#unary(path, call) : this.#streaming(path, call)]
      })
      server.addService(definition, Object.fromEntries(handlers))
    }
    const credentials = 'socket' in at ? ServerCredentials.createInsecure() : new OptionalClientCredentials(at.tls())
    if ('socket' in at) rmSync(at.socket, { force: true })
    const address = 'socket' in at ? this.address : `127.0.0.1:${this.#port}`
    this.#port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(address, credentials, (error, port) => (error === null ? resolve(port) : reject(error)))
    })
    this.#server = server
  }

  /** Connections are cut, and new ones refused. */
  async down(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (server === undefined) return
    // Closing removes the file of the socket, which must not be the one of the next server.
    const closed = new Promise<void>((resolve) => server.tryShutdown(() => resolve()))
    server.forceShutdown()
    await closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down()
  }

  #context(path: string, call: Pick<ServerUnaryCall<unknown, object>, 'getAuthContext' | 'metadata'>): Context {
    const { at } = this.#options
    const caller = 'socket' in at ? 'local' : { id: spiffeIdOf(call.getAuthContext().sslPeerCertificate) }
    return { path, caller, metadata: call.metadata }
  }

  #logged(path: string, request: unknown, metadata: Metadata) {
    const { faults, now, requests, surface } = this.#options
    const header = (name: string) => metadata.get(name)[0]?.toString()
    const entry = requests.open({ at: now(), surface, method: 'POST', path, body: request, header })
    return { entry, fault: faults.take({ method: 'POST', path, header, body: request }) }
  }

  #unary(path: string, { altered, run }: Unary): handleUnaryCall<unknown, object> {
    return async (call, answer) => {
      const { request } = call
      const { entry, fault } = this.#logged(path, request, call.metadata)
      const waits = fault !== undefined && 'mode' in fault && fault.mode === 'wait' ? fault.until : undefined
      await waits
      const close = (refused: Refused | undefined, message?: object) => {
        this.#options.requests.close(entry, refused?.code ?? status.ok)
        if (refused === undefined) answer(null, message ?? {})
        else answer({ code: refused.code, details: refused.message })
      }
      try {
        const message = staged<object>(fault, {
          run: () => run(request, this.#context(path, call)),
          refused: ({ message, status: code }) => {
            throw new Refused(code, message ?? '')
          },
          altered: (how, carryOut) => (altered === undefined ? carryOut() : altered(how, carryOut, request)),
        })
        if (cuts(fault)) close(new Refused(status.unavailable, 'the connection was cut'))
        else if (!hangs(fault)) close(undefined, message)
      } catch (error) {
        close(error instanceof Refused ? error : new Refused(status.internal, String(error)))
      }
    }
  }

  #streaming(path: string, { open }: Streaming): handleServerStreamingCall<unknown, object> {
    return (call) => {
      const { entry, fault } = this.#logged(path, call.request, call.metadata)
      let close = () => {}
      const refuse = (refused: Refused) => {
        close()
        this.#options.requests.close(entry, refused.code)
        call.emit('error', { code: refused.code, details: refused.message, metadata: new Metadata() })
      }
      if (fault !== undefined && 'status' in fault) {
        refuse(new Refused(fault.status, fault.message ?? ''))
        return
      }
      if (hangs(fault)) return
      if (cuts(fault)) {
        refuse(new Refused(status.unavailable, 'the connection was cut'))
        return
      }
      call.on('cancelled', () => close())
      try {
        const sink = { send: (message: object) => void call.write(message), refuse }
        close = open(call.request, this.#context(path, call), sink)
      } catch (error) {
        refuse(error instanceof Refused ? error : new Refused(status.internal, String(error)))
      }
    }
  }
}

const modeOf = (fault: Fault | undefined) => (fault !== undefined && 'mode' in fault ? fault.mode : undefined)
const cuts = (fault: Fault | undefined) => ['reset', 'reset-after-body', 'truncate'].includes(modeOf(fault) ?? '')
const hangs = (fault: Fault | undefined) => ['hang', 'hang-after-body'].includes(modeOf(fault) ?? '')

/** The only name of a certificate, if it is one; who has none is nobody. */
function spiffeIdOf(certificate: ReturnType<TLSSocket['getPeerCertificate']> | undefined): string | undefined {
  const names = certificate?.subjectaltname?.split(', ').filter((name) => name.startsWith('URI:')) ?? []
  return names.length === 1 ? names[0]?.slice('URI:'.length) : undefined
}
