import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import type { Page } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'
import type { PrincipalId, Sighting } from '../../src/core/types.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { live } from '../aborts.ts'
import { textOf } from '../spiffeid.ts'
import { bannedAgents, type Entry, entriesOf } from './entries.ts'
import { malformed, purposes } from './errors.ts'
import { sightingOf } from './reading.ts'
import type { Server } from './server.ts'

export interface FeedParts {
  readonly server: Server
  readonly trustDomain: string
  readonly clock: Pick<Clock, 'now'>
  readonly note: (id: PrincipalId, entries: readonly Entry[]) => void
}

const shape = z.strictObject({
  v: z.literal(1),
  trustDomain: z.string(),
  /** The pass that it ends. What that saw is kept in memory only. */
  pass: z.string().max(40),
})

/** A list is read whole before it says anything of an ID, whose entries may be on any page of it. */
const MAX_ENTRIES = 1_000_000
const PAGE = 500

const expired = (text: string): BridgeError =>
  new BridgeError('E_CHECKPOINT_EXPIRED', text, { hint: 'the bridge reads everything again by itself' })

/**
 * The change feed of one server, which has none: every pass lists all entries and tells what is not as it was in the pass
 * that the checkpoint names. A process that did not make that pass has to tell everything.
 */
export function openFeed({ server, trustDomain, clock, note }: FeedParts) {
  let last: { readonly pass: string; readonly states: ReadonlyMap<PrincipalId, string> } | undefined

  const place = (text: string) => {
    const read = shape.safeParse(parsed(text))
    if (!read.success || read.data.trustDomain !== trustDomain)
      throw expired('the stored place in the list of entries does not fit this trust domain')
    return read.data.pass
  }

  async function* changes(since: string | undefined, signal: AbortSignal, aside = false): AsyncIterable<Page> {
    live(signal)
    const before = since === undefined ? undefined : place(since)
    if (before !== undefined && last?.pass !== before)
      throw expired('what the last pass saw is not known here any more')
    const known = before === undefined ? undefined : last?.states
    const begunAt = clock.now()
    const banned = await bannedAgents(server, { signal })
    const byId = new Map<PrincipalId, Entry[]>()
    let count = 0
    for await (const entries of entriesOf(server, undefined, { signal })) {
      count += entries.length
      if (count > MAX_ENTRIES) throw malformed(purposes.listEntries, new Error(`over ${MAX_ENTRIES} entries`))
      for (const entry of entries) {
        const id = textOf(entry.spiffe_id)
        const same = byId.get(id)
        if (same) same.push(entry)
        else byId.set(id, [entry])
      }
    }
    live(signal)

    const states = new Map<PrincipalId, string>()
    const changed: Sighting[] = []
    for (const [id, entries] of byId) {
      note(id, entries)
      const sighting = sightingOf(id, entries, banned, { byId: false, begunAt })
      const state = sighting.switches.map((each) => each.state).join(' ')
      states.set(id, state)
      if (known?.get(id) !== state) changed.push(sighting)
    }
    // A list is no proof that an ID has no entry left: it is read by ID.
    const touched = [...(known?.keys() ?? [])].filter((id) => !states.has(id))
    for (let at = 0; at < changed.length; at += PAGE) {
      live(signal)
      yield { sightings: changed.slice(at, at + PAGE), touched: [], checkpoint: undefined }
    }
    const pass = randomUUID()
    if (!aside) last = { pass, states }
    yield { sightings: [], touched, checkpoint: JSON.stringify({ v: 1, trustDomain, pass }) }
  }

  return { changes }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
