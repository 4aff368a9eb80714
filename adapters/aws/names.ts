/** The role that has a name now. */
export interface Named {
  readonly id: string
  readonly createdAt: number
}

/** Which role has which name, as last listed: events name roles by nothing else. */
export interface Names {
  of(object: string): Named | undefined
  note(object: string, named: Named): void
  forget(object: string): void
}

const MAX_NAMES = 100_000

export function openNames(): Names {
  const known = new Map<string, Named>()
  return {
    of: (object) => known.get(object),
    note(object, named) {
      if (known.size >= MAX_NAMES && !known.has(object)) known.clear()
      known.set(object, named)
    },
    forget: (object) => void known.delete(object),
  }
}
