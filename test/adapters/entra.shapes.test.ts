import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { OpenAPIBackend } from 'openapi-backend'
import type { SeenRequest } from '../../sandbox/entra/index.ts'
import { bench, signal } from './tenant.ts'

const spec = new URL('../../../shared/specs/graph-v1.openapi.json', import.meta.url)
const text = (() => {
  try {
    return readFileSync(spec, 'utf8')
  } catch {
    return undefined
  }
})()
const skip = text === undefined ? 'the Graph description is not here' : false

/** Calls that the description lacks, by the documentation they come from: casts, delta, `$batch`, members, the log. */
const undescribed =
  /^\/(\$batch|\w+\/delta|\w+(\([^)]*\))?(\/[0-9a-f-]{36})?\/microsoft\.graph\.|groups\/[^/]+\/transitiveMembers|auditLogs\/)/

describe('requests of the entra adapter against the Graph description', { skip }, () => {
  it('every call that is described is sent as described', async () => {
    await using it = await bench({ settings: { groups: {} } })
    const { tenant, adapter, blueprint, bridge } = it
    const agent = tenant.addAgentIdentity({ displayName: 'a', blueprintAppId: blueprint.appId })
    const refs = [
      { id: agent, kind: 'agentIdentity' },
      { id: tenant.addAgentUser({ displayName: 'u', identityParentId: agent }), kind: 'agentUser' },
      { id: tenant.addUser({ displayName: 'v' }), kind: 'user' },
      {
        id: tenant.addServicePrincipal({ displayName: 's', ownerIds: [bridge.servicePrincipalId] }),
        kind: 'servicePrincipal',
      },
    ]
    await adapter.lookup(refs, signal())
    for (const ref of refs) await adapter.accounts?.disable([ref], signal())
    await adapter.accounts?.disable(refs, signal())
    await adapter.accounts?.enable(refs, signal())
    await adapter.accounts?.log?.read({ from: 0, to: Date.now() }, signal())
    for await (const _ of adapter.changes(undefined, signal()));
    await adapter.check(signal())

    const api = new OpenAPIBackend({
      definition: JSON.parse(text ?? ''),
      quick: true,
      validate: true,
      ajvOpts: { strict: false, validateFormats: false },
    })
    await api.init()
    let described = 0
    for (const each of tenant.requests.filter((one) => one.surface === 'graph')) {
      assert.ok((each.status ?? 500) < 400, `${each.method} ${each.path} ${each.status}`)
      if (undescribed.test(each.path)) continue
      described += 1
      validate(api, each)
    }
    assert.ok(described >= 8)
  })
})

function validate(api: OpenAPIBackend, { method, path, body }: SeenRequest): void {
  const [bare = '', query = ''] = path.split('?')
  const headers = body === undefined ? {} : { 'content-type': 'application/json' }
  const request = { method, path: bare, query, headers, ...(body === undefined ? {} : { body }) }
  const operation = api.matchOperation(request)
  assert.ok(operation !== undefined, `no such call: ${method} ${path}`)
  assert.deepEqual(api.validateRequest(request, operation).errors ?? [], [], `${method} ${path}`)
}
