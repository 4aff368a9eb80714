import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { OpenAPIBackend } from 'openapi-backend'
import type { SeenRequest } from '../../sandbox/okta/index.ts'
import { until } from '../e2e/until.ts'
import { bench, withAgents } from './org.ts'
import { signal } from './tenant.ts'

const spec = new URL('../../../shared/specs/okta-management.openapi.json', import.meta.url)
const text = (() => {
  try {
    return readFileSync(spec, 'utf8')
  } catch {
    return undefined
  }
})()
const skip = text === undefined ? 'the description of the Okta API is not here' : false

/** The beta API of AI agents is not in the public description. */
const undescribed = /^\/workload-principals\//

describe('requests of the okta adapter against the description of the API', { skip }, () => {
  it('every call that is described is sent as described', async () => {
    await using it = await bench(withAgents)
    const { org, adapter } = it
    const refs = [...it.users(2), ...it.apps(1), ...it.agents(1)]
    const group = org.addGroup({ members: refs.slice(0, 2).map(({ id }) => id) })
    await adapter.lookup(refs, signal())
    await adapter.accounts?.disable(refs.slice(0, 1), signal())
    await adapter.accounts?.disable(refs, signal(), true)
    await until('sessions are ended', () => org.requests.filter(({ method }) => method === 'DELETE').length === 2)
    await adapter.accounts?.enable(refs, signal())
    await adapter.accounts?.log?.read({ from: 0, to: Date.now() }, signal())
    for await (const _ of adapter.groups?.members(group, signal()) ?? []);
    let checkpoint: string | undefined
    for (const _ of [1, 2]) for await (const page of adapter.changes(checkpoint, signal())) checkpoint = page.checkpoint
    await adapter.check(signal())

    const api = new OpenAPIBackend({
      definition: JSON.parse(text ?? ''),
      quick: true,
      validate: true,
      ajvOpts: { strict: false, validateFormats: false },
    })
    await api.init()
    const described = new Set<string>()
    for (const each of org.requests.filter((one) => one.surface === 'api')) {
      assert.ok((each.status ?? 500) < 400, `${each.method} ${each.path} ${each.status}`)
      if (!undescribed.test(each.path)) described.add(validate(api, each))
    }
    assert.deepEqual([...described].sort(), [
      'activateApplication',
      'deactivateApplication',
      'getApplication',
      'getUser',
      'listApplications',
      'listGroupUsers',
      'listLogEvents',
      'listUsers',
      'revokeUserSessions',
      'suspendUser',
      'unsuspendUser',
    ])
  })
})

function validate(api: OpenAPIBackend, { method, path, body }: SeenRequest): string {
  const [bare = '', query = ''] = path.split('?')
  const headers = body === undefined ? {} : { 'content-type': 'application/json' }
  const request = { method, path: bare, query, headers, ...(body === undefined ? {} : { body }) }
  const operation = api.matchOperation(request)
  assert.ok(operation?.operationId !== undefined, `no such call: ${method} ${path}`)
  assert.deepEqual(api.validateRequest(request, operation).errors ?? [], [], `${method} ${path}`)
  const known = new Set((operation.parameters ?? []).flatMap((each) => ('name' in each ? [each.name] : [])))
  for (const name of new URLSearchParams(query).keys()) assert.ok(known.has(name), `${method} ${bare} has no ${name}`)
  return operation.operationId
}
