import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { OpenAPIBackend } from 'openapi-backend'
import { startOktaOrg } from '../../sandbox/okta/index.ts'
import { seedContoso } from '../../sandbox/okta/seed.ts'
import { at, list, type Reply, send, text } from './client.ts'
import { newSigningKey, OktaClient, startEcho } from './oktaclient.ts'

const spec = new URL('../../../shared/specs/okta-management.openapi.json', import.meta.url)

/** The vendor's own description of the management API, where it lies beside the project. */
function description(): string | undefined {
  try {
    return readFileSync(spec, 'utf8')
  } catch (error) {
    if (at(error, 'code') === 'ENOENT') return undefined
    throw error
  }
}

const document = description()
const skip = document === undefined ? 'the description of the management API is not here' : false

/** The service writes `null` where the description has an optional field that is not nullable; its own samples do. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls)
  if (typeof value !== 'object' || value === null) return value
  const kept = Object.entries(value).filter(([, each]) => each !== null)
  return Object.fromEntries(kept.map(([name, each]) => [name, withoutNulls(each)]))
}

describe('answers of the sandbox against the description of the management API', { skip }, () => {
  it('lists, objects, writes and refusals', async () => {
    await using org = await startOktaOrg({ limits: false })
    await using echo = await startEcho()
    const key = await newSigningKey('RS256')
    const contoso = seedContoso(org, key.publicJwk)
    const client = OktaClient.admin(org)
    const api = new OpenAPIBackend({
      definition: JSON.parse(document ?? ''),
      quick: true,
      validate: true,
      ajvOpts: { strict: false, validateFormats: false },
    })
    await api.init()
    const check = async (method: string, path: string, body?: unknown): Promise<Reply> => {
      const reply = await client.call(method, path, body)
      const [bare = '', query = ''] = path.split('?')
      const headers = body === undefined ? {} : { 'content-type': 'application/json' }
      const request = { method, path: bare, query, headers, ...(body === undefined ? {} : { body }) }
      const operation = api.matchOperation(request)
      assert.ok(operation !== undefined, `no such call: ${method} ${path}`)
      const asked = api.validateRequest(request, operation)
      if (reply.status < 400) assert.deepEqual(asked.errors ?? [], [], `request ${method} ${path}`)
      if (reply.body === '') {
        const described = Object.keys(operation.responses ?? {})
        assert.ok(described.includes(String(reply.status)), `${reply.status} of ${method} ${path}`)
        return reply
      }
      const answered = api.validateResponse(withoutNulls(reply.body), operation, reply.status)
      assert.deepEqual(answered.errors ?? [], [], `answer of ${method} ${path}: ${JSON.stringify(reply.body)}`)
      return reply
    }

    const { analyst, reporter } = contoso.agents
    for (const path of ['users', 'users?limit=2', 'groups', 'apps', 'apps?limit=1', 'logs']) {
      assert.ok(list((await check('GET', `/api/v1/${path}`)).body).length > 0 || path === 'logs', path)
    }
    for (const id of [analyst, 'nobody']) await check('GET', `/api/v1/users/${id}`)
    await check('GET', `/api/v1/users/${analyst}/groups`)
    for (const [verb, status] of [
      ['suspend', 200],
      ['suspend', 400],
      ['unsuspend', 200],
      ['unlock', 403],
      ['deactivate', 200],
      ['activate?sendEmail=false', 200],
    ] as const) {
      assert.equal((await check('POST', `/api/v1/users/${analyst}/lifecycle/${verb}`)).status, status, verb)
    }
    const staged = org.addUser({ status: 'STAGED' })
    const activated = await check('POST', `/api/v1/users/${staged}/lifecycle/activate?sendEmail=false`)
    assert.match(text(at(activated.body, 'activationToken')), /^00T/)
    await check('POST', `/api/v1/users/${staged}/lifecycle/reactivate`)
    await check('DELETE', `/api/v1/users/${reporter}/sessions?oauthTokens=true&forgetDevices=true`)
    await check('DELETE', `/api/v1/users/${org.addUser()}`)

    const { customerData, imported } = contoso.groups
    await check('GET', `/api/v1/groups/${customerData}`)
    await check('GET', `/api/v1/groups/${customerData}/users?limit=200`)
    await check('PUT', `/api/v1/groups/${customerData}/users/${staged}`)
    await check('DELETE', `/api/v1/groups/${customerData}/users/${staged}`)
    await check('PUT', `/api/v1/groups/${imported}/users/${staged}`)

    for (const id of [contoso.bridge, contoso.analystApp, '0oanone']) await check('GET', `/api/v1/apps/${id}`)
    await check('POST', `/api/v1/apps/${contoso.analystApp}/lifecycle/deactivate`)
    await check('POST', `/api/v1/apps/${contoso.analystApp}/lifecycle/activate`)
    const jwks = `/api/v1/apps/${contoso.bridge}/credentials/jwks`
    const added = await check('POST', jwks, { ...(await newSigningKey('RS256')).publicJwk, use: 'sig' })
    const second = text(at(added.body, 'id'))
    await check('POST', jwks, { kty: 'RSA' })
    await check('GET', jwks)
    await check('GET', `${jwks}/${second}`)
    await check('POST', `${jwks}/${second}/lifecycle/deactivate`)
    await check('POST', `${jwks}/${second}/lifecycle/activate`)
    await check('DELETE', `${jwks}/${second}`)

    const hook = {
      name: 'bridge',
      events: { type: 'EVENT_TYPE', items: ['user.lifecycle.suspend'] },
      channel: { type: 'HTTP', version: '1.0.0', config: { uri: echo.url, headers: [] } },
    }
    const made = await check('POST', '/api/v1/eventHooks', hook)
    const path = `/api/v1/eventHooks/${text(at(made.body, 'id'))}`
    await check('GET', '/api/v1/eventHooks')
    await check('GET', path)
    await check('POST', `${path}/lifecycle/verify`)
    await check('PUT', path, hook)
    await check('POST', `${path}/lifecycle/deactivate`)
    await check('POST', `${path}/lifecycle/activate`)
    await check('POST', '/api/v1/eventHooks', { ...hook, events: { type: 'EVENT_TYPE', items: ['core.x'] } })

    const log = await check('GET', '/api/v1/logs?limit=1000')
    assert.ok(list(log.body).length > 15)
    await check('GET', '/api/v1/logs?limit=2000')
    org.throttleNext(1)
    assert.equal((await check('GET', '/api/v1/users')).status, 429)

    const operation = api.matchOperation({ method: 'GET', path: '/api/v1/users', headers: {} })
    assert.ok(operation !== undefined)
    const wrong = [{ id: 1, status: 'ASLEEP' }]
    assert.ok((api.validateResponse(wrong, operation, 200).errors ?? []).length > 0, 'the description checks nothing')
    assert.equal((await send(`${org.origin}/api/v1/users`)).status, 401)
  })
})
