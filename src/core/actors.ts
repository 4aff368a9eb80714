import type { Claims } from './adapter.ts'
import type { Did } from './types.ts'

/** Longer chains are refused; no adapter follows one further. */
export const maxActors = 16

/** One actor of a token's `act` chain, as the bridge knows it. */
export interface Actor {
  /** What the token calls it, first the subject; never empty for a hop that was read. */
  readonly names: readonly string[]
  /** The agents it is: registered, or held though nobody registered them. None: nobody that is known here. */
  readonly dids: readonly Did[]
  /** At least one of them is held or decommissioned. */
  readonly held: boolean
  /** The latest release of any of them. */
  readonly resumedAt: number | undefined
}

const isClaims = (value: unknown): value is Claims =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * How many actors an `act` claim names (RFC 8693 section 4.1), each nested in the one before; 0 without the claim.
 * Undefined when it is anything but such a chain, or longer than 16.
 */
export const chainLength = (act: unknown): number | undefined => {
  let length = 0
  for (let each = act; each !== undefined; each = each.act) {
    if (!isClaims(each) || length === maxActors) return undefined
    length += 1
  }
  return length
}

const naming = ['sub', 'azp', 'client_id'] as const

/**
 * By which ids a hop names its actor, and the issuer they are of when it says so. Undefined when a naming member is not
 * text: what it means is then anybody's guess.
 */
export const namesOf = (hop: Claims): { names: string[]; issuer: string | undefined } | undefined => {
  const names = new Set<string>()
  for (const member of naming) {
    const value = hop[member]
    if (value === undefined) continue
    if (typeof value !== 'string' || value === '') return undefined
    names.add(value)
  }
  const { iss } = hop
  if (iss !== undefined && typeof iss !== 'string') return undefined
  return { names: [...names], issuer: iss }
}
