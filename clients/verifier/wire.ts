import { z } from 'zod'
import { BridgeError } from '../../src/core/errors.ts'
import type { ReplicaRow } from '../../src/core/replica.ts'
import type { Origin } from '../../src/core/types.ts'
import type { ReplicaSettings } from '../../src/engine/replicaapi.ts'
import { replicaItem, replicaPage, replicaSettings } from '../../src/http/replicashapes.ts'
import type { SseEvent } from '../agt/sse.ts'

/** What the bridge says, as this side understands it. Members that came later are passed over. */

export interface Page {
  readonly generation: string
  readonly rows: readonly ReplicaRow[]
  readonly nextCursor: string | null
}

export type Frame =
  | {
      readonly type: 'settings'
      readonly generation: string
      /** Whether the position that was named still counts; if not, everything is to be read anew. */
      readonly resumed: boolean
      readonly settings: ReplicaSettings
    }
  | { readonly type: 'changed'; readonly rows: readonly ReplicaRow[] }
  | { readonly type: 'current'; readonly epoch: number; readonly at: number }
  | { readonly type: 'other' }

const frames = {
  settings: z.object({ generation: z.string(), resumed: z.boolean(), settings: replicaSettings }),
  changed: z.object({ items: z.array(replicaItem) }),
  current: z.object({ epoch: z.int().min(0), at: z.string() }),
}

const unreadable = (what: string, cause: unknown) =>
  new BridgeError('E_UNREACHABLE', `${what} is not what a bridge of this version says.`, { cause })

const time = (text: string): number => {
  const ms = Date.parse(text)
  if (Number.isNaN(ms)) throw new RangeError('not a time')
  return ms
}
const timeOr = (text: string | null): number | undefined => (text === null ? undefined : time(text))

const rowOf = (item: z.output<typeof replicaItem>): ReplicaRow => {
  const { did, seq, agent, delegation } = item
  return {
    did,
    seq,
    agent:
      agent === null
        ? undefined
        : {
            blueprint: agent.blueprint ?? undefined,
            parentDid: agent.parentDid ?? undefined,
            decommissioned: agent.decommissioned,
            resumedAt: timeOr(agent.resumedAt),
          },
    delegation:
      delegation === null
        ? undefined
        : {
            expiresAt: timeOr(delegation.expiresAt),
            endedAt: timeOr(delegation.endedAt),
          },
    holds: item.holds.map(({ origin, severity, publicReason, placedAt }) => ({
      origin: origin as Origin,
      severity,
      publicReason: publicReason ?? undefined,
      placedAt: time(placedAt),
    })),
    accounts: item.accounts.map(({ observedAt, ...account }) => ({ ...account, observedAt: timeOr(observedAt) })),
    aliases: item.aliases,
    sources: item.capabilities.map(({ name, source, confirmedAt }) => ({
      capability: name,
      source,
      confirmedAt: time(confirmedAt),
    })),
  }
}

const understood = <T>(what: string, read: () => T): T => {
  try {
    return read()
  } catch (cause) {
    throw unreadable(what, cause)
  }
}

/** @throws BridgeError E_UNREACHABLE somebody else answered, or a version that cannot be understood */
export const pageOf = (body: unknown): Page =>
  understood('An answer', () => {
    const { generation, items, nextCursor } = replicaPage.parse(body)
    return { generation, rows: items.map(rowOf), nextCursor }
  })

/** @throws BridgeError E_UNREACHABLE an event of a kind we know in a shape we do not: guessing could let somebody act */
export const frameOf = ({ event, data }: SseEvent): Frame =>
  understood(`An event of type ${event.slice(0, 40)}`, (): Frame => {
    if (event === 'settings') return { type: 'settings', ...frames.settings.parse(JSON.parse(data)) }
    if (event === 'changed') return { type: 'changed', rows: frames.changed.parse(JSON.parse(data)).items.map(rowOf) }
    if (event !== 'current') return { type: 'other' }
    const { epoch, at } = frames.current.parse(JSON.parse(data))
    return { type: 'current', epoch, at: time(at) }
  })
