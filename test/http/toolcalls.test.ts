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

const define = async ({ server }: FaceWorld, name = 'crm', body: object = crm) => {
  const { status, text } = await server.ask(`/v1/toolservers/${name}`, { as: 'registrar', method: 'PUT', body })
  assert.ok(status === 201 || status === 200, text)
}

const decide = async ({ post }: FaceWorld, body: object) => {
  const { status, json, text } = await post('/v1/decisions', body)
  assert.equal(status, 200, text)
  return json
}

test('a call takes the capability that the rule of its tool names, on the server called by name or by its identifier', async () => {
  await using faces = await faceWorld()
  await define(faces)
  const did = await faces.world.agent('a', { capabilities: ['read:customers'] })
  for (const server of ['crm', resource]) {
    const { allow, checks, codes, grants } = (await decide(faces, { did, tool: 'get_customer', server })) ?? {}
    assert.deepEqual({ allow, codes }, { allow: true, codes: [] })
    assert.deepEqual(checks, ['mapping', 'holds', 'observed', 'capability', 'tool'])
    assert.partialDeepStrictEqual(grants, [{ did, capability: 'read:customers', source: 'manual' }])
  }
  const denied = async (body: object) => (await decide(faces, { did, ...body }))?.codes
  assert.deepEqual(await denied({ tool: 'set_credit', server: 'crm' }), ['R_CAPABILITY', 'R_PARAMETERS'])
  assert.deepEqual(await denied({ tool: 'drop_table', server: 'crm' }), ['R_TOOL'])
  assert.deepEqual(await denied({ tool: 'get_customer', server: 'erp' }), ['R_TOOL'])
  assert.deepEqual(await denied({ tool: 'get_customer', server: 'crm', capability: 'write:all' }), ['R_CAPABILITY'])
  const token = await faces.token({ sub: 'a' })
  assert.deepEqual((await decide(faces, { token, tool: 'get_customer', server: 'crm' }))?.checks, [
    'signature',
    'mapping',
    'holds',
    'release',
    'observed',
    'capability',
    'tool',
  ])
})
