import type { Incoming } from '../incoming.ts'
import type { Actor } from './actors.ts'
import { ProofRefusal } from './dpop.ts'
import { Refusal } from './errors.ts'
import type { Rights } from './rights.ts'
import { userTarget } from './users.ts'
import type { Caller } from './wire.ts'
import type { World } from './world.ts'

const nothing: Rights = { roles: new Set(), permissions: new Set() }

/** Who calls the management API; 401 unless the token is the org's own, in date and, where bound, proven. */
export async function identify(world: World, request: Incoming): Promise<Caller> {
  const [scheme = '', credential = ''] = (request.header('authorization') ?? '').split(' ', 2)
  switch (scheme.toLowerCase()) {
    case 'ssws':
      return byApiToken(world, credential)
    case 'bearer':
    case 'dpop':
      return byAccessToken(world, request, scheme.toLowerCase(), credential)
    default:
      throw unauthorized()
  }
}

function unauthorized(error = 'invalid_token', description = 'The access token is invalid.'): Refusal {
  const challenge = `Bearer error="${error}", error_description="${description}"`
  return new Refusal('E0000011', { headers: { 'WWW-Authenticate': challenge } })
}

/** An API token acts as its owner, and dies with it. */
function byApiToken(world: World, credential: string): Caller {
  const token = world.apiTokens.get(credential)
  const owner = token === undefined ? undefined : world.users.current(token.ownerId)
  if (token === undefined || owner === undefined || owner.status !== 'ACTIVE') throw new Refusal('E0000011')
  const { alternateId, displayName } = userTarget(owner)
  const actor: Actor = { id: owner.id, type: 'User', alternateId, displayName }
  return {
    actor,
    principal: token.id,
    scopes: undefined,
    rights: world.rights.get(owner.id) ?? nothing,
    token: token.id,
  }
}

async function byAccessToken(world: World, request: Incoming, scheme: string, credential: string): Promise<Caller> {
  const token = world.issued.active(credential, world.now())
  // Only the org's own server mints tokens for this API.
  if (token === undefined || token.kind !== 'access' || token.serverId !== undefined) throw unauthorized()
  if ((token.jkt !== undefined) !== (scheme === 'dpop')) {
    throw unauthorized('invalid_token', 'The access token is bound to a key and needs the DPoP scheme, or the reverse.')
  }
  if (token.jkt !== undefined) await prove(world, request, credential, token.jkt)
  const app = world.apps.current(token.clientId)
  if (app === undefined || app.status !== 'ACTIVE') throw unauthorized()
  const actor: Actor = { id: app.id, type: 'PublicClientApp', alternateId: app.id, displayName: app.label }
  const scopes = new Set(token.scopes)
  return { actor, principal: app.id, scopes, rights: world.rights.get(app.id) ?? nothing, token: undefined }
}

async function prove(world: World, request: Incoming, accessToken: string, jkt: string): Promise<void> {
  try {
    const proof = request.header('dpop')
    if (proof === undefined) throw new ProofRefusal('invalid_dpop_proof', 'The DPoP proof JWT header is missing.')
    const { method } = request
    const url = `${world.origin}${request.path.split('?', 1)[0]}`
    const by = await world.proofs.check(proof, { method, url, accessToken, needsNonce: false })
    if (by !== jkt) throw new ProofRefusal('invalid_dpop_proof', 'The DPoP proof JWT is by another key.')
  } catch (cause) {
    if (!(cause instanceof ProofRefusal)) throw cause
    const challenge = `DPoP algs="RS256 RS384 RS512 ES256 ES384 ES512", error="${cause.error}", error_description="${cause.message}"`
    throw Object.assign(new Refusal('E0000011', { headers: { 'WWW-Authenticate': challenge } }), { cause })
  }
}
