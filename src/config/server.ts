import { createPrivateKey } from 'node:crypto'
import { z } from 'zod'
import { cidr, httpsUrl, int, localListener, says, secret, text } from '../lib/fields.ts'
import type { SecretRef } from '../lib/secret.ts'
import { authoritiesOf } from '../lib/svid.ts'
import { certificatesIn } from '../lib/x509.ts'

const certificates = (pem: string): string | undefined => {
  try {
    if (certificatesIn(pem).length > 0) return undefined
  } catch {
    // Said below.
  }
  return says('is not a certificate', 'use PEM: the certificate first, then those of the authorities between')
}

const authorities = (pem: string): string | undefined => {
  const fault = certificates(pem)
  if (fault !== undefined) return fault
  try {
    authoritiesOf(certificatesIn(pem))
    return undefined
  } catch {
    const hint = 'name those of one: in one list each would vouch for the workloads of the others'
    return says('has authorities of several trust domains', hint)
  }
}

const privateKey = (pem: string): string | undefined => {
  try {
    createPrivateKey(pem)
    return undefined
  } catch {
    return says('is not a private key', 'use PEM, without a passphrase; its file mode protects it')
  }
}

/** Undefined when one of them cannot be read, which is said at its own place. */
const isPair = (cert: SecretRef, key: SecretRef): boolean | undefined => {
  try {
    return certificatesIn(cert.read())[0]?.checkPrivateKey(createPrivateKey(key.read()))
  } catch {
    return undefined
  }
}

const tls = z
  .strictObject({
    cert: secret({ check: certificates }).describe('PEM: the certificate first, then those of the authorities between'),
    key: secret({ check: privateKey }).describe('PEM of its private key, without a passphrase'),
    clientCa: secret({ check: authorities })
      .optional()
      .describe('PEM of the authorities whose client certificates are believed, whatever name they write into one'),
  })
  .superRefine(({ cert, key }, context) => {
    if (isPair(cert, key) !== false) return
    const message = says('is not the key of the certificate', 'the first certificate of server.tls.cert must be of it')
    context.addIssue({ code: 'custom', path: ['key'], message, params: { code: 'conflict' } })
  })

const ownPort = int(0, 65_535).optional()
const ports = ['port', 'hooksPort', 'managementPort'] as const

export const server = z
  .strictObject({
    host: text.prefault('0.0.0.0').describe('Address to listen on'),
    port: int(0, 65_535).prefault(8480).describe('0 takes a free one'),
    hooksPort: ownPort.describe('For deliveries of directories alone; they leave the port of the API then'),
    managementPort: ownPort.describe('For health and metrics alone, plain HTTP; they leave the port of the API then'),
    publicUrl: httpsUrl.optional().describe('Where callers reach the bridge'),
    tls: tls.optional().describe('Without it the API is plain HTTP, for a proxy in front that does TLS'),
    trustProxy: z.array(cidr).prefault([]).describe('Proxies whose X-Forwarded-For is logged; it never authorises'),
    policySocket: localListener.optional().describe('For policy engines on this machine, which are asked for no token'),
  })
  .superRefine((given, context) => {
    for (const [index, name] of ports.entries()) {
      const other = ports.slice(0, index).find((one) => given[one] === given[name])
      if (other === undefined || given[name] === undefined || given[name] === 0) continue
      const message = says(`is the same port as server.${other}`, 'choose another, or leave it out to share that one')
      context.addIssue({ code: 'custom', path: [name], message, params: { code: 'conflict' } })
    }
  })
