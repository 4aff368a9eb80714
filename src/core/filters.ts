import type { Did } from './types.ts'

/** Which records a list is of. */

export interface AgentFilter {
  readonly status?: 'active' | 'suspended' | 'decommissioned' | undefined
  readonly sponsor?: string | undefined
  readonly blueprint?: string | undefined
  readonly parentDid?: Did | undefined
  readonly adapter?: string | undefined
  readonly label?: { readonly key: string; readonly value: string } | undefined
  /** Substring of DID or name, case-insensitive. */
  readonly q?: string | undefined
  /** Exclusive: DIDs after this one, in byte order. */
  readonly after?: Did | undefined
  readonly limit: number
}

export interface AuditFilter {
  readonly after?: number | undefined
  /** Entries about any of these. */
  readonly dids?: readonly Did[] | undefined
  readonly hold?: string | undefined
  readonly actor?: string | undefined
  readonly from?: number | undefined
  readonly to?: number | undefined
  readonly limit: number
}
