import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type FaceWorld, faceWorld } from './faceworld.ts'

const resource = 'https://mcp.contoso.com/crm'
const crm = {
  resource,
  tools: {
    get_customer: { capability: 'read:customers' },
    set_credit: {
      capability: 'write:credit',
      parameters: { '/customer': { prefix: 'c-' }, '/amount': { type: 'integer', min: 0, max: 1000 } },
    },
    read_file: { capability: 'read:files', resource: { prefix: 'file:///data/' } },
  },
}
const granted = ['read:customers', 'write:credit', 'read:files']
const path = '/v1/toolservers/crm'

const define = ({ server }: FaceWorld, body: object = crm) => server.ask(path, { as: 'registrar', method: 'PUT', body })

const worldWithCrm = async () => {
  const faces = await faceWorld()
  assert.equal((await define(faces)).status, 201)
  return { faces, did: await faces.world.agent('a', { capabilities: granted }) }
}

const decide = async ({ post }: FaceWorld, body: object) => {
  const { status, json, text } = await post('/v1/decisions', body)
  assert.equal(status, 200, text)
  return json
}

test('a tool server is defined, replaced, read, listed and removed, with its revision as ETag', async () => {
  await using faces = await faceWorld()
  const { server } = faces
  const first = await define(faces)
  assert.deepEqual([first.status, first.headers.etag], [201, '"1"'])
  const { tools } = crm
  const deny = { otherParameters: 'deny' }
  assert.partialDeepStrictEqual(first.json, {
    name: 'crm',
    origin: 'api',
    description: null,
    resource,
    unlisted: 'deny',
    tools: {
      get_customer: { ...tools.get_customer, ...deny },
      set_credit: { ...tools.set_credit, ...deny },
      read_file: { ...tools.read_file, ...deny },
    },
    revision: 1,
  })
  assert.deepEqual((await server.ask(path, { as: 'reader' })).json, first.json)
  const { tools: read } = first.json ?? {}
  assert.deepEqual((await define(faces, { ...crm, tools: read })).json, first.json, 'what is read can be put back')
  const second = await define(faces, { unlisted: 'use:crm', description: 'x', resource: null })
  assert.deepEqual([second.status, second.headers.etag], [200, '"2"'])
  assert.partialDeepStrictEqual(second.json, { unlisted: 'use:crm', resource: null, tools: {} })
  assert.deepEqual((await server.ask('/v1/toolservers?limit=1', { as: 'reader' })).json, {
    items: [second.json],
    nextCursor: null,
  })
  const change = (method: string, match: string) =>
    server.ask(path, {
      as: 'registrar',
      method,
      headers: { 'if-match': match },
      ...(method === 'PUT' && { body: {} }),
    })
  for (const method of ['PUT', 'DELETE']) {
    assert.equal((await change(method, '"9"')).json?.code, 'E_REVISION', method)
    assert.equal((await change(method, 'garbage')).status, 400, method)
  }
  assert.equal((await change('DELETE', '"2"')).status, 200)
  assert.equal((await change('PUT', '*')).status, 404)
  assert.equal((await server.ask(path, { as: 'reader' })).status, 404)
})

test('what is no definition is refused, with where', async () => {
  await using faces = await faceWorld()
  const tool = (rule: object) => ({ tools: { get: { capability: 'read:x', ...rule } } })
  const rows: readonly (readonly [object, string])[] = [
    [{ tools: { get: {} } }, '/tools/get/capability'],
    [{ tools: { get: { capability: 'read:*' } } }, '/tools/get/capability'],
    [{ tools: { get: { capability: 'read' } } }, '/tools/get/capability'],
    [{ tools: { ' get': { capability: 'read:x' } } }, '/tools/ get'],
    [{ unlisted: 'allow' }, '/unlisted'],
    [{ resource: 'https://MCP.contoso.com/' }, '/resource'],
    [{ tool: {} }, '/tool'],
    [tool({ parameters: { n: {} } }), '/tools/get/parameters/n'],
    [tool({ parameters: { '/n': { pattern: '(a+)+' } } }), '/tools/get/parameters/~1n/pattern'],
    [tool({ otherParameters: true }), '/tools/get/otherParameters'],
  ]
  for (const [body, pointer] of rows) {
    const { status, json, text } = await define(faces, body)
    assert.equal(status, 400, text)
    assert.ok(JSON.stringify(json?.errors).includes(JSON.stringify(pointer)), `${pointer}: ${text}`)
  }
  const twice = '{"tools":{"get":{"capability":"write:x"},"get":{"capability":"read:x"}}}'
  assert.equal((await faces.server.ask(path, { as: 'registrar', method: 'PUT', body: twice })).json?.code, 'E_JSON')
  for (const name of ['a%2Fb', 'urn:x', '%C3%A9', 'x'.repeat(65)]) {
    const answer = await faces.server.ask(`/v1/toolservers/${name}`, { as: 'registrar', method: 'PUT', body: {} })
    assert.equal(answer.status, 400, name)
  }
})

test('a call takes the capability that the rule of its tool names, on the server called by name or by its identifier', async () => {
  const { faces, did } = await worldWithCrm()
  await using _ = faces
  const one = await faces.world.agent('b', { capabilities: ['read:customers'] })
  for (const server of ['crm', resource]) {
    const answer = (await decide(faces, { did: one, tool: 'get_customer', server })) ?? {}
    assert.partialDeepStrictEqual(answer, {
      allow: true,
      codes: [],
      checks: ['mapping', 'holds', 'observed', 'capability', 'tool'],
      grants: [{ did: one, capability: 'read:customers', source: 'manual' }],
    })
  }
  const codes = async (body: object) => (await decide(faces, body))?.codes
  assert.deepEqual(await codes({ did: one, tool: 'set_credit', server: 'crm' }), ['R_CAPABILITY', 'R_PARAMETERS'])
  assert.deepEqual(await codes({ did: one, tool: 'drop_table', server: 'crm' }), ['R_TOOL'])
  assert.deepEqual(await codes({ did: one, tool: 'get_customer', server: 'erp' }), ['R_TOOL'])
  const both = { did: one, tool: 'get_customer', server: 'crm', capability: 'write:all' }
  assert.deepEqual(await codes(both), ['R_CAPABILITY'])
  const token = await faces.token({ sub: 'a' })
  const parameters = { customer: 'c-17', amount: 250 }
  const full = await decide(faces, { token, tool: 'set_credit', server: resource, parameters })
  const words = ['signature', 'mapping', 'holds', 'release', 'observed', 'capability', 'tool', 'parameters']
  assert.partialDeepStrictEqual(full, { allow: true, did, checks: words })
  const more = { ...parameters, amount: 1001 }
  assert.partialDeepStrictEqual(await decide(faces, { token, tool: 'set_credit', server: 'crm', parameters: more }), {
    allow: false,
    codes: ['R_PARAMETERS'],
    checks: words.slice(0, -1),
  })
})

test('half a question is none: a tool needs its server, and all else needs a tool', async () => {
  const { faces, did } = await worldWithCrm()
  await using _ = faces
  const rows: readonly (readonly [object, string])[] = [
    [{ tool: 'get_customer' }, '/server'],
    [{ server: 'crm' }, '/tool'],
    [{ resource: 'x' }, '/tool'],
    [{ parameters: {} }, '/tool'],
    [{ tool: '', server: 'crm' }, '/tool'],
    [{ tool: 'get_customer', server: 'crm', parameters: [] }, '/parameters'],
    [{ tool: 'get_customer', server: ['crm'] }, '/server'],
  ]
  for (const [body, pointer] of rows) {
    const { status, json } = await faces.post('/v1/decisions', { did, ...body })
    assert.equal(status, 400, JSON.stringify(body))
    assert.ok(JSON.stringify(json?.errors).includes(`"${pointer}"`), JSON.stringify(json))
  }
})

test('AuthZEN asks for the call of a tool as a resource of that type', async () => {
  const { faces, did } = await worldWithCrm()
  await using _ = faces
  const evaluate = async (id: string, properties: object | undefined, name = 'call') => {
    const asked = { subject: { type: 'agent', id: did }, action: { name }, resource: { type: 'tool', id, properties } }
    const { json, status, text } = await faces.post('/access/v1/evaluation', asked)
    assert.equal(status, 200, text)
    return JSON.stringify(json)
  }
  const allowed = /^\{"decision":true,.*"checks":\["mapping","holds","observed","capability","tool"(,"parameters")?\]/
  const parameters = { customer: 'c-1', amount: 1 }
  assert.match(await evaluate('get_customer', { server: 'crm' }), allowed)
  assert.match(await evaluate('get_customer', { server: resource }, 'tools/call'), allowed)
  assert.match(await evaluate('set_credit', { server: 'crm', parameters }), allowed)
  assert.match(await evaluate('read_file', { server: 'crm', resource: 'file:///data/x' }), allowed)
  const rows: readonly (readonly [string, string, object | undefined, string?])[] = [
    ['R_TOOL', 'get_customer', undefined],
    ['R_TOOL', 'get_customer', { server: 1 }],
    ['R_TOOL', 'get_customer', { server: 'crm' }, 'read'],
    ['R_TOOL', 'drop', { server: 'crm' }],
    ['R_PARAMETERS', 'set_credit', { server: 'crm' }],
    ['R_PARAMETERS', 'set_credit', { server: 'crm', parameters: { ...parameters, amount: 1.5 } }],
    ['R_PARAMETERS', 'get_customer', { server: 'crm', parameters: 'x' }],
    ['R_PARAMETERS', 'read_file', { server: 'crm', resource: { uri: 'file:///data/x' } }],
  ]
  for (const [code, id, properties, name] of rows) {
    const json = await evaluate(id, properties, name)
    assert.match(
      json,
      new RegExp(`^\\{"decision":false,.*"codes":\\["${code}"\\]`),
      `${id} ${JSON.stringify(properties)}`,
    )
  }
})

test('the policy query knows a call under every name that a backend gives its parts', async () => {
  const { faces, did } = await worldWithCrm()
  await using _ = faces
  const allows = async (input: object) => {
    const { json, text } = await faces.post('/v1/data/agentmesh/allow', { input: { agentDid: did, ...input } })
    assert.equal(typeof json?.result, 'boolean', text)
    return json?.result
  }
  const good = { customer: 'c-1', amount: 1 }
  const bad = { customer: 'c-1', amount: 1001 }
  for (const tool of ['tool', 'tool_name', 'toolName', 'ToolName']) {
    for (const server of ['server', 'server_name', 'serverName', 'ServerName', 'mcp_server', 'mcpServer']) {
      assert.equal(await allows({ [tool]: 'get_customer', [server]: 'crm' }), true, `${tool} ${server}`)
      assert.equal(await allows({ [tool]: 'drop', [server]: 'crm' }), false, `${tool} ${server}`)
    }
  }
  for (const name of ['params', 'parameters', 'arguments', 'args']) {
    assert.equal(await allows({ tool: 'set_credit', server: 'crm', [name]: good }), true, name)
    assert.equal(await allows({ tool: 'set_credit', server: 'crm', [name]: bad }), false, name)
  }
  assert.equal(await allows({ tool: 'read_file', server: 'crm', resource: 'file:///data/x' }), true)
  const denied = [
    { tool: 'get_customer' },
    { tool: 'get_customer', server: 'erp' },
    { tool: '', server: 'crm' },
    { tool: ['get_customer'], server: 'crm' },
    { tool: 'get_customer', server: { name: 'crm' } },
    { tool: 'get_customer', tool_name: 'set_credit', server: 'crm' },
    { tool: 'get_customer', server: 'crm', mcp_server: 'erp' },
    { tool: 'set_credit', server: 'crm', params: good, args: good },
    { tool: 'read_file', server: 'crm', resource: { uri: 'file:///data/x' } },
    { tool: 'get_customer', server: 'crm', action: 'write:all' },
  ]
  for (const input of denied) assert.equal(await allows(input), false, JSON.stringify(input))
  const plain = [
    { server: 'web-1', params: 'x', args: [] },
    { tool: null },
    { tool: 'get_customer', toolName: 'get_customer', server: 'crm' },
  ]
  for (const input of plain) assert.equal(await allows(input), true, JSON.stringify(input))
})

test('the annotator asks for the call that the manifest sets', async () => {
  const { faces, did } = await worldWithCrm()
  await using _ = faces
  const annotate = async (fields: object) => (await faces.post('/annotate', { input: did, fields })).json
  assert.partialDeepStrictEqual(await annotate({ tool: 'get_customer', server: 'crm' }), {
    allow: true,
    checks: ['mapping', 'holds', 'observed', 'capability', 'tool'],
  })
  assert.partialDeepStrictEqual(await annotate({ tool: 'get_customer' }), { allow: false, codes: ['R_TOOL'] })
  assert.partialDeepStrictEqual(await annotate({ server: 'crm' }), { allow: false, codes: ['R_TOOL'] })
  const set = { tool: 'set_credit', server: 'crm', parameters: { customer: 'd-1', amount: 1 } }
  assert.partialDeepStrictEqual(await annotate(set), { allow: false, codes: ['R_PARAMETERS'] })
})

test('a parameter whose name is written with an escape is seen, whatever the engine was made to read before', async () => {
  await using faces = await faceWorld()
  const parameters = { '/amount': { type: 'integer', max: 100, optional: true } }
  const loose = { capability: 'write:credit', parameters, otherParameters: 'allow' }
  assert.equal((await define(faces, { ...crm, tools: { loose } })).status, 201)
  const did = await faces.world.agent('a', { capabilities: granted })
  const codes = async (written: string) => {
    const body = `{"did":"${did}","tool":"loose","server":"crm","parameters":${written}}`
    const { json, text } = await faces.server.ask('/v1/decisions', { as: 'gateway', body })
    return { code: json?.code, codes: json?.codes, text }
  }
  const hidden = '{"to":"x","\\u0061mount":1000000}'
  assert.deepEqual((await codes('{"to":"x","amount":100}')).codes, [])
  assert.deepEqual((await codes(hidden)).codes, ['R_PARAMETERS'])
  assert.equal((await codes('{"to":"x","\\\\u0061":1}')).code, 'E_JSON')
  JSON.parse('{"to":"x","\\\\u0061":1}')
  assert.deepEqual((await codes(hidden)).codes, ['R_PARAMETERS'])
})
