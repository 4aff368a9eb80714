import { BridgeError } from '../../src/core/errors.ts'
import type { Discoveries } from '../../src/engine/discoverapi.ts'

/** Two pages of `contoso`: an account that nobody maps, and one that is gone. */
export const discoveryDouble: Discoveries = {
  discover: async (adapter, { cursor, only = 'unmapped', all = false }) => {
    if (adapter !== 'contoso') throw new BridgeError('E_NOT_FOUND', 'There is no such adapter.')
    const found = { looked: 1, passedOver: all ? 0 : 2, unread: 0 }
    if (cursor === undefined && only === 'unmapped') {
      const account = {
        id: 'shadow',
        kind: 'agentIdentity',
        name: 'a shadow',
        appId: undefined,
        isAgent: true,
      } as const
      const item = { finding: 'unmapped', ...account, state: 'enabled', suggested: undefined, replaces: [] } as const
      return { ...found, items: [item], nextCursor: 'second' }
    }
    const one = {
      finding: 'gone',
      did: 'did:mesh:a',
      name: 'a',
      id: 'p1',
      kind: 'agentIdentity',
      appId: 'app',
    } as const
    return { ...found, items: [one], nextCursor: null }
  },
}
