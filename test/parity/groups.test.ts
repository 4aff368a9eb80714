import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { agentOf, isAllowed, principal, register } from '../e2e/agents.ts'
import { at, listAt, textAt } from '../e2e/json.ts'
import { until } from '../e2e/until.ts'
import { type Daemon, startWorld } from '../e2e/world.ts'

/**
 * What AGT's group sync does (its test_entra_graph.py), on the real daemon and the local tenant, which pages its answers
 * and answers late. docs/coming-from-agt.md has the table of all cases.
 */
const scope = 'https://graph.microsoft.com/.default'
const did = 'did:mesh:member'

const capabilitiesOf = async (daemon: Daemon): Promise<readonly string[]> =>
  listAt(await agentOf(daemon, did), 'capabilities')
    .map((one) => textAt(one, 'name'))
    .toSorted()

test('group sync of AGT, case by case', { timeout: 200_000 }, async (t: TestContext) => {
  await using world = await startWorld({}, { pageSize: 2 })
  const { tenant, contoso } = world
  const id = contoso.agents.scout
  const crowd = ['one', 'two', 'three', 'four', 'five'].map((displayName) =>
    tenant.addServicePrincipal({ displayName }),
  )
  const readers = tenant.addGroup({ displayName: 'readers', members: [...crowd, id] })
  const writers = tenant.addGroup({ displayName: 'writers', members: [id] })
  const strangers = tenant.addGroup({ displayName: 'not mapped', members: [id] })
  const empty = tenant.addGroup({ displayName: 'nobody', members: [] })
  tenant.settle()
  const groups = {
    [readers]: ['read:reports', 'read:customer-data'],
    [writers]: ['write:reports', 'read:reports'],
    [empty]: ['delete:reports'],
  }
  world.configure({ adapters: { contoso: { groups } } })
  await using daemon = await world.daemon()
  const { as } = daemon
  const account = { ...principal(id), scopes: [scope] }
  await register(as('registrar'), { did, name: 'x', capabilities: ['manual:cap'], principals: [account] })
  const both = ['manual:cap', 'read:customer-data', 'read:reports', 'write:reports']
  // Each group is believed when it was read, not all at once.
  await until(
    'both groups were read',
    async () =>
      (await capabilitiesOf(daemon)).join() === both.join() && isAllowed(daemon, { did, capability: 'write:reports' }),
    60_000,
  )

  await t.test(
    'G2, G8, G9, G11: every page is read; the union of mapped groups, each once, others give nothing',
    async () => {
      assert.deepEqual(await capabilitiesOf(daemon), both)
      const pages = tenant.requests.filter(({ path }) => path.includes(readers) && path.includes('skiptoken'))
      assert.ok(pages.length >= 2, 'six members at two a page')
      const read = tenant.requests.filter(({ path }) => path.startsWith(`/groups/${strangers}`))
      assert.deepEqual(read, [], 'a group that is not mapped is nobody’s business')
    },
  )

  await t.test('G10: each capability says what gives it, and a manual one is kept', async () => {
    const sources = Object.fromEntries(
      listAt(await agentOf(daemon, did), 'capabilities').map((one) => [
        textAt(one, 'name'),
        listAt(one, 'sources').map((source) => textAt(source, 'source')),
      ]),
    )
    assert.deepEqual(sources['manual:cap'], ['manual'])
    const given = [readers, writers].map((group) => `group:contoso/${group}`)
    assert.deepEqual(sources['read:reports']?.toSorted(), given.toSorted())
  })

  await t.test('G12: scopes are left as they were', async () => {
    assert.deepEqual(listAt(await agentOf(daemon, did), 'principals', 0, 'scopes'), [scope])
  })

  await t.test('G13: the audit log says which group changed what', async () => {
    const { body } = await as('alice').get(`/v1/audit?did=${encodeURIComponent(did)}`)
    const causes = listAt(body, 'items')
      .filter((one) => at(one, 'type') === 'capabilities.changed')
      .map((one) => at(one, 'details', 'cause'))
    for (const group of [readers, writers]) assert.ok(causes.includes(`group:contoso/${group}`), causes.join())
    assert.ok(causes.length <= 3, 'a pass that changes nothing is no entry')
  })

  await t.test('G4: a directory that forbids the reading takes nothing away, and says so', async () => {
    tenant.fail(/^GET \/groups\//, { status: 403, times: Number.POSITIVE_INFINITY })
    const failing = await until('the failure is told', async () => {
      const { body } = await as('alice').get('/v1/status')
      const error = at(listAt(body, 'adapters')[0], 'groups', 'lastError')
      return error !== null && error
    })
    assert.match(JSON.stringify(failing), /E_DIRECTORY_FORBIDDEN/)
    assert.deepEqual(await capabilitiesOf(daemon), both)
    tenant.clearFaults()
  })

  await t.test('AGT keeps what a group once gave; here leaving it takes that away', async () => {
    tenant.removeMember(writers, id)
    await until('it is gone', async () => !(await isAllowed(daemon, { did, capability: 'write:reports' })), 60_000)
    assert.deepEqual(await capabilitiesOf(daemon), both.slice(0, 3))
  })
})
