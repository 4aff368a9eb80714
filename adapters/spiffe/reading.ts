import type { PrincipalId, Sighting, Switch } from '../../src/core/types.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { live } from '../aborts.ts'
import { inParallel } from '../parallel.ts'
import { type SpiffeId, textOf } from '../spiffeid.ts'
import { stateOf } from '../switches.ts'
import { bannedAgents, type Entry, entriesOf, type ReadOptions } from './entries.ts'
import { asBridgeError } from './errors.ts'
import { isSuspended } from './sentinel.ts'
import type { Server } from './server.ts'

/** Which nodes are banned; undefined when that could not be read. */
export type Banned = ReadonlySet<string> | undefined

/**
 * What entries say of one SPIFFE ID: `entries` is our switch, off when every entry is suspended; `nodes` is off when every
 * entry hangs on a banned node. One entry that is neither is enough to act.
 */
export function sightingOf(
  id: PrincipalId,
  entries: readonly Entry[],
  banned: Banned,
  read: Pick<Sighting, 'byId' | 'begunAt'>,
): Sighting {
  if (entries.length === 0) return { id, kind: undefined, state: 'absent', switches: [], ...read }
  const onNode = (entry: Entry) => banned?.has(textOf(entry.parent_id)) === true
  const switches: Switch[] = [
    { name: 'entries', state: entries.every(isSuspended) ? 'off' : 'on', ours: true },
    {
      name: 'nodes',
      state: banned === undefined ? 'unknown' : entries.every(onNode) ? 'off' : 'on',
      ours: false,
    },
  ]
  return { id, kind: 'workload', state: stateOf(switches), switches, ...read }
}

export interface Reading {
  readonly sighting: Sighting
  readonly entries: readonly Entry[]
}

const WIDTH = 10

/** @throws BridgeError when the entries could not be read whole */
export async function readEntries(server: Server, id: SpiffeId, options: ReadOptions): Promise<Entry[]> {
  const entries: Entry[] = []
  for await (const page of entriesOf(server, id, options)) entries.push(...page)
  return entries
}

export interface ReaderParts {
  readonly server: Server
  readonly clock: Pick<Clock, 'now'>
  /** Takes from every reading what it says beside the state. */
  readonly note: (id: PrincipalId, entries: readonly Entry[]) => void
}

export interface Reader {
  /** Several workloads by ID, with one look at the nodes. A failure is the answer for that one. */
  read(ids: readonly SpiffeId[], signal: AbortSignal): Promise<Map<PrincipalId, Reading | Error>>
}

export function openReader({ server, clock, note }: ReaderParts): Reader {
  return {
    async read(ids, signal) {
      live(signal)
      const begunAt = clock.now()
      const banned = await bannedAgents(server, { signal }).catch(asBridgeError)
      const read = async (id: SpiffeId): Promise<readonly [PrincipalId, Reading | Error]> => {
        const name = textOf(id)
        try {
          const entries = await readEntries(server, id, { signal })
          note(name, entries)
          const of = banned instanceof Error ? undefined : banned
          return [name, { entries, sighting: sightingOf(name, entries, of, { byId: true, begunAt }) }]
        } catch (error) {
          return [name, asBridgeError(error)]
        }
      }
      const readings = await inParallel(ids, WIDTH, read)
      live(signal)
      return new Map(readings)
    },
  }
}
