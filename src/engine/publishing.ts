import { BridgeError } from '../core/errors.ts'
import type { Deps } from './deps.ts'
import { type IssuingParts, type PassportSettings, passportIssuer } from './passports.ts'
import type { Publishing } from './publishingapi.ts'
import { keysInForce, kidOfKey, kidsOf, type SigningKey } from './signing.ts'
import { createStatusLists, type ListSigner } from './statuslists.ts'

export interface PublishingSettings {
  /** Ed25519 private keys in PEM, those that were taken back included. */
  readonly keys: () => readonly SigningKey[]
  /** `kid`s of keys that were taken back, whether they are still configured or not. */
  readonly revoked: () => readonly string[]
  /** Where everybody reaches the bridge; undefined: nothing is published. */
  readonly publicUrl: string | undefined
  readonly passports: () => PassportSettings
  readonly statusLists: () => { readonly ttlMs: number; readonly lifetimeMs: number }
  /** Uniform and not to be guessed, in [0, most). */
  readonly randomPlace: IssuingParts['randomPlace']
}

/** For a bridge that publishes nothing. */
export const unpublished: PublishingSettings = {
  keys: () => [],
  revoked: () => [],
  publicUrl: undefined,
  passports: () => ({ lifetimeMs: 0, sponsor: 'none' }),
  statusLists: () => ({ ttlMs: 0, lifetimeMs: 0 }),
  randomPlace: () => 0,
}

const remake = 'openssl genpkey -algorithm ed25519 -out ed25519.pem'
const hint = 'Set server.publicUrl and signing.keys: whoever checks must know where the bridge is and who signed.'

export const createPublishing = (
  deps: Deps,
  settings: PublishingSettings,
  decide: IssuingParts['decide'],
): Publishing => {
  const lists = createStatusLists(deps)

  const signer = (): ListSigner | undefined => {
    const [key] = keysInForce(settings.keys(), settings.revoked())
    const { publicUrl: issuer } = settings
    if (issuer === undefined || key === undefined) return undefined
    const pem = key.read()
    const kid = kidOfKey(key)
    if (kid === undefined)
      throw new BridgeError('E_SIGNING_KEY', 'The first signing key is not usable.', { hint: remake })
    return { pem, kid, issuer, base: issuer.replace(/\/+$/, ''), ...settings.statusLists() }
  }
  const requireSigner = (): ListSigner => {
    const present = signer()
    if (present !== undefined) return present
    throw new BridgeError('E_NOT_FOUND', 'No passports are issued here.', { hint })
  }
  const issue = passportIssuer(deps, { lists, decide, settings: settings.passports, randomPlace: settings.randomPlace })

  return {
    passport: async (did, input, caller) => issue(did, input, caller, requireSigner()),
    statusLists: async () => lists.uris(requireSigner().base),
    statusList: async (name) => lists.signed(name, requireSigner()),
    revokedKeys: () => settings.revoked(),
    revokedFor: async (name, idx, iat) => {
      // Never 404, which AGT takes for nothing revoked; and without a key in force there is none to name as revoked.
      if (signer() === undefined)
        throw new BridgeError('E_NO_PASSPORTS', 'Nothing is known of this passport.', { hint })
      const isGood = await lists.isGood(name, idx, iat)
      return isGood ? settings.revoked() : [...new Set([...kidsOf(settings.keys()), ...settings.revoked()])]
    },
  }
}
