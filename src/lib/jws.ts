import { createPrivateKey, createPublicKey } from 'node:crypto'
import { CompactSign, compactVerify } from 'jose'
import { BridgeError } from '../core/errors.ts'

/**
 * Compact JWS (RFC 7515) over JSON with an Ed25519 key (RFC 8037).
 * @throws BridgeError E_SIGNING_KEY when the PEM is not an Ed25519 private key
 */
export const signJson = async (value: unknown, typ: string, pem: string): Promise<string> => {
  let key: ReturnType<typeof createPrivateKey>
  try {
    key = createPrivateKey(pem)
  } catch (cause) {
    throw badKey(cause)
  }
  if (key.asymmetricKeyType !== 'ed25519') throw badKey(undefined)
  const payload = new TextEncoder().encode(JSON.stringify(value))
  return new CompactSign(payload).setProtectedHeader({ alg: 'EdDSA', typ }).sign(key)
}

const badKey = (cause: unknown) =>
  new BridgeError('E_SIGNING_KEY', 'The signing key is not an Ed25519 private key in PEM.', {
    cause,
    hint: 'openssl genpkey -algorithm ed25519 -out ed25519.pem',
  })

/** The JSON a JWS of this type carries, if one of the keys (PEM, public or private) signed it; undefined otherwise. */
export const openJson = async (jws: string, typ: string, pems: readonly string[]): Promise<unknown> => {
  for (const pem of pems) {
    try {
      const { payload, protectedHeader } = await compactVerify(jws, createPublicKey(pem), { algorithms: ['EdDSA'] })
      if (protectedHeader.typ === typ) return JSON.parse(new TextDecoder().decode(payload))
    } catch {
      // Not by this key: the next one may fit; when none does the answer is no.
    }
  }
  return undefined
}
