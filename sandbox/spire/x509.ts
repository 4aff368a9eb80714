import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { der } from '../certificate.ts'

/** An authority: what it signs with, and its certificate. */
export interface Authority {
  readonly certificate: Buffer
  readonly privateKey: KeyObject
}

/** An X509-SVID or a certificate of a web server. */
export interface Certified {
  readonly certificate: Buffer
  readonly privateKey: KeyObject
  readonly serial: string
}

/** The name a certificate is for: a SPIFFE ID, or a host on loopback. */
type Subject = { readonly uri: string } | { readonly host: string }

const hex = (text: string) => Buffer.from(text, 'hex')
const oid = (text: string) => der(0x06, hex(text))
const critical = der(0x01, hex('ff'))
const ecdsaWithSha256 = der(0x30, oid('2a8648ce3d040302'))

const name = (organisation: string) => {
  const part = (type: string, value: string) => der(0x31, der(0x30, oid(type), der(0x13, Buffer.from(value))))
  return der(0x30, part('550406', 'US'), part('55040a', organisation))
}

const time = (ms: number) => {
  const digits = new Date(ms)
    .toISOString()
    .replace(/\.\d+Z$/, '')
    .replace(/\D/g, '')
  return der(0x17, Buffer.from(`${digits.slice(2)}Z`))
}

const extension = (id: string, value: Buffer, isCritical = false) =>
  der(0x30, oid(id), ...(isCritical ? [critical] : []), der(0x04, value))

const keyIdOf = (spki: Buffer) => createHash('sha1').update(spki.subarray(-65)).digest()

const alternativeName = (subject: Subject) =>
  'uri' in subject
    ? der(0x86, Buffer.from(subject.uri))
    : Buffer.concat([der(0x82, Buffer.from(subject.host)), der(0x87, Buffer.from([127, 0, 0, 1]))])

interface Contents {
  readonly subject: Subject
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly isAuthority: boolean
}

function certify(contents: Contents, spki: Buffer, issuer: { privateKey: KeyObject; spki: Buffer }, serial: Buffer) {
  const { isAuthority, notAfterMs, notBeforeMs, subject } = contents
  const usages = isAuthority
    ? [extension('551d0f', hex('03020106'), true)]
    : [
        extension('551d0f', hex('030203a8'), true),
        extension('551d25', der(0x30, oid('2b06010505070301'), oid('2b06010505070302'))),
      ]
  const body = der(
    0x30,
    der(0xa0, hex('020102')),
    der(0x02, serial),
    ecdsaWithSha256,
    name('SPIFFE'),
    der(0x30, time(notBeforeMs), time(notAfterMs)),
    name(isAuthority ? 'SPIFFE' : 'SPIRE'),
    spki,
    der(
      0xa3,
      der(
        0x30,
        ...usages,
        extension('551d13', isAuthority ? der(0x30, critical) : der(0x30), true),
        extension('551d0e', der(0x04, keyIdOf(spki))),
        ...(isAuthority ? [] : [extension('551d23', der(0x30, der(0x80, keyIdOf(issuer.spki))))]),
        extension('551d11', der(0x30, alternativeName(subject))),
      ),
    ),
  )
  const signature = der(0x03, hex('00'), sign('sha256', body, issuer.privateKey))
  return der(0x30, body, ecdsaWithSha256, signature)
}

const newKey = () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { privateKey, spki: publicKey.export({ type: 'spki', format: 'der' }) }
}

/** Positive and never zero, as certificates want it. */
const newSerial = () => Buffer.concat([hex('01'), randomBytes(15)])

/** @param uri of the trust domain */
export function newAuthority(uri: string, nowMs: number, lifetimeMs: number): Authority & { readonly spki: Buffer } {
  const key = newKey()
  const contents = { subject: { uri }, notBeforeMs: nowMs - 10_000, notAfterMs: nowMs + lifetimeMs, isAuthority: true }
  return { ...key, certificate: certify(contents, key.spki, key, newSerial()) }
}

/** A leaf, signed by the authority. */
export function issue(
  authority: Authority & { readonly spki: Buffer },
  subject: Subject,
  nowMs: number,
  lifetimeMs: number,
): Certified {
  const { privateKey, spki } = newKey()
  const serial = newSerial()
  const contents = { subject, notBeforeMs: nowMs - 10_000, notAfterMs: nowMs + lifetimeMs, isAuthority: false }
  return {
    privateKey,
    certificate: certify(contents, spki, authority, serial),
    serial: BigInt(`0x${serial.toString('hex')}`).toString(),
  }
}

export function toPem(certificate: Buffer): string {
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}
