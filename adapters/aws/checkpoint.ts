import { z } from 'zod'
import { BridgeError } from '../../src/core/errors.ts'

const shape = z.strictObject({
  v: z.literal(1),
  /** What was listed in the last pass: accounts, and the identity store. */
  listed: z.array(z.string().max(64)).max(10_000),
  /** When the last pass was begun. */
  at: z.int().min(0),
  /** When everything was last listed. */
  listedAt: z.int().min(0),
})

/** Where a pass resumes. Opaque to everyone else. */
export type Place = z.output<typeof shape>

export const writePlace = (place: Place): string => JSON.stringify(place)

export const expired = (text: string): BridgeError =>
  new BridgeError('E_CHECKPOINT_EXPIRED', text, { hint: 'the bridge reads everything again by itself' })

/** @throws BridgeError E_CHECKPOINT_EXPIRED for anything that is not a place in this directory, with all that is followed now */
export function readPlace(text: string, wanted: readonly string[]): Place {
  try {
    const place = shape.parse(JSON.parse(text))
    if (wanted.every((each) => place.listed.includes(each))) return place
  } catch {
    // Said below: whatever is wrong with it, everything has to be read again.
  }
  throw expired('the stored place in the change feed does not fit this directory')
}
