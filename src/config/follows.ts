import { z } from 'zod'
import { didYouMean, type Fault } from './faults.ts'

const shape = z.object({ adapters: z.record(z.string(), z.unknown()) })
const follower = z.object({ follows: z.string() })

/**
 * `follows` must name another adapter and lead to an end. Checked beside the schema, which sees one adapter at a time
 * and nothing at all of a file with other faults.
 */
export function followFaults(root: unknown): Fault[] {
  const parsed = shape.safeParse(root)
  if (!parsed.success) return []
  const names = Object.keys(parsed.data.adapters)
  const follows = new Map<string, string>()
  for (const [name, adapter] of Object.entries(parsed.data.adapters)) {
    const link = follower.safeParse(adapter)
    if (link.success) follows.set(name, link.data.follows)
  }
  return [...follows].flatMap(([name, leader]): Fault[] => {
    const path = `adapters.${name}.follows`
    if (leader === name) {
      return [
        { path, code: 'conflict', message: 'names the adapter itself', hint: 'name the directory it copies from' },
      ]
    }
    if (!names.includes(leader)) {
      const near = didYouMean(leader, names)
      const hint = near === undefined ? `adapters here: ${names.join(', ')}` : `did you mean ${near}?`
      return [{ path, code: 'bad_value', message: 'names no adapter of this file', hint }]
    }
    if (!isOnCycle(follows, name)) return []
    const hint = 'one of them provisions the others: remove its follows'
    return [{ path, code: 'conflict', message: 'leads back to this adapter', hint }]
  })
}

function isOnCycle(follows: ReadonlyMap<string, string>, from: string): boolean {
  const seen = new Set<string>()
  for (let at = follows.get(from); at !== undefined && !seen.has(at); at = follows.get(at)) {
    if (at === from) return true
    seen.add(at)
  }
  return false
}
