import assert from 'node:assert/strict'
import { test } from 'node:test'
import { writtenServer } from '../../src/core/tools.ts'
import { defineConfiguredServers } from '../../src/engine/toolservers.ts'
import { registrar } from '../engine/harness.ts'
import { verifierWorld } from './verifierworld.ts'

const resource = 'https://mcp.contoso.com/crm'
const rule = (capability: string) => ({ capability, otherParameters: 'deny' as const })

test('of two tool servers with one name, or one resource identifier, the one of the file counts here as in the bridge', async () => {
  await using of = await verifierWorld()
  const { world } = of
  const did = await world.agent('a', { capabilities: ['read:x'] })
  const put = (name: string, given: Partial<Parameters<typeof writtenServer>[0]>) =>
    world.bridge.defineToolServer(name, writtenServer({ unlisted: 'deny', tools: {}, ...given }), registrar, undefined)
  const configure = (given: Readonly<Record<string, Partial<Parameters<typeof writtenServer>[0]>>>) =>
    defineConfiguredServers(
      world.deps,
      new Map(
        Object.entries(given).map(([name, one]) => [name, writtenServer({ unlisted: 'deny', tools: {}, ...one })]),
      ),
    )
  const codes = async (server: string, parameters: Record<string, unknown> = {}) => {
    await of.rest()
    const request = { did, tool: 'get', server, parameters }
    const local = await of.local(request)
    assert.deepEqual(local, await of.remote(request))
    return Object(local).codes.join()
  }
  await put('crm', {
    resource,
    tools: { get: { ...rule('read:x'), parameters: { '/n': { type: 'integer', max: 10 } } } },
  })
  await put('z', { unlisted: 'read:x' })
  assert.deepEqual([await codes('crm', { n: 3 }), await codes(resource, { n: 3 })], ['', ''])
  assert.deepEqual([await codes('crm', { n: 30 }), await codes('crm', { m: 3 })], ['R_PARAMETERS', 'R_PARAMETERS'])
  // Before and after the other in the order of names.
  for (const name of ['a', 'd']) {
    await configure({ [name]: { resource, unlisted: 'write:y' } })
    assert.deepEqual([await codes('crm', { n: 3 }), await codes(resource, { n: 3 })], ['', 'R_CAPABILITY'])
  }
  await configure({ crm: {} })
  assert.deepEqual([await codes('crm', { n: 3 }), await codes(resource, { n: 3 })], ['R_TOOL', 'R_TOOL'])
  await configure({})
  assert.deepEqual([await codes('crm', { n: 3 }), await codes('z')], ['', ''])
  await world.bridge.removeToolServer('crm', registrar, undefined)
  assert.deepEqual([await codes('crm', { n: 3 }), await codes(resource), await codes('z')], ['R_TOOL', 'R_TOOL', ''])
})
