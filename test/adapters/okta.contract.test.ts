import { createServer } from 'node:http'
import { startOktaOrg } from '../../sandbox/okta/index.ts'
import type { HookRequest } from '../../src/core/adapter.ts'
import { adapterContract, type Rig } from '../contract/adapter.ts'
import { bench, HOOK_SECRET, nobody, pair } from './org.ts'
import { leaping } from './tenant.ts'

const API = /^(GET|POST|DELETE) \/api\/v1\//
const always = Number.POSITIVE_INFINITY

function event(org: string, id: string, secret: string | undefined): HookRequest {
  const body = {
    eventType: 'com.okta.event_hook',
    eventTypeVersion: '1.0',
    cloudEventsVersion: '0.1',
    source: `${org}/api/v1/eventHooks/who00000000000000001`,
    eventId: `e-${id}`,
    eventTime: '2026-11-21T10:00:00Z',
    contentType: 'application/json',
    data: {
      events: [
        {
          uuid: `u-${id}`,
          published: '2026-11-21T10:00:00Z',
          eventType: 'user.lifecycle.suspend',
          version: '0',
          outcome: { result: 'SUCCESS' },
          actor: { id: '00uadmin', type: 'User' },
          target: [{ id, type: 'User', alternateId: 'a@contoso.example', displayName: 'A' }],
        },
      ],
    },
  }
  return {
    method: 'POST',
    headers: secret === undefined ? {} : { authorization: secret },
    query: {},
    body: new TextEncoder().encode(JSON.stringify(body)),
  }
}

async function rig(): Promise<Rig> {
  const clock = leaping()
  const base = await bench({ pageSize: 2, clock })
  const { org, adapter, users, apps } = base
  const [first, second, ...more] = users(4)
  const [app] = apps(1)
  if (!first || !second || !app) throw new Error('the org is too small')
  const members = [first, ...more].map(({ id }) => id)
  const group = org.addGroup({ name: 'mapped', members })
  const others: (() => Promise<void> | void)[] = []
  const statuses = { throttled: 429, down: 500, forbidden: 403, auth: 401 }
  const kindOf = (id: string) => org.get(id)?.kind
  return {
    adapter,
    refs: [first, app, second],
    missing: { id: nobody, kind: 'user' },
    secrets: [HOOK_SECRET, String(pair.privateJwk.d), 'Bearer ey', 'eyJ'],
    logged: base.logged,
    setEnabled: async (id, enabled) => org.setEnabled(id, enabled),
    enabled: async (id) => org.get(id)?.enabled === true,
    remove: async (id) => (kindOf(id) === 'user' ? org.removeUser(id) : org.removeApp(id)),
    unreadable: async (id) =>
      void org.fail(new RegExp(`^GET /api/v1/(users|apps)/${id}`), { status: 403, times: always }),
    breakAll: async (how) => void org.fail(API, { status: statuses[how], times: always }),
    async heal() {
      org.clearFaults()
      // The limits of the org begin anew.
      await clock.sleep(120_000)
    },
    breakFeed: async () => void org.fail(/^GET \/api\/v1\/apps\?/, { status: 400 }),
    expire: async () => void (await clock.sleep(100 * 86_400_000)),
    group: {
      id: group,
      members,
      missing: '00g00000000000000000',
      break: async () => void org.fail(/^GET \/api\/v1\/groups\/.*after=/, { status: 400 }),
    },
    async hostileFeed() {
      let received = 0
      const server = createServer((_request, response) => {
        received += 1
        response.end('[]')
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      others.push(() => void server.close())
      const address = server.address()
      const port = typeof address === 'object' && address ? address.port : 0
      const headers = { Link: `<http://127.0.0.1:${port}/api/v1/users?after=x>; rel="next"` }
      org.fail(/^GET \/api\/v1\/users\?/, { status: 200, headers, body: [] })
      return () => received
    },
    tokens: {
      own: async (id) => org.issueToken({ server: 'default', userId: id, clientId: 'a-client-of-its-own' }),
      async neighbours(id) {
        const neighbour = await startOktaOrg()
        others.push(() => neighbour.close())
        const named = { server: 'default', userId: id, clientId: app.id }
        return [neighbour.issueToken(named), org.issueToken({ ...named, claims: { aud: neighbour.origin } })]
      },
    },
    hooks: {
      genuine: async (id) => event(org.origin, id, HOOK_SECRET),
      forged: async (id) => [event(org.origin, id, undefined), event(org.origin, id, 'guess')],
    },
    async [Symbol.asyncDispose]() {
      for (const end of others) await end()
      await base[Symbol.asyncDispose]()
    },
  }
}

adapterContract('okta', rig)
