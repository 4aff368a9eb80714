import { BridgeError } from '../core/errors.ts'
import type { MassKill } from '../core/masskill.ts'
import type { Caller } from './agentapi.ts'
import type { Deps } from './deps.ts'
import { isPerson } from './holding.ts'
import type { KillPage, KillProgress } from './killapi.ts'

/** Counted in the store at each call, from the kill's targets: what else is stored does not matter. */
export const progressOf = async (deps: Deps, kill: MassKill): Promise<KillProgress> => {
  const accounts = { total: 0, off: 0, pending: 0, failed: 0, shared: 0, unsupported: 0 }
  for (const { adapter, kind, state, n } of await deps.store.killAccounts(kill.id)) {
    const mount = deps.mounts().get(adapter)
    const mode = mount?.settings.mirror
    const switches = mount?.adapter.accounts?.unswitched?.(kind) === undefined
    const writes = mount?.adapter.accounts !== undefined && switches && (mode === 'both' || mode === 'outbound')
    accounts.total += n
    accounts[writes || state === 'off' ? state : 'unsupported'] += n
  }
  const { id, at, actor, reason, selector, agents, placed } = kill
  return { id, at, actor, reason, selector, agents, placed, released: await deps.store.killReleased(id), accounts }
}

const dayMs = 86_400_000
const shown = 5

/** The latest of a day, and whatever is not done yet. */
export const recentKills = async (deps: Deps): Promise<KillProgress[]> => {
  const { store, clock } = deps
  const kills = new Map<string, MassKill>()
  for (const kill of await store.recentKills(clock.now() - dayMs, shown)) kills.set(kill.id, kill)
  for (const kill of await store.unfinishedKills()) kills.set(kill.id, kill)
  const list: KillProgress[] = []
  for (const kill of kills.values()) list.push(await progressOf(deps, kill))
  return list
}

/** One kill and some of its targets, in order. */
export const killPage = async (
  deps: Deps,
  id: string,
  cursor: string | undefined,
  limit: number,
  caller: Caller,
): Promise<KillPage> => {
  const kill = await deps.store.kill(id)
  const readable = isPerson(caller) || !caller.roles.includes('runtime') || kill?.actor === caller.name
  if (kill === undefined || !readable) {
    throw new BridgeError('E_NOT_FOUND', 'There is no such kill.', { hint: 'Its id is the killId of the answer.' })
  }
  const after = cursor === undefined ? 0 : Number(cursor)
  if (!Number.isSafeInteger(after) || after < 0) {
    throw new BridgeError('E_VALIDATION', 'This is no cursor of ours.', { hint: 'Send nextCursor as it came.' })
  }
  const items = await deps.store.killItems(id, after, limit)
  const dids = items.map(({ did }) => did)
  const known = new Set((await deps.store.agentsByDid(dids)).map(({ did }) => did))
  const open = new Set((await deps.store.openHoldsByDid(dids)).map((hold) => hold.id))
  const last = items.at(-1)?.n ?? kill.agents
  return {
    kill: await progressOf(deps, kill),
    items: items.map(({ n, did, holdId }) => ({
      did,
      holdId,
      known: known.has(did),
      released: n <= kill.placed && !open.has(holdId),
    })),
    nextCursor: last < kill.agents ? String(last) : null,
  }
}
