import { BridgeError } from './errors.ts'
import type { Did } from './types.ts'

/**
 * OAuth Token Status List (draft-ietf-oauth-status-list-20): an array of statuses, `bits` each, the first in the least
 * significant bits of the first byte.
 */
export const bitsOfList = [1, 2, 4, 8] as const
export type Bits = (typeof bitsOfList)[number]

/** Ours: two bits, so that `suspended` can be said, and places enough that their number says little about ours. */
export const ourBits: Bits = 2
export const placesOfList = 2 ** 17

/** Status types of the draft, section 7.1. */
export const statusValues = { valid: 0, invalid: 1, suspended: 2 } as const

/** The place of one agent, for ever. Lists count from 1. */
export interface StatusPlace {
  readonly list: number
  readonly idx: number
}

/** What stands at one place. */
export interface PlacedStatus extends StatusPlace {
  readonly did: Did
  readonly value: number
  /** When the last open hold of the agent was last released. */
  readonly resumedAt: number | undefined
}

/** Undefined outside the list. */
export const statusAt = (bytes: Uint8Array, bits: Bits, idx: number): number | undefined => {
  if (!Number.isInteger(idx) || idx < 0) return undefined
  const byte = bytes[Math.floor((idx * bits) / 8)]
  return byte === undefined ? undefined : (byte >> ((idx * bits) % 8)) & (2 ** bits - 1)
}

/** @returns whether that changed anything */
export const setStatus = (bytes: Uint8Array, bits: Bits, idx: number, value: number): boolean => {
  const before = statusAt(bytes, bits, idx)
  if (before === undefined || !Number.isInteger(value) || value < 0 || value >= 2 ** bits) {
    throw new BridgeError('E_BUG', 'A status was to be set outside its list.')
  }
  const at = Math.floor((idx * bits) / 8)
  bytes[at] = (bytes[at] ?? 0) ^ ((before ^ value) << ((idx * bits) % 8))
  return before !== value
}

export interface StatusReads {
  statusPlace(did: Did): Promise<StatusPlace | undefined>
  /** Of those that have a place. Whoever is held is suspended, or invalid once decommissioned. */
  statusesOf(dids: readonly Did[]): Promise<PlacedStatus[]>
  /** Every one that is not valid, or was released at or after that time. */
  statusesToTell(releasedSince: number): Promise<PlacedStatus[]>
  /** 0: there is none yet. */
  newestStatusList(): Promise<number>
}

export interface StatusWrites {
  /** False: another agent has this place. */
  takeStatusPlace(did: Did, place: StatusPlace): Promise<boolean>
}
