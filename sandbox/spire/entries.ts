import { randomUUID } from 'node:crypto'
import type { Listed, Records } from '../records.ts'
import type { Replica } from '../replica.ts'
import { checkedId, idText, isTrustDomain } from './ids.ts'
import { matches, selectorKey } from './match.ts'
import { Refused, status } from './refused.ts'
import type { Entry, EntryFilter, Mask, Selector, SentEntry } from './shapes.ts'

export interface EntriesOptions {
  readonly trustDomain: string
  readonly now: () => number
  readonly replica: Replica
  readonly records: Records<Entry>
  readonly isFederated: (trustDomain: string) => boolean
  /** After every change. */
  readonly changed: () => void
}

const hintBytes = 1024
const validation = 'datastore-validation: invalid registration entry'

/** The registration entries of a server, and what it takes for one. */
export class Entries {
  readonly #options: EntriesOptions

  constructor(options: EntriesOptions) {
    this.#options = options
  }

  list(filter: EntryFilter | null): Listed<Entry>[] {
    const test = this.#test(filter)
    return this.#options.records.list().filter(({ value }) => test(value))
  }

  get(id: string): Entry | undefined {
    return this.#options.records.seen(id)
  }

  /** As others knew them so many milliseconds ago. */
  before(ms: number): Entry[] {
    return this.behind(ms, () => this.#options.records.list().map(({ value }) => value))
  }

  /** Reads within `run` see what was so many milliseconds ago. */
  behind<T>(ms: number, run: () => T): T {
    return this.#options.replica.behind(ms, run)
  }

  /** The entry made, or the one that is like it already. */
  create(sent: SentEntry): { readonly entry: Entry; readonly isNew: boolean } {
    const { now, records } = this.#options
    const valid = this.#converted(sent, () => true)
    const { id, spiffe_id, parent_id, selectors } = valid
    if (id.length > 255)
      throw new Refused(status.invalidArgument, `failed to create entry: ${validation}: entry ID too long`)
    if (!/^[A-Za-z0-9._-]*$/.test(id)) {
      throw new Refused(
        status.invalidArgument,
        `failed to create entry: ${validation}: entry ID contains invalid characters`,
      )
    }
    this.#validate(valid, 'create')
    const similar = records
      .everyCurrent()
      .find(
        (each) =>
          idText(each.spiffe_id) === idText(spiffe_id) &&
          idText(each.parent_id) === idText(parent_id) &&
          matches(each.selectors.map(selectorKey), selectors.map(selectorKey), 0),
      )
    if (similar !== undefined) return { entry: similar, isNew: false }
    if (id !== '' && records.current(id) !== undefined) {
      const reason = 'datastore-sql: UNIQUE constraint failed: registered_entries.entry_id'
      throw new Refused(status.alreadyExists, `failed to create entry: ${reason}`)
    }
    this.#federated(sent.federates_with, 'create')
    const created_at = Math.floor(now() / 1000)
    const entry = { ...valid, id: id === '' ? randomUUID() : id, revision_number: 0, created_at }
    records.put(entry)
    this.#options.changed()
    return { entry, isNew: true }
  }

  update(sent: SentEntry, mask: Mask): Entry {
    const isMasked = (name: string) => mask === null || mask[name] === true
    const valid = this.#converted(sent, isMasked)
    this.#validate(Object.fromEntries(Object.entries(valid).filter(([name]) => isMasked(name))), 'update')
    const old = this.#options.records.current(sent.id)
    if (old === undefined) throw new Refused(status.notFound, 'failed to update entry')
    const changes = Object.fromEntries(Object.entries(valid).filter(([name]) => name !== 'id' && isMasked(name)))
    const entry: Entry = { ...old, ...changes, revision_number: old.revision_number + 1 }
    // The check is made of what was read of the entry, and that its selectors were is only so when they are written.
    if (entry.store_svid && isMasked('selectors')) this.#oneType(entry.selectors, 'update')
    if (isMasked('federates_with')) this.#federated(sent.federates_with, 'update')
    this.#options.records.set(entry)
    this.#options.changed()
    return entry
  }

  remove(id: string): void {
    if (id === '') throw new Refused(status.invalidArgument, 'missing entry ID')
    if (this.#options.records.current(id) === undefined) throw new Refused(status.notFound, 'entry not found')
    this.#options.records.remove(id)
    this.#options.changed()
  }

  #converted(sent: SentEntry, isMasked: (name: string) => boolean) {
    const domain = this.#options.trustDomain
    const nobody = { trust_domain: '', path: '' }
    const failed = 'failed to convert entry'
    const parent_id = isMasked('parent_id')
      ? checkedId(sent.parent_id, domain, 'member', `${failed}: invalid parent ID`)
      : nobody
    const spiffe_id = isMasked('spiffe_id')
      ? checkedId(sent.spiffe_id, domain, 'workload', `${failed}: invalid spiffe ID`)
      : nobody
    const refuse = (reason: string) => new Refused(status.invalidArgument, `${failed}: ${reason}`)
    if (isMasked('federates_with') && !sent.federates_with.every(isTrustDomain)) {
      throw refuse('invalid federated trust domain')
    }
    if (isMasked('selectors')) {
      if (sent.selectors.length === 0) throw refuse('selector list is empty')
      const wrong = wrongSelector(sent.selectors)
      if (wrong !== undefined) throw refuse(wrong)
    }
    if (isMasked('hint') && Buffer.byteLength(sent.hint) > hintBytes) {
      throw refuse(`hint is too long, max length is ${hintBytes} characters`)
    }
    return { ...sent, spiffe_id, parent_id, selectors: stored(sent.selectors) }
  }

  #validate(entry: Partial<SentEntry>, verb: string): void {
    const refuse = (reason: string) =>
      new Refused(status.invalidArgument, `failed to ${verb} entry: ${validation}: ${reason}`)
    if (verb === 'create' && entry.store_svid === true) this.#oneType(entry.selectors ?? [], verb)
    if ((entry.x509_svid_ttl ?? 0) < 0) throw refuse('X509SvidTtl is not set')
    if ((entry.jwt_svid_ttl ?? 0) < 0) throw refuse('JwtSvidTtl is not set')
  }

  #oneType(selectors: readonly Selector[], verb: string): void {
    if (new Set(selectors.map(({ type }) => type)).size <= 1) return
    const reason = 'selector types must be the same when store SVID is enabled'
    throw new Refused(status.invalidArgument, `failed to ${verb} entry: ${validation}: ${reason}`)
  }

  #federated(domains: readonly string[], verb: string): void {
    const unknown = domains.find((domain) => !this.#options.isFederated(domain))
    if (unknown === undefined) return
    const reason = `unable to find federated bundle "spiffe://${unknown}"`
    throw new Refused(status.internal, `failed to ${verb} entry: ${reason}`)
  }

  #test(filter: EntryFilter | null): (entry: Entry) => boolean {
    if (filter === null) return () => true
    const { by_downstream, by_federates_with, by_hint, by_parent_id, by_selectors, by_spiffe_id } = filter
    const domain = this.#options.trustDomain
    if (by_parent_id !== null) checkedId(by_parent_id, domain, 'member', 'malformed parent ID filter')
    if (by_spiffe_id !== null) checkedId(by_spiffe_id, domain, 'workload', 'malformed SPIFFE ID filter')
    const refuse = (what: string, reason: string) =>
      new Refused(status.invalidArgument, `malformed ${what} filter: ${reason}`)
    if (by_selectors !== null) {
      const wrong = wrongSelector(by_selectors.selectors)
      if (wrong !== undefined) throw refuse('selectors', wrong)
      if (by_selectors.selectors.length === 0) throw refuse('selectors', 'empty selector set')
    }
    if (by_federates_with?.trust_domains.length === 0) throw refuse('federates with', 'empty trust domain set')
    return (entry) =>
      (by_parent_id === null || idText(entry.parent_id) === idText(by_parent_id)) &&
      (by_spiffe_id === null || idText(entry.spiffe_id) === idText(by_spiffe_id)) &&
      (by_selectors === null ||
        matches(entry.selectors.map(selectorKey), by_selectors.selectors.map(selectorKey), by_selectors.match)) &&
      (by_federates_with === null ||
        matches(entry.federates_with, by_federates_with.trust_domains, by_federates_with.match)) &&
      (by_hint === null || by_hint.value === '' || entry.hint === by_hint.value) &&
      (by_downstream === null || entry.downstream === by_downstream.value)
  }
}

/** The order in which they were sent is not kept by every store, and here it never is. */
function stored(selectors: readonly Selector[]): Selector[] {
  return [...selectors].reverse()
}

function wrongSelector(selectors: readonly Selector[]): string | undefined {
  for (const { type, value } of selectors) {
    if (type === '') return 'missing selector type'
    if (type.includes(':')) return "selector type contains ':'"
    if (value === '') return 'missing selector value'
  }
  return undefined
}
