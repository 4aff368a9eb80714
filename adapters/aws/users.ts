import { DescribeUserCommand, ListUsersCommand, type User as StoredUser } from '@aws-sdk/client-identitystore'
import type { Page } from '../../src/core/adapter.ts'
import type { Sighting, Switch } from '../../src/core/types.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { stateOf } from '../switches.ts'
import type { Session } from './account.ts'
import { malformed } from './errors.ts'
import { idOfUser, type User } from './ids.ts'
import { purposes } from './purposes.ts'
import type { ReadOptions } from './reading.ts'
import { absentSighting } from './roles.ts'

const PAGE = 100
export const MAX_PAGES = 5000

/** Only what is said is believed: an identity store that tells no status leaves it unknown (I8). */
const states: Readonly<Record<string, Switch['state']>> = { ENABLED: 'on', DISABLED: 'off' }

export function userSighting(
  store: string,
  user: Pick<StoredUser, 'UserStatus' | 'DisplayName' | 'UserName'> & { readonly UserId: string },
  read: Pick<Sighting, 'byId' | 'begunAt'>,
): Sighting {
  const switches = [{ name: 'identity', state: states[user.UserStatus ?? ''] ?? 'unknown', ours: true } as const]
  return {
    id: idOfUser({ store, userId: user.UserId }),
    kind: 'identityCenterUser',
    state: stateOf(switches),
    switches,
    ...read,
    displayName: user.DisplayName ?? user.UserName,
  }
}

const isMissing = 'ResourceNotFound'

/** One user by id. @throws BridgeError */
export async function readUser(
  { api, clients }: Session,
  clock: Pick<Clock, 'now'>,
  user: User,
  options: ReadOptions,
): Promise<Sighting> {
  const begunAt = clock.now()
  const command = new DescribeUserCommand({ IdentityStoreId: user.store, UserId: user.userId })
  const named = { ...options, purpose: purposes.readUser }
  const answer = await api.ask((sending) => clients.identityStore.send(command, sending), [isMissing], named)
  const id = idOfUser(user)
  if ('told' in answer) return absentSighting(id, begunAt)
  // Also a missing identity store is "not found": then nothing is.
  if (answer.UserId !== user.userId) throw malformed(purposes.readUser)
  return userSighting(user.store, { ...answer, UserId: user.userId }, { byId: true, begunAt })
}

/** Every user of the store, page by page. Ending normally means "that was all". */
export async function* listUsers(
  { api, clients }: Session,
  clock: Pick<Clock, 'now'>,
  store: string,
  signal: AbortSignal,
): AsyncGenerator<Page> {
  const options = { purpose: purposes.listUsers, lane: 'sync', signal } as const
  const seen = new Set<string>()
  let token: string | undefined
  for (let count = 0; count < MAX_PAGES; count++) {
    const begunAt = clock.now()
    const command = new ListUsersCommand({ IdentityStoreId: store, MaxResults: PAGE, NextToken: token })
    const answer = await api.read((sending) => clients.identityStore.send(command, sending), options)
    const all = (answer.Users ?? []).map((user) => {
      if (!user.UserId) throw malformed(purposes.listUsers)
      return userSighting(store, { ...user, UserId: user.UserId }, { byId: false, begunAt })
    })
    const sightings = all.filter(({ state }) => state !== 'unknown')
    const touched = all.filter(({ state }) => state === 'unknown').map(({ id }) => id)
    yield { sightings, touched, checkpoint: undefined }
    token = answer.NextToken
    if (token === undefined) return
    if (seen.has(token)) throw malformed(purposes.listUsers, new Error('the same token came twice'))
    seen.add(token)
  }
  throw malformed(purposes.listUsers, new Error(`more than ${MAX_PAGES} pages`))
}
