import type { AccessPolicy, LogEntry } from '../../src/core/adapter.ts'
import type { Switch } from '../../src/core/types.ts'
import type { Clock } from '../../src/lib/clock.ts'
import {
  Faults,
  type FeedFault,
  type GroupFault,
  type LogFault,
  type PolicyFault,
  type ReadFault,
  type WriteFault,
} from './faults.ts'
import { MemoryTokens } from './tokens.ts'

/** What one account looked like from `at` (monotonic) on. */
interface Version {
  readonly at: number
  readonly exists: boolean
  readonly enabled: boolean
  readonly vendor: Switch['state']
}

interface Entry {
  readonly id: string
  readonly kind: string
  readonly appId: string | undefined
  readonly displayName: string
  readonly fleet: string | undefined
  versions: Version[]
}

export interface NewAccount {
  readonly id: string
  readonly kind?: string
  readonly enabled?: boolean
  readonly appId?: string
  /** A second object that also switches it, see {@link MemoryDirectory.setFleet}. */
  readonly fleet?: string
}

/** A write that reached the directory, for tests that count them. */
export interface WriteRecord {
  readonly id: string
  readonly action: 'disable' | 'enable'
  readonly at: number
  readonly outcome: 'done' | WriteFault
}

export interface LoggedChange extends LogEntry {
  readonly seq: number
}

const HISTORY = 64

/**
 * A directory held in memory, to be handed to `open`. Everything happens at once and in the order called; the only time
 * in it is the given clock's, so the same calls give the same answers. Faults are injected through `reads`, `writes`,
 * `feed`, `log` and `groupFaults`.
 */
export class MemoryDirectory {
  readonly clock: Clock
  readonly realm: string
  readonly hookKey: string | undefined
  readonly tokens: MemoryTokens
  readonly reads = new Faults<ReadFault>()
  readonly writes = new Faults<WriteFault>()
  readonly feed = new Faults<FeedFault>()
  readonly logFaults = new Faults<LogFault>()
  readonly groupFaults = new Faults<GroupFault>()
  readonly policyFaults = new Faults<PolicyFault>()
  /** Access policies by id. */
  readonly policies = new Map<string, AccessPolicy>()
  /** Ids of access policies that were asked for, in order. */
  readonly policyReads: string[] = []
  /** Reads answer with what was true this long ago (replication lag), as in Graph after a write. */
  lagMs = 0
  /** How long each call takes; on a manual clock it waits there until the clock moves. */
  latencyMs = 0
  /** Rows of one page of the change feed. */
  pageSize = 100
  /** The log shows an entry this long after the change. */
  logLagMs = 0
  /** Called between the proving read and the write of `disable`: the place for a race. */
  between: ((id: string) => void) | undefined
  /** Every write that was put on the wire, in order. */
  readonly written: WriteRecord[] = []
  /** Windows of the log that were read, in order. */
  readonly logReads: { readonly from: number; readonly to: number }[] = []
  /** By-id reads answered, in order. */
  readonly readIds: string[] = []

  readonly #entries = new Map<string, Entry>()
  readonly #fleets = new Map<string, { at: number; on: boolean }[]>()
  readonly #groups = new Map<string, readonly string[]>()
  readonly #changed: string[] = []
  readonly #log: LoggedChange[] = []
  #landing: { dueAt: number; apply: () => void }[] = []
  #generation = 1

  /** @param hookKey what bells must carry in `x-bridge-key`; without it the adapter has no hooks */
  constructor(clock: Clock, { realm = 'memory', hookKey }: { realm?: string; hookKey?: string } = {}) {
    this.clock = clock
    this.realm = realm
    this.hookKey = hookKey
    this.tokens = new MemoryTokens(realm, clock)
  }

  /** Adds an account, or brings a removed one back. */
  add(account: NewAccount): this {
    const { id, kind = 'account', enabled = true, appId, fleet } = account
    const known = this.#entries.get(id)
    const entry = known ?? { id, kind, appId, displayName: `agent ${id}`, fleet, versions: [] }
    this.#entries.set(id, entry)
    this.#push(entry, { exists: true, enabled, vendor: 'on' })
    if (fleet && !this.#fleets.has(fleet)) this.#fleets.set(fleet, [{ at: this.clock.mono(), on: true }])
    return this
  }

  /** Deletes the account: absent when read by id, no longer listed. */
  remove(id: string): this {
    return this.#change(id, { exists: false })
  }

  /** Somebody else flips the switch that the bridge also writes; the log says so. */
  set(id: string, enabled: boolean, actor = 'admin'): this {
    this.#note(id, enabled ? 'enable' : 'disable', false, actor)
    return this.#change(id, { enabled })
  }

  /** A switch that the bridge cannot write. */
  setVendor(id: string, vendor: Switch['state']): this {
    return this.#change(id, { vendor })
  }

  /** Switches every account that names this fleet; the feed says only that the fleet changed. */
  setFleet(fleet: string, on: boolean): this {
    this.#fleets.set(fleet, [...(this.#fleets.get(fleet) ?? []), { at: this.clock.mono(), on }])
    this.#changed.push(fleet)
    return this
  }

  /** Members are account ids and ids of other groups; loops are allowed. */
  setGroup(id: string, members: readonly string[]): this {
    this.#groups.set(id, members)
    return this
  }

  /** An entry that the log gains without any change, e.g. one that came late. */
  addLog(entry: LogEntry): this {
    this.#log.push({ ...entry, seq: this.#log.length })
    return this
  }

  /** Every checkpoint given out so far is refused from now on. */
  expireCheckpoints(): this {
    this.#generation += 1
    return this
  }

  /** Forgets that these accounts changed: the feed lost them. */
  loseChanges(): this {
    this.#changed.length = 0
    this.#generation += 1
    return this
  }

  /** The switch the bridge writes, as it truly is now. */
  enabled(id: string): boolean {
    this.#land()
    return this.#entries.get(id)?.versions.at(-1)?.enabled ?? false
  }

  /** The account as it truly is now; undefined when there never was one. */
  current(id: string): Omit<Version, 'at'> | undefined {
    this.#land()
    return this.#entries.get(id)?.versions.at(-1)
  }

  /** The whole log, shown already or not. */
  get history(): readonly LoggedChange[] {
    this.#land()
    return this.#log
  }

  get ids(): readonly string[] {
    return [...this.#entries.keys()]
  }

  get generation(): number {
    return this.#generation
  }

  get head(): number {
    return this.#changed.length
  }

  changedSince(seq: number): readonly string[] {
    return [...new Set(this.#changed.slice(seq))]
  }

  isFleet(id: string): boolean {
    return this.#fleets.has(id)
  }

  members(id: string): readonly string[] | undefined {
    return this.#groups.get(id)
  }

  /** Members with nesting flattened. */
  effective(groupId: string): ReadonlySet<string> {
    const groups = new Set([groupId])
    const ids = new Set<string>()
    for (const group of groups) {
      for (const id of this.#groups.get(group) ?? []) {
        if (this.#groups.has(id)) groups.add(id)
        else ids.add(id)
      }
    }
    return ids
  }

  /** Entries of the window that the log already shows. */
  logged(from: number, to: number): LogEntry[] {
    this.#land()
    const shown = Math.min(to, this.clock.now() - this.logLagMs)
    return this.#log
      .filter((entry) => entry.at >= from && entry.at <= shown)
      .map(({ id, at, action, ours, actor }) => ({ id, at, action, ours, actor, actorIds: [actor] }))
  }

  /** What a read answers now, lag included; undefined: it does not exist. */
  view(id: string): { entry: Omit<Entry, 'versions'>; switches: readonly Switch[] } | undefined {
    this.#land()
    const entry = this.#entries.get(id)
    const seenAt = this.clock.mono() - this.lagMs
    const version = entry && (entry.versions.findLast((each) => each.at <= seenAt) ?? entry.versions[0])
    if (!entry || !version?.exists) return undefined
    const switches: Switch[] = [
      { name: 'identity', state: version.enabled ? 'on' : 'off', ours: true },
      { name: 'vendor', state: version.vendor, ours: false },
    ]
    if (entry.fleet) {
      const states = this.#fleets.get(entry.fleet) ?? []
      const fleet = states.findLast((each) => each.at <= seenAt) ?? states[0]
      switches.push({ name: 'fleet', state: fleet ? (fleet.on ? 'on' : 'off') : 'unknown', ours: false })
    }
    return { entry, switches }
  }

  /** Our own write arriving, now or `afterMs` later. */
  write(id: string, action: 'disable' | 'enable', actor: string, outcome: WriteRecord['outcome'], afterMs = 0): void {
    this.written.push({ id, action, at: this.clock.now(), outcome })
    if (outcome !== 'done' && outcome !== 'lost' && outcome !== 'late') return
    const apply = () => {
      const before = this.#entries.get(id)?.versions.at(-1)
      if (!before?.exists || before.enabled === (action === 'enable')) return
      this.#note(id, action, true, actor)
      this.#change(id, { enabled: action === 'enable' })
    }
    if (outcome === 'late') this.#landing.push({ dueAt: this.clock.mono() + afterMs, apply })
    else apply()
  }

  #land(): void {
    const now = this.clock.mono()
    const due = this.#landing.filter((each) => each.dueAt <= now).sort((a, b) => a.dueAt - b.dueAt)
    this.#landing = this.#landing.filter((each) => each.dueAt > now)
    for (const each of due) each.apply()
  }

  #note(id: string, action: 'disable' | 'enable', ours: boolean, actor: string): void {
    const before = this.#entries.get(id)?.versions.at(-1)
    if (!before || before.enabled === (action === 'enable')) return
    this.addLog({ id, at: this.clock.now(), action, ours, actor })
  }

  #change(id: string, part: Partial<Omit<Version, 'at'>>): this {
    const entry = this.#entries.get(id)
    const last = entry?.versions.at(-1)
    if (entry && last) this.#push(entry, { exists: last.exists, enabled: last.enabled, vendor: last.vendor, ...part })
    return this
  }

  #push(entry: Entry, version: Omit<Version, 'at'>): void {
    entry.versions.push({ at: this.clock.mono(), ...version })
    if (entry.versions.length > HISTORY) entry.versions = entry.versions.slice(-HISTORY)
    this.#changed.push(entry.id)
  }
}
