import { createServer } from 'node:https'
import { bundleDocument, type Trust } from './trust.ts'
import { toPem } from './x509.ts'

export interface BundleEndpointOptions {
  /** `https_spiffe`: shows the server's own SVID; `https_web`: a certificate for `localhost`. */
  readonly profile: 'https_web' | 'https_spiffe'
  readonly refreshHintS?: number
}

export interface BundleEndpoint extends AsyncDisposable {
  readonly url: string
  /** Certificates it is trusted by in the profile of the web. */
  readonly caPem: string
  /** Requests so far. */
  readonly count: number
  /** Answers this instead, until told otherwise. */
  answer(instead: { readonly status: number; readonly body: string } | undefined): void
}

/** Where others fetch the bundle of a trust domain from: only `GET /`, and without asking who they are. */
export async function startBundleEndpoint(
  trust: Trust,
  serverId: string,
  { profile, refreshHintS = 300 }: BundleEndpointOptions,
): Promise<BundleEndpoint> {
  const { certificate, privateKey } =
    profile === 'https_web' ? trust.webCertificate('localhost') : trust.x509Svid(serverId, 3600)
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' })
  let count = 0
  let instead: { readonly status: number; readonly body: string } | undefined
  const server = createServer({ cert: toPem(certificate), key }, (request, response) => {
    count += 1
    if (request.method !== 'GET') {
      response.writeHead(405, { 'Content-Type': 'text/plain; charset=utf-8' }).end('405 method not allowed\n')
    } else if (new URL(request.url ?? '/', 'https://localhost').pathname !== '/') {
      response.writeHead(404, { 'Content-Type': 'text/plain; charset=utf-8' }).end('404 page not found\n')
    } else {
      response.writeHead(instead?.status ?? 200, { 'Content-Type': 'application/json' })
      response.end(instead?.body ?? bundleDocument(trust.bundle, refreshHintS))
    }
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the bundle endpoint has no port')
  return {
    url: `https://localhost:${address.port}/`,
    caPem: trust.bundle.x509.map(toPem).join(''),
    get count() {
      return count
    },
    answer(next) {
      instead = next
    },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
