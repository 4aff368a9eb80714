import type { Doctor } from '../../src/core/doctor.ts'
import { Findings } from '../checking.ts'
import type { SpiffeConfig } from './config.ts'
import { bannedAgents, entriesOf } from './entries.ts'
import { purposes } from './errors.ts'
import type { Server } from './server.ts'
import { methods } from './wire.ts'

export interface DoctorParts {
  readonly config: SpiffeConfig
  readonly server: Server
}

/** Both ways to the rights of an administrator; on the server's own socket everybody has them. */
function grant({ config, server }: DoctorParts): string {
  const id = server.self() ?? `<SPIFFE ID of the bridge in ${config.trustDomain}>`
  const entry = `spire-server entry update -entryID <its entry> -admin -parentID <…> -spiffeID ${id} -selector <…>`
  return `let the bridge administer the server: ${entry}, or add "${id}" to admin_ids in the server block of server.conf`
}

/**
 * SPIRE gives the rights to an API and not to what is done by it. So a change of no entries proves the right to change
 * them, and changes nothing.
 */
export async function examine(parts: DoctorParts, findings: Findings, signal: AbortSignal): Promise<void> {
  const { config, server } = parts
  const list = async () => {
    for await (const _ of entriesOf(server, undefined, { signal })) break
  }
  await findings.attempt(purposes.listEntries.what, list, grant(parts))
  await findings.attempt(purposes.listAgents.what, () => bannedAgents(server, { signal }), grant(parts))
  if (config.mirror !== 'both' && config.mirror !== 'outbound') return
  const none = { entries: [], input_mask: { selectors: true }, output_mask: {} }
  const purpose = purposes.updateEntries
  await findings.attempt(
    purpose.what,
    () => server.call(methods.updateEntries, none, { purpose, signal }),
    grant(parts),
  )
}

/** See `core/doctor.ts`. SPIFFE has neither groups nor people. */
export function openDoctor(parts: DoctorParts): Doctor {
  return {
    async permissions(_kinds, signal) {
      const findings = new Findings()
      await examine(parts, findings, signal)
      return findings.list
    },
    groups: async () => [],
  }
}
