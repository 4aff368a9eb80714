import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { der } from '../../sandbox/certificate.ts'

/** A certificate (RFC 5280) and its key, made with nothing but node:crypto. */
export interface Made {
  readonly pem: string
  /** PEM, PKCS #8. */
  readonly key: string
  /** SHA-256, hexadecimal. */
  readonly fingerprint: string
  readonly signer: { readonly name: string; readonly key: KeyObject; readonly keyId: Buffer }
}

export interface Wanted {
  readonly name?: string
  readonly uris?: readonly string[]
  readonly hosts?: readonly string[]
  readonly isAuthority?: boolean
  /** First octet of the key usage; undefined leaves the extension out. */
  readonly usage?: number | undefined
  readonly from?: number
  readonly until?: number
}

export const usages = { digitalSignature: 0x80, keyEncipherment: 0x20, keyCertSign: 0x04, cRLSign: 0x02 } as const

const hex = (text: string) => Buffer.from(text, 'hex')
const oid = (text: string) => der(0x06, hex(text))
const yes = der(0x01, hex('ff'))
const ecdsaWithSha256 = der(0x30, oid('2a8648ce3d040302'))
const nameOf = (text: string) => der(0x30, der(0x31, der(0x30, oid('550403'), der(0x0c, Buffer.from(text)))))
const time = (ms: number) => der(0x17, Buffer.from(`${new Date(ms).toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`))
const extension = (id: string, value: Buffer) => der(0x30, oid(id), der(0x04, value))
const DAY_MS = 86_400_000

/** One that `by` signs, or that signs itself. */
export const certificate = (wanted: Wanted = {}, by?: Made): Made => {
  const { name = 'test', uris = [], hosts = [], isAuthority = false } = wanted
  const { from = Date.now() - DAY_MS, until = Date.now() + DAY_MS } = wanted
  const usage = 'usage' in wanted ? wanted.usage : isAuthority ? 0x06 : 0x80
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const keyId = createHash('sha1').update(spki.subarray(-65)).digest()
  const signer = by?.signer ?? { name, key: privateKey, keyId }
  const names = [
    ...uris.map((uri) => der(0x86, Buffer.from(uri))),
    ...hosts.map((host) => der(0x82, Buffer.from(host))),
    ...(hosts.length > 0 ? [der(0x87, Buffer.from([127, 0, 0, 1]))] : []),
  ]
  const extensions = [
    ...(names.length > 0 ? [extension('551d11', der(0x30, ...names))] : []),
    ...(usage === undefined ? [] : [extension('551d0f', der(0x03, Buffer.from([0, usage])))]),
    extension('551d13', isAuthority ? der(0x30, yes) : der(0x30)),
    extension('551d0e', der(0x04, keyId)),
    extension('551d23', der(0x30, der(0x80, signer.keyId))),
  ]
  const body = der(
    0x30,
    der(0xa0, hex('020102')),
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ecdsaWithSha256,
    nameOf(signer.name),
    der(0x30, time(from), time(until)),
    nameOf(name),
    spki,
    der(0xa3, der(0x30, ...extensions)),
  )
  const signature = der(0x03, hex('00'), sign('sha256', body, signer.key))
  const bytes = der(0x30, body, ecdsaWithSha256, signature)
  return {
    pem: `-----BEGIN CERTIFICATE-----\n${(bytes.toString('base64').match(/.{1,64}/g) ?? []).join('\n')}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    fingerprint: createHash('sha256').update(bytes).digest('hex'),
    signer: { name, key: privateKey, keyId },
  }
}

export const authority = (wanted: Wanted = {}, by?: Made): Made =>
  certificate({ name: `authority ${randomBytes(4).toString('hex')}`, isAuthority: true, ...wanted }, by)

/** Of a server on this machine. */
export const serverCertificate = (by: Made, wanted: Wanted = {}): Made =>
  certificate({ hosts: ['localhost'], ...wanted }, by)
