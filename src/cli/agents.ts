import { z } from 'zod'
import { bodyOf, refused, type Where, withDaemon } from './client.ts'
import { holdForm, stateOf } from './holds.ts'
import { type Io, paint } from './io.ts'
import { limitOf, list } from './paging.ts'
import { facts, plain, table } from './table.ts'

export interface ListOptions extends Where {
  readonly status?: string
  readonly sponsor?: string
  readonly blueprint?: string
  readonly adapter?: string
  readonly label?: string
  readonly search?: string
  readonly limit: string
  readonly json?: boolean
}

const principal = z.looseObject({
  adapter: z.string(),
  id: z.string(),
  kind: z.string(),
  shared: z.boolean(),
  account: z.looseObject({
    desired: z.string(),
    observed: z.string(),
    observedAt: z.string().nullable(),
    mark: z.string(),
    lastError: z.string().nullable(),
  }),
})

/** What this version shows of an agent; `--json` prints all that the daemon tells. */
export const agentForm = z.looseObject({
  did: z.string(),
  name: z.string(),
  status: z.string(),
  severity: z.string().nullable(),
  sponsor: z.looseObject({ email: z.string().optional(), objectId: z.string().optional() }).nullable(),
  blueprint: z.string().nullable(),
  parentDid: z.string().nullable(),
  labels: z.record(z.string(), z.string()),
  effective: z.array(z.string()),
  principals: z.array(principal),
  holds: z.array(holdForm),
  lastActivity: z.string().nullable(),
  createdAt: z.string(),
  updatedAt: z.string(),
  revision: z.int(),
})
type Agent = z.output<typeof agentForm>

const sponsorOf = ({ sponsor }: Agent): string => sponsor?.email ?? sponsor?.objectId ?? '-'
const statusOf = ({ severity, status }: Agent): string => (severity === null ? status : `${status} (${severity})`)

/** Agents by filter, in the order of DIDs. Returns the exit code. */
export const agentsList = (io: Io, options: ListOptions): Promise<number> =>
  withDaemon(io, options, async (daemon) => {
    const { adapter, blueprint, label, search, sponsor, status } = options
    const query = { adapter, blueprint, label, q: search, sponsor, status }
    const found = await list(daemon, '/v1/agents', query, agentForm, limitOf(options.limit))
    if (!('items' in found)) return refused(io, found)
    if (options.json) {
      io.out(JSON.stringify(found, null, 2))
      return 0
    }
    const rows = found.items.map((one) => [
      one.did,
      one.name,
      statusOf(one),
      sponsorOf(one),
      one.principals.map(({ adapter, id }) => `${adapter}/${id}`).join(' ') || '-',
    ])
    table(io, ['DID', 'NAME', 'STATUS', 'SPONSOR', 'ACCOUNTS'], rows)
    if (found.nextCursor !== null) io.err(`There are more: --limit ${2 * Number(options.limit)} shows them.`)
    return 0
  })

/** One agent with its accounts and open holds. Returns the exit code. */
export const agentsShow = (io: Io, did: string, options: Where & { readonly json?: boolean }): Promise<number> =>
  withDaemon(io, options, async (daemon) => {
    const answer = await daemon.get(`/v1/agents/${encodeURIComponent(did)}`)
    if (!answer.ok) return refused(io, answer)
    if (options.json) io.out(JSON.stringify(answer.body, null, 2))
    else show(io, bodyOf(agentForm, answer))
    return 0
  })

const show = (io: Io, agent: Agent): void => {
  const { bold, green, red } = paint(io)
  const status = agent.status === 'active' ? green(agent.status) : red(statusOf(agent))
  io.out(`${bold(plain(agent.did))}  ${plain(agent.name)}  ${status}`)
  const labels = Object.entries(agent.labels).map(([name, value]) => `${name}=${value}`)
  facts(io, [
    ['sponsor', sponsorOf(agent)],
    ['blueprint', agent.blueprint ?? '-'],
    ['parent', agent.parentDid ?? '-'],
    ['labels', labels.join(' ') || '-'],
    ['may', agent.effective.join(' ') || 'nothing'],
    ['last active', agent.lastActivity ?? '-'],
    ['registered', agent.createdAt],
    ['changed', `${agent.updatedAt} (revision ${agent.revision})`],
  ])
  if (agent.principals.length > 0) {
    io.out('')
    const rows = agent.principals.map(({ account, adapter, id, kind, shared }) => [
      `${adapter}/${id}`,
      shared ? `${kind}, shared` : kind,
      account.desired,
      account.observed,
      account.observedAt ?? '-',
      account.mark,
      account.lastError ?? '-',
    ])
    table(io, ['ACCOUNT', 'KIND', 'WANTED', 'SEEN', 'AT', 'MARK', 'ERROR'], rows)
  }
  if (agent.holds.length > 0) {
    io.out('')
    table(
      io,
      ['HOLD', 'SEVERITY', 'ORIGIN', 'PLACED', 'STATE', 'REASON'],
      agent.holds.map((one) => [one.id, one.severity, one.origin, one.placedAt, stateOf(one), one.reason ?? '-']),
    )
  }
}
