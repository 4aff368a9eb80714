import { readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { AgtClientError, type Report } from './errors.ts'
import { makeFolder, writeDurably } from './files.ts'
import { isMembers, parsed } from './frames.ts'

/** One kill of this process, as it is sent: the same bytes at every attempt, under the same key. */
export interface KillRecord {
  /** Also its Idempotency-Key. Sorts by time. */
  readonly id: string
  readonly did: string
  readonly body: {
    readonly agentId: string
    readonly reason: string
    readonly action?: string
    readonly killedAt: string
    readonly inResponseTo?: string
  }
}

/** Where kills wait for the bridge. */
export interface KillQueue {
  /** What waits, oldest first. */
  readonly waiting: readonly KillRecord[]
  /** What the bridge will never take. */
  readonly refused: readonly KillRecord[]
  /**
   * Durable when it resolves, if there is a folder.
   * @throws AgtClientError E_QUEUE not written, but waiting in memory; E_QUEUE_FULL not waiting at all
   */
  add(kill: KillRecord): Promise<void>
  /** The bridge has it. */
  remove(kill: KillRecord): Promise<void>
  /** The bridge will never take it: kept beside the others until a person removes the file. */
  refuse(kill: KillRecord): Promise<void>
}

export const maxWaiting = 10_000

const text = (value: unknown): value is string => typeof value === 'string'

const recordOf = (content: string): KillRecord | undefined => {
  const value = parsed(content)
  if (!isMembers(value) || !isMembers(value.body)) return undefined
  const { id, did } = value
  const { agentId, reason, action, killedAt, inResponseTo } = value.body
  if (!text(id) || !text(did) || !text(agentId) || !text(reason) || !text(killedAt)) return undefined
  const rest = { ...(text(action) && { action }), ...(text(inResponseTo) && { inResponseTo }) }
  return { id, did, body: { agentId, reason, killedAt, ...rest } }
}

const load = (folder: string, ending: string, report: Report): KillRecord[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith(ending))
    .sort()
    .map((name) => {
      const path = join(folder, name)
      const record = recordOf(readFileSync(path, 'utf8'))
      if (record === undefined) {
        renameSync(path, `${path}.damaged`)
        report(new AgtClientError('E_QUEUE', `A queued kill cannot be read; it was renamed to ${name}.damaged.`))
      }
      return record
    })
    .filter((record) => record !== undefined)

const inMemory = () => {
  const waiting = new Map<string, KillRecord>()
  const refused: KillRecord[] = []
  return {
    get waiting(): readonly KillRecord[] {
      return [...waiting.values()]
    },
    refused,
    assertRoom: ({ did }: KillRecord) => {
      if (waiting.size < maxWaiting) return
      const full = `${maxWaiting} kills wait for the bridge already; this one acts here only.`
      throw new AgtClientError('E_QUEUE_FULL', full, { did })
    },
    hold: (kill: KillRecord) => waiting.set(kill.id, kill),
    drop: ({ id }: KillRecord) => waiting.delete(id),
    refuse: (kill: KillRecord) => {
      if (waiting.delete(kill.id) && refused.length < maxWaiting) refused.push(kill)
    },
  }
}

/**
 * One file a kill, written, synced and renamed before anything else happens. Files of a process that died are found again.
 * @throws AgtClientError E_QUEUE the folder cannot be made or read
 */
export const openQueue = (folder: string | undefined, report: Report): KillQueue => {
  const memory = inMemory()
  let kills: string | undefined
  try {
    kills = folder === undefined ? undefined : makeFolder(folder, 'kills')
    if (kills !== undefined) {
      for (const name of readdirSync(kills)) if (name.endsWith('.tmp')) rmSync(join(kills, name), { force: true })
      for (const kill of load(kills, '.json', report)) memory.hold(kill)
      for (const kill of load(kills, '.refused', report)) memory.refused.push(kill)
    }
  } catch (cause) {
    throw new AgtClientError('E_QUEUE', `The folder ${folder} cannot be used.`, { cause })
  }
  const pathOf = ({ id }: KillRecord, ending = 'json') =>
    kills === undefined ? undefined : join(kills, `${id}.${ending}`)
  return {
    get waiting() {
      return memory.waiting
    },
    refused: memory.refused,
    add: async (kill) => {
      memory.assertRoom(kill)
      const path = pathOf(kill)
      try {
        if (path !== undefined) await writeDurably(path, JSON.stringify(kill))
      } catch (cause) {
        const text = 'A kill could not be written to disk; it waits in memory and would be lost with the process.'
        throw new AgtClientError('E_QUEUE', text, { cause, did: kill.did })
      } finally {
        // Not before it is written: the sender would settle what is not there yet.
        memory.hold(kill)
      }
    },
    // Nothing is synced here: a file that comes back after a crash is sent again, and has no second effect.
    remove: async (kill) => {
      memory.drop(kill)
      const path = pathOf(kill)
      if (path !== undefined) await rm(path, { force: true })
    },
    refuse: async (kill) => {
      memory.refuse(kill)
      const [path, aside] = [pathOf(kill), pathOf(kill, 'refused')]
      if (path !== undefined && aside !== undefined) await rename(path, aside)
    },
  }
}
