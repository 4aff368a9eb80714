import assert from 'node:assert/strict'
import { test } from 'node:test'
import { audience, soc } from '../engine/harness.ts'
import { faceWorld } from './faceworld.ts'

test('an answer tells what the token says of itself, its whole audience above all, and nothing of one that does not hold', async () => {
  await using faces = await faceWorld()
  const { world, post } = faces
  const did = await world.agent('a')
  const tokenOf = async (question: object): Promise<unknown> => (await post('/v1/decisions', question)).json?.token
  const aud = [audience, 'https://mcp.contoso.com/crm']
  const token = await faces.token({ sub: 'a', aud })
  const told = { adapter: 'north', audience: aud, scopes: [] }
  assert.partialDeepStrictEqual(await tokenOf({ token }), told)
  assert.equal(await tokenOf({ did }), null)
  assert.equal(await tokenOf({ token: `${token}x` }), null)
  assert.equal(await tokenOf({ token: await faces.token({ sub: 'a', aud: 'https://mcp.contoso.com/crm' }) }), null)
  const { json } = await post('/access/v1/evaluation', {
    subject: { type: 'token', id: token },
    action: { name: 'read' },
    resource: { type: 'capability', id: 'reports' },
  })
  assert.partialDeepStrictEqual(json, { context: { token: told } })
  await world.bridge.place(did, { severity: 'suspend', reason: 'case 4711' }, soc)
  assert.partialDeepStrictEqual(await tokenOf({ token }), told)
})
