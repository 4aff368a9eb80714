import type { Finding } from '../../src/core/adapter.ts'
import { Findings } from '../checking.ts'
import type { BundleKeeper } from './bundles.ts'
import type { SpiffeConfig } from './config.ts'
import { examine } from './doctor.ts'
import type { Server } from './server.ts'

export interface CheckParts {
  readonly config: SpiffeConfig
  readonly server: Server
  readonly bundles: ReadonlyMap<string, BundleKeeper>
}

/** A suspension that takes longer than that to be felt elsewhere is worth a word. */
const LONG_TAIL_MS = 3_600_000

/** Reads one of everything that is configured: entries, nodes, and every bundle. */
export async function check({ config, server, bundles }: CheckParts, signal: AbortSignal): Promise<Finding[]> {
  const findings = new Findings()
  await examine({ config, server }, findings, signal)
  for (const [trustDomain, keeper] of bundles) {
    const isRead = await findings.attempt(`reading the bundle of ${trustDomain}`, () => keeper.refresh())
    if (!isRead || (await keeper.present()).keys.size > 0) continue
    findings.list.push({
      code: 'empty-bundle',
      level: 'error',
      text: `the bundle of ${trustDomain} has no key of JWT-SVIDs: every one of them is refused`,
      mend: 'see that its source publishes the keys of the trust domain (spire-server bundle show -format spiffe)',
    })
  }
  findings.list.push(...ofConfig(config))
  findings.clock(undefined)
  return findings.list
}

/** What the configuration gives up, said once where it is seen. */
function ofConfig({ svids, mirror }: SpiffeConfig): Finding[] {
  if (mirror === 'inbound' || Math.max(svids.x509Ttl, svids.jwtTtl) <= LONG_TAIL_MS) return []
  return [
    {
      code: 'long-svids',
      level: 'warning',
      text: 'SVIDs live for over an hour: those of a suspended workload verify elsewhere until they end',
      mend: 'set short times for agents: spire-server entry update -jwtSVIDTTL 120 -x509SVIDTTL 600',
    },
  ]
}
