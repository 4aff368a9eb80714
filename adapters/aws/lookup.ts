import type { Adapter, PrincipalRef } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'
import type { Sighting } from '../../src/core/types.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { Logger } from '../../src/lib/log.ts'
import { live } from '../aborts.ts'
import { inParallel } from '../parallel.ts'
import { type Session, type Sessions, sessionFor } from './account.ts'
import { roleOf, userOf } from './ids.ts'
import type { Managed } from './managedpolicy.ts'
import { readRole } from './reading.ts'
import type { Suspension } from './roles.ts'
import { readUser } from './users.ts'

export interface ReaderParts {
  readonly sessions: Sessions
  readonly center: { readonly session: Session; readonly store: string } | undefined
  readonly suspensionOf: (account: string) => Suspension
  readonly managed: Managed
  readonly clock: Clock
  readonly log: Logger
}

const WIDTH = 6

/** Each account by its id. AWS accounts fail one by one: those of one that does not answer are unknown. */
export function openLookup({ sessions, center, suspensionOf, managed, clock, log }: ReaderParts): Adapter['lookup'] {
  const read = async ({ id }: PrincipalRef, signal: AbortSignal): Promise<Sighting> => {
    const options = { lane: 'read', signal } as const
    const role = roleOf(id)
    if (role) {
      const session = await sessionFor(sessions, role.account, signal)
      return readRole({ session, clock, role, suspension: suspensionOf(role.account), managed }, options)
    }
    const user = userOf(id)
    if (!user || user.store !== center?.store)
      throw new BridgeError('E_PRINCIPAL_ID', 'the account is of no directory that is configured')
    return readUser(center.session, clock, user, options)
  }

  const scopeOf = (id: string) => roleOf(id)?.account ?? userOf(id)?.store ?? ''

  return async (refs, signal) => {
    live(signal)
    const unique = [...new Map(refs.map((ref) => [ref.id, ref])).values()]
    let failure: unknown
    let failed = 0
    const ofScope = async (scoped: readonly PrincipalRef[]): Promise<Sighting[]> => {
      let told = 0
      let silent = 0
      return inParallel(scoped, WIDTH, async (ref) => {
        const begunAt = clock.now()
        const unknown: Sighting = { id: ref.id, kind: undefined, state: 'unknown', switches: [], byId: true, begunAt }
        // One that answers nobody is not asked for each of hundreds.
        if (told === 0 && silent >= WIDTH) {
          failed += 1
          return unknown
        }
        try {
          const sighting = await read(ref, signal)
          told += 1
          return sighting
        } catch (error) {
          live(signal)
          silent += 1
          failed += 1
          failure ??= error
          log.warn({ err: error, principal: ref.id }, 'an account could not be read')
          return unknown
        }
      })
    }
    const scopes = Map.groupBy(unique, ({ id }) => scopeOf(id))
    const sightings = (await Promise.all([...scopes.values()].map(ofScope))).flat()
    live(signal)
    if (failed > 0 && failed === unique.length) throw failure
    return new Map(sightings.map((sighting) => [sighting.id, sighting]))
  }
}
