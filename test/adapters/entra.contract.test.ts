import { createServer } from 'node:http'
import { startEntraTenant } from '../../sandbox/entra/index.ts'
import type { HookRequest } from '../../src/core/adapter.ts'
import { adapterContract, type Rig } from '../contract/adapter.ts'
import { AUDIENCE, bench, HOOK_KEY, never, SECRET } from './tenant.ts'

const GRAPH = /^(GET|POST|PATCH) \/(\$batch|servicePrincipals|users|groups|auditLogs)/
const always = Number.POSITIVE_INFINITY

function event(id: string, key: string | undefined): HookRequest {
  const body = {
    specversion: '1.0',
    id: `e-${id}`,
    source: '/agents/audit',
    type: 'Contoso.Directory.Audit',
    time: '2026-11-21T10:00:00Z',
    data: { objectId: id },
  }
  return {
    method: 'POST',
    headers: key === undefined ? {} : { 'x-bridge-key': key },
    query: {},
    body: new TextEncoder().encode(JSON.stringify(body)),
  }
}

async function rig(): Promise<Rig> {
  const base = await bench({ pageSize: 2 })
  const { tenant, adapter, bridge, blueprint } = base
  const agent = (displayName: string) => tenant.addAgentIdentity({ displayName, blueprintAppId: blueprint.appId })
  const first = agent('one')
  const classic = tenant.addServicePrincipal({ displayName: 'classic', ownerIds: [bridge.servicePrincipalId] })
  const parent = agent('parent')
  for (const name of ['two', 'three', 'four']) agent(name)
  const agentUser = tenant.addAgentUser({ displayName: 'agent user', identityParentId: parent })
  const inner = tenant.addGroup({ displayName: 'inner', members: [first, classic] })
  const outer = tenant.addGroup({ displayName: 'outer', members: [inner, agentUser, parent] })
  const others: (() => Promise<void> | void)[] = []
  const statuses = { throttled: 429, down: 500, forbidden: 403, auth: 401 }
  return {
    adapter,
    refs: [
      { id: first, kind: 'agentIdentity' },
      { id: classic, kind: 'servicePrincipal' },
      { id: agentUser, kind: 'agentUser' },
    ],
    missing: { id: never, kind: 'agentIdentity' },
    secrets: [SECRET, HOOK_KEY, 'Bearer ey', 'eyJ'],
    logged: base.logged,
    setEnabled: async (id, enabled) => tenant.setEnabled(id, enabled),
    enabled: async (id) => tenant.get(id)?.properties.accountEnabled === true,
    remove: async (id) => tenant.remove(id),
    unreadable: async (id) =>
      void tenant.fail(new RegExp(`^GET /(servicePrincipals|users)/${id}`), { status: 403, times: always }),
    async breakAll(how) {
      tenant.fail(GRAPH, {
        status: statuses[how],
        headers: how === 'throttled' ? { 'Retry-After': '1' } : {},
        times: always,
      })
    },
    heal: async () => tenant.clearFaults(),
    breakFeed: async () => void tenant.fail(/^GET \/users\/delta/, { status: 400 }),
    expire: async () => tenant.expireDelta(),
    group: {
      id: outer,
      members: [first, classic, agentUser, parent],
      missing: never,
      break: async () => void tenant.fail(/^GET \/groups\/.*skiptoken/, { status: 400 }),
    },
    async hostileFeed() {
      let received = 0
      const server = createServer((_request, response) => {
        received += 1
        response.end('{}')
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      others.push(() => void server.close())
      const address = server.address()
      const port = typeof address === 'object' && address ? address.port : 0
      const body = { value: [], '@odata.nextLink': `http://127.0.0.1:${port}/v1.0/users/delta?$skiptoken=x` }
      tenant.fail(/^GET \/users\/delta/, { status: 200, body })
      return () => received
    },
    tokens: {
      own: async (id) => tenant.issueToken({ kind: 'agent', id, audience: AUDIENCE }),
      async neighbours(id) {
        const neighbour = await startEntraTenant()
        others.push(() => neighbour.close())
        const { tenantId } = neighbour
        return [
          neighbour.issueToken({ kind: 'agent', id, audience: AUDIENCE }),
          neighbour.issueToken({ kind: 'agent', id, audience: AUDIENCE, version: 'v2' }),
          tenant.issueToken({ kind: 'agent', id, audience: AUDIENCE, claims: { tid: tenantId } }),
          tenant.issueToken({ kind: 'agent', id, audience: AUDIENCE, claims: { tid: undefined } }),
        ]
      },
    },
    hooks: {
      genuine: async (id) => event(id, HOOK_KEY),
      forged: async (id) => [event(id, undefined), event(id, 'guess')],
    },
    async [Symbol.asyncDispose]() {
      for (const end of others) await end()
      await base[Symbol.asyncDispose]()
    },
  }
}

adapterContract('entra', rig)
