import assert from 'node:assert/strict'
import type { ToolServer } from '../../src/core/tools.ts'
import type { StoreTest } from './contract.ts'

const server = (name: string, fields: Partial<ToolServer> = {}): ToolServer => ({
  name,
  origin: 'api',
  tools: [],
  createdAt: 1,
  updatedAt: 2,
  revision: 1,
  ...fields,
})

export const toolServerContract = (test: StoreTest): void => {
  test('a tool server comes back as it went in, after a restart too', async (store, opened) => {
    const full = server('crm', {
      description: 'the "CRM"',
      resource: 'https://mcp.contoso.com/crm',
      unlisted: 'use:crm',
      tools: [
        { name: 'toString', capability: 'read:ü', otherParameters: 'deny' },
        {
          name: 'x',
          capability: 'read:x',
          resource: { prefix: ['a', 'b'], optional: true },
          parameters: { '/a~1b': { enum: [1, null, true, 'é'], each: { min: 0.5 } } },
          otherParameters: 'allow',
        },
      ],
      revision: 7,
    })
    await store.write(async (tx) => {
      await tx.putToolServer(full)
      await tx.putToolServer(server('b'))
    })
    const again = await opened.reopen()
    for (const called of ['crm', 'https://mcp.contoso.com/crm']) assert.deepEqual(await again.toolServer(called), full)
    assert.deepEqual(await again.toolServer('b'), server('b'))
    for (const other of ['', 'CRM', 'https://mcp.contoso.com/crm/', 'https://mcp.contoso.com', '%']) {
      assert.equal(await again.toolServer(other), undefined, other)
    }
    const { resource, ...rest } = full
    await again.write((tx) => tx.putToolServer({ ...rest, revision: 8 }))
    assert.deepEqual(await again.toolServer('crm'), { ...rest, revision: 8 })
    assert.equal(await again.toolServer(resource ?? ''), undefined)
  })

  test('of two of one name or identifier that of the configuration is in force, until it is gone', async (store) => {
    const resource = 'urn:mcp:b'
    const own = server('b', { unlisted: 'use:b', resource })
    const configured = server('b', { origin: 'config', resource: 'urn:mcp:b2' })
    const rival = server('c', { origin: 'config', resource })
    await store.write(async (tx) => {
      for (const one of [own, configured, server('a'), rival]) await tx.putToolServer(one)
    })
    const listed = async (after: string, limit: number) =>
      (await store.toolServers(after, limit)).map(({ name, origin }) => `${name} ${origin}`)
    assert.deepEqual(await listed('', 9), ['a api', 'b config', 'c config'])
    assert.deepEqual(await listed('a', 1), ['b config'])
    assert.deepEqual(await store.toolServersFrom('api'), [server('a'), own])
    assert.deepEqual(await store.toolServer('b'), configured)
    assert.deepEqual(await store.toolServer('urn:mcp:b2'), configured)
    assert.deepEqual(await store.toolServer(resource), rival)
    await store.write((tx) => tx.dropToolServer('c', 'config'))
    assert.equal(await store.toolServer(resource), undefined, 'one that is not in force has no identifier either')
    await store.write((tx) => tx.dropToolServer('b', 'config'))
    assert.deepEqual(await store.toolServer(resource), own)
    await store.write((tx) => tx.putToolServer(rival))
    assert.deepEqual(await store.toolServer(resource), rival)
    await store.write((tx) => tx.dropToolServer('b', 'config'))
    assert.deepEqual(await listed('', 9), ['a api', 'b api', 'c config'])
  })
}
