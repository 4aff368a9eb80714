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

  /** In place of those it had. Gives the spellings that were not known as the agent's before, and those that are not any more. */
  set(
    did: string,
    aliases: readonly string[],
  ): { readonly fresh: readonly string[]; readonly gone: readonly string[] } {
    const wanted = [...new Set(aliases)].filter((alias) => alias !== did)
    const fresh = wanted.filter((alias) => this.#dids.get(alias) !== did)
    const gone = this.aliasesOf(did).filter((alias) => !wanted.includes(alias))
    // Named by itself, or as another agent's: it is nobody else's alias any more.
    for (const one of [did, ...fresh, ...gone]) this.#free(one)
    for (const alias of fresh) this.#dids.set(alias, did)
    if (wanted.length === 0) this.#aliases.delete(did)
    else this.#aliases.set(did, wanted)
    return { fresh, gone }
  }

  #free(id: string): void {
    const owner = this.#dids.get(id)
    if (owner === undefined) return
    this.#dids.delete(id)
    const rest = this.aliasesOf(owner).filter((alias) => alias !== id)
    if (rest.length === 0) this.#aliases.delete(owner)
    else this.#aliases.set(owner, rest)
  }
}
