import { createPublicKey, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { BridgeError } from '../core/errors.ts'
import { fits, parseKeySet } from '../lib/jwkset.ts'
import { publicJwk, type VerifyKey } from '../lib/jws.ts'

/** What commands that check something offline are given to read. */

const maxBytes = 16 * 1024 * 1024
const standardInput = 0

export const usage = (text: string, hint: string, cause?: unknown) => new BridgeError('E_USAGE', text, { cause, hint })

/** ENOENT and its kind; undefined for what no call of the system said. */
export const codeOfSystem = (error: unknown): unknown =>
  error instanceof Error && 'code' in error ? error.code : undefined

/** @throws BridgeError E_USAGE */
export const contents = (file: string | number, named: string): string => {
  let bytes: Buffer
  try {
    bytes = readFileSync(file)
  } catch (cause) {
    throw usage(`${named} cannot be read.`, 'Check the name and that it is readable.', cause)
  }
  if (bytes.length > maxBytes) throw usage(`${named} is over 16 MiB.`, 'That is not what is asked for here.')
  return bytes.toString('utf8')
}

/** A file, or `-` for standard input. @throws BridgeError E_USAGE */
export const given = (file: string): string =>
  file === '-' ? contents(standardInput, 'Standard input') : contents(file, `The file ${file}`)

/** @throws BridgeError E_USAGE */
export const pemKeys = async (file: string): Promise<VerifyKey[]> => {
  const pem = contents(file, `The key file ${file}`)
  try {
    const { kid } = await publicJwk(pem)
    return [{ kid, key: createPublicKey(pem) }]
  } catch (cause) {
    throw usage(`${file} is not an Ed25519 key in PEM.`, 'Name the key that signs, public or private.', cause)
  }
}

/** The keys of a key set that a bridge could sign with. @throws BridgeError E_USAGE */
export const setKeys = (text: string, named: string): VerifyKey[] => {
  try {
    const keys = [...parseKeySet(text, new Map()).values()].flat().filter((key) => fits(key, 'EdDSA'))
    return keys.map(({ kid, jwk }) => ({ kid, key: publicKey(jwk.x ?? '') }))
  } catch (cause) {
    throw usage(`${named} is not a JSON Web Key Set.`, 'Fetch it from /.well-known/jwks.json of the bridge.', cause)
  }
}

const publicKey = (x: string): KeyObject => createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
