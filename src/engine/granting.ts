import { effective } from '../core/capabilities.ts'
import type { StoreReads } from '../core/store.ts'
import type { CapabilitySource, Did } from '../core/types.ts'
import type { Change } from './change.ts'

/** Effective capabilities of a DID now: its own, narrowed by every ancestor's. */
export const effectiveOf = async (reads: StoreReads, did: Did): Promise<string[]> => {
  const ancestors: CapabilitySource[][] = []
  const seen = new Set<Did>([did])
  let parent = (await reads.agent(did))?.parentDid
  while (parent !== undefined && !seen.has(parent)) {
    seen.add(parent)
    ancestors.push(await reads.sourcesOf(parent))
    parent = (await reads.agent(parent))?.parentDid
  }
  return effective(await reads.sourcesOf(did), ancestors)
}

/** The DIDs with what each had before, so that only real changes are told. */
export const capabilitiesBefore = async (c: Change, dids: Iterable<Did>): Promise<Map<Did, string[]>> => {
  const before = new Map<Did, string[]>()
  for (const did of dids) {
    for (const one of [did, ...(await c.tx.descendants(did))]) {
      if (!before.has(one)) before.set(one, await effectiveOf(c.tx, one))
    }
  }
  return before
}

/** One audit entry and one signal for each DID whose effective capabilities differ from before. */
export const capabilitiesChanged = async (
  c: Change,
  before: ReadonlyMap<Did, string[]>,
  cause: string,
): Promise<Did[]> => {
  const changed: Did[] = []
  for (const [did, had] of before) {
    const capabilities = await effectiveOf(c.tx, did)
    if (capabilities.join('\n') === had.join('\n')) continue
    changed.push(did)
    await c.tx.appendAudit({
      time: c.now,
      type: 'capabilities.changed',
      did,
      actor: c.actor,
      requestId: c.requestId,
      capabilities,
      details: { cause, removed: had.filter((name) => !capabilities.includes(name)) },
    })
    await c.tx.appendSignal({
      type: 'capabilities',
      did,
      at: c.now,
      holdId: undefined,
      severity: undefined,
      origin: undefined,
      reason: undefined,
      capabilities,
    })
    c.wakeSignals()
  }
  return changed
}
