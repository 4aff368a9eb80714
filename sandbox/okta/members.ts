import { type Listed, Records } from '../records.ts'
import type { Replica } from '../replica.ts'
import type { Group, Membership, User } from './model.ts'

/** Who is in which group. All users are in the built-in one. */
export class Members {
  readonly #replica: Replica
  readonly #users: Records<User>
  readonly #byGroup = new Map<string, Records<Membership>>()

  constructor(replica: Replica, users: Records<User>) {
    this.#replica = replica
    this.#users = users
  }

  /** Members as readers see them, in the order they joined. */
  list(group: Group): readonly Listed<Membership>[] {
    return group.type === 'BUILT_IN' ? this.#users.list() : this.#of(group.id).list()
  }

  has(group: Group, userId: string): boolean {
    return group.type === 'BUILT_IN' || this.#of(group.id).seen(userId) !== undefined
  }

  /** The truth, whatever readers see. */
  isMember(groupId: string, userId: string): boolean {
    return this.#of(groupId).current(userId) !== undefined
  }

  /** Returns whether the membership changed. */
  set(group: Group, userId: string, present: boolean): boolean {
    const members = this.#of(group.id)
    if ((members.current(userId) !== undefined) === present) return false
    if (present) members.put({ id: userId })
    else members.remove(userId)
    return true
  }

  /** Of a user that is no more. */
  forget(userId: string): void {
    for (const members of this.#byGroup.values()) if (members.current(userId) !== undefined) members.remove(userId)
  }

  /** Of a group just made, visible at once. */
  start(groupId: string, userIds: readonly string[]): void {
    for (const id of userIds) this.#of(groupId).add({ id })
  }

  #of(groupId: string): Records<Membership> {
    const known = this.#byGroup.get(groupId)
    if (known !== undefined) return known
    const made = new Records<Membership>(this.#replica)
    this.#byGroup.set(groupId, made)
    return made
  }
}
