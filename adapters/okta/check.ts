import type { Finding } from '../../src/core/adapter.ts'
import { Findings, MAX_GROUPS } from '../checking.ts'
import type { OktaConfig } from './config.ts'
import { type DoctorParts, examine, groupsOf, readGroups } from './doctor.ts'
import type { Selves } from './self.ts'

export interface CheckParts extends DoctorParts {
  readonly self: Selves
}

/** Signs in, compares the scopes granted with those needed, and reads one of everything that is configured. */
export async function check(parts: CheckParts, signal: AbortSignal): Promise<Finding[]> {
  const { config, api, credential } = parts
  const findings = new Findings()
  const url = `${config.orgUrl}/api/v1/logs`
  if (!(await findings.attempt('sign in to the org', () => credential.sign({ method: 'GET', url }, signal))))
    return findings.list
  findings.list.push(...ofToken(config))
  if (config.credential.type === 'apiToken')
    await findings.attempt('reading the user of the API token', () => parts.self.learn(signal))
  await examine(parts, config.manage.kinds, findings, signal)
  await readGroups(parts, groupsOf(config).slice(0, MAX_GROUPS), findings, signal)
  findings.clock(api.time.skewMs())
  return findings.list
}

function ofToken({ credential }: OktaConfig): Finding[] {
  if (credential.type !== 'apiToken') return []
  const text = 'the bridge signs in with a static API token, which has every right of its user and ends with that user'
  return [{ code: 'api-token', level: 'warning', text, mend: 'use an API services app: credential.type privateKey' }]
}
