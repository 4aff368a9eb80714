import { BridgeError } from '../core/errors.ts'
import { verifyAudit } from '../engine/auditing.ts'
import { openStoreReadonly } from '../store/index.ts'
import { readConfig } from './config.ts'
import type { Io } from './io.ts'

export interface StoreChoice {
  readonly config?: string
  readonly store?: string
}

/** The store that `--store` names, or the configured one. */
export const storeUrl = (io: Io, { config, store }: StoreChoice): string =>
  store ?? readConfig(io, config).config.store.url

/**
 * The audit chain of a copy must hold before the copy is called a backup.
 * @throws BridgeError E_CHAIN_BROKEN
 */
export const requireChain = async (file: string): Promise<void> => {
  const store = await openStoreReadonly(`sqlite:${file}`)
  try {
    const { fault } = await verifyAudit(store)
    if (fault === undefined) return
    const hint = 'Keep the store and its older backups as evidence; idp-bridge audit verify says more.'
    throw new BridgeError('E_CHAIN_BROKEN', `The audit chain is broken at entry ${fault.seq} (${fault.fault}).`, {
      hint,
    })
  } finally {
    await store.close()
  }
}

const steps = 10

/** Says how far it is, on a terminal, at every tenth of what takes long. */
export const progressOn = (io: Io): ((done: number) => void) => {
  let said = 0
  return (done) => {
    const step = Math.floor(done * steps)
    if (!io.colour || step <= said) return
    said = step
    io.err(`copied ${(step * 100) / steps} %`)
  }
}
