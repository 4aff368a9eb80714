import { randomBytes } from 'node:crypto'
import { uniqueId } from './ids.ts'
import type { Credential, Identity, Role } from './model.ts'
import type { World } from './world.ts'

/** Temporary credentials of a role. */
export function newSession(
  world: World,
  role: Role,
  session: string,
  { seconds = 3600 }: { seconds?: number } = {},
): Credential {
  const identity: Identity = { type: 'session', accountId: role.accountId, role, session }
  return keep(world, {
    accessKeyId: uniqueId('ASIA'),
    secret: randomBytes(30).toString('base64'),
    identity,
    token: randomBytes(120).toString('base64'),
    issuedAt: world.now(),
    expiresAt: world.now() + seconds * 1000,
  })
}

/** A long-term key of a user of IAM. */
export function newKey(
  world: World,
  user: { readonly id: string; readonly accountId: string; readonly name: string },
  given: { readonly accessKeyId?: string; readonly secret?: string } = {},
): Credential {
  return keep(world, {
    accessKeyId: given.accessKeyId ?? uniqueId('AKIA'),
    secret: given.secret ?? randomBytes(30).toString('base64'),
    identity: { type: 'user', accountId: user.accountId, id: user.id, name: user.name },
    token: undefined,
    issuedAt: world.now(),
    expiresAt: Number.POSITIVE_INFINITY,
  })
}

const kept = 10_000

function keep(world: World, credential: Credential): Credential {
  world.credentials.set(credential.accessKeyId, credential)
  if (world.credentials.size > kept) forget(world)
  return credential
}

/** Ended ones are known for a while, so that they are refused as ended and not as unknown. */
function forget(world: World): void {
  const long = world.now() - 3_600_000
  for (const [id, { expiresAt }] of world.credentials) if (expiresAt < long) world.credentials.delete(id)
}
