import { z } from 'zod'
import type { Fault } from './faults.ts'

const shape = z.object({
  adapters: z.record(z.string(), z.unknown()),
  server: z.object({ publicUrl: z.unknown() }).optional().catch(undefined),
})

/** Hooks whose address the bridge itself tells the directory. */
const told = ['graph'] as const
const hooked = z.object({ hooks: z.record(z.string(), z.unknown()) })

/** Such a hook needs an address to tell. Checked beside the schema, which sees one part at a time. */
export function calledFaults(root: unknown): Fault[] {
  const parsed = shape.safeParse(root)
  if (!parsed.success || parsed.data.server?.publicUrl !== undefined) return []
  return Object.entries(parsed.data.adapters).flatMap(([name, adapter]): Fault[] => {
    const { data } = hooked.safeParse(adapter)
    return told
      .filter((hook) => data?.hooks[hook] !== undefined)
      .map((hook) => ({
        path: `adapters.${name}.hooks.${hook}`,
        code: 'conflict',
        message: 'needs server.publicUrl',
        hint: 'set server.publicUrl: the directory delivers to its /hooks',
      }))
  })
}
