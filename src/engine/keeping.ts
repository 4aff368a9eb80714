import type { Idempotent } from '../core/store.ts'

/** What is kept under an `Idempotency-Key`, in the transaction of the effect: both are there after a crash, or neither. */
export interface Keep<K> {
  readonly client: string
  readonly route: string
  readonly key: string
  entry(result: K): Idempotent
}

/** Durable answers for `Idempotency-Key`; see http/idempotency. */
export interface Kept {
  get(client: string, route: string, key: string): Promise<Idempotent | undefined>
  /** In place of what is kept under the key. */
  put(client: string, route: string, key: string, entry: Idempotent): Promise<void>
}
