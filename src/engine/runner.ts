import { BridgeError } from '../core/errors.ts'
import { type Schedule, schedule } from '../lib/schedule.ts'
import { resumePlans } from './applying.ts'
import { topics } from './bus.ts'
import type { Deps, Mount } from './deps.ts'
import { linkFinding } from './following.ts'
import { createGroups, type GroupSync } from './groups.ts'
import { tendGuard } from './guarding.ts'
import { createHookQueue, type HookQueueDrain } from './hookqueue.ts'
import { createMirror, type Mirror } from './mirror.ts'
import { tendQuarantine } from './quarantine.ts'
import { gauge } from './status.ts'
import { createSync, type Sync } from './sync.ts'
import { createTending, type Tender } from './tending.ts'

/** Everything that runs for one adapter. Stopping waits for what is on the wire. */
export interface Runner {
  readonly mount: Mount
  readonly mirror: Mirror
  readonly sync: Sync
  readonly groups: GroupSync
  readonly tender: Tender
  /** Undefined: the directory rings through no queue. */
  readonly queue: HookQueueDrain | undefined
  /** One look at what the guard and the quarantine can end by themselves. */
  guard(): Promise<void>
  start(): void
  /** The hooks can be reached now: a directory that has to be asked to deliver there is asked. */
  listening(): void
  stop(): Promise<void>
  /** One look at everything, in order: for tests and for a first reading. */
  once(signal: AbortSignal): Promise<void>
}

const refreshMs = 30_000
const jitterMs = 1_000

/** `doubted`: nothing is resumed before a full pass. */
export const createRunner = (deps: Deps, mount: Mount, timeZone: string, doubted = false): Runner => {
  const { name } = mount.adapter
  const mirror = createMirror(deps, mount)
  mirror.recall.doubted = doubted
  const sync = createSync(deps, mount, mirror.recall)
  const groups = createGroups(deps, mount, mirror.recall)
  const tender = createTending(deps, mount, sync, groups)
  const bells = mount.adapter.queue
  const queue = bells && createHookQueue(deps, mount, bells, (_adapter, group) => groups.ask(group))
  const stopping = new AbortController()
  const { signal } = stopping
  const running: Promise<void>[] = []
  const schedules: Schedule[] = []

  const report = (what: string) => (error: unknown) => {
    if (signal.aborted) return
    const level = error instanceof BridgeError ? 'warn' : 'error'
    deps.log[level](
      { adapter: name, what, err: error },
      'a pass over the directory failed; nothing was concluded from it',
    )
  }

  const cron = (expression: string, what: string, task: (signal: AbortSignal) => Promise<void>) => {
    const random = deps.random
    const one = schedule({ expression, timeZone, jitterMs, random, clock: deps.clock, task, onError: report(what) })
    schedules.push(one)
    return one
  }

  /** Hinted groups, and readings that grow old. */
  const tend = async (): Promise<void> => {
    let refreshed = Number.NEGATIVE_INFINITY
    while (!signal.aborted) {
      const woken = deps.bus.count(topics.groups(name))
      await groups.syncAsked(signal).catch(report('groups'))
      if (mirror.recall.doubted) await sync.full(signal).catch(report('full'))
      if (deps.clock.mono() - refreshed >= refreshMs) {
        refreshed = deps.clock.mono()
        await sync.refresh(signal).catch(report('refresh'))
        await gauge(deps).catch(report('metrics'))
      }
      await deps.bus.wait(topics.groups(name), woken, refreshMs, signal)
    }
  }

  /** What the guard and the quarantine need when nothing new is seen. */
  const guard = async (): Promise<void> => {
    await tendQuarantine(deps, mount)
    await tendGuard(deps, mount)
    await resumePlans(deps, mount, mirror.recall, signal)
  }

  /** On its own: applying a plan may take long, and reading must not wait for it. */
  const guards = async (): Promise<void> => {
    while (!signal.aborted) {
      await guard().catch(report('guard'))
      await deps.clock.sleep(refreshMs, signal).catch(() => undefined)
    }
  }

  /** What is missing for this configuration to work, told once at start with the way to mend it. */
  const examine = async (): Promise<void> => {
    const link = linkFinding(mount)
    for (const { code, level, text, mend } of [...(link ? [link] : []), ...(await mount.adapter.check(signal))]) {
      if (level === 'ok' || level === 'unknown' || signal.aborted) continue
      deps.alert('adapter-check', `${name}: ${text} (${code})${mend === undefined ? '' : `; ${mend}`}`)
    }
  }

  return {
    mount,
    mirror,
    sync,
    groups,
    tender,
    queue,
    guard,
    start: () => {
      const { sync: times } = mount.settings
      const accounts = cron(times.accounts, 'accounts', async (aborted) => void (await sync.changes(aborted)))
      cron(times.full, 'full', async (aborted) => void (await sync.full(aborted)))
      const members = mount.adapter.groups && cron(times.groups, 'groups', (aborted) => groups.sync(aborted))
      running.push(mirror.run(signal), tend(), guards(), examine().catch(report('check')))
      if (queue) running.push(queue.run(signal))
      // The first reading does not wait for the clock.
      void accounts.run().then(() => members?.run())
    },
    listening: () => void running.push(tender.run(signal)),
    stop: async () => {
      stopping.abort()
      await Promise.allSettled([...schedules.map((one) => one.stop()), ...running])
      await mirror.drained()
    },
    once: async (aborted) => {
      await sync.changes(aborted)
      await groups.sync(aborted)
      await mirror.suspendOnce(aborted)
      await mirror.drained()
      while ((await mirror.workOnce(aborted)) === 'more') {
        await mirror.suspendOnce(aborted)
        await mirror.drained()
      }
    },
  }
}
