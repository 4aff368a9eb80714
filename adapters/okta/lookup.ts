import type { PrincipalRef } from '../../src/core/adapter.ts'
import type { Sighting } from '../../src/core/types.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { Logger } from '../../src/lib/log.ts'
import { live } from '../aborts.ts'
import { inParallel } from '../parallel.ts'
import type { Api } from './api.ts'
import { kindOfId } from './ids.ts'
import type { Operations } from './operations.ts'
import { readOne } from './reading.ts'

export interface ReaderParts {
  readonly api: Api
  readonly clock: Clock
  readonly log: Logger
  readonly operations: Operations
}

export interface Reader {
  /** See `Adapter.lookup`. */
  lookup(refs: readonly PrincipalRef[], signal: AbortSignal): Promise<Map<string, Sighting>>
}

const WIDTH = 8

/** One call an account: Okta has none that reads several with the certainty of a read by id. */
export function openReader({ api, clock, log, operations }: ReaderParts): Reader {
  return {
    async lookup(refs, signal) {
      live(signal)
      const options = { lane: 'read', signal } as const
      const unknown = (id: string, begunAt: number): Sighting => ({
        id,
        kind: undefined,
        state: 'unknown',
        switches: [],
        byId: true,
        begunAt,
      })
      let read = 0
      let failed = 0
      let failure: unknown
      const readOrUnknown = async (id: string): Promise<Sighting> => {
        const begunAt = clock.now()
        const kind = kindOfId(id)
        if (kind === undefined) return unknown(id, begunAt)
        // An org that answers nobody is not asked for each of hundreds.
        if (read === 0 && failed >= WIDTH) {
          failed += 1
          return unknown(id, begunAt)
        }
        try {
          if (kind === 'aiAgent' && (await operations.isPending(id, options))) return unknown(id, begunAt)
          const { sighting } = await readOne(api, clock, kind, id, options)
          read += 1
          return sighting
        } catch (error) {
          live(signal)
          failed += 1
          failure ??= error
          log.warn({ err: error, principal: id }, 'an account could not be read')
          return unknown(id, begunAt)
        }
      }
      const ids = [...new Set(refs.map(({ id }) => id))]
      const sightings = await inParallel(ids, WIDTH, readOrUnknown)
      live(signal)
      if (failed > 0 && failed === ids.length) throw failure
      return new Map(sightings.map((sighting) => [sighting.id, sighting]))
    },
  }
}
