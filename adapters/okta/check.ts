import { z } from 'zod'
import type { Finding } from '../../src/core/adapter.ts'
import { Findings } from '../checking.ts'
import type { Api } from './api.ts'
import type { OktaConfig } from './config.ts'
import type { Credential } from './credential.ts'
import type { Purpose } from './errors.ts'
import type { Kind } from './ids.ts'
import { listPathOf, purposes, readPurpose } from './kinds.ts'
import type { Selves } from './self.ts'

export interface CheckParts {
  readonly config: OktaConfig
  readonly api: Api
  readonly credential: Credential
  readonly self: Selves
}

const MAX_GROUPS = 50
const anything = z.unknown()

const groupsOf = ({ groups, manage }: OktaConfig): readonly string[] => [
  ...new Set([...Object.keys(groups), ...manage.groups]),
]

/** Everything the configuration needs to be granted. */
export function needed(config: OktaConfig): readonly Purpose[] {
  const { kinds } = config.manage
  const writes = config.mirror === 'both' || config.mirror === 'outbound'
  const ofKind: Readonly<Record<Kind, readonly Purpose[]>> = {
    user: [purposes.suspendUsers, purposes.unsuspendUsers, purposes.clearSessions],
    serviceApp: [purposes.switchApps],
    aiAgent: [purposes.switchAgents],
  }
  return [
    ...kinds.map((kind) => readPurpose[kind]),
    ...(config.hooks.universalLogout ? [purposes.readUsers] : []),
    purposes.readLog,
    ...(groupsOf(config).length > 0 ? [purposes.readGroups] : []),
    ...(writes ? kinds.flatMap((kind) => ofKind[kind]) : []),
  ]
}

/** What is asked for at every sign-in. The map of groups may grow while the bridge runs. */
export const scopesOf = (config: OktaConfig): readonly string[] => [
  ...new Set([...needed(config), purposes.readGroups].map(({ scope }) => scope)),
]

/** Signs in, compares the scopes granted with those needed, and reads one of everything that is configured. */
export async function check(parts: CheckParts, signal: AbortSignal): Promise<Finding[]> {
  const { config, api, credential } = parts
  const findings = new Findings()
  const url = `${config.orgUrl}/api/v1/logs`
  if (!(await findings.attempt('sign in to the org', () => credential.sign({ method: 'GET', url }, signal))))
    return findings.list
  findings.list.push(...ofScopes(parts), ...ofToken(config))
  if (config.credential.type === 'apiToken')
    await findings.attempt('reading the user of the API token', () => parts.self.learn(signal))

  const read = (path: string, purpose: Purpose) =>
    findings.attempt(purpose.what, () => api.get({ path }, anything, { lane: 'read', signal, purpose, once: true }))
  for (const kind of config.manage.kinds) await read(`${listPathOf(kind)}?limit=1`, readPurpose[kind])
  await read('/api/v1/logs?limit=1', purposes.readLog)
  for (const id of groupsOf(config).slice(0, MAX_GROUPS))
    await read(`/api/v1/groups/${id}/users?limit=1`, { ...purposes.readGroups, what: `reading the group ${id}` })

  findings.clock(api.time.skewMs())
  return findings.list
}

function ofScopes({ config, credential }: CheckParts): Finding[] {
  const granted = credential.scopes()
  // A token of a user has the rights of its user, which only trying tells.
  if (granted === undefined) return []
  const wanted = needed(config)
  const missing = new Set(wanted.map(({ scope }) => scope).filter((scope) => !granted.includes(scope)))
  return [...missing].map((scope) => {
    const what = wanted.filter((each) => each.scope === scope).map((each) => each.what)
    const text = `the app of the bridge lacks the scope ${scope} for ${[...new Set(what)].join(', ')}`
    return { code: 'permission', level: 'error', text, mend: grant(config.orgUrl, credential.clientId ?? '', scope) }
  })
}

/** Only a super administrator can. */
function grant(orgUrl: string, clientId: string, scope: string): string {
  const body = JSON.stringify({ scopeId: scope, issuer: orgUrl })
  const headers = '-H "Authorization: SSWS $SUPER_ADMIN_TOKEN" -H "Content-Type: application/json"'
  return `curl -X POST ${orgUrl}/api/v1/apps/${clientId}/grants ${headers} -d '${body}'`
}

function ofToken({ credential }: OktaConfig): Finding[] {
  if (credential.type !== 'apiToken') return []
  const text = 'the bridge signs in with a static API token, which has every right of its user and ends with that user'
  return [{ code: 'api-token', level: 'warning', text, mend: 'use an API services app: credential.type privateKey' }]
}
