import { z } from 'zod'
import { didYouMean, type Fault } from './faults.ts'

const outlet = z.object({ name: z.string(), client: z.string().optional() })
const shape = z.object({
  signals: z.record(z.string(), z.array(outlet.optional().catch(undefined))),
  auth: z.object({
    clients: z.array(z.object({ name: z.string(), role: z.union([z.string(), z.array(z.string())]) })),
  }),
})

/** Names of outlets are unique, and a client is a runtime of this file. Checked beside the schema, which sees one part at a time. */
export function outletFaults(root: unknown): Fault[] {
  const parsed = shape.safeParse(root)
  if (!parsed.success) return []
  const { signals, auth } = parsed.data
  const runtimes = auth.clients.filter(({ role }) => [role].flat().includes('runtime')).map(({ name }) => name)
  const seen = new Set<string>()
  const faults: Fault[] = []
  for (const [kind, list] of Object.entries(signals)) {
    for (const [index, one] of list.entries()) {
      if (one === undefined) continue
      const path = `signals.${kind}.${index}`
      if (seen.has(one.name)) {
        const hint = 'outlet names are unique, over all kinds'
        faults.push({ path: `${path}.name`, code: 'conflict', message: 'is the name of another outlet too', hint })
      }
      seen.add(one.name)
      if (one.client === undefined || runtimes.includes(one.client)) continue
      const near = didYouMean(one.client, runtimes)
      const hint = near === undefined ? 'name a client of auth.clients with the role runtime' : `did you mean ${near}?`
      faults.push({ path: `${path}.client`, code: 'bad_value', message: 'names no client with the role runtime', hint })
    }
  }
  return faults
}
