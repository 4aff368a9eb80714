import { BridgeError } from '../../src/core/errors.ts'
import type { Caller } from '../../src/engine/agentapi.ts'
import type { Keep } from '../../src/engine/keeping.ts'
import type { OutletView, Pushes } from '../../src/engine/pushapi.ts'

type Keeping = <K>(keep: Keep<K> | undefined, result: K) => K

/** One outlet with two dead letters. */
export const createPushesDouble = (start: number, seen: (caller: Caller) => void, keeping: Keeping): Pushes => {
  let disabledAt: number | undefined = start
  const view = (): OutletView => ({
    name: 'payments',
    kind: 'webhook',
    origin: 'https://payments.contoso.com',
    client: 'agt-1',
    status: disabledAt === undefined ? 'ok' : 'disabled',
    behind: { urgent: 0, rest: 2 },
    waiting: 1,
    dead: 2,
    takenAt: start,
    failingSince: undefined,
    disabledAt,
    lastError: 'HTTP 410',
  })
  const known = (name: string) => {
    if (name !== 'payments') throw new BridgeError('E_NOT_FOUND', 'There is no such outlet.')
  }
  const letter = (seq: number) => ({
    outlet: 'payments',
    seq,
    type: 'suspended' as const,
    did: 'did:mesh:a',
    holdId: 'hold-1',
    at: start,
    attempts: 10,
    nextAt: undefined,
    deadAt: start,
    error: 'HTTP 400',
    body: JSON.stringify({ id: `double-${seq}`, data: { seq, type: 'suspended', did: 'did:mesh:a' } }),
  })
  return {
    outlets: async () => [view()],
    deadLetters: async (name, { after = -1, limit }) => {
      known(name)
      const items = [41, 42].filter((seq) => seq > after).map(letter)
      return { items: items.slice(0, limit), nextCursor: items.length > limit ? String(items[limit - 1]?.seq) : null }
    },
    redeliver: async (name, seqs, caller, keep) => {
      seen(caller)
      known(name)
      return keeping(keep, seqs?.length ?? 2)
    },
    enableOutlet: async (name, caller, keep) => {
      seen(caller)
      known(name)
      disabledAt = undefined
      keeping(keep, undefined)
      return view()
    },
  }
}
