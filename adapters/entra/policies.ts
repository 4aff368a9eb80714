import type { AccessPolicies, AccessPolicy } from '../../src/core/adapter.ts'
import { BridgeError, type ErrorCode } from '../../src/core/errors.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { live, pause } from '../aborts.ts'
import { malformed } from './errors.ts'
import type { Graph } from './graph.ts'
import { purposes } from './kinds.ts'
import { objectId, policy } from './wire.ts'

export interface PolicyParts {
  readonly graph: Graph
  readonly clock: Clock
  readonly random: () => number
}

/**
 * One request a second for all apps of the tenant, refused without `Retry-After`, and a refused one counts too (Graph
 * throttling-limits.md, read 2026-11): so ours go one after the other, and wait longer than that after a refusal.
 */
const APART_MS = 1_100
const AGAIN_MS = 2_500
const TRIES = 3
const passing: ReadonlySet<ErrorCode> = new Set(['E_DIRECTORY_THROTTLED', 'E_DIRECTORY_DOWN'])

/** Conditional Access policies: whether one is there, and on. */
export function openPolicies({ graph, clock, random }: PolicyParts): AccessPolicies {
  let turn: Promise<unknown> = Promise.resolve()
  let lastAt = Number.NEGATIVE_INFINITY

  const ask = async (id: string, signal: AbortSignal): Promise<AccessPolicy | undefined> => {
    const purpose = purposes.readPolicies
    const options = { purpose, lane: 'read', signal } as const
    const path = `/identity/conditionalAccess/policies/${id}?$select=id,displayName,state`
    live(signal)
    const early = lastAt + APART_MS - clock.mono()
    if (early > 0) await pause(clock, early, signal)
    for (let attempt = 1; ; attempt++) {
      try {
        const found = await graph.find(path, policy, options).finally(() => {
          lastAt = clock.mono()
        })
        if (found !== undefined && found.id !== id) throw malformed(purpose)
        return found && { name: found.displayName ?? '', enforced: found.state === 'enabled' }
      } catch (error) {
        if (!(error instanceof BridgeError) || !passing.has(error.code) || attempt >= TRIES) throw error
        await pause(clock, Math.max(error.retryAfterMs ?? 0, AGAIN_MS * (1 + random())), signal)
      }
    }
  }

  return {
    vet: (id) =>
      objectId.safeParse(id).success
        ? undefined
        : new BridgeError('E_ACCESS_POLICY', `${JSON.stringify(id.slice(0, 64))} is not the id of a policy`, {
            hint: 'use the object id of the Conditional Access policy, a GUID',
          }),
    read(id, signal) {
      const mine = turn.then(() => ask(id.toLowerCase(), signal))
      turn = mine.catch(() => undefined)
      return mine
    },
  }
}
