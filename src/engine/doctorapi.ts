import type { Finding } from '../core/adapter.ts'
import type { Reach, Room } from '../lib/surroundings.ts'
import type { SigningKey } from './signing.ts'

/** What was found, and of what: `store`, `disk`, `keys`, `clock`, `writes`, `hook:<adapter>` or `adapter:<name>`. */
export interface DoctorFinding extends Finding {
  readonly about: string
}

export interface Diagnosis {
  /** Nothing is an error. What could not be told counts as little as a warning. */
  readonly ok: boolean
  readonly at: number
  readonly findings: readonly DoctorFinding[]
}

export interface Doctors {
  /**
   * Looks at the daemon, its host and every directory, or at one directory alone; changes nothing. Who asks while a look is
   * being taken gets that one.
   * @throws BridgeError E_ADAPTER_UNKNOWN
   */
  doctor(adapter: string | undefined): Promise<Diagnosis>
}

/** The host of the daemon, as far as a doctor asks of it. */
export interface DoctorHost {
  /** What was odd about where the store is. */
  readonly warnings: readonly string[]
  room(): Promise<Room>
  readonly signingKeys: () => readonly SigningKey[]
  readonly publicUrl: () => string | undefined
  /** The addresses of a name, with from where each can be reached. Rejects when there is none. */
  resolve(hostname: string): Promise<readonly { readonly address: string; readonly reach: Reach }[]>
  /**
   * Asks below the public URL, with this request id.
   * @returns whether the answer carries it, as those of a bridge do
   */
  ask(path: string, requestId: string, signal: AbortSignal): Promise<boolean>
}
