import { z } from 'zod'
import { applyOutages, controlled, orderedFault, orderedOutages, own } from '../controlling.ts'
import type { Answer } from '../faults.ts'
import type { Incoming } from '../incoming.ts'
import type { AwsCloud } from './cloud.ts'
import { Refusal } from './errors.ts'

const by = z.strictObject({ by: z.string().exactOptional() })
const document = z.looseObject({ Version: z.string() })
const role = z.strictObject({
  accountId: z.string().exactOptional(),
  name: z.string().exactOptional(),
  path: z.string().exactOptional(),
  tags: z.record(z.string(), z.string()).exactOptional(),
})
const user = z.strictObject({
  userName: z.string().exactOptional(),
  displayName: z.string().exactOptional(),
  email: z.string().exactOptional(),
})
const group = z.strictObject({ displayName: z.string().exactOptional(), members: z.array(z.string()).exactOptional() })
const token = z.strictObject({
  role: z.string(),
  audience: z.union([z.string(), z.array(z.string())]),
  alg: z.enum(['RS256', 'ES384']).exactOptional(),
  lifetimeMs: z.number().exactOptional(),
  claims: z.record(z.string(), z.unknown()).exactOptional(),
})
const session = z.strictObject({ role: z.string(), name: z.string().exactOptional() })
const policy = z.strictObject({ name: z.string(), document, by: z.string().exactOptional() })
const subscription = z.strictObject({ topicArn: z.string(), url: z.url() })
const throttle = z.strictObject({ count: z.int().min(1), path: z.string().exactOptional() })
const member = z.strictObject({ memberId: z.string(), by: z.string().exactOptional() })
const rotation = z.strictObject({ issuer: z.string(), emergency: z.boolean().exactOptional() })
const late = z.strictObject({ ms: z.int().min(0) })

type Handler = (cloud: AwsCloud, body: unknown, id: string) => unknown

const changes: Readonly<Record<string, Handler>> = {
  disable: (cloud, body, id) => cloud.setEnabled(id, false, by.parse(body)),
  enable: (cloud, body, id) => cloud.setEnabled(id, true, by.parse(body)),
  remove: (cloud, body, id) => cloud.remove(id, by.parse(body)),
  recreate: (cloud, body, id) => ({ id: cloud.recreateRole(id, by.parse(body)) }),
  policies: (cloud, body, id) => {
    const { document: text, name, ...rest } = policy.parse(body)
    cloud.putPolicy(id, name, text, rest)
  },
}

const posts: Readonly<Record<string, Handler>> = {
  roles: (cloud, body) => ({ id: cloud.addRole(role.parse(body)) }),
  users: (cloud, body) => ({ id: cloud.addUser(user.parse(body)) }),
  groups: (cloud, body) => ({ id: cloud.addGroup(group.parse(body)) }),
  tokens: (cloud, body) => ({ token: cloud.issueToken(token.parse(body)) }),
  sessions: (cloud, body) => {
    const { role: id, ...rest } = session.parse(body)
    return cloud.session(id, rest)
  },
  subscriptions: async (cloud, body) => {
    const { topicArn, url } = subscription.parse(body)
    return { arn: await cloud.subscribe(topicArn, url) }
  },
  settle: (cloud) => cloud.settle(),
  rotateKeys: (cloud, body) => {
    const { issuer, ...rest } = rotation.parse(body)
    cloud.rotateKeys(issuer, rest)
  },
  delayTrail: (cloud, body) => {
    cloud.delayTrail(late.parse(body).ms)
  },
  throttle: (cloud, body) => {
    const { count, path } = throttle.parse(body)
    cloud.throttleNext(count, path === undefined ? {} : { match: path })
  },
  faults: (cloud, body) => {
    const { path, ...rest } = orderedFault.parse(body)
    cloud.fail(path, rest)
  },
  clearFaults: (cloud) => cloud.clearFaults(),
  outages: (cloud, body) => applyOutages(cloud, orderedOutages.parse(body)),
}

const gets: Readonly<Record<string, Handler>> = {
  objects: (cloud) => cloud.accounts().map((each) => ({ ...each, status: each.deniedBy.join(', ') })),
  requests: (cloud) => cloud.requests,
  pushes: (cloud) => cloud.pushes,
  trail: (cloud) => cloud.trail.map(({ record }) => record),
}

/**
 * The control API, JSON on loopback, for a person with curl. Ids are principal ids, percent-encoded:
 *
 * - `GET /_sandbox/objects` · `objects/{id}` · `requests` · `pushes` · `trail`
 * - `POST /_sandbox/objects/{id}/disable` (`enable`, `remove`, `recreate`), optionally `{"by": "<name of an IAM user>"}`;
 *   `policies` `{"name": "…", "document": {…}}`
 * - `POST /_sandbox/groups/{id}/members` (`removeMember`) `{"memberId": "…"}`
 * - `POST /_sandbox/roles` · `users` · `groups` · `tokens` · `sessions` · `subscriptions` · `settle` · `rotateKeys` ·
 *   `delayTrail` · `throttle` · `faults` · `clearFaults` · `outages`, with the fields of the methods of `AwsCloud`
 */
export async function serveControl(cloud: AwsCloud, request: Incoming): Promise<Answer> {
  const [, name = '', target = '', action = '', ...more] = segmentsOf(request.path) ?? []
  const run = more.length > 0 ? undefined : handler(request.method, name, target, action)
  if (run === undefined) return { status: 404, headers: {}, body: { error: `no ${request.method} ${request.path}` } }
  return controlled(request.text, (body) => {
    try {
      return run(cloud, body, target)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      throw new Error(`${error.code}: ${error.message}`, { cause: error })
    }
  })
}

function segmentsOf(path: string): string[] | undefined {
  try {
    const [pathname = ''] = path.split('?', 1)
    return pathname
      .split('/')
      .filter((part) => part !== '')
      .map(decodeURIComponent)
  } catch {
    return undefined
  }
}

function handler(method: string, name: string, target: string, action: string): Handler | undefined {
  if (method === 'GET' && name === 'objects' && target !== '' && action === '') return found
  if (method === 'GET' && target === '') return own(gets, name)
  if (method !== 'POST') return undefined
  if (target === '') return own(posts, name)
  if (name === 'objects') return own(changes, action)
  if (name !== 'groups' || (action !== 'members' && action !== 'removeMember')) return undefined
  return (cloud, body, groupId) => {
    const { memberId, ...rest } = member.parse(body)
    if (action === 'members') cloud.addMember(groupId, memberId, rest)
    else cloud.removeMember(groupId, memberId, rest)
  }
}

const found: Handler = (cloud, _body, target) => {
  const state = cloud.get(target)
  if (state === undefined) throw new Error(`there is no account ${target}`)
  return state
}
