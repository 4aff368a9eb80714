import type { Caller } from './agentapi.ts'
import { change } from './change.ts'
import { pausedKey } from './context.ts'
import type { Deps } from './deps.ts'
import type { Keep } from './keeping.ts'

/** Stops every write to directories, or lets them go on. Asked for as it is already, it changes nothing. */
export const pauseWrites = (
  deps: Deps,
  paused: boolean,
  reason: string,
  caller: Caller,
  keep?: Keep<{ paused: boolean }>,
): Promise<{ paused: boolean }> =>
  change(
    deps,
    { actor: caller.name, requestId: caller.requestId },
    async (c) => {
      if (((await c.tx.meta(pausedKey)) !== undefined) === paused) return { paused }
      await c.tx.putMeta(pausedKey, paused ? String(c.now) : undefined)
      const type = paused ? 'writes.paused' : 'writes.resumed'
      await c.tx.appendAudit({ time: c.now, type, actor: caller.name, requestId: caller.requestId, text: { reason } })
      for (const name of deps.mounts().keys()) {
        if (!paused) await c.tx.wakeEngaged(name, c.now)
        c.wakeSuspend(name)
        c.wakeWork(name)
      }
      return { paused }
    },
    keep,
  )
