import { GetAccountAuthorizationDetailsCommand } from '@aws-sdk/client-iam'
import type { Page } from '../../src/core/adapter.ts'
import type { BridgeError } from '../../src/core/errors.ts'
import type { Sighting } from '../../src/core/types.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { Logger } from '../../src/lib/log.ts'
import { live } from '../aborts.ts'
import { type Session, type Sessions, sessionFor } from './account.ts'
import { expired, type Place, readPlace, writePlace } from './checkpoint.ts'
import { asBridgeError, malformed } from './errors.ts'
import { idOfRole, roleObject, roleOf, unswitchable } from './ids.ts'
import type { Managed } from './managedpolicy.ts'
import type { Names } from './names.ts'
import { purposes } from './purposes.ts'
import type { Queue } from './queue.ts'
import { nextOf, sound } from './reading.ts'
import { partsOfDetail, type RoleDetail, roleSighting, type Suspension } from './roles.ts'
import { listUsers, MAX_PAGES } from './users.ts'

export interface FeedParts {
  readonly sessions: Sessions
  /** Accounts whose roles are managed; none when roles are not. */
  readonly accounts: readonly string[]
  /** The identity store, when its users are managed. */
  readonly center: { readonly session: Session; readonly store: string } | undefined
  readonly queues: readonly Queue[]
  readonly reconcileMs: number
  readonly suspensionOf: (account: string) => Suspension
  readonly managed: Managed
  readonly names: Names
  readonly clock: Pick<Clock, 'now'>
  readonly log: Logger
}

/** Roles come with all their documents, so a page of a thousand could be tens of megabytes. */
const PAGE = 200
/** A place this old is not resumed: what the queues had is gone by then (SQS keeps messages 4 days by default). */
const MAX_AGE_MS = 3 * 86_400_000

/**
 * The change feed: one paged call lists every role of an account with its policies. Where queues tell of changes, passes
 * read what they tell and list everything every `reconcile`; where there are none, each pass lists. What cannot be listed
 * of one account keeps nothing back of the others, and the pass fails all the same: a part is not the whole.
 */
export function openFeed(parts: FeedParts) {
  const { sessions, accounts, center, queues, reconcileMs, suspensionOf, managed, names, clock, log } = parts
  const wanted = [...accounts, ...(center ? [center.store] : [])]
  /** What the last complete listing of this process said was there: tells who vanished since. */
  const before = new Map<string, ReadonlySet<string>>()

  async function* changes(since: string | undefined, signal: AbortSignal, aside = false): AsyncIterable<Page> {
    live(signal)
    const at = clock.now()
    const place = since === undefined ? undefined : readPlace(since, wanted)
    if (place && (at - place.at > MAX_AGE_MS || place.at > at + MAX_AGE_MS))
      throw expired('the stored place is older than what the queues keep')
    const rung = place ? yield* bells(signal) : false
    const isDue = !place || !rung || at - place.listedAt >= reconcileMs || place.listedAt > at
    if (isDue) yield* everything(signal, place === undefined, aside)
    const next: Place = { v: 1, listed: wanted, at, listedAt: isDue ? at : (place?.listedAt ?? at) }
    yield { sightings: [], touched: [], checkpoint: writePlace(next) }
  }

  /** @returns whether every queue was read to its end: what one keeps to itself is found by listing */
  async function* bells(signal: AbortSignal): AsyncGenerator<Page, boolean> {
    let all = queues.length > 0
    for (const queue of queues) {
      try {
        yield* queue.drain(signal)
      } catch (error) {
        live(signal)
        all = false
        log.warn({ err: error }, 'a queue of changes could not be read: everything is listed instead')
      }
    }
    return all
  }

  async function* everything(signal: AbortSignal, isFull: boolean, aside: boolean): AsyncGenerator<Page> {
    let failure: BridgeError | undefined
    for (const scope of wanted) {
      const pages = center && scope === center.store ? users(center, signal) : roles(scope, signal)
      try {
        yield* aside ? pages : remembering(scope, pages, isFull)
      } catch (error) {
        live(signal)
        log.warn({ err: error, scope }, 'an AWS account could not be listed')
        failure ??= asBridgeError(error)
      }
    }
    if (failure) throw failure
  }

  /** A full pass is compared with the store by the engine; any other tells who is not listed any more. */
  async function* remembering(scope: string, pages: AsyncGenerator<Page>, isFull: boolean): AsyncGenerator<Page> {
    const there = new Set<string>()
    for await (const page of pages) {
      const ids = [...page.sightings.map(({ id }) => id), ...page.touched]
      // Whatever its cursor is: a page that says nothing new would come for ever.
      if (ids.length > 0 && ids.every((id) => there.has(id)))
        throw malformed(purposes.listRoles, new Error('the same page came twice'))
      for (const id of ids) there.add(id)
      yield page
    }
    const gone = isFull ? [] : [...(before.get(scope) ?? [])].filter((id) => !there.has(id))
    before.set(scope, there)
    for (const id of gone) forget(id)
    if (gone.length > 0) yield { sightings: [], touched: gone, checkpoint: undefined }
  }

  const forget = (id: string): void => {
    const role = roleOf(id)
    if (role && names.of(roleObject(role.account, role.name))?.id === id)
      names.forget(roleObject(role.account, role.name))
  }

  const users = ({ session, store }: NonNullable<FeedParts['center']>, signal: AbortSignal) =>
    listUsers(session, clock, store, signal)

  async function* roles(account: string, signal: AbortSignal): AsyncGenerator<Page> {
    const session = await sessionFor(sessions, account, signal)
    const options = { lane: 'sync', signal } as const
    const seen = new Set<string>()
    let marker: string | undefined
    for (let count = 0; count < MAX_PAGES; count++) {
      const begunAt = clock.now()
      const command = new GetAccountAuthorizationDetailsCommand({ Filter: ['Role'], MaxItems: PAGE, Marker: marker })
      const named = { ...options, purpose: purposes.listRoles }
      const answer = await session.api.read((sending) => session.clients.iam.send(command, sending), named)
      const all: Sighting[] = []
      for (const detail of answer.RoleDetailList ?? []) {
        const sighting = await sighted(detail, account, session, begunAt, signal)
        if (sighting) all.push(sighting)
      }
      const sightings = all.filter(({ state }) => state !== 'unknown')
      const touched = all.filter(({ state }) => state === 'unknown').map(({ id }) => id)
      yield { sightings, touched, checkpoint: undefined }
      marker = nextOf(answer)
      if (marker === undefined) return
      if (seen.has(marker)) throw malformed(purposes.listRoles, new Error('the same marker came twice'))
      seen.add(marker)
    }
    throw malformed(purposes.listRoles, new Error(`more than ${MAX_PAGES} pages`))
  }

  /** Undefined: a role that nobody can register. */
  const sighted = async (
    detail: RoleDetail,
    account: string,
    session: Session,
    begunAt: number,
    signal: AbortSignal,
  ): Promise<Sighting | undefined> => {
    const { Path: path = '', RoleName: name = '' } = detail
    if (unswitchable({ path, name }) || path.includes('#')) return undefined
    const found = partsOfDetail(detail)
    if (!found || found.account !== account) throw malformed(purposes.listRoles)
    names.note(roleObject(account, found.name), {
      id: idOfRole(found.arn, found.roleId),
      createdAt: detail.CreateDate?.getTime() ?? 0,
    })
    const suspension = suspensionOf(account)
    const attached = await sound(found.attached, { session, suspension, managed }, { lane: 'sync', signal })
    return roleSighting({ ...found, attached }, suspension, { byId: false, begunAt })
  }

  return { changes }
}
