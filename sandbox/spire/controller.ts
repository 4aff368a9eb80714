import { matches, selectorKey } from './match.ts'
import type { Entry } from './shapes.ts'
import type { Spire } from './spire.ts'

/** What the server sets, or what names the entry. */
const unowned = new Set(['id', 'revision_number', 'created_at'])

/**
 * The spire-controller-manager of a cluster: it declares the entries there are when it starts whose ids begin with its
 * prefix (`entryIDPrefix`; all when there is none), and takes every other one with that prefix for a leftover.
 */
export class Controller {
  readonly #spire: Spire
  readonly #prefix: string
  readonly #declared: ReadonlyMap<string, Entry>

  constructor(spire: Spire, prefix = '') {
    this.#spire = spire
    this.#prefix = prefix
    this.#declared = new Map(this.#owned().map((entry) => [entry.id, entry]))
  }

  #owned(): Entry[] {
    return this.#spire.entries.filter(({ id }) => id.startsWith(this.#prefix))
  }

  /** One round, as there is one every ten seconds: how many entries it reset or removed. */
  reconcile(): number {
    let count = 0
    for (const { id, ...present } of this.#owned()) {
      const declared = this.#declared.get(id)
      if (declared === undefined) {
        this.#spire.removeEntry(id)
        count += 1
        continue
      }
      const reset = differences(declared, present)
      if (Object.keys(reset).length === 0) continue
      this.#spire.changeEntry(id, reset)
      count += 1
    }
    return count
  }
}

/** The declared fields that are otherwise now; selectors have no order. */
function differences(declared: Entry, present: Omit<Entry, 'id'>): Partial<Entry> {
  const now = new Map(Object.entries(present))
  const isSame = (name: string, value: unknown) =>
    name === 'selectors'
      ? matches(present.selectors.map(selectorKey), declared.selectors.map(selectorKey), 0)
      : JSON.stringify(value) === JSON.stringify(now.get(name))
  return Object.fromEntries(
    Object.entries(declared).filter(([name, value]) => !unowned.has(name) && !isSame(name, value)),
  )
}
