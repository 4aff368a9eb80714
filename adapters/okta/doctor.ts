import { z } from 'zod'
import type { Doctor, Person, PersonState } from '../../src/core/doctor.ts'
import { Findings, found } from '../checking.ts'
import type { Api } from './api.ts'
import type { OktaConfig } from './config.ts'
import type { Credential } from './credential.ts'
import { answerError, type Purpose, parse } from './errors.ts'
import { isId, type Kind } from './ids.ts'
import { listPathOf, pathOf, purposes, readPurpose, user, userSighting } from './kinds.ts'

export interface DoctorParts {
  readonly config: OktaConfig
  readonly api: Api
  readonly credential: Credential
}

const anything = z.unknown()

export const groupsOf = ({ groups, manage }: OktaConfig): readonly string[] => [
  ...new Set([...Object.keys(groups), ...manage.groups]),
]

/** Everything that accounts of these kinds need to be granted. */
export function needed(config: OktaConfig, kinds: readonly Kind[] = config.manage.kinds): readonly Purpose[] {
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

/** A read of one row that a right is needed for. */
const probes = new Map<Purpose, string>([
  [purposes.readUsers, `${listPathOf('user')}?limit=1`],
  [purposes.readApps, `${listPathOf('serviceApp')}?limit=1`],
  [purposes.readAgents, `${listPathOf('aiAgent')}?limit=1`],
  [purposes.readLog, '/api/v1/logs?limit=1'],
])

/**
 * The scopes of the token tell which were granted, and of the admin roles nothing tells but trying: what reads is tried,
 * what writes is not.
 */
export async function examine(
  parts: DoctorParts,
  kinds: readonly Kind[],
  findings: Findings,
  signal: AbortSignal,
): Promise<void> {
  const { api, config, credential } = parts
  const granted = credential.scopes()
  const wanted = [...new Set(needed(config, kinds))]
  const lacks = ({ scope }: Purpose) => granted !== undefined && !granted.includes(scope)
  for (const scope of new Set(wanted.filter(lacks).map((each) => each.scope))) {
    const what = wanted.filter((each) => each.scope === scope).map((each) => each.what)
    const text = `the app of the bridge lacks the scope ${scope} for ${what.join(', ')}`
    findings.list.push({ code: 'permission', level: 'error', text, mend: grant(config, credential, scope) })
  }
  for (const purpose of wanted.filter((each) => !lacks(each) && each !== purposes.readGroups)) {
    const path = probes.get(purpose)
    const { what, right } = purpose
    if (path === undefined) findings.unproven(`${what}, which takes ${right}`, assign(config, credential, purpose))
    else {
      const read = () => api.get({ path }, anything, { lane: 'read', signal, purpose, once: true })
      await findings.attempt(what, read, assign(config, credential, purpose))
    }
  }
}

const asSuperAdmin = '-H "Authorization: SSWS $SUPER_ADMIN_TOKEN" -H "Content-Type: application/json"'

/** Only a super administrator can. */
function grant({ orgUrl }: OktaConfig, { clientId = '' }: Credential, scope: string): string {
  const body = JSON.stringify({ scopeId: scope, issuer: orgUrl })
  return `curl -X POST ${orgUrl}/api/v1/apps/${clientId}/grants ${asSuperAdmin} -d '${body}'`
}

const standard = new Map<string, string>([
  [purposes.readLog.right, 'REPORT_ADMIN'],
  [purposes.readAgents.right, 'SUPER_ADMIN'],
])

/** Standard roles by one call; a custom one takes a resource set too, for which the console is the shorter way. */
function assign({ orgUrl }: OktaConfig, { clientId }: Credential, { right }: Purpose): string {
  if (clientId === undefined)
    return `assign ${right} to the user of the API token: Admin Console, Directory › People, Admin roles`
  const type = standard.get(right)
  if (type === undefined)
    return `assign ${right} to the app of the bridge: Admin Console, Applications › ${clientId} › Admin roles`
  return `curl -X POST ${orgUrl}/oauth2/v1/clients/${clientId}/roles ${asSuperAdmin} -d '${JSON.stringify({ type })}'`
}

/** Whether the members of each group can be read. */
export async function readGroups(
  { api, config, credential }: DoctorParts,
  ids: readonly string[],
  findings: Findings,
  signal: AbortSignal,
): Promise<void> {
  for (const id of ids) {
    const purpose = { ...purposes.readGroups, what: `reading the group ${id}` }
    const options = { lane: 'read', signal, purpose, once: true } as const
    const path = `/api/v1/groups/${encodeURIComponent(id)}/users?limit=1`
    await findings.attempt(
      purpose.what,
      () => api.get({ path }, anything, options),
      assign(config, credential, purpose),
    )
  }
}

const purpose = { ...purposes.readUsers, what: 'reading the sponsor' }

/** By the id of a user, where it can be one; else by e-mail address, if one user alone has it. */
async function stateOfPerson({ api }: DoctorParts, who: Person, signal: AbortSignal): Promise<PersonState> {
  const options = { lane: 'read', signal, purpose } as const
  const stateOf = (one: z.output<typeof user>) => userSighting(one, { byId: true, begunAt: 0 }).state
  if (who.objectId !== undefined) {
    if (!isId('user', who.objectId)) return 'absent'
    const answer = await api.ask({ path: pathOf('user', who.objectId) }, options)
    if (answer.status === 404) return 'absent'
    if (answer.status !== 200) throw answerError(answer, purpose, answer.begunAt)
    return stateOf(parse(user, answer.body, purpose))
  }
  const filter = `profile.email eq ${JSON.stringify(who.email ?? '')}`
  const query = new URLSearchParams({ filter, limit: '2' })
  const { value } = await api.get({ path: `/api/v1/users?${query}` }, z.array(user), options)
  const [first, second] = value
  if (first === undefined) return 'absent'
  return second === undefined ? stateOf(first) : 'unknown'
}

/** See `core/doctor.ts`. Opens no connection. */
export function openDoctor(parts: DoctorParts): Doctor {
  const { config, credential } = parts
  return {
    async permissions(kinds, signal) {
      const findings = new Findings()
      const sign = () => credential.sign({ method: 'GET', url: `${config.orgUrl}/api/v1/logs` }, signal)
      if (!(await findings.attempt('sign in to the org', sign))) return findings.list
      const known = config.manage.kinds.filter((kind) => kinds.includes(kind))
      await examine(parts, known, findings, signal)
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
        () => assign(config, credential, purposes.readUsers),
      ),
  }
}
