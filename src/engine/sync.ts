import type { Page } from '../core/adapter.ts'
import { BridgeError, codeOf } from '../core/errors.ts'
import type { ScheduledPrincipal } from '../core/store.ts'
import { bridge, type Change, change, directory } from './change.ts'
import type { Deps, Mount } from './deps.ts'
import { enter, isEarlier, judgeListing, leaveIf } from './quarantine.ts'
import { noteThrottle, type Recall } from './recall.ts'
import { readWhole } from './restored.ts'
import { takeIn } from './seen.ts'
import { traced } from './tracing.ts'

export interface SyncState {
  lastOkAt: number | undefined
  lastError: string | undefined
  fullAt: number | undefined
}

const feed = 'accounts'
/** Up to so many stale accounts are read by id; more make a listing pass cheaper. */
const byIdMost = 500

/**
 * Reads what changed in one directory. Rows are taken in page by page; the place to resume is stored in the
 * transaction of the last page, so that a pass that breaks is read again and nothing is skipped.
 */
export const createSync = (deps: Deps, mount: Mount, recall: Recall) => {
  const { name } = mount.adapter
  const state: SyncState = { lastOkAt: undefined, lastError: undefined, fullAt: undefined }

  const pass = (since: string | undefined, signal: AbortSignal): Promise<void> => {
    const kind = since === undefined ? 'full' : 'changes'
    const attributes = { adapter: name, pass: kind }
    return traced(deps, 'pass', { attributes }, () => passOver(kind, since, signal))
  }

  const passOver = async (kind: string, since: string | undefined, signal: AbortSignal): Promise<void> => {
    const begun = deps.clock.mono()
    const begunAt = deps.clock.now()
    const doubted = recall.doubted
    let listed = 0
    for await (const page of mount.adapter.changes(since, signal)) {
      signal.throwIfAborted()
      const end = (c: Change) => pageEnd(c, page, begunAt)
      const mapped = await takeIn(deps, mount, recall, page.sightings, deps.clock.mono(), end)
      listed += mapped.filter((one) => isEarlier(one, begunAt, deps.clock.now())).length
    }
    deps.metrics.observe('sync_seconds', { adapter: name, pass: kind }, (deps.clock.mono() - begun) / 1000)
    if (kind === 'full') {
      await judgeListing(deps, mount, listed, begunAt)
      await askForMissing(begunAt)
      state.fullAt = begunAt
      if (doubted) {
        await change(deps, directory, (c) => readWhole(c, name))
        recall.doubted = false
      }
    }
  }

  const pageEnd = async (c: Change, page: Page, begunAt: number) => {
    const again = c.now + mount.settings.settleMs
    for (const id of page.touched) await c.tx.askReadDependents(name, id, c.now, again)
    if (page.touched.length > 0) c.wakeWork(name)
    if (page.checkpoint !== undefined) await c.tx.putCheckpoint(name, feed, page.checkpoint, begunAt)
  }

  /** Mapped accounts that a full listing did not return are read by id: only that read may say absent. */
  const askForMissing = async (begunAt: number): Promise<void> => {
    for (;;) {
      const missing = await deps.store.stale(name, begunAt, deps.clock.now(), byIdMost)
      await askAll(missing)
      if (missing.length < byIdMost) return
    }
  }

  const askAll = async (list: readonly ScheduledPrincipal[]): Promise<void> => {
    if (list.length === 0) return
    await change(deps, directory, async (c) => {
      for (const one of list) await c.tx.askRead(one, c.now, undefined)
      c.wakeWork(name)
    })
  }

  const counted = async (kind: string, work: () => Promise<void>): Promise<boolean> => {
    try {
      await work()
      await leaveIf(deps, name, 'forbidden')
      state.lastOkAt = deps.clock.now()
      state.lastError = undefined
      deps.metrics.inc('sync_passes_total', { adapter: name, pass: kind, outcome: 'ok' })
      return true
    } catch (error) {
      state.lastError = codeOf(error)
      noteThrottle(recall, error, deps.clock.now())
      deps.metrics.inc('sync_passes_total', { adapter: name, pass: kind, outcome: codeOf(error) })
      if (deps.isFatal(error)) deps.fatal(error)
      if (state.lastError === 'E_DIRECTORY_FORBIDDEN') await change(deps, bridge, (c) => enter(c, name, 'forbidden'))
      throw error
    }
  }

  /** What changed since the stored checkpoint; everything when there is none or the directory says it expired. */
  const changes = (signal: AbortSignal): Promise<boolean> =>
    counted('changes', async () => {
      const stored = await deps.store.checkpoint(name, feed)
      try {
        await pass(stored?.value, signal)
      } catch (error) {
        if (!(error instanceof BridgeError) || error.code !== 'E_CHECKPOINT_EXPIRED') throw error
        deps.log.warn({ adapter: name }, 'the change feed expired: reading everything')
        await change(deps, directory, (c) => c.tx.deleteCheckpoint(name, feed))
        await pass(undefined, signal)
      }
    })

  let fullPass: Promise<boolean> | undefined

  /** One at a time: who asks during a full pass gets that one. */
  const full = (signal: AbortSignal): Promise<boolean> => {
    fullPass ??= counted('full', () => pass(undefined, signal)).finally(() => {
      fullPass = undefined
    })
    return fullPass
  }

  /** Keeps every reading younger than half of `maxStaleness.warn`. */
  const refresh = async (signal: AbortSignal): Promise<void> => {
    const now = deps.clock.now()
    const before = now - deps.policy().maxStaleness.warnMs / 2
    const stale = await deps.store.stale(name, before, now, byIdMost + 1)
    if (stale.length > byIdMost) await full(signal)
    else await askAll(stale)
  }

  return { state, changes, full, refresh }
}

export type Sync = ReturnType<typeof createSync>
