import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

/** Signature Version 4 as the services check it (AWS Signature Version 4 for API requests, read 2026-11). */

export interface Signed {
  readonly accessKeyId: string
  /** yyyymmdd */
  readonly date: string
  readonly region: string
  readonly service: string
  readonly names: readonly string[]
  readonly signature: string
}

const form =
  /^AWS4-HMAC-SHA256 Credential=([\w]+)\/(\d{8})\/([a-z0-9-]+)\/([a-z0-9-]+)\/aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$/

/** What the `Authorization` header claims; undefined when it is none of Signature Version 4. */
export function parseAuthorization(header: string): Signed | undefined {
  const [, accessKeyId, date, region, service, names, signature] = form.exec(header) ?? []
  if (accessKeyId === undefined || date === undefined || region === undefined || service === undefined) return undefined
  if (names === undefined || signature === undefined) return undefined
  return { accessKeyId, date, region, service, names: names.split(';'), signature }
}

export interface SignedRequest {
  readonly method: string
  readonly path: string
  readonly text: string
  readonly header: (name: string) => string | undefined
}

/** Every header that decides what a request means must be covered. */
const covered = ['host', 'x-amz-date']
const coveredIfSent = ['x-amz-target', 'x-amz-security-token', 'x-amz-content-sha256']

/** Milliseconds since the epoch of `20261122T023043Z`; undefined when it is no such time. */
export function timeOf(stamp: string): number | undefined {
  const [, year, month, day, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(stamp) ?? []
  const time = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  return Number.isNaN(time) ? undefined : time
}

/** Whether the holder of the secret signed exactly this request. */
export function isSignedBy(secret: string, signed: Signed, request: SignedRequest): boolean {
  const { header } = request
  const needed = [...covered, ...coveredIfSent.filter((name) => header(name) !== undefined)]
  const sorted = signed.names.toSorted()
  if (needed.some((name) => !signed.names.includes(name)) || sorted.some((name, at) => name !== signed.names[at]))
    return false
  const payload = sha256(request.text)
  if ((header('x-amz-content-sha256') ?? payload) !== payload) return false
  const stamp = header('x-amz-date') ?? ''
  if (!stamp.startsWith(signed.date)) return false
  const [pathname = '', query = ''] = request.path.split('?', 2)
  const headers = signed.names.map((name) => `${name}:${(header(name) ?? '').trim().replaceAll(/ +/g, ' ')}\n`).join('')
  const canonical = [
    request.method,
    pathname.split('/').map(strict).join('/') || '/',
    [...new URLSearchParams(query)]
      .map(([name, value]) => `${strict(name)}=${strict(value)}`)
      .toSorted()
      .join('&'),
    headers,
    signed.names.join(';'),
    payload,
  ].join('\n')
  const scope = `${signed.date}/${signed.region}/${signed.service}/aws4_request`
  const toSign = ['AWS4-HMAC-SHA256', stamp, scope, sha256(canonical)].join('\n')
  const key = [signed.date, signed.region, signed.service, 'aws4_request'].reduce(
    (key, part) => createHmac('sha256', key).update(part).digest(),
    Buffer.from(`AWS4${secret}`),
  )
  const wanted = createHmac('sha256', key).update(toSign).digest()
  return timingSafeEqual(wanted, Buffer.from(signed.signature, 'hex'))
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** RFC 3986, as the signature wants it. */
function strict(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
}
