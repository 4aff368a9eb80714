import type { Discovered, Discovery } from '../../src/core/discovery.ts'
import { textOf } from '../spiffeid.ts'
import type { SpiffeConfig } from './config.ts'
import { entriesPage } from './entries.ts'
import { suggesting } from './naming.ts'
import { isSuspended } from './sentinel.ts'
import type { Server } from './server.ts'

/**
 * Workloads by their registration entries, a page of which is no more than what it says: an ID has others on other pages.
 * Entries of servers further down are no workloads.
 */
export function openDiscovery(server: Server, { discovery }: Pick<SpiffeConfig, 'discovery'>): Discovery {
  const suggested = suggesting(discovery.naming)
  return {
    async page(from, _everything, signal) {
      const { entries, next_page_token: next } = await entriesPage(server, from ?? '', { signal })
      const accounts = new Map<string, Discovered>()
      for (const entry of entries) {
        const id = textOf(entry.spiffe_id)
        const { path } = entry.spiffe_id
        if (entry.downstream) continue
        const did = suggested(id)
        accounts.set(id, {
          id,
          kind: 'workload',
          name: path.slice(1, 201),
          appId: undefined,
          // One entry that is not suspended is enough to act; that all of them are, no page can say.
          state: isSuspended(entry) && accounts.get(id)?.state !== 'enabled' ? 'unknown' : 'enabled',
          isAgent: true,
          suggested: did === undefined ? undefined : { did, by: 'naming' },
        })
      }
      return { accounts: [...accounts.values()], next: next === '' ? undefined : next }
    },
  }
}
