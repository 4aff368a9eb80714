import { constants, createPrivateKey } from 'node:crypto'
import type { RequestListener } from 'node:http'
import { createServer, type Server, type ServerOptions } from 'node:https'
import type { Socket } from 'node:net'
import { createSecureContext } from 'node:tls'
import type { FastifyBaseLogger } from 'fastify'
import { BridgeError } from '../core/errors.ts'
import type { Metrics } from '../lib/metrics.ts'
import { type Authorities, authoritiesOf } from '../lib/svid.ts'
import { certificatesIn } from '../lib/x509.ts'

interface Text {
  /** As it is now. @throws BridgeError E_SECRET */
  read(): string
}

export interface TlsSettings {
  readonly cert: Text
  readonly key: Text
  readonly clientCa: Text | undefined
  /** Whether callers are asked for a certificate; they need not have one. */
  readonly asks: boolean
}

export interface TlsParts {
  readonly clock: { now(): number }
  readonly log: Pick<FastifyBaseLogger, 'info' | 'warn'>
  readonly alert: (code: string, text: string) => void
  readonly metrics: Pick<Metrics, 'set'>
}

export interface Tls {
  readonly asks: boolean
  /** An HTTPS server that follows the files. `asks: false`: one that asks nobody for a certificate. */
  serve(handler: RequestListener, options: ServerOptions, asks?: boolean): Server
  /** Reads the files again. What is faulty changes nothing, with an alert; connections go on in any case. */
  refresh(): void
  /** Those whose client certificates are believed now; another object after a change. */
  authorities(): Authorities
  /** Those by which a connection of its servers was judged when it began. */
  judgedBy(socket: Socket): Authorities | undefined
}

interface Texts {
  readonly cert: string
  readonly key: string
  readonly ca: string | undefined
}

const DAY_MS = 86_400_000
const WARN_MS = 14 * DAY_MS
/** Of its lifetime: what renews certificates does so at two thirds of it at the latest. */
const WARN_SHARE = 1 / 5
/** Forward secret and authenticated, all of them (RFC 9325 section 4.2; the first three are those of TLS 1.3). */
const ciphers = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':')

const contextOf = ({ cert, key, ca }: Texts): ServerOptions => ({
  cert,
  key,
  // Without authorities those of the web would be believed.
  ca: ca ?? [],
  // A trust bundle may have authorities that others issued, and none above them.
  allowPartialTrustChain: true,
  minVersion: 'TLSv1.2',
  ciphers,
  honorCipherOrder: true,
  // A resumed session would be believed by what was checked when it began.
  secureOptions: constants.SSL_OP_NO_TICKET,
})

const fault = (text: string, cause?: unknown): BridgeError =>
  new BridgeError('E_CONFIG', text, { cause, hint: 'Check server.tls: cert, its key, clientCa.' })

const textsOf = ({ cert, key, clientCa }: TlsSettings): Texts => ({
  cert: cert.read(),
  key: key.read(),
  ca: clientCa?.read(),
})

const checked = (texts: Texts) => {
  try {
    const [own] = certificatesIn(texts.cert)
    const authorities = authoritiesOf(certificatesIn(texts.ca ?? ''))
    if (own === undefined || (texts.ca !== undefined && authorities.fingerprints.size === 0))
      throw new Error('there is no certificate in it')
    if (!own.checkPrivateKey(createPrivateKey(texts.key))) throw new Error('the key is of another certificate')
    createSecureContext(contextOf(texts))
    return { own, authorities }
  } catch (cause) {
    throw fault(`The certificate of the API cannot be used: ${cause instanceof Error ? cause.message : 'unreadable'}.`)
  }
}

const nameOf = ({ remoteAddress, remotePort, localAddress, localPort }: Socket): string =>
  `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`

/** @throws BridgeError E_SECRET, E_CONFIG when the files cannot be used at the start */
export const createTls = (settings: TlsSettings, { clock, log, alert, metrics }: TlsParts): Tls => {
  const servers = new Set<Server>()
  let texts = textsOf(settings)
  let { own, authorities } = checked(texts)
  let faulty: string | undefined
  let told: string | undefined

  const isNew = (news: string): boolean => {
    const before = told
    told = `${news} ${own.fingerprint256}`
    return told !== before
  }
  const watchDates = (): void => {
    const [from, until] = [own.validFromDate.getTime(), own.validToDate.getTime()]
    const left = until - clock.now()
    metrics.set('tls_certificate_expires_seconds', { use: 'server' }, until / 1000)
    const isGood = left > 0 && clock.now() >= from
    if (!isGood && isNew('expired'))
      alert('certificate-expired', `the certificate of the API is good from ${own.validFrom} to ${own.validTo}`)
    if (isGood && left < Math.min(WARN_MS, (until - from) * WARN_SHARE) && isNew('expiring'))
      alert('certificate-expiring', `the certificate of the API ends at ${own.validTo}`)
  }
  /** Told at the second look: two files are not replaced at once. */
  const notUsed = (error: unknown): void => {
    const text = error instanceof BridgeError ? error.message : 'unreadable'
    if (faulty === text) alert('certificate-faulty', `${text} The one before stays in force`)
    faulty = faulty === text ? `${text} ` : faulty === `${text} ` ? faulty : text
  }
  watchDates()

  /** A socket with TLS does not tell which one it is over. */
  const begun = new Map<string, Authorities>()
  const note = (socket: Socket): void => {
    const name = nameOf(socket)
    begun.set(name, authorities)
    socket.once('close', () => begun.delete(name))
  }

  return {
    asks: settings.asks,
    serve: (handler, options, asks = settings.asks) => {
      const server = createServer(
        { ...options, ...contextOf(texts), requestCert: asks, rejectUnauthorized: false, handshakeTimeout: 15_000 },
        handler,
      )
      // Whoever is there is asked once, when the connection begins.
      server.on('secureConnection', (socket) => socket.disableRenegotiation())
      server.on('connection', note)
      server.once('close', () => servers.delete(server))
      servers.add(server)
      return server
    },
    refresh: () => {
      try {
        const next = textsOf(settings)
        if (next.cert !== texts.cert || next.key !== texts.key || next.ca !== texts.ca) {
          const found = checked(next)
          if (next.ca !== texts.ca) authorities = found.authorities
          own = found.own
          texts = next
          for (const server of servers) server.setSecureContext(contextOf(texts))
          log.info({ until: own.validTo }, 'the certificate of the API was read again')
        }
        faulty = undefined
      } catch (error) {
        notUsed(error)
      }
      watchDates()
    },
    authorities: () => authorities,
    judgedBy: (socket) => begun.get(nameOf(socket)),
  }
}
