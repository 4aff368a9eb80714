import type { Finding } from '../core/adapter.ts'
import { type Person, type PersonFound, stateOfPerson } from '../core/doctor.ts'
import type { Sighting } from '../core/types.ts'
import type { AgentView } from './agentapi.ts'
import type { Deps, Mount } from './deps.ts'
import type { Issue } from './validating.ts'

interface Live {
  readonly issues: Issue[]
  readonly unproven: Issue[]
}

const timeoutMs = 20_000
/** Those that give the agent something come first. */
const mostGroups = 20

type Account = AgentView['principals'][number]

/** What the directories of an agent say of it now, each asked for all of its accounts at once. */
export const liveIssues = async (deps: Deps, agent: AgentView): Promise<Live> => {
  const signal = AbortSignal.timeout(timeoutMs)
  const parts = await Promise.all([
    ...[...Map.groupBy(agent.principals, ({ adapter }) => adapter)].map(([name, accounts]) => {
      const mount = deps.mounts().get(name)
      return mount === undefined ? nothing : ofDirectory(deps, mount, agent, accounts, signal)
    }),
    ofSponsor(deps, agent, signal),
  ])
  return { issues: parts.flatMap(({ issues }) => issues), unproven: parts.flatMap(({ unproven }) => unproven) }
}

const nothing: Live = { issues: [], unproven: [] }

const ofDirectory = async (
  deps: Deps,
  { adapter, settings }: Mount,
  agent: AgentView,
  accounts: readonly Account[],
  signal: AbortSignal,
): Promise<Live> => {
  const { doctor, name } = adapter
  const kinds = [...new Set(accounts.map(({ kind }) => kind))]
  const [sightings, permissions, groups] = await Promise.all([
    adapter.lookup(accounts, signal).catch((error) => {
      deps.log.warn({ adapter: name, err: error }, 'validation could not read the directory')
      return undefined
    }),
    doctor?.permissions(kinds, signal) ?? [],
    doctor?.groups(groupsOf(name, agent, Object.keys(settings.groups)), signal) ?? [],
  ])
  const unproven = permissions.filter(isUnproven).map((one) => issueOf(name, 'V_UNPROVEN', one))
  const lacks = permissions.filter(isRefused).map((one) => issueOf(name, 'V_PERMISSION', one))
  if (sightings === undefined) {
    const text = `${name} does not answer.`
    const unreachable = { code: 'V_UNREACHABLE', text, mend: `Run idp-bridge doctor --adapter ${name}.` }
    return { issues: [unreachable, ...lacks], unproven }
  }
  const unread = groups.filter(({ level }) => level === 'error').map((one) => issueOf(name, 'V_GROUP_UNREADABLE', one))
  const seen = accounts.flatMap((account) => ofAccount(account, sightings.get(account.id)))
  return { issues: [...seen, ...lacks, ...unread], unproven }
}

const issueOf = (adapter: string, code: string, { mend, text }: Finding): Issue => ({
  code,
  text: `${adapter}: ${text}.`,
  ...(mend !== undefined && { mend }),
})

const isRefused = ({ code, level }: Finding): boolean =>
  level === 'error' && (code === 'permission' || code === 'E_DIRECTORY_FORBIDDEN')

/** What kept it from being told is no proof of the right either. */
const isUnproven = (finding: Finding): boolean =>
  finding.level === 'unknown' || (finding.level === 'error' && !isRefused(finding))

/** The mapped groups of a directory, so many that one answer can wait for them. */
const groupsOf = (adapter: string, { capabilities }: AgentView, mapped: readonly string[]): readonly string[] => {
  const prefix = `group:${adapter}/`
  const sources = capabilities.flatMap((one) => one.sources.map(({ source }) => source))
  const giving = sources.filter((source) => source.startsWith(prefix)).map((source) => source.slice(prefix.length))
  return [...new Set([...giving, ...mapped])].slice(0, mostGroups)
}

const ofAccount = (account: Account, sighting: Sighting | undefined): Issue[] => {
  const name = `${account.adapter}/${account.id}`
  const state = sighting?.state ?? 'unknown'
  if (state === 'absent')
    return [{ code: 'V_ABSENT', text: `${name} does not exist.`, mend: 'Unmap it or restore it.' }]
  const issues: Issue[] = []
  if (state === 'unknown') {
    const mend = `Run idp-bridge doctor --adapter ${account.adapter}.`
    issues.push({ code: 'V_UNREADABLE', text: `${name} cannot be read.`, mend })
  }
  if (state === 'disabled') {
    const mend = "See the agent's holds, and the switches of the account."
    issues.push({ code: 'V_DISABLED', text: `${name} is disabled.`, mend })
  }
  const kind = sighting?.kind
  if (kind !== undefined && kind !== account.kind) {
    const mend = `PATCH principals with kind ${kind}.`
    issues.push({ code: 'V_KIND', text: `${name} is of kind ${kind} in its directory, not ${account.kind}.`, mend })
  }
  issues.push(...ofAppId(account, sighting, name))
  return issues
}

/** Most kinds of account have no app id, which a directory that was read tells by giving none. */
const ofAppId = ({ appId }: Account, sighting: Sighting | undefined, name: string): Issue[] => {
  const found = sighting?.appId
  if (appId !== undefined) {
    if (found === undefined || found === appId) return []
    const text = `${name} has appId ${found} in its directory.`
    return [{ code: 'V_APP_ID', text, mend: `PATCH principals with appId ${found}.` }]
  }
  const isRead = sighting !== undefined && sighting.state !== 'unknown'
  if (isRead && found === undefined) return []
  const mend = found === undefined ? 'PATCH principals with appId.' : `PATCH principals with appId ${found}.`
  return [{ code: 'V_NO_APP_ID', text: `${name} has no appId; catalogues may not resolve it.`, mend }]
}

/** The sponsor is looked for wherever there are people: an agent of one directory may answer to somebody of another. */
const ofSponsor = async (deps: Deps, { sponsor }: AgentView, signal: AbortSignal): Promise<Live> => {
  if (sponsor === undefined) return nothing
  const who: Person = { objectId: sponsor.objectId, email: sponsor.email }
  const asked = [...deps.mounts().values()].flatMap(({ adapter }) => {
    const found = adapter.doctor?.person?.(who, signal)
    return found === undefined ? [] : [found.then((person) => ({ adapter: adapter.name, ...person }))]
  })
  const found = await Promise.all(asked)
  const issue = sponsorIssue(found)
  return issue === undefined ? nothing : { issues: [issue], unproven: [] }
}

const sponsorIssue = (found: readonly (PersonFound & { readonly adapter: string })[]): Issue | undefined => {
  const state = stateOfPerson(found.map((one) => one.state))
  const where = found.filter((one) => one.state === state).map(({ adapter }) => adapter)
  const replace = 'PATCH sponsor with somebody who answers for the agent now.'
  switch (state) {
    case 'disabled':
      return { code: 'V_SPONSOR_DISABLED', text: `The sponsor is switched off in ${where.join(', ')}.`, mend: replace }
    case 'absent':
      return { code: 'V_SPONSOR_ABSENT', text: `The sponsor is in none of ${where.join(', ')}.`, mend: replace }
    case 'unknown': {
      const why = found.find(({ finding }) => finding !== undefined)?.finding
      const text = `Whether the sponsor is there cannot be told from ${where.join(', ')}${why ? ` (${why.text})` : ''}.`
      const mend = why?.mend ?? 'PATCH sponsor with the object id of one person.'
      return { code: 'V_SPONSOR_UNREAD', text, mend }
    }
    default:
      return undefined
  }
}
