import { coverage } from './covers.ts'
import { BridgeError } from './errors.ts'
import type { CapabilitySource, Did } from './types.ts'

const shape = /^(\*|[^\s:*]+:(\*|[^\s:*]+(:(\*|[^\s:*]+))?))$/

/** Whether `parseCapability` takes it. */
export const isCapability = (text: string): boolean => text.length <= 256 && shape.test(text)

/** Whether it names one capability, not a set of them. */
export const isConcrete = (text: string): boolean => isCapability(text) && !text.includes('*')

/**
 * A capability name, `action:resource[:qualifier]`; `*` alone or as the last segment stands for all.
 * @throws BridgeError E_CAPABILITY
 */
export const parseCapability = (text: string): string => {
  if (!isCapability(text)) {
    throw new BridgeError('E_CAPABILITY', `"${text.slice(0, 64)}" is not a capability.`, {
      hint: 'Use action:resource[:qualifier], e.g. read:reports; * only alone or as the last segment.',
    })
  }
  return text
}

export const groupSource = (adapter: string, groupId: string): string => `group:${adapter}/${groupId}`

/** Sources grouped under their capability, in byte order. */
export const bySource = (sources: readonly CapabilitySource[]): { name: string; sources: CapabilitySource[] }[] => {
  const names = new Map<string, CapabilitySource[]>()
  for (const source of sources) {
    const list = names.get(source.capability)
    if (list) list.push(source)
    else names.set(source.capability, [source])
  }
  return [...names].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, list]) => ({ name, sources: list }))
}

/** The intersection of two grants, wildcards expanded towards the narrower one; in whatever order several are taken. */
export const narrowed = (own: readonly string[], parent: readonly string[]): string[] => {
  const kept = own.filter(coverage(parent))
  const within = parent.filter(coverage(own))
  return [...new Set([...kept, ...within])].sort()
}

export interface GroupChange {
  readonly add: readonly CapabilitySource[]
  readonly remove: readonly CapabilitySource[]
}

/** What one complete read of a mapped group changes. Only call it with a complete read (I6). */
export const groupChange = (
  source: string,
  capabilities: readonly string[],
  members: ReadonlySet<Did>,
  present: readonly CapabilitySource[],
  now: number,
): GroupChange => {
  const wanted = new Set(capabilities)
  const known = new Set(present.map((one) => `${one.did}\n${one.capability}`))
  const remove = present.filter((one) => !wanted.has(one.capability) || !members.has(one.did))
  const add = [...members].flatMap((did) =>
    capabilities
      .filter((capability) => !known.has(`${did}\n${capability}`))
      .map((capability) => ({ did, capability, source, confirmedAt: now })),
  )
  return { add, remove }
}
