import type { Party } from './caller.ts'

/** Who may use a session: the agent that began it, for the person or service it began it for. */
export interface Sessions {
  isOf(id: string, party: Party): boolean
  bind(id: string, party: Party): void
  forget(id: string): void
}

const keyOf = ({ did, onBehalfOf }: Party): string =>
  JSON.stringify([did, onBehalfOf?.kind ?? '', onBehalfOf?.id ?? ''])

/**
 * A session id is no credential, and yet what it leads to was made for one agent. The first who used one with success has
 * it; of very many the one that was used longest ago is forgotten, and is then whose it is used by next.
 */
export const createSessions = (most = 50_000): Sessions => {
  const owners = new Map<string, string>()
  return {
    isOf: (id, party) => {
      const owner = owners.get(id)
      return owner === undefined || owner === keyOf(party)
    },
    bind: (id, party) => {
      const owner = owners.get(id) ?? keyOf(party)
      if (!owners.delete(id) && owners.size >= most)
        for (const oldest of owners.keys()) if (owners.delete(oldest)) break
      owners.set(id, owner)
    },
    forget: (id) => {
      owners.delete(id)
    },
  }
}
