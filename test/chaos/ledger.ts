import type { Member } from './fleet.ts'
import type { Journal } from './journal.ts'

/** A hold of a runtime or a person, as the daemon acknowledged it. */
export interface Tracked {
  readonly id: string
  readonly did: string
  readonly by: string
  readonly severity: string
  readonly ackedAt: number
  /** A release that could complete was sent: from then on it may be gone. */
  releasing: boolean
  releasedAt: number | undefined
}

/** What was promised: every acknowledged hold denies until somebody who may asked for its end. */
export class Ledger {
  readonly holds = new Map<string, Tracked>()
  readonly #journal: Journal
  readonly #parents: ReadonlyMap<string, string | undefined>
  readonly #releases: { readonly did: string; readonly at: number }[] = []

  constructor(journal: Journal, parents: ReadonlyMap<string, string | undefined>) {
    this.#journal = journal
    this.#parents = parents
  }

  acknowledged(id: string, did: string, by: string, severity: string): void {
    if (this.holds.has(id)) return
    this.holds.set(id, { id, did, by, severity, ackedAt: Date.now(), releasing: false, releasedAt: undefined })
    this.#journal.note('hold', [did, id], `${severity} by ${by} acknowledged: ${id}`)
  }

  released(hold: Tracked): void {
    hold.releasedAt ??= Date.now()
    this.#releases.push({ did: hold.did, at: Date.now() })
    this.#journal.note('hold', [hold.did, hold.id], `${hold.id} released`)
  }

  /** Open for sure, oldest first. */
  get standing(): readonly Tracked[] {
    return [...this.holds.values()].filter(({ releasing, releasedAt }) => !releasing && releasedAt === undefined)
  }

  ancestry(did: string): readonly string[] {
    const line = [did]
    for (let parent = this.#parents.get(did); parent !== undefined; parent = this.#parents.get(parent))
      line.push(parent)
    return line
  }

  /** A hold that surely bound the DID, itself or from above, and was acknowledged before that moment. */
  binding(did: string, beforeMs: number): Tracked | undefined {
    const line = new Set(this.ancestry(did))
    return this.standing.find((hold) => line.has(hold.did) && hold.ackedAt < beforeMs)
  }
}

export const didOf = (members: readonly Member[], id: string): string | undefined =>
  members.find(({ accounts }) => accounts.some((account) => account.id === id))?.did
