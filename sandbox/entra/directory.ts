import { Replica, type ReplicaOptions } from '../replica.ts'
import { Versioned } from '../versioned.ts'
import { ChangeLog } from './changes.ts'
import { type Collection, type Kind, models, type Properties } from './model.ts'

export type Life = 'live' | 'deleted' | 'purged'

export interface Snapshot {
  readonly properties: Properties
  readonly life: Life
}

/** Position in creation order: what page tokens point at, so that a page neither skips nor repeats when rows vanish. */
export interface Ordered {
  readonly ordinal: number
}

export interface Edge extends Ordered {
  readonly member: Row
  readonly group: Row
  readonly present: Versioned<boolean>
}

export interface Row extends Ordered {
  readonly id: string
  readonly kind: Kind
  readonly state: Versioned<Snapshot | undefined>
  readonly members: Edge[]
  readonly memberOf: Edge[]
  readonly edgeByMember: Map<string, Edge>
  sponsors: readonly string[]
  owners: ReadonlySet<string>
  /** Privileged: its switch is refused to application permissions. */
  isProtected: boolean
}

/** The tenant's objects and memberships, each with what readers may already see of it. */
export class Directory {
  readonly changes = new ChangeLog()
  readonly #now: () => number
  readonly #replica: Replica
  readonly #rows = new Map<string, Row>()
  readonly #byAlias = new Map<string, Row>()
  readonly #lists = new Map<Collection | Kind, Row[]>()
  #ordinal = 0

  constructor(options: ReplicaOptions) {
    this.#now = options.now
    this.#replica = new Replica(options)
  }

  /** The moment a read looks at; reads of the search index (`ConsistencyLevel: eventual`) look further back. */
  readAt(eventual = false): number {
    return this.#replica.readAt(eventual)
  }

  /** Reads within `run`, which does not wait, come from a replica that is so much further behind. */
  behind<T>(ms: number, run: () => T): T {
    return this.#replica.behind(ms, run)
  }

  /** Replication catches up: everything written so far is visible from now on. */
  settle(): void {
    this.#replica.settle()
  }

  get size(): number {
    return this.#rows.size
  }

  list(of: Collection | Kind): readonly Row[] {
    return this.#lists.get(of) ?? []
  }

  row(id: string): Row | undefined {
    return this.#rows.get(id.toLowerCase())
  }

  /** By app id or user principal name. */
  alias(name: string): Row | undefined {
    return this.#byAlias.get(name.toLowerCase())
  }

  /** Visible and not deleted; undefined otherwise. */
  live(row: Row, at: number): Snapshot | undefined {
    const snapshot = row.state.seen(at)
    return snapshot?.life === 'live' ? snapshot : undefined
  }

  add(id: string, kind: Kind, properties: Properties, replicating: boolean): Row {
    const key = id.toLowerCase()
    if (this.#rows.has(key)) throw new Error(`an object with id ${id} exists`)
    const row: Row = {
      id: key,
      kind,
      ordinal: ++this.#ordinal,
      state: new Versioned<Snapshot | undefined>(undefined),
      members: [],
      memberOf: [],
      edgeByMember: new Map(),
      sponsors: [],
      owners: new Set(),
      isProtected: false,
    }
    this.#rows.set(key, row)
    for (const name of [properties.appId, properties.userPrincipalName]) {
      if (typeof name === 'string') this.#byAlias.set(name.toLowerCase(), row)
    }
    for (const name of [models[kind].collection, kind]) {
      const list = this.#lists.get(name)
      if (list === undefined) this.#lists.set(name, [row])
      else list.push(row)
    }
    this.#set(row, { properties: { ...properties, id: key }, life: 'live' }, ['*'], !replicating)
    return row
  }

  /** Writes properties of a live object; returns the names of those that really changed. */
  write(row: Row, patch: Properties): string[] {
    const snapshot = row.state.current
    if (snapshot === undefined) throw new Error(`object ${row.id} has no state`)
    const changed = Object.keys(patch).filter(
      (name) => JSON.stringify(snapshot.properties[name]) !== JSON.stringify(patch[name]),
    )
    if (changed.length > 0) {
      this.#set(row, { ...snapshot, properties: { ...snapshot.properties, ...patch } }, changed, false)
    }
    return changed
  }

  /** Moves an object through its life: soft-deleted, restored, gone for good. */
  setLife(row: Row, life: Life): boolean {
    const snapshot = row.state.current
    if (snapshot === undefined || snapshot.life === life) return false
    const deletedDateTime = life === 'live' ? null : new Date(this.#now()).toISOString()
    this.#set(row, { life, properties: { ...snapshot.properties, deletedDateTime } }, ['*'], false)
    for (const edge of row.memberOf) if (edge.present.current) this.#touch(edge.group, ['members'], row.id)
    return true
  }

  /** Returns whether the membership changed. */
  setMember(group: Row, member: Row, present: boolean): boolean {
    const known = group.edgeByMember.get(member.id)
    const edge = known ?? { ordinal: ++this.#ordinal, group, member, present: new Versioned(false) }
    if (edge.present.current === present) return false
    if (known === undefined) {
      group.members.push(edge)
      group.edgeByMember.set(member.id, edge)
      member.memberOf.push(edge)
    }
    edge.present.set(present, this.#touch(group, ['members'], member.id), this.#replica.forgetBefore)
    return true
  }

  #set(row: Row, snapshot: Snapshot, changed: readonly string[], atOnce: boolean): void {
    const visibleAt = this.#touch(row, changed, undefined)
    row.state.set(snapshot, atOnce ? Number.NEGATIVE_INFINITY : visibleAt, this.#replica.forgetBefore)
  }

  #touch(row: Row, properties: readonly string[], member: string | undefined): number {
    const visibleAt = this.#replica.next()
    this.changes.append(models[row.kind].collection, {
      visibleAt,
      id: row.id,
      properties,
      member,
    })
    return visibleAt
  }
}
