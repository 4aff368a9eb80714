import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Adapter } from '../../src/core/adapter.ts'
import { bench } from './org.ts'
import { signal } from './tenant.ts'

async function members(adapter: Adapter, group: string): Promise<string[]> {
  const ids: string[] = []
  assert.ok(adapter.groups)
  for await (const page of adapter.groups.members(group, signal())) ids.push(...page)
  return ids
}

describe('okta groups', () => {
  it('lists the members of one group by its id, 200 a page, through every page', async () => {
    await using it = await bench({ pageSize: 3 })
    const users = it.users(10).map(({ id }) => id)
    const group = it.org.addGroup({ name: 'mapped', members: users })
    it.org.addGroup({ name: 'other', members: it.users(2).map(({ id }) => id) })
    assert.deepEqual((await members(it.adapter, group)).sort(), users.sort())
    const asked = it.org.requests.filter(({ surface }) => surface === 'api').map(({ path }) => path)
    assert.equal(asked[0], `/api/v1/groups/${group}/users?limit=200`)
    assert.equal(asked.length, 4, 'and nothing else')
    it.org.renameGroup(group, 'renamed')
    assert.equal((await members(it.adapter, group)).length, 10)
    assert.deepEqual(await members(it.adapter, it.org.addGroup({ name: 'empty' })), [])
  })

  it('a suspended member is one, a former one is not', async () => {
    await using it = await bench()
    const [stays, leaves] = it.users(2).map(({ id }) => id)
    assert.ok(stays && leaves)
    const group = it.org.addGroup({ members: [stays, leaves] })
    it.org.setEnabled(stays, false)
    it.org.removeMember(group, leaves)
    assert.deepEqual(await members(it.adapter, group), [stays])
  })

  it('a group that is gone, or not listed to its end, is a failure and never a short list', async () => {
    await using it = await bench({ pageSize: 2 })
    const group = it.org.addGroup({ members: it.users(6).map(({ id }) => id) })
    await assert.rejects(members(it.adapter, '00g00000000000000000'), {
      code: 'E_DIRECTORY_ANSWER',
      message: /00g00000000000000000/,
    })
    const faults = [
      [{ status: 500, times: 20 }, 'E_DIRECTORY_DOWN'],
      [{ status: 404 }, 'E_DIRECTORY_ANSWER'],
      [{ status: 403 }, 'E_DIRECTORY_FORBIDDEN'],
      [{ status: 200, body: { users: [] } }, 'E_DIRECTORY_ANSWER'],
      [{ status: 200, body: [{ login: 'x' }] }, 'E_DIRECTORY_ANSWER'],
      [{ altered: 'looping', times: 20 } as const, 'E_DIRECTORY_ANSWER'],
      [{ mode: 'truncate', times: 20 } as const, 'E_DIRECTORY_DOWN'],
    ] as const
    for (const [fault, code] of faults) {
      it.org.fail(/^GET \/api\/v1\/groups\/.*after=/, fault)
      await assert.rejects(members(it.adapter, group), { code }, JSON.stringify(fault))
      it.org.clearFaults()
    }
    it.org.removeGroup(group)
    await assert.rejects(members(it.adapter, group), { code: 'E_DIRECTORY_ANSWER' })
  })

  it('follows no link that leads elsewhere, and sends nothing there', async () => {
    await using it = await bench()
    await using elsewhere = await bench()
    const group = it.org.addGroup({ members: it.users(1).map(({ id }) => id) })
    const link = `<${elsewhere.org.origin}/api/v1/groups/${group}/users?after=x>; rel="next"`
    it.org.fail(/^GET \/api\/v1\/groups\//, { status: 200, body: [], headers: { link } })
    await assert.rejects(members(it.adapter, group), { code: 'E_OUTBOUND_ORIGIN' })
    assert.equal(elsewhere.org.requests.length, 0)
  })

  it('names the scope that is missing', async () => {
    await using it = await bench({ scopes: ['okta.users.read'] })
    const group = it.org.addGroup()
    await assert.rejects(members(it.adapter, group), { code: 'E_DIRECTORY_FORBIDDEN', hint: /okta\.groups\.read/ })
  })

  it('an id is one segment of the address, whatever it holds', async () => {
    await using it = await bench()
    await assert.rejects(members(it.adapter, '../users/00u'), { code: 'E_DIRECTORY_ANSWER' })
    assert.ok(it.org.requests.every(({ path }) => !/^\/api\/v1\/users/.test(path)))
  })
})
