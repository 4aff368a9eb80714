import { z } from 'zod'
import { applyOutages, controlled, orderedFault, orderedOutages, own } from '../controlling.ts'
import type { Answer } from '../faults.ts'
import type { Incoming } from '../incoming.ts'
import { Refusal } from './errors.ts'
import { userStatuses } from './model.ts'
import type { OktaOrg } from './org.ts'
import type { Verb } from './users.ts'
import { split } from './wire.ts'

const id = z.string()
const by = z.strictObject({ by: z.string().exactOptional() })
const user = z.strictObject({
  id: id.exactOptional(),
  login: z.string().exactOptional(),
  email: z.string().exactOptional(),
  firstName: z.string().exactOptional(),
  lastName: z.string().exactOptional(),
  status: z.enum(userStatuses).exactOptional(),
})
const key = z.looseObject({ kty: z.string(), kid: z.string() })
const role = z.enum(['SUPER_ADMIN', 'ORG_ADMIN', 'APP_ADMIN', 'READ_ONLY_ADMIN', 'REPORT_ADMIN'])
const rights = { roles: z.array(role).exactOptional(), permissions: z.array(z.string()).exactOptional() }
const app = z.strictObject({
  id: id.exactOptional(),
  label: z.string().exactOptional(),
  status: z.enum(['ACTIVE', 'INACTIVE']).exactOptional(),
  dpopBound: z.boolean().exactOptional(),
  keys: z.array(key).exactOptional(),
  scopes: z.array(z.string()).exactOptional(),
  ...rights,
})
const agent = z.strictObject({
  id: id.exactOptional(),
  name: z.string().exactOptional(),
  status: z.enum(['STAGED', 'ACTIVE', 'INACTIVE']).exactOptional(),
  ownerIds: z.array(id).exactOptional(),
})
const group = z.strictObject({
  id: id.exactOptional(),
  name: z.string().exactOptional(),
  type: z.enum(['OKTA_GROUP', 'APP_GROUP']).exactOptional(),
  members: z.array(id).exactOptional(),
})
const token = z.strictObject({
  server: id.exactOptional(),
  clientId: id,
  userId: id.exactOptional(),
  scopes: z.array(z.string()).exactOptional(),
  lifetimeMs: z.number().exactOptional(),
  claims: z.record(z.string(), z.unknown()).exactOptional(),
})
const hook = z.strictObject({
  url: z.url(),
  events: z.array(z.string()).min(1),
  secret: z.string().exactOptional(),
  header: z.string().exactOptional(),
})
const logout = z.strictObject({
  url: z.url(),
  clientId: id,
  userId: id,
  format: z.enum(['email', 'iss_sub']),
})
const throttle = z.strictObject({ count: z.int().min(1), concurrent: z.boolean().exactOptional() })
const rotation = z.strictObject({ server: id.exactOptional(), emergency: z.boolean().exactOptional() })
const member = z.strictObject({ memberId: id, by: z.string().exactOptional() })
const late = z.strictObject({ ms: z.int().min(0) })

type Handler = (org: OktaOrg, body: unknown, id: string) => unknown

const verb =
  (name: Verb): Handler =>
  (org, body, target) =>
    org.act(target, name, by.parse(body))

const changes: Readonly<Record<string, Handler>> = {
  suspend: verb('suspend'),
  unsuspend: verb('unsuspend'),
  activate: verb('activate'),
  deactivate: verb('deactivate'),
  reactivate: verb('reactivate'),
  unlock: verb('unlock'),
  'lock-out': (org, _body, target) => org.lockOut(target),
  'expire-password': (org, body, target) => org.expirePassword(target, by.parse(body)),
  'reset-password': (org, body, target) => org.resetPassword(target, by.parse(body)),
  disable: (org, body, target) => org.setEnabled(target, false, by.parse(body)),
  enable: (org, body, target) => org.setEnabled(target, true, by.parse(body)),
  remove: (org, body, target) => org.remove(target, by.parse(body)),
}

const posts: Readonly<Record<string, Handler>> = {
  users: (org, body) => ({ id: org.addUser(user.parse(body)) }),
  apps: (org, body) => ({ id: org.addApp(app.parse(body)) }),
  agents: (org, body) => ({ id: org.addAgent(agent.parse(body)) }),
  groups: (org, body) => ({ id: org.addGroup(group.parse(body)) }),
  tokens: (org, body) => ({ token: org.issueToken(token.parse(body)) }),
  hooks: async (org, body) => ({ id: await org.registerHook(hook.parse(body)) }),
  logouts: async (org, body) => ({ status: (await org.sendLogout(logout.parse(body))) ?? null }),
  settle: (org) => org.settle(),
  rotateKeys: (org, body) => org.rotateKeys(rotation.parse(body)),
  expireLogCursors: (org) => org.expireLogCursors(),
  delayLog: (org, body) => {
    org.delayLog(late.parse(body).ms)
  },
  throttle: (org, body) => {
    const { count, ...rest } = throttle.parse(body)
    org.throttleNext(count, rest)
  },
  faults: (org, body) => {
    const { path, ...rest } = orderedFault.parse(body)
    org.fail(path, rest)
  },
  clearFaults: (org) => org.clearFaults(),
  outages: (org, body) => applyOutages(org, orderedOutages.parse(body)),
}

const gets: Readonly<Record<string, Handler>> = {
  org: (org) => ({ origin: org.origin, orgId: org.orgId, admin: org.admin }),
  objects: (org) => org.accounts(),
  requests: (org) => org.requests,
  deliveries: (org) => org.deliveries,
  log: (org) => org.log,
}

/**
 * The control API, JSON on loopback, for a person with curl:
 *
 * - `GET /_sandbox/org` · `objects` · `objects/{id}` · `requests` · `deliveries` · `log`
 * - `POST /_sandbox/objects/{id}/suspend` (`unsuspend`, `activate`, `deactivate`, `reactivate`, `unlock`, `lock-out`,
 *   `expire-password`, `reset-password`; for any account `disable`, `enable`, `remove`), optionally
 *   `{"by": "<user or client id, or system>"}`
 * - `POST /_sandbox/groups/{id}/members` (`removeMember`) `{"memberId": "…"}`
 * - `POST /_sandbox/users` · `apps` · `agents` · `groups` · `tokens` · `hooks` · `logouts` · `settle` · `rotateKeys` ·
 *   `expireLogCursors` · `delayLog` · `throttle` · `faults` · `clearFaults` · `outages`, with the fields of the methods of
 *   `OktaOrg`
 *
 * `curl -X POST http://127.0.0.1:PORT/_sandbox/objects/ID/suspend`
 */
export async function serveControl(org: OktaOrg, request: Incoming): Promise<Answer> {
  const [, name = '', target = '', action = '', ...more] = split(request.path)?.segments ?? []
  const run = more.length > 0 ? undefined : handler(request.method, name, target, action)
  if (run === undefined) return { status: 404, headers: {}, body: { error: `no ${request.method} ${request.path}` } }
  return controlled(request.text, (body) => {
    try {
      return run(org, body, target)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      throw new Error([error.message, ...error.causes].join(': '), { cause: error })
    }
  })
}

function handler(method: string, name: string, target: string, action: string): Handler | undefined {
  if (method === 'GET' && name === 'objects' && target !== '' && action === '') return found
  if (method === 'GET' && target === '') return own(gets, name)
  if (method !== 'POST') return undefined
  if (target === '') return own(posts, name)
  if (name === 'objects') return own(changes, action)
  if (name !== 'groups' || (action !== 'members' && action !== 'removeMember')) return undefined
  return (org, body, groupId) => {
    const { memberId, ...rest } = member.parse(body)
    if (action === 'members') org.addMember(groupId, memberId, rest)
    else org.removeMember(groupId, memberId, rest)
  }
}

const found: Handler = (org, _body, target) => {
  const state = org.get(target)
  if (state === undefined) throw new Error(`there is no account ${target}`)
  return state
}
