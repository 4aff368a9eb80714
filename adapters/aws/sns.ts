import { createVerify, X509Certificate } from 'node:crypto'
import { z } from 'zod'
import { BridgeError, codeOf } from '../../src/core/errors.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { PinnedFetch } from '../../src/lib/outbound.ts'
import { jsonOf, unverified } from '../deliveries.ts'

/** What SNS posts (HTTP/HTTPS JSON formats, read 2026-11). */
const common = z.object({
  MessageId: z.string().min(1).max(128),
  TopicArn: z.string().min(1).max(512),
  Message: z.string().max(1024 * 1024),
  Timestamp: z.iso.datetime({ offset: true }),
  SignatureVersion: z.string().max(8),
  Signature: z.base64().max(4096),
  SigningCertURL: z.string().max(1024),
})
const notification = common.extend({ Type: z.literal('Notification'), Subject: z.string().max(1024).nullish() })
const handshake = common.extend({
  Type: z.enum(['SubscriptionConfirmation', 'UnsubscribeConfirmation']),
  SubscribeURL: z.string().max(2048),
  Token: z.string().min(1).max(1024),
})
const message = z.discriminatedUnion('Type', [notification, handshake])
export type SnsMessage = z.output<typeof message>
export type Handshake = z.output<typeof handshake>

export interface SnsParts {
  /** ARNs of the topics that are believed. */
  readonly topics: readonly string[]
  /** Where SNS itself is in the region of a topic. */
  readonly endpointOf: (region: string) => string
  /** Pinned to those. */
  readonly fetch: PinnedFetch
  readonly clock: Pick<Clock, 'now' | 'mono'>
}

export interface Sns {
  /** @throws BridgeError E_HOOK_UNVERIFIED, E_HOOK_CANNOT_CHECK, E_HOOK_BODY */
  verified(body: Uint8Array, signal: AbortSignal): Promise<SnsMessage>
  /** Agrees to a subscription that is verified already. @throws BridgeError E_HOOK_CANNOT_CHECK */
  confirm(handshake: Handshake, signal: AbortSignal): Promise<void>
}

/** SNS tries a delivery again for an hour at most (delivery retries, read 2026-11); clocks differ. */
const MAX_AGE_MS = 75 * 60_000
const MAX_AHEAD_MS = 5 * 60_000
const KEPT_MS = 3_600_000
const MAX_CERTIFICATES = 20
/** Anyone may post, so how often that makes us ask SNS for a certificate is bounded. */
const MAX_FETCHES = 10
const FETCHES_MS = 60_000
const MIN_BITS = 2048
/** Host and path of a signing certificate, as SNS names them. */
const SNS_HOST = /^sns\.([a-z0-9-]{3,30})\.(amazonaws\.com(?:\.cn)?)$/
const CERTIFICATE_PATH = /^\/SimpleNotificationService-[0-9A-Za-z]{1,80}\.pem$/

const regionOf = (topic: string): string => topic.split(':')[3] ?? ''

/** Each field's name and value on lines of their own, in this order (verifying signatures, read 2026-11). */
function signedText(given: SnsMessage): string {
  const { Message, MessageId, Timestamp, TopicArn, Type } = given
  const fields: [string, string | null | undefined][] =
    given.Type === 'Notification'
      ? [['Subject', given.Subject]]
      : [
          ['SubscribeURL', given.SubscribeURL],
          ['Token', given.Token],
        ]
  fields.push(
    ['Message', Message],
    ['MessageId', MessageId],
    ['Timestamp', Timestamp],
    ['TopicArn', TopicArn],
    ['Type', Type],
  )
  return fields
    .filter(([, value]) => value !== undefined && value !== null)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}\n${value}\n`)
    .join('')
}

/**
 * Deliveries of SNS: version 2 of the signature only (RSA with SHA-256), with a certificate of SNS itself. The address of
 * the certificate comes with the message and is never followed: its host must be that of SNS in the topic's region, and
 * then only its path is asked for, there.
 */
export function openSns({ topics, endpointOf, fetch, clock }: SnsParts): Sns {
  const certificates = new Map<string, { readonly certificate: X509Certificate; readonly at: number }>()

  const endpointFor = (given: string, topic: string, what: string): { url: URL; endpoint: string } => {
    const region = regionOf(topic)
    const endpoint = endpointOf(region)
    const url = URL.canParse(given) ? new URL(given) : undefined
    const [, named, suffix] = SNS_HOST.exec(url?.hostname ?? '') ?? []
    const ofAws = url?.protocol === 'https:' && url.port === '' && named === region
    const partition = topic.startsWith('arn:aws-cn:') ? 'amazonaws.com.cn' : 'amazonaws.com'
    const isTheirs = (ofAws && suffix === partition) || url?.origin === endpoint
    if (!url || !isTheirs || url.username !== '' || url.password !== '')
      throw unverified(`the ${what} of the delivery is not at SNS in the region of its topic`)
    return { url, endpoint }
  }

  const certificateOf = async (given: SnsMessage, signal: AbortSignal): Promise<X509Certificate> => {
    const { url, endpoint } = endpointFor(given.SigningCertURL, given.TopicArn, 'certificate')
    if (!CERTIFICATE_PATH.test(url.pathname) || url.search !== '' || url.hash !== '')
      throw unverified('the certificate of the delivery is not one of SNS')
    const address = `${endpoint}${url.pathname}`
    const known = certificates.get(address)
    if (known && clock.mono() - known.at < KEPT_MS) return known.certificate
    const certificate = await fetchCertificate(address, signal)
    if (certificates.size >= MAX_CERTIFICATES) certificates.clear()
    certificates.set(address, { certificate, at: clock.mono() })
    return certificate
  }

  let fetches: readonly number[] = []

  const fetchCertificate = async (address: string, signal: AbortSignal): Promise<X509Certificate> => {
    fetches = fetches.filter((at) => clock.mono() - at < FETCHES_MS)
    if (fetches.length >= MAX_FETCHES)
      throw new BridgeError('E_HOOK_CANNOT_CHECK', 'too many certificates were asked for within a minute')
    fetches = [...fetches, clock.mono()]
    const unreadable = (cause?: unknown) =>
      new BridgeError('E_HOOK_CANNOT_CHECK', 'the signing certificate of SNS cannot be read now', { cause })
    const answer = await fetch(address, { signal }).catch((error) => {
      throw codeOf(error) === 'E_ABORTED' ? error : unreadable(error)
    })
    // A name that SNS does not know is somebody's invention.
    if (answer.status === 403 || answer.status === 404) throw unverified('SNS has no such certificate')
    if (answer.status !== 200) throw unreadable()
    try {
      return new X509Certificate(await answer.text())
    } catch (error) {
      throw unreadable(error)
    }
  }

  const isSound = (certificate: X509Certificate): boolean => {
    const { publicKey, validFromDate, validToDate } = certificate
    const bits = publicKey.asymmetricKeyDetails?.modulusLength ?? 0
    const now = clock.now()
    const isInForce = now + MAX_AHEAD_MS >= validFromDate.getTime() && now <= validToDate.getTime()
    return publicKey.asymmetricKeyType === 'rsa' && bits >= MIN_BITS && isInForce
  }

  return {
    async verified(body, signal) {
      const parsed = message.safeParse(jsonOf(body))
      if (!parsed.success) throw new BridgeError('E_HOOK_BODY', 'the delivery is not one of SNS')
      const given = parsed.data
      if (!topics.includes(given.TopicArn)) throw unverified('the delivery is of a topic that is not configured')
      if (given.SignatureVersion !== '2') {
        throw unverified('the delivery is signed with SHA-1', 'set the attribute SignatureVersion of the topic to 2')
      }
      const age = clock.now() - Date.parse(given.Timestamp)
      if (age > MAX_AGE_MS || age < -MAX_AHEAD_MS) throw unverified('the delivery is not of this hour')
      const certificate = await certificateOf(given, signal)
      if (!isSound(certificate)) throw unverified('the signing certificate of the delivery is not in force')
      const verify = createVerify('RSA-SHA256').update(signedText(given), 'utf8')
      if (!verify.verify(certificate.publicKey, given.Signature, 'base64'))
        throw unverified('the signature of the delivery does not hold')
      return given
    },

    async confirm(given, signal) {
      const { url, endpoint } = endpointFor(given.SubscribeURL, given.TopicArn, 'confirmation')
      const named = ['Action', 'TopicArn', 'Token'].map((name) => url.searchParams.getAll(name))
      const expected = ['ConfirmSubscription', given.TopicArn, given.Token]
      const fits = named.every((values, at) => values.length === 1 && values[0] === expected[at])
      if (url.pathname !== '/' || !fits) throw unverified('the confirmation of the delivery is for something else')
      // Written anew: nothing else that the address carries is sent.
      const query = new URLSearchParams({ Action: 'ConfirmSubscription', TopicArn: given.TopicArn, Token: given.Token })
      const failed = (cause?: unknown) =>
        new BridgeError('E_HOOK_CANNOT_CHECK', 'the subscription could not be confirmed now', { cause })
      const answer = await fetch(`${endpoint}/?${query}`, { signal }).catch((error) => {
        throw codeOf(error) === 'E_ABORTED' ? error : failed(error)
      })
      if (answer.status !== 200) throw failed()
    },
  }
}
