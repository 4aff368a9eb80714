import { z } from 'zod'
import { BridgeError } from '../../src/core/errors.ts'
import { pinnedLink } from './chain.ts'

const state = z.enum(['on', 'off', 'unknown'])

const shape = z.strictObject({
  v: z.literal(1),
  /** deltaLink of service principals; absent when that feed is not used. */
  principals: z.string().optional(),
  /** deltaLink of users. */
  users: z.string().optional(),
  /** Whether the service principal feed was seen to show agent identities; otherwise they are listed in each pass. */
  agents: z.enum(['delta', 'poll']),
  /** What each blueprint principal was when last listed, by app id. */
  blueprints: z.record(z.string(), state),
})

/** Where a pass resumes. Opaque to everyone else. */
export type Place = z.output<typeof shape>

export const writePlace = (place: Place): string => JSON.stringify(place)

/** @throws BridgeError E_CHECKPOINT_EXPIRED for anything that is not a place in this directory. */
export function readPlace(text: string, origin: string, feeds: { principals: boolean; users: boolean }): Place {
  try {
    const place = shape.parse(JSON.parse(text))
    for (const link of [place.principals, place.users]) if (link !== undefined) pinnedLink(link, origin)
    const fits = (place.principals !== undefined) === feeds.principals && (place.users !== undefined) === feeds.users
    if (fits) return place
  } catch {
    // Said below: whatever is wrong with it, everything has to be read again.
  }
  throw new BridgeError('E_CHECKPOINT_EXPIRED', 'the stored place in the change feed does not fit this directory', {
    hint: 'the bridge reads everything again by itself',
  })
}
