import { ListGroupMembershipsCommand } from '@aws-sdk/client-identitystore'
import type { Groups } from '../../src/core/adapter.ts'
import { BridgeError, codeOf } from '../../src/core/errors.ts'
import type { Lane } from '../slots.ts'
import type { Session } from './account.ts'
import { malformed } from './errors.ts'
import { idOfUser, resourceId } from './ids.ts'
import { purposes } from './purposes.ts'
import { MAX_PAGES } from './users.ts'

const PAGE = 100

/** Groups of an identity store are flat, and only users are their members. */
export function openGroups(session: Session, store: string, lane: Lane): Groups {
  const { api, clients } = session
  return {
    async *members(groupId, signal) {
      const options = { purpose: purposes.readGroups, lane, signal } as const
      const seen = new Set<string>()
      let token: string | undefined
      for (let count = 0; count < MAX_PAGES; count++) {
        const asked = { IdentityStoreId: store, GroupId: groupId, MaxResults: PAGE, NextToken: token }
        const command = new ListGroupMembershipsCommand(asked)
        const answer = await api
          .read((sending) => clients.identityStore.send(command, sending), options)
          .catch((error) => {
            throw codeOf(error) === 'E_DIRECTORY_REFUSED' ? unlisted(groupId, error) : error
          })
        yield (answer.GroupMemberships ?? []).map(({ MemberId, GroupId }) => {
          const userId = MemberId?.UserId
          // A member that is no user, or of another group: not the listing that was asked for.
          if (!userId || !resourceId.test(userId) || (GroupId !== undefined && GroupId !== groupId))
            throw malformed(purposes.readGroups)
          return idOfUser({ store, userId })
        })
        token = answer.NextToken
        if (token === undefined) return
        if (seen.has(token)) throw malformed(purposes.readGroups, new Error('the same token came twice'))
        seen.add(token)
      }
      throw malformed(purposes.readGroups, new Error(`more than ${MAX_PAGES} pages`))
    },
  }
}

const unlisted = (groupId: string, cause: unknown): BridgeError =>
  new BridgeError('E_DIRECTORY_ANSWER', `the group ${groupId} cannot be listed`, {
    cause,
    hint: 'check that the group exists; remove it from the configuration when it was deleted',
  })
