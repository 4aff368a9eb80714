import type { PrincipalRef } from '../../src/core/adapter.ts'
import type { PrincipalId, Sighting } from '../../src/core/types.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { live } from '../aborts.ts'
import { parseId, type SpiffeId, textOf } from '../spiffeid.ts'
import type { BundleKeeper } from './bundles.ts'
import { asBridgeError } from './errors.ts'
import type { Reader } from './reading.ts'

export interface LookupParts {
  readonly trustDomain: string
  readonly reader: Reader
  readonly bundles: ReadonlyMap<string, BundleKeeper>
  readonly clock: Pick<Clock, 'now'>
}

/** See `Adapter.lookup`. */
export function openLookup({ trustDomain, reader, bundles, clock }: LookupParts) {
  /**
   * A workload of another domain has no entry here: it is on for as long as its domain is believed at all, which is what
   * its bundle says.
   */
  const federated = async ({ trust_domain }: SpiffeId): Promise<Pick<Sighting, 'kind' | 'state' | 'switches'>> => {
    const bundle = await bundles.get(trust_domain)?.present().catch(asBridgeError)
    const kind = 'federatedWorkload'
    if (!bundle || bundle instanceof Error)
      return { kind, state: 'unknown', switches: [{ name: 'bundle', state: 'unknown', ours: true }] }
    const isOn = bundle.keys.size > 0
    const switches = [{ name: 'bundle', state: isOn ? ('on' as const) : ('off' as const), ours: true }]
    return { kind, state: isOn ? 'enabled' : 'disabled', switches }
  }

  return async (refs: readonly PrincipalRef[], signal: AbortSignal): Promise<Map<PrincipalId, Sighting>> => {
    live(signal)
    const begunAt = clock.now()
    const ids = [...new Set(refs.map(({ id }) => id))]
    const own: SpiffeId[] = []
    const sightings = new Map<PrincipalId, Sighting>()
    const unknown = (id: string): Sighting => ({
      id,
      kind: undefined,
      state: 'unknown',
      switches: [],
      byId: true,
      begunAt,
    })
    for (const id of ids) {
      const parsed = parseId(id)
      if (parsed?.trust_domain === trustDomain) own.push(parsed)
      else sightings.set(id, parsed ? { ...unknown(id), ...(await federated(parsed)) } : unknown(id))
    }
    if (own.length === 0) return sightings
    const readings = await reader.read(own, signal)
    let failure: Error | undefined
    let failed = 0
    for (const id of own.map(textOf)) {
      const reading = readings.get(id)
      if (reading && !(reading instanceof Error)) sightings.set(id, reading.sighting)
      else {
        failure ??= reading
        failed += 1
        sightings.set(id, unknown(id))
      }
    }
    if (failure && failed === ids.length) throw failure
    return sightings
  }
}
