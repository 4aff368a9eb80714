import { type ChannelCredentials, Client, credentials, type Metadata, Metadata as NewMetadata } from '@grpc/grpc-js'
import { serviceNamed } from '../../sandbox/spire/proto.ts'
import { at } from './client.ts'

const deadlineMs = 30_000

/** What was answered, or the status it was refused with. */
export type Answer = { readonly message: unknown } | { readonly code: number; readonly details: string }

const servers = ['entry', 'agent', 'bundle', 'svid'].map((name) => {
  const service = name === 'svid' ? 'SVID' : `${name[0]?.toUpperCase()}${name.slice(1)}`
  return serviceNamed(`spire.api.server.${name}.v1.${service}`)
})

const definitionOf = (call: string) => {
  for (const service of [...servers, serviceNamed('SpiffeWorkloadAPI')]) {
    const found = service[call]
    if (found !== undefined) return found
  }
  throw new Error(`there is no call ${call}`)
}

export const workloadHeader = (): Metadata => {
  const metadata = new NewMetadata()
  metadata.set('workload.spiffe.io', 'true')
  return metadata
}

/** A caller of SPIRE, real or local. */
export class SpireClient implements Disposable {
  readonly #client: Client

  constructor(address: string, channel: ChannelCredentials = credentials.createInsecure()) {
    // Clients share connections, and how long they wait after one was lost.
    this.#client = new Client(address, channel, { 'grpc.use_local_subchannel_pool': 1 })
  }

  /** @param name of the call, such as `ListEntries` */
  ask(name: string, request: object, metadata = new NewMetadata()): Promise<Answer> {
    const { path, requestSerialize, responseDeserialize } = definitionOf(name)
    const options = { deadline: Date.now() + deadlineMs }
    return new Promise((resolve) => {
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        options,
        (error, message) => resolve(error === null ? { message } : { code: error.code, details: error.details }),
      )
    })
  }

  /** The message; throws when it is refused. */
  async get(name: string, request: object, metadata?: Metadata): Promise<unknown> {
    const answer = await this.ask(name, request, metadata)
    if ('message' in answer) return answer.message
    throw new Error(`${name}: ${answer.code} ${answer.details}`)
  }

  /** The next messages of a stream, then the status it ended with. */
  open(name: string, metadata = workloadHeader()) {
    const { path, requestSerialize, responseDeserialize } = definitionOf(name)
    const stream = this.#client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, {}, metadata)
    const ended = new Promise<number>((resolve) => stream.once('status', ({ code }) => resolve(code)))
    stream.on('error', () => undefined)
    const messages = stream[Symbol.asyncIterator]()
    return {
      ended,
      next: async (): Promise<unknown> => (await messages.next()).value,
      [Symbol.dispose]: () => stream.cancel(),
    }
  }

  [Symbol.dispose](): void {
    this.#client.close()
  }
}

/** The tokens that a workload is given now, as text; the code of the status when it gets none. */
export async function fetchTokens(client: SpireClient, audience: string): Promise<readonly string[] | number> {
  const answer = await client.ask('FetchJWTSVID', { audience: [audience], spiffe_id: '' }, workloadHeader())
  if ('code' in answer) return answer.code
  const svids = at(answer.message, 'svids')
  return Array.isArray(svids) ? svids.map((svid) => String(at(svid, 'svid'))) : []
}
