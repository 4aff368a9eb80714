import { createHash, generateKeyPairSync, sign } from 'node:crypto'
import { type DelegationTerms, delegationText } from '../../src/core/delegation.ts'

/** An agent's key, and the DID that AGT's registry derives from it. */
export const newSigner = () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const der = publicKey.export({ type: 'spki', format: 'der' })
  const raw = der.subarray(12)
  const signature = (text: string) => sign(null, Buffer.from(text), privateKey).toString('base64')
  return {
    did: `did:mesh:${createHash('sha256').update(raw).digest('hex').slice(0, 32)}`,
    /** Raw, in base64url. */
    key: raw.toString('base64url'),
    spki: der.toString('base64'),
    jwk: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url'), kid: 'did:mesh:somebody-else', use: 'sig' },
    privateJwk: privateKey.export({ format: 'jwk' }),
    signature,
    delegate: (terms: DelegationTerms) => signature(delegationText(terms)),
  }
}
