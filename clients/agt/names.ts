/** The spellings of agents as the bridge told them last: by which DID it names each, and what else they are called. */
export class Names {
  readonly #dids = new Map<string, string>()
  readonly #aliases = new Map<string, readonly string[]>()

  didOf(id: string): string {
    return this.#dids.get(id) ?? id
  }

  aliasesOf(did: string): readonly string[] {
    return this.#aliases.get(did) ?? []
  }

  /** In place of those it had. Gives the spellings that were not known as the agent's before. */
  set(did: string, aliases: readonly string[]): readonly string[] {
    const fresh = aliases.filter((alias) => alias !== did && this.#dids.get(alias) !== did)
    for (const alias of this.aliasesOf(did)) if (!aliases.includes(alias)) this.#dids.delete(alias)
    // Named by itself now: it is nobody's alias any more.
    this.#dids.delete(did)
    for (const alias of fresh) this.#dids.set(alias, did)
    if (aliases.length === 0) this.#aliases.delete(did)
    else this.#aliases.set(did, aliases)
    return fresh
  }
}
