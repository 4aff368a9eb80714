import type { AccountState, Did, PrincipalId } from './types.ts'

/** What is in a directory and in no registration, and the other way round. */

/** An account that could be registered, as one row of a listing tells it. */
export interface Discovered {
  readonly id: PrincipalId
  readonly kind: string
  /** As the directory shows it; never empty. */
  readonly name: string
  readonly appId: string | undefined
  /** Whether it is switched on, as far as the row alone tells. */
  readonly state: Exclude<AccountState, 'absent'>
  /** The directory, or what the adapter is configured to manage, says that it is an agent's. */
  readonly isAgent: boolean
  /**
   * The DID that a label in the directory or a configured naming speaks of. Whoever may label or name accounts chose it: it
   * is for a person to confirm and is never believed.
   */
  readonly suggested?: { readonly did: Did; readonly by: 'label' | 'naming' } | undefined
}

export interface DiscoveryPage {
  readonly accounts: readonly Discovered[]
  /** Where the next page begins, opaque; undefined: that was all. */
  readonly next: string | undefined
}

/** Listing what could be registered. What the adapter refuses to manage may be among it: `vet` says so. */
export interface Discovery {
  /**
   * One page, in one call to the directory or a few; it may be empty and not the last. An account may be on several pages.
   * Nothing is kept between two pages: `from` is all there is.
   * @param from `next` of the page before
   * @param everything also accounts that nothing says to be an agent's, where they would have to be listed apart
   * @throws BridgeError when the page could not be read whole
   */
  page(from: string | undefined, everything: boolean, signal: AbortSignal): Promise<DiscoveryPage>
}

/** A mapped account with the name of its agent. */
export interface Mapped {
  readonly id: PrincipalId
  readonly kind: string
  readonly did: Did
  readonly agent: string
  readonly appId: string | undefined
  readonly shared: boolean
  readonly decommissioned: boolean
}

export interface DiscoveryReads {
  /** In byte order of ids, those after the given one. Of a shared account any one DID. */
  mappedAfter(adapter: string, after: PrincipalId, limit: number): Promise<Mapped[]>
  /**
   * Those whose last telling read did not say that they are there, and that look like one of these: by application, by the
   * name of their agent, or by what their id has before `#`.
   */
  missingLike(
    adapter: string,
    like: { readonly appIds: readonly string[]; readonly names: readonly string[]; readonly stems: readonly string[] },
    limit: number,
  ): Promise<Mapped[]>
}

/** What an id has before its `#`: a name that can be given again. Undefined: the whole id is for ever. */
export const stemOf = (id: PrincipalId): string | undefined => {
  const at = id.indexOf('#')
  return at < 1 ? undefined : id.slice(0, at)
}

/** Whether an account seems to have taken the place of another that is gone: same application, or same name. */
export const isSuccessor = (account: Discovered, { agent, appId, id, kind }: Mapped): boolean => {
  if (account.id === id || account.kind !== kind) return false
  const stem = stemOf(id)
  if (stem !== undefined) return stem === stemOf(account.id)
  return (appId !== undefined && appId === account.appId) || agent === account.name
}
