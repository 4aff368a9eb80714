import { createHash } from 'node:crypto'
import { z } from 'zod'
import { BridgeError } from '../../src/core/errors.ts'
import { type Kind, kinds } from './ids.ts'

/** How many events are remembered: those beyond are only read about twice. */
const MAX_SEEN = 20_000

const shape = z.strictObject({
  v: z.literal(1),
  /** Address of the org. */
  org: z.string(),
  /** Kinds of account that were listed and are followed from there on. */
  kinds: z.array(z.enum(kinds)),
  /** Up to when the log was read, by the org's clock. */
  until: z.int().min(0),
  /** `mark` of each event that the next pass may meet again. */
  seen: z.array(z.string().max(16)).max(MAX_SEEN),
})

/** Where a pass resumes. Opaque to everyone else. */
export type Place = z.output<typeof shape>

/** An event as a place remembers it: 66 bits of its `uuid`, which no two of one window share. */
export const markOf = (uuid: string): string => createHash('sha256').update(uuid).digest('base64url').slice(0, 11)

/** `seen` in order of publication: the youngest are kept. */
export const writePlace = (place: Place): string => JSON.stringify({ ...place, seen: place.seen.slice(-MAX_SEEN) })

export const expired = (text: string, cause?: unknown): BridgeError =>
  new BridgeError('E_CHECKPOINT_EXPIRED', text, { cause, hint: 'the bridge reads everything again by itself' })

/** @throws BridgeError E_CHECKPOINT_EXPIRED for anything that is not a place in this org, with these kinds */
export function readPlace(text: string, org: string, wanted: readonly Kind[]): Place {
  try {
    const place = shape.parse(JSON.parse(text))
    if (place.org === org && wanted.every((kind) => place.kinds.includes(kind))) return place
  } catch {
    // Said below: whatever is wrong with it, everything has to be read again.
  }
  throw expired('the stored place in the change feed does not fit this directory')
}
