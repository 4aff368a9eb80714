import { X509Certificate } from 'node:crypto'

/** What node:crypto does not tell of a certificate: RFC 5280 sections 4.2.1.3, 4.2.1.6 and 4.2.1.9. */
export interface Extensions {
  /** Every name of type URI, in order, byte by byte. */
  readonly uris: readonly string[]
  /** Undefined when the certificate does not say what its key is for. */
  readonly keyUsage: KeyUsage | undefined
  /** As its basic constraints say: `ca` of node:crypto is false of one whose key usage does not fit that. */
  readonly isAuthority: boolean
}

export interface KeyUsage {
  readonly digitalSignature: boolean
  readonly keyCertSign: boolean
  readonly cRLSign: boolean
}

interface Value {
  readonly tag: number
  readonly body: Buffer
  /** With its tag and length. */
  readonly whole: Buffer
}

const [SEQUENCE, BOOLEAN, OCTETS, BITS, OID, URI, EXTENSIONS] = [0x30, 0x01, 0x04, 0x03, 0x06, 0x86, 0xa3]
const ALTERNATIVE_NAMES = '551d11'
const KEY_USAGE = '551d0f'
const CONSTRAINTS = '551d13'

/** The values that follow one another in some DER. @throws Error when it is cut off */
function* valuesOf(bytes: Buffer): Generator<Value> {
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at + 1] ?? 0
    const width = first & 0x80 ? first & 0x7f : 0
    if (width > 4 || at + 2 + width > bytes.length) throw new Error('not DER')
    const length = width === 0 ? first : bytes.readUIntBE(at + 2, width)
    const end = at + 2 + width + length
    if (end > bytes.length) throw new Error('cut off')
    yield { tag: bytes[at] ?? 0, body: bytes.subarray(at + 2 + width, end), whole: bytes.subarray(at, end) }
    at = end
  }
}

const first = (bytes: Buffer, tag: number): Buffer => {
  for (const value of valuesOf(bytes)) if (value.tag === tag) return value.body
  throw new Error('a part is missing')
}

/** By object identifier, in hexadecimal. */
const extensionsIn = (certificate: X509Certificate): Map<string, Buffer> => {
  const found = new Map<string, Buffer>()
  const body = first(first(certificate.raw, SEQUENCE), SEQUENCE)
  const [list] = [...valuesOf(body)].filter(({ tag }) => tag === EXTENSIONS)
  if (list === undefined) return found
  for (const { body: extension } of valuesOf(first(list.body, SEQUENCE))) {
    const id = first(extension, OID).toString('hex')
    if (found.has(id)) throw new Error('an extension is there twice')
    found.set(id, first(extension, OCTETS))
  }
  return found
}

const usageOf = (bits: Buffer): KeyUsage => {
  const octet = bits[1] ?? 0
  return {
    digitalSignature: (octet & 0x80) !== 0,
    keyCertSign: (octet & 0x04) !== 0,
    cRLSign: (octet & 0x02) !== 0,
  }
}

/** Undefined for what cannot be read as a certificate: whoever asks must take that for a no. */
export const extensionsOf = (certificate: X509Certificate): Extensions | undefined => {
  try {
    const found = extensionsIn(certificate)
    const names = found.get(ALTERNATIVE_NAMES)
    const usage = found.get(KEY_USAGE)
    const basic = found.get(CONSTRAINTS)
    const constraints = basic === undefined ? [] : [...valuesOf(first(basic, SEQUENCE))]
    const list = names === undefined ? [] : [...valuesOf(first(names, SEQUENCE))]
    return {
      uris: list.filter(({ tag }) => tag === URI).map(({ body }) => body.toString('latin1')),
      keyUsage: usage && usageOf(first(usage, BITS)),
      isAuthority: constraints.some(({ tag, body }) => tag === BOOLEAN && body[0] !== 0),
    }
  } catch {
    return undefined
  }
}

/** Concatenated DER → one buffer a certificate. @throws Error when it is anything else */
export const splitDer = (bytes: Uint8Array): Buffer[] =>
  [...valuesOf(Buffer.from(bytes))].map(({ tag, whole }) => {
    if (tag !== SEQUENCE) throw new Error('not a list of certificates')
    return whole
  })

/** Every certificate of a PEM text, in order; what stands around them is passed over. @throws Error for one that is none */
export const certificatesIn = (pem: string): X509Certificate[] =>
  (pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).map((one) => new X509Certificate(one))
