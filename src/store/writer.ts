import { BridgeError } from '../core/errors.ts'
import type { StoreTx } from '../core/store.ts'
import { breathe } from '../lib/breathe.ts'
import { type Connection, causeOf, isFatal, isPassing, sqliteCode, storeError, storeReadonly } from './database.ts'
import { leaseHolder, leaseLost } from './lease.ts'
import { onReadonlyDisk } from './location.ts'
import type { Run } from './statement.ts'
import { transaction } from './writes.ts'

/**
 * Runs the writing transactions, one after another, first in first out. What has queued up while one ran shares the
 * next commit, and so its fsync: each work in a savepoint of its own, so that one that fails takes back only itself.
 * Nobody waits for a batch to fill.
 */
export interface Writer {
  write<T>(work: (tx: StoreTx, run: Run) => Promise<T>): Promise<T>
  /** Runs what is queued, then takes no more. */
  drain(): Promise<void>
}

interface Job {
  /** Runs the work and returns what tells its caller, once it is durable. */
  run(): Promise<() => void>
  reject(error: unknown): void
}

/** Bounds how long one transaction keeps the first of its works waiting. */
const batchSize = 64
/** A page of the log is 4 KiB; copying back this many takes some milliseconds. */
const checkpointPages = 1000
const commitsPerLook = 16

/** Statements of one work, until it ends: a promise it left behind must not write into the next one's savepoint. */
const bounded = (run: Run): { run: Run; end(): void } => {
  let open = true
  const check = (): Run => {
    if (open) return run
    throw new BridgeError('E_BUG', 'A transaction was used after its end.')
  }
  return {
    run: {
      all: async (statement, values) => check().all(statement, values),
      one: async (statement, values) => check().one(statement, values),
      change: async (statement, values) => check().change(statement, values),
      each: async (statement, rows) => check().each(statement, rows),
      query: async (query) => check().query(query),
    },
    end: () => {
      open = false
    },
  }
}

export interface Life {
  /** @throws when the store is dead; one that is closing still runs what was asked for */
  alive(): void
  /** Marks the store dead and returns what to tell whoever was in the middle of something. */
  fail(error: unknown): BridgeError
}

/** @param committed told after each try to commit, before anyone else */
export const writer = (on: Connection, epoch: number, { alive, fail }: Life, committed: () => void): Writer => {
  const raw = on.raw
  const holdsLease = leaseHolder(raw, epoch)
  const begin = raw.prepare('begin immediate')
  const commit = raw.prepare('commit')
  const savepoint = raw.prepare('savepoint work')
  const release = raw.prepare('release work')
  const undo = raw.prepare('rollback to work')
  const rollback = raw.prepare('rollback')
  const log = raw.prepare<[], { log: number; checkpointed: number }>('pragma wal_checkpoint(NOOP)')
  const copyBack = raw.prepare('pragma wal_checkpoint(PASSIVE)')

  let queue: Job[] = []
  let running: Promise<void> | undefined
  let commits = 0

  const checkLease = (): void => {
    if (!holdsLease()) throw fail(leaseLost())
  }

  /** What to tell of a failure; one after which the disk cannot be trusted ends the store. */
  const judged = (error: unknown, atCommit = false): unknown => {
    const cause = causeOf(error)
    // A disk that was mounted read-only refuses the write itself: nothing of it is on the disk, what was is.
    if (sqliteCode(cause) === 'SQLITE_IOERR_WRITE' && onReadonlyDisk(raw.name)) return storeReadonly(cause)
    // Whether a failed fsync wrote anything cannot be known, and asking again would lie (DESIGN §11).
    return atCommit || isFatal(cause) ? fail(error) : storeError(error)
  }

  const runOne = async (job: Job): Promise<() => void> => {
    savepoint.run()
    try {
      const settle = await job.run()
      release.run()
      return settle
    } catch (error) {
      // Some failures (full disk, I/O) make SQLite take back the whole transaction: nothing of the batch is left.
      if (!raw.inTransaction || isFatal(causeOf(error))) throw error
      undo.run()
      release.run()
      return () => job.reject(error)
    }
  }

  const runBatch = async (batch: readonly Job[]): Promise<void> => {
    const settled: (() => void)[] = []
    try {
      alive()
      begin.run()
      checkLease()
      for (const job of batch) settled.push(await runOne(job))
    } catch (error) {
      if (raw.inTransaction) rollback.run()
      committed()
      const told = judged(error)
      for (const job of batch) job.reject(told)
      return
    }
    try {
      commit.run()
    } catch (error) {
      const told = isPassing(error) ? storeError(error) : judged(error, true)
      if (raw.inTransaction) rollback.run()
      for (const job of batch) job.reject(told)
      return
    } finally {
      committed()
    }
    for (const settle of settled) settle()
  }

  const checkpoint = (): void => {
    commits += 1
    if (commits % commitsPerLook !== 0) return
    const state = log.get()
    if (state === undefined || state.log - state.checkpointed < checkpointPages) return
    try {
      copyBack.run()
    } catch (error) {
      if (isFatal(error)) judged(error)
    }
  }

  const work = async (): Promise<void> => {
    // Calls made in the same turn go together.
    await Promise.resolve()
    while (queue.length > 0) {
      const batch = queue.slice(0, batchSize)
      queue = queue.slice(batchSize)
      await runBatch(batch)
      checkpoint()
      await breathe()
    }
    running = undefined
  }

  return {
    write: (given) =>
      new Promise((resolve, reject) => {
        const run = async (): Promise<() => void> => {
          const { end, run: statements } = bounded(on.run)
          try {
            const value = await given(transaction(statements), statements)
            return () => resolve(value)
          } finally {
            end()
          }
        }
        queue.push({ run, reject })
        running ??= work()
      }),
    drain: async () => {
      while (running !== undefined) await running
    },
  }
}
