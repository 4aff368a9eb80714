import { hash } from 'node:crypto'
import type { Party } from './caller.ts'

/** Who may use a session: the agent that began it, for the person or service it began it for. */
export interface Sessions {
  isOf(id: string, party: Party): boolean
  bind(id: string, party: Party): void
  forget(id: string): void
}

const digestOf = (text: string): string => hash('sha256', text, 'binary')

const keyOf = ({ did, onBehalfOf }: Party): string =>
  digestOf(JSON.stringify([did, onBehalfOf?.kind ?? '', onBehalfOf?.id ?? '']))

/**
 * A session id is no credential, and yet what it leads to was made for one agent. The first who used one with success has
 * it; of very many the one that was used longest ago is forgotten, and is then whose it is used by next.
 */
export const createSessions = (most = 50_000): Sessions => {
  // Both by digest: a server without sessions says yes to any id, of any length.
  const owners = new Map<string, string>()
  return {
    isOf: (id, party) => {
      const owner = owners.get(digestOf(id))
      return owner === undefined || owner === keyOf(party)
    },
    bind: (id, party) => {
      const key = digestOf(id)
      const owner = owners.get(key) ?? keyOf(party)
      if (!owners.delete(key) && owners.size >= most)
        for (const oldest of owners.keys()) if (owners.delete(oldest)) break
      owners.set(key, owner)
    },
    forget: (id) => {
      owners.delete(digestOf(id))
    },
  }
}
