import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { OpenAPIBackend } from 'openapi-backend'
import { type EntraTenant, startEntraTenant } from '../../sandbox/entra/index.ts'
import { seedContoso } from '../../sandbox/entra/seed.ts'
import { at, GraphClient, list, type Reply, send } from './client.ts'

const spec = new URL('../../../shared/specs/graph-v1.openapi.json', import.meta.url)

/** Microsoft's own description of Graph, where it lies beside the project. */
function description(): string | undefined {
  try {
    return readFileSync(spec, 'utf8')
  } catch (error) {
    if (at(error, 'code') === 'ENOENT') return undefined
    throw error
  }
}

const text = description()
const skip = text === undefined ? 'the Graph description is not here' : false

describe('answers of the sandbox against the Graph description', { skip }, () => {
  it('lists, objects, writes and refusals', async () => {
    await using tenant = await startEntraTenant()
    const contoso = seedContoso(tenant)
    const client = await GraphClient.signIn(
      tenant,
      'Directory.Read.All',
      'Application.ReadWrite.All',
      'User.ReadWrite.All',
    )
    const api = new OpenAPIBackend({
      definition: JSON.parse(text ?? ''),
      quick: true,
      validate: true,
      ajvOpts: { strict: false, validateFormats: false },
    })
    await api.init()
    const check = async (method: string, path: string, body?: unknown) => {
      const reply = await client.call(method, path, body)
      const [bare = '', query = ''] = path.split('?')
      const headers = body === undefined ? {} : { 'content-type': 'application/json' }
      const request = { method, path: bare, query, headers, ...(body === undefined ? {} : { body }) }
      const operation = api.matchOperation(request)
      assert.ok(operation !== undefined, `no such call: ${method} ${path}`)
      const asked = api.validateRequest(request, operation)
      if (reply.status < 400) assert.deepEqual(asked.errors ?? [], [], `request ${method} ${path}`)
      const answered = api.validateResponse(reply.body === '' ? undefined : reply.body, operation, reply.status)
      if (reply.status !== 204) assert.deepEqual(answered.errors ?? [], [], `answer of ${method} ${path}`)
      return reply
    }
    for (const collection of ['servicePrincipals', 'users', 'groups']) {
      const listed: Reply = await check('GET', `/${collection}`)
      assert.ok(list(at(listed.body, 'value')).length > 0)
      await check('GET', `/${collection}?$select=id,displayName&$top=5`)
      await check('GET', `/${collection}/${crypto.randomUUID()}`)
    }
    for (const id of [contoso.agents.analyst, contoso.classicAgent.id, contoso.blueprint.id]) {
      await check('GET', `/servicePrincipals/${id}`)
      assert.equal((await check('PATCH', `/servicePrincipals/${id}`, { accountEnabled: false })).status, 204)
    }
    for (const id of [contoso.sponsors.alice, contoso.agentUser]) {
      await check('GET', `/users/${id}`)
      assert.equal((await check('PATCH', `/users/${id}`, { accountEnabled: false })).status, 204)
    }
    await check('GET', `/groups/${contoso.groups.finance}`)
    assert.equal((await check('PATCH', `/users/${contoso.agentUser}`, { nope: 1 })).status, 400)
    const unauthorized = await fetchWithout(tenant)
    const operation = api.matchOperation({ method: 'GET', path: '/users', headers: {} })
    assert.ok(operation !== undefined)
    const wrong = { value: [{ id: 1, accountEnabled: 'yes' }] }
    assert.ok((api.validateResponse(wrong, operation, 200).errors ?? []).length > 0, 'the description checks nothing')
    assert.deepEqual(api.validateResponse(unauthorized.body, operation, 401).errors ?? [], [])
  })
})

function fetchWithout(tenant: EntraTenant): Promise<Reply> {
  return send(`${tenant.origin}/v1.0/users`)
}
