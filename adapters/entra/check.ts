import { z } from 'zod'
import type { Finding } from '../../src/core/adapter.ts'
import { Findings } from '../checking.ts'
import type { EntraConfig } from './config.ts'
import type { Credential, Self } from './credential.ts'
import type { Purpose } from './errors.ts'
import type { Graph } from './graph.ts'
import { agentList, purposes, readPurpose, writePurpose } from './kinds.ts'

export interface CheckParts {
  readonly config: EntraConfig
  readonly graph: Graph
  readonly credential: Credential
}

const GRAPH_APP = '00000003-0000-0000-c000-000000000000'
const MAX_GROUPS = 50
const anything = z.object({})

/** Signs in, looks at what the token may do, and reads one of everything that is configured. */
export async function check({ config, graph, credential }: CheckParts, signal: AbortSignal): Promise<Finding[]> {
  const findings = new Findings()
  if (!(await findings.attempt('sign in to the directory', () => credential.token(signal)))) return findings.list
  findings.list.push(...ofSelf(credential.self(), config))

  const options = { lane: 'read', signal } as const
  const { kinds } = config.manage
  const reads: readonly (readonly [string, Purpose])[] = [
    ...(kinds.some((kind) => kind === 'agentIdentity' || kind === 'agentUser')
      ? [[agentList.replace('$top=100', '$top=1'), purposes.readAgents] as const]
      : []),
    ...(kinds.includes('servicePrincipal')
      ? [['/servicePrincipals?$select=id&$top=1', purposes.readPrincipals] as const]
      : []),
    ...(kinds.some((kind) => kind === 'user' || kind === 'agentUser')
      ? [['/users?$select=id&$top=1', purposes.readUsers] as const]
      : []),
  ]
  for (const [path, purpose] of reads)
    await findings.attempt(purpose.what, () => graph.get(path, anything, { ...options, purpose }))
  for (const id of groupsOf(config).slice(0, MAX_GROUPS)) {
    const purpose = { ...purposes.readGroups, what: `reading the group ${id}` }
    await findings.attempt(purpose.what, () => graph.get(`/groups/${id}?$select=id`, anything, { ...options, purpose }))
  }
  findings.clock(graph.skewMs())
  return findings.list
}

/** Every application permission that the configuration needs; any one of each list suffices. */
export function needed(config: EntraConfig): readonly Purpose[] {
  const { kinds } = config.manage
  const agents = kinds.some((kind) => kind === 'agentIdentity' || kind === 'agentUser')
  const writes = config.mirror === 'both' || config.mirror === 'outbound'
  const users = kinds.some((kind) => kind === 'user' || kind === 'agentUser')
  return [
    ...new Set<Purpose>([
      ...(agents ? [purposes.readAgents, purposes.readBlueprints] : []),
      ...kinds.map((kind) => readPurpose[kind]),
      ...(writes ? kinds.map((kind) => writePurpose[kind]) : []),
      ...(writes ? [purposes.readLog] : []),
      ...(writes && users ? [purposes.revokeSessions] : []),
      ...(groupsOf(config).length > 0 ? [purposes.readGroups] : []),
    ]),
  ]
}

const groupsOf = ({ groups, manage }: EntraConfig): readonly string[] => [
  ...new Set([...Object.keys(groups), ...manage.groups]),
]

function ofSelf(self: Self | undefined, config: EntraConfig): Finding[] {
  if (!self) {
    const text = 'the access token of the bridge cannot be read, so its permissions are not checked'
    return [{ code: 'token-opaque', level: 'warning', text }]
  }
  const findings: Finding[] = []
  if (self.isAgent) {
    const text = 'the bridge runs as an agent identity: Graph refuses agents the permissions it needs'
    findings.push({ code: 'self-agent', level: 'error', text, mend: 'give it an ordinary app registration' })
  }
  if (self.scopes.includes('Directory.AccessAsUser.All')) {
    const text = 'the token carries Directory.AccessAsUser.All, which overrides every agent permission'
    const mend = 'remove that delegated permission and sign in as the application'
    findings.push({ code: 'access-as-user', level: 'error', text, mend })
  }
  for (const { what, permissions } of needed(config)) {
    const [least] = permissions
    if (least === undefined || permissions.some((role) => self.roles.includes(role))) continue
    const optional = what === purposes.revokeSessions.what
    const text = `the bridge lacks the application permission ${least} for ${what}`
    findings.push({ code: 'permission', level: optional ? 'warning' : 'error', text, mend: grant(self, least) })
  }
  return findings
}

/** Permission ids of the agent APIs are not published, so the command looks them up by name. */
function grant(self: Self, role: string): string {
  const app = self.appId ?? '<client id of the bridge>'
  const id = `$(az ad sp show --id ${GRAPH_APP} --query "appRoles[?value=='${role}'].id" -o tsv)`
  const add = `az ad app permission add --id ${app} --api ${GRAPH_APP} --api-permissions ${id}=Role`
  return `${add} && az ad app permission admin-consent --id ${app}`
}
