import { BridgeError } from '../core/errors.ts'
import type { Moment } from '../core/restore.ts'
import { bridge, change } from './change.ts'
import type { Deps } from './deps.ts'
import { rebaseGuard } from './guarding.ts'
import { finishKills } from './masskill.ts'
import { settleRestore, unread } from './restored.ts'
import { generationKey } from './signals.ts'
import { tellUnwatched } from './trusting.ts'

const realmKey = (adapter: string): string => `realm:${adapter}`

/**
 * What must hold before anything runs: every adapter that has holds or marks is configured and points where it did
 * (rule 12); the signals have a generation; every account that something is wanted of is looked at again; a kill of many
 * that was recorded holds all of them. `lost`: an entry of the chain that the store does not have any more. Returns the
 * adapters that resume nothing before a full pass.
 */
export const begin = async (deps: Deps, newGeneration: () => string, lost?: Moment): Promise<ReadonlySet<string>> => {
  const faults: string[] = []
  for (const name of await deps.store.adaptersWithPrincipals()) {
    if (deps.mounts().has(name) || !(await deps.store.engaged(name))) continue
    faults.push(
      `adapters.${name} is gone from the configuration, but its accounts have open holds or switches that are ours`,
    )
  }
  for (const [name, { adapter }] of deps.mounts()) {
    const stored = await deps.store.meta(realmKey(name))
    if (stored === undefined || stored === adapter.realm || !(await deps.store.engaged(name))) continue
    faults.push(`adapters.${name} points to ${adapter.realm}, but its accounts are of ${stored}`)
  }
  if (faults.length > 0) {
    throw new BridgeError('E_ADAPTER_MOVED', `The configuration does not fit what is held: ${faults.join('; ')}.`, {
      hint: 'Put the adapter back as it was and release its holds before it is removed or moved.',
      details: faults,
    })
  }
  const unreadYet = await change(deps, bridge, async (c) => {
    await settleRestore(c, lost, newGeneration)
    if ((await c.tx.meta(generationKey)) === undefined) await c.tx.putMeta(generationKey, newGeneration())
    for (const [name, { adapter }] of deps.mounts()) {
      if ((await c.tx.meta(realmKey(name))) !== adapter.realm) await c.tx.putMeta(realmKey(name), adapter.realm)
      await rebaseGuard(c, name)
      await c.tx.wakeEngaged(name, c.now)
      c.wakeSuspend(name)
      c.wakeWork(name)
    }
    await c.tx.appendAudit({
      time: c.now,
      type: 'bridge.started',
      actor: 'bridge',
      details: { adapters: [...deps.mounts().keys()] },
    })
    return unread(c.tx, deps.mounts().keys())
  })
  await finishKills(deps)
  await tellUnwatched(deps)
  return unreadYet
}

/** Which settings a reload put into force, by path; values stand in no entry. */
export const recordReload = async (
  deps: Deps,
  reloaded: readonly string[],
  needsRestart: readonly string[],
): Promise<void> => {
  if (reloaded.length === 0) return
  await tellUnwatched(deps)
  const details = { reloaded, needsRestart }
  await change(deps, bridge, async (c) => {
    await c.tx.appendAudit({ time: c.now, type: 'config.reloaded', actor: c.actor, details })
    await c.tx.noteSettings()
  })
}
