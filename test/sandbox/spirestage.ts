import { credentials } from '@grpc/grpc-js'
import { startSpire } from '../../sandbox/spire/index.ts'
import { SpireClient } from './spireclient.ts'
import type { Stage } from './spirescript.ts'

export interface Addresses {
  readonly socket: string
  /** Over TLS. */
  readonly address: string
  readonly workload: string
  readonly trustDomain: string
  /** Certificates of the trust domain, as PEM. */
  readonly caPem: string
}

/** What the script is played on. */
export function stageAt({ address, caPem, socket, trustDomain, workload }: Addresses): Stage & Disposable {
  const stack = new DisposableStack()
  const serverId = `URI:spiffe://${trustDomain}/spire/server`
  const checkServerIdentity = (_host: string, { subjectaltname }: { subjectaltname?: string }) =>
    subjectaltname === serverId ? undefined : new Error(`the server is ${subjectaltname}`)
  // By a name, as addresses are no names in TLS.
  const port = address.split(':').at(-1)
  const channel = credentials.createSsl(Buffer.from(caPem), null, null, { checkServerIdentity })
  return {
    local: stack.use(new SpireClient(socket)),
    nobody: stack.use(new SpireClient(`localhost:${port}`, channel)),
    workload: stack.use(new SpireClient(workload)),
    trustDomain,
    [Symbol.dispose]: () => stack.dispose(),
  }
}

/** The local one, with a workload that has no entry. */
export async function localSpire(): Promise<Addresses & AsyncDisposable> {
  const spire = await startSpire()
  const { address, caPem, socket, trustDomain } = spire
  const workload = await spire.workload(['unix:uid:77'])
  return { address, caPem, socket, trustDomain, workload, [Symbol.asyncDispose]: () => spire[Symbol.asyncDispose]() }
}
