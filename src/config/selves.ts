import { z } from 'zod'
import { didYouMean, type Fault } from './faults.ts'

const shape = z.object({
  adapters: z.record(z.string(), z.unknown()),
  registration: z.object({ self: z.object({ adapters: z.array(z.unknown()) }) }),
  server: z.object({ publicUrl: z.unknown() }).optional().catch(undefined),
})

/**
 * Agents that register themselves sign the URL of the bridge, and name directories of this file. Checked beside the
 * schema, which sees one part at a time.
 */
export function selfFaults(root: unknown): Fault[] {
  const parsed = shape.safeParse(root)
  if (!parsed.success) return []
  const { adapters, registration, server } = parsed.data
  const names = Object.keys(adapters)
  const faults = registration.self.adapters.flatMap((name, index): Fault[] => {
    if (typeof name !== 'string' || names.includes(name)) return []
    const near = didYouMean(name, names)
    const hint = near === undefined ? `adapters here: ${names.join(', ')}` : `did you mean ${near}?`
    const path = `registration.self.adapters.${index}`
    return [{ path, code: 'bad_value', message: 'names no adapter of this file', hint }]
  })
  if (server?.publicUrl !== undefined) return faults
  const hint = 'set server.publicUrl: every agent signs it, so that its request is good for this bridge alone'
  return [...faults, { path: 'registration.self', code: 'conflict', message: 'needs server.publicUrl', hint }]
}
