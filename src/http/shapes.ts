import { z } from 'zod'

/** What the shapes of the API are made of: bodies and queries are checked by them, answers typed, `/openapi.json` made of them. */

export const exampleDid = 'did:agentmesh:a7f3b2c1'
export const exampleHold = '01JD8Q6Z0V4W2N9K3M5T7R1YBC'
export const time = z.string().meta({ format: 'date-time', description: 'RFC 3339, UTC, milliseconds' })
export const text = (max: number) => z.string().min(1).max(max)
export const count = z.int().min(0)

/** Opaque; the engine says what a DID is. */
export const did = text(512).describe('did:agentmesh:… or did:mesh:…, exactly as the runtime emits it')
export const reason = text(2000).describe('For operators')

export const agentPath = z.strictObject({ did })
export const holdPath = z.strictObject({ did, holdId: text(200) })
export const releasePath = z.strictObject({ releaseId: text(200) })
export const adapterPath = z.strictObject({ adapter: text(64) })
export const limit = z.coerce.number().int().min(1).max(1000).default(100).describe('At most this many items')
export const noBody = z.strictObject({}).nullable().describe('None, or an empty object')

export const page = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), nextCursor: z.string().nullable().describe('Null on the last page') })
