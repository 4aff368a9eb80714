import type { HookRequest } from '../core/adapter.ts'
import { BridgeError } from '../core/errors.ts'
import type { HookNews } from '../core/hookqueue.ts'
import type { HookOutcome } from './api.ts'
import { topics } from './bus.ts'
import { bridge, change } from './change.ts'
import type { Deps, Mount } from './deps.ts'
import { trailOf } from './tracing.ts'

/** Hints in one transaction: a kill waits for no more than these. */
const atATime = 500

/** Who is told of what came, beside the store. Deliveries that all say the same must not push out other alerts. */
export interface Told {
  readonly askGroup: (adapter: string, groupId: string) => void
  readonly alert: (code: string, text: string, adapter: string) => void
}

/**
 * What deliveries say, turned into reads with our own credentials, now and again after settle. Resolves once all of that is
 * durable; news that came before is passed over.
 */
export const takeNews = async (
  deps: Deps,
  mount: Mount,
  news: readonly HookNews[],
  { askGroup, alert }: Told,
): Promise<void> => {
  const adapter = mount.adapter.name
  const hints = news.flatMap((one) => one.hints)
  const named = hints.flatMap(({ principal }) => (principal === undefined ? [] : [trailOf(adapter, principal)]))
  deps.trace?.mark('hook', { adapter, hints: hints.length }, named)
  for (const { alert: one } of news) if (one !== undefined) alert(one.code, `${adapter}: ${one.text}`, adapter)
  if (hints.length === 0) return
  for (let from = 0; from < hints.length; from += atATime) {
    await change(deps, bridge, async (c) => {
      const again = c.now + mount.settings.settleMs
      for (const hint of hints.slice(from, from + atATime)) {
        if (!(await c.tx.claimDelivery(adapter, hint.delivery, c.now))) continue
        if (hint.principal !== undefined) await c.tx.askReadDependents(adapter, hint.principal, c.now, again)
        const { group } = hint
        if (group !== undefined) c.after(() => askGroup(adapter, group))
      }
      c.wakeWork(adapter)
    })
  }
  deps.bus.wake(topics.groups(adapter))
}

/**
 * One delivery (rule 6): authenticated and parsed by the adapter, remembered so that a repeat is harmless, turned into
 * reads with our own credentials, now and again after settle. Answered only when that is durable; an outage of ours is
 * 503, never 4xx.
 */
export const receive = async (
  deps: Deps,
  adapter: string,
  request: HookRequest,
  told: Told,
  signal: AbortSignal,
): Promise<HookOutcome> => {
  const mount = deps.mounts().get(adapter)
  const hooks = mount?.adapter.hooks
  if (mount === undefined || hooks === undefined) {
    throw new BridgeError('E_NOT_FOUND', 'There is no hook at this address.', {
      hint: 'Check the adapter name and its hooks section.',
    })
  }
  try {
    const answer = await hooks.receive(request, signal)
    if (answer.tend) deps.bus.wake(topics.tending(adapter))
    if (answer.missed) deps.bus.wake(topics.missed(adapter))
    await takeNews(deps, mount, [answer], told)
    return { status: answer.status, headers: answer.headers, body: answer.body }
  } catch (error) {
    // A secret that cannot be read is ours to mend, and where it is kept is not for whoever may deliver.
    if (error instanceof BridgeError && error.code !== 'E_SECRET') throw error
    throw new BridgeError('E_HOOK_CANNOT_CHECK', 'The delivery cannot be taken now.', { cause: error })
  }
}
