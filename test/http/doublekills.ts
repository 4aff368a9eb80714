import { BridgeError } from '../../src/core/errors.ts'
import type { Caller } from '../../src/engine/agentapi.ts'
import type { Keep } from '../../src/engine/keeping.ts'
import type { KillPage, MassKillInput, MassKills } from '../../src/engine/killapi.ts'

const pageSize = 2

/** The kills of many of the double: every list is held whole, a selector holds `did:mesh:selected`. */
export const createKills = (
  start: number,
  known: (did: string) => boolean,
  place: (did: string, reason: string, by: Caller) => string,
  isReleased: (holdId: string) => boolean,
  seen: (caller: Caller) => unknown,
  keeping: <K>(keep: Keep<K> | undefined, result: K) => K,
): MassKills & { readonly masses: MassKillInput[] } => {
  const masses: MassKillInput[] = []
  const kills = new Map<string, { input: MassKillInput; actor: string; items: { did: string; holdId: string }[] }>()
  const didsOf = (targets: MassKillInput['targets']) => ('dids' in targets ? [...targets.dids] : ['did:mesh:selected'])

  const page = (id: string, from: number): KillPage => {
    const kill = kills.get(id)
    if (kill === undefined) throw new BridgeError('E_NOT_FOUND', 'There is no such kill.')
    const { input, actor, items } = kill
    const agents = items.length
    return {
      kill: {
        id,
        at: start,
        actor,
        reason: input.reason,
        selector: 'selector' in input.targets ? input.targets.selector : undefined,
        agents,
        placed: agents,
        released: items.filter(({ holdId }) => isReleased(holdId)).length,
        accounts: { total: agents, off: 0, pending: agents, failed: 0, shared: 0, unsupported: 0 },
      },
      items: items
        .slice(from, from + pageSize)
        .map(({ did, holdId }) => ({ did, holdId, known: known(did), released: isReleased(holdId) })),
      nextCursor: from + pageSize < agents ? String(from + pageSize) : null,
    }
  }

  return {
    masses,
    async killMany(input, _limit, caller, keep) {
      seen(caller)
      masses.push(input)
      const id = `kill-${masses.length}`
      const items = didsOf(input.targets).map((did) => ({ did, holdId: place(did, input.reason, caller) }))
      kills.set(id, { input, actor: caller.name, items })
      return page(keeping(keep, id), 0)
    },
    async previewKill(targets, caller) {
      seen(caller)
      return didsOf(targets).map((did) => ({ did, known: known(did) }))
    },
    async killedAgain(id, _limit, caller) {
      seen(caller)
      return page(id, 0)
    },
    async killed(id, cursor, _limit, caller) {
      seen(caller)
      return page(id, Number(cursor ?? 0))
    },
  }
}
