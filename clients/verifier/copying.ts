import { BridgeError } from '../../src/core/errors.ts'
import type { ReplicaRow } from '../../src/core/replica.ts'
import type { ReplicaSettings } from '../../src/engine/replicaapi.ts'
import { backoffMs } from '../../src/lib/backoff.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { type Asking, isForbidden, mostAsked } from './asking.ts'
import { createJudge, type Judge } from './judge.ts'
import type { Keyring } from './keyring.ts'
import { createRefreshing } from './refreshing.ts'
import { createReplica, type Replica } from './replica.ts'

/** One replica from its first page on: of one generation of the bridge's record, and never of another. */
export interface Copy {
  readonly replica: Replica
  readonly judge: Judge
  /** Whether every page was read. */
  readonly isWhole: boolean
  take(rows: readonly ReplicaRow[]): void
  settle(settings: ReplicaSettings): void
  /** Reads every page, then goes on reading what grows old, until the signal aborts. Rejects with what ends the copy for good. */
  run(signal: AbortSignal): Promise<void>
}

export interface CopyParts {
  readonly asking: Asking
  readonly keyring: Pick<Keyring, 'keys' | 'keep'>
  readonly clock: Clock
  readonly random: () => number
  readonly maxAgents: number
  readonly report: (error: BridgeError) => void
  /** Every page was read. */
  readonly whole: () => void
}

const backoff = { baseMs: 500, ceilingMs: 30_000 }
const lookMs = 1_000

export const createCopy = (parts: CopyParts, generation: string, first: ReplicaSettings): Copy => {
  const { asking, clock, keyring, random, report } = parts
  const replica = createReplica(generation, parts.maxAgents)
  const judge = createJudge(replica, first, keyring.keys, clock)
  const refreshing = createRefreshing()
  let isWhole = false

  const take = (rows: readonly ReplicaRow[]): void => {
    replica.take(rows)
    const now = clock.now()
    for (const { did } of rows) refreshing.read(did, replica.oldestReading(did), now)
  }
  const settle = (settings: ReplicaSettings): void => {
    refreshing.denyAfter(settings.denyAfterMs)
    judge.settle(settings)
    const issuers = settings.adapters.flatMap((adapter) =>
      adapter.issuers.filter(({ keysFrom, opaque }) => keysFrom === 'address' && !opaque),
    )
    keyring.keep(new Set(issuers.map(({ jwksUri }) => jwksUri)))
  }
  settle(first)

  const sameGeneration = (found: string): void => {
    // The stream tells the rest: what is here is not added to.
    if (found !== generation) throw new BridgeError('E_UNREACHABLE', 'The bridge was restored to another state.')
  }
  const ends = (error: unknown): boolean =>
    isForbidden(error) || (error instanceof BridgeError && error.code === 'E_REPLICA_LARGE')

  /** Until it succeeds; what ends the copy is thrown. */
  const persistently = async <T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> => {
    for (let failures = 0; ; failures += 1) {
      try {
        return await work()
      } catch (error) {
        if (signal.aborted || ends(error)) throw error
        report(known(error))
        await clock.sleep(backoffMs(failures, backoff, random()), signal)
      }
    }
  }

  const readAll = async (signal: AbortSignal): Promise<void> => {
    for (let cursor: string | undefined; ; ) {
      const from = cursor
      const page = await persistently(async () => {
        const found = await asking.page(from, signal)
        sameGeneration(found.generation)
        return found
      }, signal)
      take(page.rows)
      if (page.nextCursor === null) return
      cursor = page.nextCursor
    }
  }

  const refresh = async (signal: AbortSignal): Promise<void> => {
    for (let failures = 0; ; ) {
      const dids = refreshing.due(clock.now(), mostAsked)
      if (dids.length === 0) {
        await clock.sleep(lookMs, signal)
        continue
      }
      try {
        const page = await asking.items(dids, signal)
        sameGeneration(page.generation)
        take(page.rows)
        failures = 0
      } catch (error) {
        if (signal.aborted || ends(error)) throw error
        refreshing.failed(dids, clock.now())
        report(known(error))
        await clock.sleep(backoffMs(failures++, backoff, random()), signal)
      }
    }
  }

  return {
    replica,
    judge,
    get isWhole() {
      return isWhole
    },
    take,
    settle,
    run: async (signal) => {
      await readAll(signal)
      isWhole = true
      parts.whole()
      await refresh(signal)
    },
  }
}

/** A failure of ours as it is, any other as a bug. */
export const known = (error: unknown): BridgeError =>
  error instanceof BridgeError ? error : new BridgeError('E_BUG', 'The replica failed.', { cause: error })
