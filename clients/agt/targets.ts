import { AgtClientError } from './errors.ts'
import type { Known } from './known.ts'
import type { Settings } from './options.ts'
import type { IdentityLike, LifecycleLike } from './sdk.ts'

const initiator = 'idp-bridge'

/** The ids a DID goes by in this process: itself first, then those the user declared. Never a rewritten spelling. */
export const idsOf = ({ aliases }: Pick<Settings, 'aliases'>): ((did: string) => readonly string[]) => {
  const byDid = Map.groupBy(aliases.keys(), (id) => aliases.get(id) ?? id)
  return (did) => [did, ...(byDid.get(did) ?? []).filter((id) => id !== did)]
}

/**
 * Suspends and reactivates identities and lifecycles. What it suspended it remembers, and reactivates nothing else: an
 * identity that the host suspended or revoked stays so.
 */
export class Targets {
  readonly #settings: Settings
  readonly #known: Known
  readonly #ids: (did: string) => readonly string[]
  readonly #ours: Set<string>

  constructor(settings: Settings, known: Known, ids: (did: string) => readonly string[], ours: readonly string[]) {
    this.#settings = settings
    this.#known = known
    this.#ids = ids
    this.#ours = new Set(ours)
  }

  get suspended(): readonly string[] {
    return [...this.#ours]
  }

  /** Brings what belongs to the DID to what it must be now. False when something refused: it was reported. */
  align(did: string): boolean {
    const closed = this.#known.isClosed(did)
    let fine = true
    for (const id of this.#ids(did)) {
      for (const work of [() => this.#identity(id, closed), () => this.#lifecycle(id, closed)]) {
        try {
          work()
        } catch (cause) {
          fine = false
          const text = `The identity or lifecycle of an agent could not be ${closed ? 'suspended' : 'reactivated'}.`
          this.#settings.report(new AgtClientError('E_TARGET', text, { cause, did }))
        }
      }
    }
    return fine
  }

  #identity(id: string, closed: boolean): void {
    const key = `identity ${id}`
    if (!closed && !this.#ours.has(key)) return
    for (const identity of this.#identitiesOf(id)) {
      if (closed && identity.status === 'active') {
        identity.suspend(initiator)
        this.#ours.add(key)
      } else if (!closed && identity.status === 'suspended') identity.reactivate()
    }
    if (!closed) this.#ours.delete(key)
  }

  #lifecycle(id: string, closed: boolean): void {
    const key = `lifecycle ${id}`
    if (!closed && !this.#ours.has(key)) return
    for (const lifecycle of this.#lifecyclesOf(id)) {
      // From some states, quarantine among them, the SDK knows no way: the gate alone stops the agent then.
      if (closed && lifecycle.state !== 'suspended' && lifecycle.canTransition('suspended')) {
        lifecycle.transition('suspended', 'held by the identity bridge', initiator)
        this.#ours.add(key)
      } else if (!closed && lifecycle.state === 'suspended' && lifecycle.canTransition('active')) {
        lifecycle.transition('active', 'released by the identity bridge', initiator)
      }
    }
    if (!closed) this.#ours.delete(key)
  }

  #identitiesOf(id: string): Set<IdentityLike> {
    const own = this.#settings.clients.map(({ identity }) => identity).filter((identity) => identity.did === id)
    const registered = this.#settings.registry?.get(id)
    return new Set(registered === undefined ? own : [...own, registered])
  }

  #lifecyclesOf(id: string): Set<LifecycleLike> {
    const own = this.#settings.clients.filter(({ identity }) => identity.did === id).map(({ lifecycle }) => lifecycle)
    const given = this.#settings.lifecycle?.get(id)
    return new Set(given === undefined ? own : [...own, given])
  }
}
