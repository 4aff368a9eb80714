import type { AdapterBase } from '../src/config/adapter.ts'
import type { Adapter, Groups, PrincipalRef } from '../src/core/adapter.ts'
import { BridgeError } from '../src/core/errors.ts'
import type { Sighting } from '../src/core/types.ts'
import type { Clock } from '../src/lib/clock.ts'
import type { Logger } from '../src/lib/log.ts'
import { orAbort } from './aborts.ts'

export interface ManagedParts {
  readonly name: string
  readonly config: { readonly manage: Manage; readonly never: readonly string[] }
  readonly groups: Groups
  /** Why no account of this kind can have this id. */
  readonly idFault: (ref: PrincipalRef) => BridgeError | undefined
  /** The one spelling of an id, where the directory takes several. */
  readonly canonical?: (id: string) => string
  /** Every id by which the directory knows the bridge itself, as far as known. */
  readonly self: () => readonly (string | undefined)[]
  readonly clock: Pick<Clock, 'mono'>
  readonly log: Logger
  /** Aborts when the adapter is closed. */
  readonly closed: AbortSignal
}

interface Manage extends Pick<AdapterBase['manage'], 'groups'> {
  readonly kinds: readonly string[]
}

/** Which accounts the bridge may map and write: `manage`, `never` and the bridge itself (DESIGN §6, §10). */
export interface Managed {
  /** See `Adapter.vet`. */
  vet(ref: PrincipalRef): BridgeError | undefined
  /** Takes from a reading what the id alone does not tell: the account's true kind and its application. */
  learn(sighting: Sighting): void
  /** Sees to it that the members of `manage.groups` are known. Throws when they were never read whole. */
  ready(signal: AbortSignal): Promise<void>
}

/** How long one reading of `manage.groups` serves. */
const FRESH_MS = 60_000
/** Those refused at registration are learned too; forgetting one that is mapped lasts until its next reading. */
const MAX_UNFIT = 10_000

export function openManaged(parts: ManagedParts): Managed {
  const { name, config, groups, idFault, canonical = (id) => id, self, clock, log, closed } = parts
  const { kinds, groups: bounds } = config.manage
  const unfit = new Map<string, BridgeError>()
  let members: { readonly ids: ReadonlySet<string>; readonly at: number } | undefined
  let reading: Promise<void> | undefined

  const kindRefused = (kind: string) =>
    new BridgeError('E_KIND_REFUSED', `accounts of kind ${JSON.stringify(kind)} are not managed here`, {
      hint: `manage.kinds of the adapter ${name} lists ${kinds.join(', ')}`,
    })
  const neverListed = (id: string) => new BridgeError('E_NEVER', `${id} is on the never list of ${name}`)
  const itself = (id: string) => new BridgeError('E_NEVER', `${id} is the bridge itself`)

  const vet = (ref: PrincipalRef): BridgeError | undefined => {
    const fault = idFault(ref)
    if (fault) return fault
    if (!kinds.includes(ref.kind)) return kindRefused(ref.kind)
    const id = canonical(ref.id)
    if (config.never.includes(id)) return neverListed(id)
    if (self().includes(id)) return itself(id)
    // Tokens, feeds and logs all come in lower case; a second spelling would be an account that nothing ever reaches.
    if (id !== ref.id)
      return new BridgeError('E_PRINCIPAL_ID', 'the object id has capital letters', { hint: `write it as ${id}` })
    const learned = unfit.get(id)
    if (learned || !members || members.ids.has(id)) return learned
    const hint = 'add it to one of manage.groups, or leave it out'
    return new BridgeError('E_KIND_REFUSED', `${id} is in none of the groups that ${name} manages`, { hint })
  }

  const learn = ({ id, kind, appId }: Sighting): void => {
    const application = appId === undefined ? false : config.never.includes(appId)
    const found = application
      ? neverListed(id)
      : appId !== undefined && self().includes(appId)
        ? itself(id)
        : kind !== undefined && !kinds.includes(kind)
          ? kindRefused(kind)
          : undefined
    if (found === undefined) return
    if (unfit.size >= MAX_UNFIT) unfit.clear()
    unfit.set(canonical(id), found)
  }

  const readGroups = async (): Promise<void> => {
    const at = clock.mono()
    const ids = new Set<string>()
    for (const group of bounds)
      for await (const page of groups.members(group, closed)) for (const id of page) ids.add(id)
    members = { ids, at }
  }

  const ready = async (signal: AbortSignal): Promise<void> => {
    if (bounds.length === 0 || (members && clock.mono() - members.at < FRESH_MS)) return
    reading ??= readGroups().finally(() => {
      reading = undefined
    })
    try {
      await orAbort(reading, signal)
    } catch (error) {
      if (!members || signal.aborted) throw error
      log.warn({ err: error }, 'manage.groups could not be read: the last reading of them serves')
    }
  }

  return { vet, learn, ready }
}

export interface Reading {
  readonly changes: Adapter['changes']
  readonly lookup: Adapter['lookup']
}

/** Reads that teach `managed` what ids do not tell. */
export function learning(managed: Managed, { changes, lookup }: Reading, log: Logger): Reading {
  return {
    async *changes(since, signal, aside) {
      for await (const page of changes(since, signal, aside)) {
        for (const sighting of page.sightings) managed.learn(sighting)
        yield page
      }
    },
    async lookup(refs, signal) {
      // Not knowing them stops writes, never reading: a suspension must still be seen.
      await managed.ready(signal).catch((error) => log.warn({ err: error }, 'manage.groups could not be read'))
      const sightings = await lookup(refs, signal)
      for (const sighting of sightings.values()) managed.learn(sighting)
      return sightings
    },
  }
}
