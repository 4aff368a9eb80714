import { bridge, change } from './change.ts'
import type { Deps } from './deps.ts'

/** How often. */
export const pruneMs = 3_600_000
const idempotencyMs = 7 * 86_400_000
const slices = 72

/** In ms. */
export interface Retention {
  readonly signals: number
  readonly deadLetters: number
  readonly inbox: number
  readonly receipts: number
}

/**
 * Drops what is past retention, oldest first and an hour at a time, so that what piled up while the daemon was down never
 * makes a suspension wait.
 */
export const prune = async (deps: Deps, retention: () => Retention): Promise<void> => {
  for (let slice = slices; slice >= 0; slice--) {
    const now = deps.clock.now() - slice * pruneMs
    const { inbox, receipts, signals, deadLetters } = retention()
    await change(deps, bridge, (c) =>
      c.tx.prune({
        signals: now - signals,
        deadLetters: now - deadLetters,
        inbox: now - inbox,
        idempotency: now - idempotencyMs,
        guard: now - 2 * deps.policy().guard.windowMs,
        receipts: now - receipts,
      }),
    )
  }
}
