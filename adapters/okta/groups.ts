import { z } from 'zod'
import type { Groups } from '../../src/core/adapter.ts'
import { BridgeError, codeOf } from '../../src/core/errors.ts'
import type { Lane } from '../slots.ts'
import type { Api } from './api.ts'
import { purposes } from './kinds.ts'
import { pagesOf } from './pages.ts'

const member = z.object({ id: z.string() })

/** What Okta recommends for a page of members; its default is 1000 (Groups API, read 2026-11). */
const PAGE = 200

/** Groups of Okta are flat, and only users are their members: apps and AI agents get capabilities in other ways. */
export function openGroups(api: Api, lane: Lane): Groups {
  return {
    async *members(groupId, signal) {
      const options = { purpose: purposes.readGroups, lane, signal } as const
      const path = `/api/v1/groups/${encodeURIComponent(groupId)}/users?limit=${PAGE}`
      try {
        for await (const { rows } of pagesOf(api, { path }, member, options)) yield rows.map(({ id }) => id)
      } catch (error) {
        if (codeOf(error) !== 'E_DIRECTORY_REFUSED') throw error
        throw new BridgeError('E_DIRECTORY_ANSWER', `the group ${groupId} cannot be listed`, {
          cause: error,
          hint: 'check that the group exists; remove it from the configuration when it was deleted',
        })
      }
    },
  }
}
