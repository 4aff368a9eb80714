import { z } from 'zod'
import type { Doctor, Person, PersonState } from '../../src/core/doctor.ts'
import { Findings, found } from '../checking.ts'
import type { EntraConfig } from './config.ts'
import type { Credential, Self } from './credential.ts'
import type { Purpose } from './errors.ts'
import type { Graph } from './graph.ts'
import { agentList, BLUEPRINT_CAST, isKind, type Kind, purposes, readPurpose, writePurpose } from './kinds.ts'
import { watchPurpose } from './subscriptioncalls.ts'
import { objectId } from './wire.ts'

export interface DoctorParts {
  readonly config: EntraConfig
  readonly graph: Graph
  readonly credential: Credential
}

const GRAPH_APP = '00000003-0000-0000-c000-000000000000'
const anything = z.object({})

/** A read that a permission is needed for and that every tenant answers: of one row, or none. */
const probes = new Map<Purpose, string>([
  [purposes.readAgents, agentList.replace('$top=100', '$top=1')],
  [purposes.readBlueprints, `/servicePrincipals/${BLUEPRINT_CAST}?$select=id&$top=1`],
  [purposes.readPrincipals, '/servicePrincipals?$select=id&$top=1'],
  [purposes.readUsers, '/users?$select=id&$top=1'],
  [purposes.readLog, '/auditLogs/directoryAudits?$top=1'],
])

const isWriting = ({ mirror }: EntraConfig): boolean => mirror === 'both' || mirror === 'outbound'

export const groupsOf = ({ groups, manage }: EntraConfig): readonly string[] => [
  ...new Set([...Object.keys(groups), ...manage.groups]),
]

/** Every application permission that accounts of these kinds need; any one of each list suffices. */
export function needed(config: EntraConfig, kinds: readonly Kind[]): readonly Purpose[] {
  const agents = kinds.some((kind) => kind === 'agentIdentity' || kind === 'agentUser')
  const users = kinds.some((kind) => kind === 'user' || kind === 'agentUser')
  return [
    ...new Set<Purpose>([
      ...(agents ? [purposes.readAgents, purposes.readBlueprints] : []),
      ...kinds.map((kind) => readPurpose[kind]),
      ...(isWriting(config) ? [...kinds.map((kind) => writePurpose[kind]), purposes.readLog] : []),
      ...(isWriting(config) && users ? [purposes.revokeSessions] : []),
      ...(groupsOf(config).length > 0 ? [purposes.readGroups] : []),
    ]),
  ]
}

/** Reads one row with the permission. */
export const probe = (
  { graph, credential }: DoctorParts,
  purpose: Purpose,
  findings: Findings,
  signal: AbortSignal,
): Promise<boolean> => {
  const path = probes.get(purpose) ?? ''
  const read = () => graph.get(path, anything, { lane: 'read', signal, purpose })
  return findings.attempt(purpose.what, read, grantOf(credential.self(), purpose))
}

/** By the `roles` of the bridge's own token; where that cannot be read, by reading one row of each. */
export async function examine(
  parts: DoctorParts,
  wanted: Iterable<Purpose>,
  findings: Findings,
  signal: AbortSignal,
): Promise<void> {
  const self = parts.credential.self()
  for (const purpose of wanted) {
    if (self !== undefined) byToken(self, purpose, findings, parts.graph.origin)
    else if (probes.has(purpose)) await probe(parts, purpose, findings, signal)
    else if (purpose !== purposes.readGroups) findings.unproven(`${purpose.what} (${purpose.permissions[0]})`)
  }
}

/** Without these something comes later, and nothing is wrong. */
const optional: ReadonlySet<Purpose> = new Set([purposes.revokeSessions, ...Object.values(watchPurpose)])

/** One role of two whose reach the token does not tell. */
const OWNED_ONLY = 'Application.ReadWrite.OwnedBy'

function byToken(self: Self, purpose: Purpose, findings: Findings, origin: string): void {
  const { what, permissions } = purpose
  const [least] = permissions
  if (least === undefined) return
  const held = permissions.filter((role) => self.roles.includes(role))
  const delegated = permissions.find((scope) => self.scopes.includes(scope))
  if (held.length === 1 && held[0] === OWNED_ONLY) {
    const text = `${what} (${OWNED_ONLY}), which reaches only what the bridge owns`
    findings.unproven(text, `make it an owner of each agent that is a service principal: ${owner(self, origin)}`)
  } else if (held.length > 0) findings.ok(`${what} (${held[0]})`)
  else if (delegated !== undefined)
    findings.unproven(`${what} (${delegated}), delegated by a person whose own rights bound it`, grant(self, least))
  else {
    const level = optional.has(purpose) ? 'warning' : 'error'
    const text = `the bridge lacks the application permission ${least} for ${what}`
    findings.list.push({ code: 'permission', level, text, mend: grant(self, least) })
  }
}

/** Permission ids of the agent APIs are not published, so the command looks them up by name. */
function grant(self: Self | undefined, role: string): string {
  const app = self?.appId ?? '<client id of the bridge>'
  const id = `$(az ad sp show --id ${GRAPH_APP} --query "appRoles[?value=='${role}'].id" -o tsv)`
  const add = `az ad app permission add --id ${app} --api ${GRAPH_APP} --api-permissions ${id}=Role`
  return `${add} && az ad app permission admin-consent --id ${app}`
}

const grantOf = (self: Self | undefined, { permissions: [least] }: Purpose): string | undefined =>
  least === undefined ? undefined : grant(self, least)

function owner(self: Self, origin: string): string {
  const body = JSON.stringify({
    '@odata.id': `${origin}/v1.0/directoryObjects/${self.oid ?? '<object id of the bridge>'}`,
  })
  return `az rest --method POST --url '${origin}/v1.0/servicePrincipals/<object id of the agent>/owners/$ref' --body '${body}'`
}

/** Whether each group is there and can be read. */
export async function readGroups(
  { graph, credential }: DoctorParts,
  ids: readonly string[],
  findings: Findings,
  signal: AbortSignal,
): Promise<void> {
  for (const id of ids) {
    const purpose = { ...purposes.readGroups, what: `reading the group ${id}` }
    const read = () => graph.get(`/groups/${id}?$select=id`, anything, { lane: 'read', signal, purpose })
    await findings.attempt(purpose.what, read, grantOf(credential.self(), purpose))
  }
}

const person = z.object({ id: z.string(), accountEnabled: z.boolean().nullish() })
const people = z.object({ value: z.array(person) })
const purpose = { ...purposes.readUsers, what: 'reading the sponsor' }

const stateOf = ({ accountEnabled }: z.output<typeof person>): PersonState =>
  accountEnabled == null ? 'unknown' : accountEnabled ? 'enabled' : 'disabled'

/** By object id, where it can be one of this tenant; else by e-mail address or sign-in name, if one alone has it. */
async function stateOfPerson({ graph }: DoctorParts, who: Person, signal: AbortSignal): Promise<PersonState> {
  const options = { lane: 'read', signal, purpose } as const
  if (who.objectId !== undefined) {
    const id = objectId.safeParse(who.objectId)
    if (!id.success) return 'absent'
    const one = await graph.find(`/users/${id.data}?$select=id,accountEnabled`, person, options)
    return one === undefined ? 'absent' : stateOf(one)
  }
  const name = `'${encodeURIComponent((who.email ?? '').replaceAll("'", "''"))}'`
  const filter = `mail eq ${name} or userPrincipalName eq ${name}`
  const { value } = await graph.get(`/users?$filter=${filter}&$select=id,accountEnabled&$top=2`, people, options)
  const [first, second] = value
  if (first === undefined) return 'absent'
  return second === undefined ? stateOf(first) : 'unknown'
}

/** See `core/doctor.ts`. Opens no connection. */
export function openDoctor(parts: DoctorParts): Doctor {
  return {
    async permissions(kinds, signal) {
      const findings = new Findings()
      const sign = () => parts.credential.token(signal)
      if (!(await findings.attempt('sign in to the directory', sign))) return findings.list
      await examine(parts, needed(parts.config, kinds.filter(isKind)), findings, signal)
      return findings.list
    },
    async groups(ids, signal) {
      const findings = new Findings()
      await readGroups(parts, ids, findings, signal)
      return findings.list
    },
    person: (who, signal) =>
      found(
        () => stateOfPerson(parts, who, signal),
        () => grantOf(parts.credential.self(), purposes.readUsers),
      ),
  }
}
