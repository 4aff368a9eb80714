/** One side of a provisioning job: account states by id. A memory directory is one; `tenantSide` makes one of a tenant. */
export interface SourceSide {
  enabled(id: string): boolean
}

export interface TargetSide extends SourceSide {
  /** Writes the switch as the service that the target's log is to name. */
  set(id: string, enabled: boolean, actor: string): unknown
}

export interface ProvisioningOptions {
  readonly source: SourceSide
  readonly target: TargetSide
  /** Account in the source → its copy in the target. */
  readonly accounts: ReadonlyMap<string, string>
  /** How the target's log names the service. */
  readonly actor: string
}

interface Change {
  readonly id: string
  readonly enabled: boolean
}

/**
 * One directory provisioned from another, as identity providers do it over SCIM: in cycles, each of which copies what
 * changed in the source since the last one, as a service of its own. Real cycles come every 20 to 40 minutes; here
 * `run` is one. What the target did by itself meanwhile is left alone until the source changes, or until a full cycle.
 */
export class Provisioning {
  readonly #options: ProvisioningOptions
  /** What the last cycle saw. */
  readonly #seen = new Map<string, boolean>()
  /** While paused, cycles do nothing and forget nothing. */
  paused = false

  constructor(options: ProvisioningOptions) {
    this.#options = options
    for (const id of options.accounts.keys()) this.#seen.set(id, options.source.enabled(id))
  }

  /** The first half of a cycle: what is to be written. Old by the time that `write` brings it to the target. */
  read({ full = false }: { full?: boolean } = {}): readonly Change[] {
    if (this.paused) return []
    const { accounts, source } = this.#options
    const changes: Change[] = []
    for (const [from, to] of accounts) {
      const enabled = source.enabled(from)
      if (full || this.#seen.get(from) !== enabled) changes.push({ id: to, enabled })
      this.#seen.set(from, enabled)
    }
    return changes
  }

  /** The second half. A copy that is so already is not written: the log of the target shows changes only. */
  write(changes: readonly Change[]): void {
    const { actor, target } = this.#options
    for (const { id, enabled } of changes) if (target.enabled(id) !== enabled) target.set(id, enabled, actor)
  }

  /** One whole cycle. */
  run(options: { full?: boolean } = {}): void {
    this.write(this.read(options))
  }
}

/** A tenant as a side; `actor` is then an object id or app id of that tenant. */
export const tenantSide = (tenant: {
  get(id: string): { readonly enabled: boolean } | undefined
  setEnabled(id: string, enabled: boolean, options: { by: string }): void
}): TargetSide => ({
  enabled: (id) => tenant.get(id)?.enabled ?? false,
  set: (id, enabled, actor) => tenant.setEnabled(id, enabled, { by: actor }),
})
