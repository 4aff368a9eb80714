import { groupChange, groupSource } from '../core/capabilities.ts'
import { codeOf } from '../core/errors.ts'
import type { CapabilitySource, Did } from '../core/types.ts'
import { type Change, change, directory } from './change.ts'
import type { Deps, Mount } from './deps.ts'
import { fitting } from './fitting.ts'
import { capabilitiesBefore, capabilitiesChanged } from './granting.ts'
import { guardSeen } from './guarding.ts'
import { enter, leaveIf } from './quarantine.ts'
import type { Recall } from './recall.ts'

export interface GroupState {
  lastOkAt: number | undefined
  lastError: string | undefined
}

/** Below so many members an empty answer is nothing unusual. */
const plenty = 3
const idsAtOnce = 400
const chunk = 100
const most = 100_000

/**
 * Turns memberships of mapped groups into capabilities. A source goes only after a complete read of its group that
 * lacks it (rule 7, I6); an empty answer where there was plenty is believed at the second complete read past settle.
 */
export const createGroups = (deps: Deps, mount: Mount, recall: Recall) => {
  const { name, groups } = mount.adapter
  const state: GroupState = { lastOkAt: undefined, lastError: undefined }
  const emptySince = new Map<string, number>()
  const asked = new Set<string>()

  /** The DIDs behind the effective members. Throws on an incomplete read. */
  const membersOf = async (groupId: string, signal: AbortSignal): Promise<Set<Did>> => {
    const dids = new Set<Did>()
    if (groups === undefined) return dids
    for await (const page of groups.members(groupId, signal)) {
      signal.throwIfAborted()
      for (let at = 0; at < page.length; at += idsAtOnce) {
        const mapped = await deps.store.principalsById(name, page.slice(at, at + idsAtOnce))
        // A membership of a shared account says of none of its DIDs that it is meant.
        for (const { did, shared } of mapped) if (!shared) dids.add(did)
      }
    }
    return dids
  }

  const syncOne = async (groupId: string, capabilities: readonly string[], signal: AbortSignal): Promise<void> => {
    const source = groupSource(name, groupId)
    const begunAt = deps.clock.now()
    const members = await membersOf(groupId, signal)
    const present = await deps.store.sourcesNamed(source)
    const granted = new Set(present.map(({ did }) => did))
    if (members.size === 0 && granted.size >= plenty) {
      if (!(await believed(groupId))) return
      await countMembers([...granted])
    }
    emptySince.delete(groupId)
    const { add, remove } = groupChange(source, capabilities, members, present, begunAt)
    await inChunks(remove, source, (c, one) => c.tx.deleteSource(one.did, one.capability, one.source))
    await inChunks(add, source, (c, one) => c.tx.putSource(one))
    await change(deps, directory, (c) => c.tx.confirmSources(source, begunAt))
  }

  /** A sudden empty answer counts at the second complete read that says so, past settle. */
  const believed = async (groupId: string): Promise<boolean> => {
    const first = emptySince.get(groupId)
    if (first !== undefined) return deps.clock.mono() - first > mount.settings.settleMs
    emptySince.set(groupId, deps.clock.mono())
    await change(deps, directory, (c) => enter(c, name, 'groups', { group: groupId }))
    deps.alert('group-emptied', `group ${groupId} of ${name} answered empty; believed when it still is after settle`)
    return false
  }

  /** Each agent that a group has lost counts as one suspension. */
  const countMembers = async (lost: readonly Did[]): Promise<void> => {
    for (let at = 0; at < lost.length; at += chunk) {
      await change(deps, directory, async (c) => {
        for (const did of lost.slice(at, at + chunk)) await guardSeen(c, mount, 'suspend', did)
      })
    }
  }

  /** A few DIDs to a transaction, so that a large group never makes a suspension wait for the store. */
  const inChunks = async (
    list: readonly CapabilitySource[],
    cause: string,
    apply: (c: Change, one: CapabilitySource) => Promise<void>,
  ): Promise<void> => {
    for (let at = 0; at < list.length; ) {
      const some = list.slice(at, at + chunk)
      at += await change(deps, directory, async (c) => {
        const part = await fitting(c, some)
        const before = await capabilitiesBefore(c, new Set(part.map(({ did }) => did)))
        for (const one of part) await apply(c, one)
        await capabilitiesChanged(c, before, cause)
        return part.length
      })
    }
  }

  /** Groups that left the configuration grant nothing any more. */
  const dropUnmapped = async (): Promise<void> => {
    const prefix = groupSource(name, '')
    const all = await deps.store.sourcesBefore(prefix, Number.MAX_SAFE_INTEGER, most)
    const gone = all.filter(({ source }) => !Object.hasOwn(mount.settings.groups, source.slice(prefix.length)))
    await inChunks(gone, 'configuration', (c, one) => c.tx.deleteSource(one.did, one.capability, one.source))
  }

  /** Sources not confirmed for `capabilities.maxAge` are removed then (I6). */
  const expire = async (): Promise<void> => {
    if (recall.doubted) return
    const limit = deps.clock.now() - deps.policy().capabilitiesMaxAgeMs
    const old = await deps.store.sourcesBefore(groupSource(name, ''), limit, most)
    await inChunks(old, 'max-age', (c, one) => c.tx.deleteSource(one.did, one.capability, one.source))
    if (old.length > 0) {
      deps.alert('capabilities-expired', `${old.length} capabilities of ${name} were not confirmed in time and ended`)
    }
  }

  let last: Promise<void> = Promise.resolve()

  /** One pass after the other: an older reading must never be applied after a newer one. */
  const sync = (signal: AbortSignal, only?: ReadonlySet<string>): Promise<void> => {
    const next = last.then(() => syncNow(signal, only))
    last = next.catch(() => undefined)
    return next
  }

  const syncNow = async (signal: AbortSignal, only: ReadonlySet<string> | undefined): Promise<void> => {
    let failure: unknown
    for (const [groupId, capabilities] of Object.entries(mount.settings.groups)) {
      if (only !== undefined && !only.has(groupId)) continue
      try {
        await syncOne(groupId, capabilities, signal)
      } catch (error) {
        if (signal.aborted) throw error
        if (deps.isFatal(error)) deps.fatal(error)
        failure = error
        deps.log.warn({ adapter: name, group: groupId, err: error }, 'reading a group failed; nothing was removed')
      }
    }
    if (only === undefined) {
      for (const groupId of emptySince.keys()) {
        if (!Object.hasOwn(mount.settings.groups, groupId)) emptySince.delete(groupId)
      }
      if (emptySince.size === 0) await leaveIf(deps, name, 'groups')
      await dropUnmapped()
      await expire()
    }
    state.lastError = failure === undefined ? undefined : codeOf(failure)
    if (failure === undefined) state.lastOkAt = deps.clock.now()
  }

  return {
    state,
    /** When (monotonic) each group that had members first answered empty. */
    emptySince,
    sync,
    /** A hint named this group: it is read at the next look, once, however many hints came. */
    ask: (groupId: string): void => {
      if (Object.hasOwn(mount.settings.groups, groupId)) asked.add(groupId)
    },
    syncAsked: async (signal: AbortSignal): Promise<void> => {
      if (asked.size === 0) return
      const now = new Set(asked)
      asked.clear()
      await sync(signal, now)
    },
  }
}

export type GroupSync = ReturnType<typeof createGroups>
