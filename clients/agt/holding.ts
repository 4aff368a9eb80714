import type { Asking } from './asking.ts'
import type { Contact } from './contact.ts'
import { AgtClientError } from './errors.ts'
import type { Known } from './known.ts'

export interface Holding {
  /**
   * Places a hold of severity `suspend`: the agent is denied everywhere from the answer on. Gives the hold's id.
   * @throws AgtClientError E_REQUEST
   */
  suspend(id: string, reason: string): Promise<string>
  /**
   * Releases every `suspend` hold of this client on the agent, those of an earlier process too, and says how many there
   * were. Holds of others stay.
   * @throws AgtClientError E_REQUEST, also while it is not known who is held
   */
  lift(id: string, reason: string): Promise<number>
}

export interface HoldingParts {
  readonly asking: Asking
  readonly known: Known
  readonly contact: Contact
  readonly didOf: (id: string) => string
  readonly newId: () => string
}

export const createHolding = ({ asking, known, contact, didOf, newId }: HoldingParts): Holding => {
  /** Placed here: the stream may not have told of them yet. */
  const placed = new Map<string, Set<string>>()
  const holdsPath = (did: string) => `v1/agents/${encodeURIComponent(did)}/holds`

  return {
    suspend: async (id, reason) => {
      const did = didOf(id)
      const body = { severity: 'suspend', reason }
      const answer = await asking.post('suspend', holdsPath(did), body, { key: newId() })
      if (typeof answer.id !== 'string') throw new AgtClientError('E_REQUEST', 'suspend: the answer names no hold.')
      placed.set(did, (placed.get(did) ?? new Set()).add(answer.id))
      return answer.id
    },

    lift: async (id, reason) => {
      const did = didOf(id)
      // What is remembered of an earlier process may be out of date, and what is missing would not be lifted.
      if (contact.state !== 'current') {
        throw new AgtClientError('E_REQUEST', 'lift: it is not known who is held.', { did })
      }
      const { name } = await asking.get('whoami', 'v1/whoami')
      const ours = known
        .holdsOf(did)
        .filter(({ severity, origin }) => severity === 'suspend' && isOf(name, origin))
        .map(({ holdId }) => holdId)
      const ids = new Set([...ours, ...(placed.get(did) ?? [])])
      let lifted = 0
      for (const holdId of ids) {
        const path = `${holdsPath(did)}/${encodeURIComponent(holdId)}/release`
        const gone = ['E_ALREADY_RELEASED', 'E_HOLD_UNKNOWN']
        const answer = await asking.post('lift', path, { reason }, { but: gone, key: newId() })
        placed.get(did)?.delete(holdId)
        if (Object.keys(answer).length > 0) lifted += 1
      }
      if (placed.get(did)?.size === 0) placed.delete(did)
      return lifted
    },
  }
}

const isOf = (name: unknown, origin: string | undefined): boolean =>
  typeof name === 'string' && (origin === `runtime:${name}` || origin === `operator:${name}`)
