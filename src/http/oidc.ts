import type { RefusalCode } from '../core/decide.ts'
import { BridgeError } from '../core/errors.ts'
import { holds, type Role, roles } from '../core/roles.ts'
import type { Accounts } from '../engine/callers.ts'
import type { CallerVerifier, VerifiedCaller } from '../engine/verify.ts'
import type { Client } from './auth.ts'
import type { Credentials } from './basic.ts'

/** One known by a token that a directory gave out for this API. */
export interface Visitor {
  readonly client: Client
  /** Its accounts, for whoever asks whether they are an agent's: the same object for the same token. */
  readonly accounts: Accounts
  readonly isAgent: boolean
}

/**
 * Whose token it is; undefined when it is no token of a directory for this API.
 * @throws BridgeError E_UNAUTHENTICATED; E_JWKS_DOWN when that cannot be told now
 */
export type Visitors = (given: Credentials) => Promise<Visitor | undefined>

/** What cannot be a JWT is not taken apart: it is a static token, mistyped. */
const form = /^[\w-]+\.[\w-]+\.[\w-]+$/

/** Of a token that no directory here has issued for anything. */
const foreign: readonly RefusalCode[] = ['R_TOKEN', 'R_ISSUER', 'R_TOO_LARGE']

const refused = (why: string, hint: string): BridgeError =>
  new BridgeError('E_UNAUTHENTICATED', `The token is refused: ${why}.`, { hint })

const grantedBy = ({ directory, caller }: VerifiedCaller): readonly Role[] =>
  roles.filter((role) => directory.roles[role]?.some((given) => caller.roles.includes(given)))

/**
 * One whose account a client of the file names is that client, with those of its roles that the directory gives as well.
 * Any other is `<adapter>/<id>`, and no runtime: receipts name every runtime there is, so each has to be in the file.
 */
const clientOf = (verified: VerifiedCaller, clients: readonly Client[]): Client => {
  const name = `${verified.directory.name}/${verified.caller.id}`
  const granted = grantedBy(verified)
  const listed = clients.find(({ accounts }) => accounts?.includes(name))
  if (listed !== undefined) {
    const both = roles.filter((role) => holds(listed.roles, role) && holds(granted, role))
    return { ...listed, roles: both.filter((role) => listed.roles.includes(role) || granted.includes(role)) }
  }
  return { name, roles: granted.filter((role) => role !== 'runtime'), tokenSha256: [], labels: undefined }
}

interface Parts {
  readonly verifier: CallerVerifier
  /** Asked for every request, so that a reload takes effect. */
  readonly clients: () => readonly Client[]
}

/** Callers of the API by the tokens of the directories that vouch for them. */
export const createVisitors = ({ verifier, clients }: Parts): Visitors => {
  /** By what the verifier remembers, and gone with it. */
  const known = new WeakMap<VerifiedCaller['caller'], Accounts>()

  const accountsOf = ({ directory, caller, issuedAt }: VerifiedCaller): Accounts => {
    const before = known.get(caller)
    if (before !== undefined) return before
    const made = { ids: caller.principals, adapter: directory.name, issuedAt }
    known.set(caller, made)
    return made
  }

  return async ({ token, name }) => {
    if (!form.test(token)) return undefined
    const verified = await verifier.caller(token)
    if (!verified.valid) {
      if (verified.codes.every((code) => foreign.includes(code))) return undefined
      throw refused(verified.codes.join(', '), 'Send an access token of a directory under auth.oidc, for its audience.')
    }
    const { directory, caller } = verified
    if (caller.kind === 'person' && !directory.applications.includes(caller.application)) {
      const hint = `Add ${caller.application} to the applications of ${directory.name} under auth.oidc, if it may.`
      throw refused('people may not call through that application', hint)
    }
    const client = clientOf(verified, clients())
    // The token alone says who is calling: under another's name it is a mistake or an attack.
    if (name !== undefined && name !== client.name) return undefined
    return { client, accounts: accountsOf(verified), isAgent: caller.isAgent }
  }
}
