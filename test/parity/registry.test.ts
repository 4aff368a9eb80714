import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { agentOf, assertAllowed, assertDenied, path, principal, register } from '../e2e/agents.ts'
import { at, listAt, textAt } from '../e2e/json.ts'
import { startWorld, type World } from '../e2e/world.ts'

/**
 * What AGT's Entra registry does (its test_entra_agent_id.py, A1–A22), asked of the real daemon. docs/coming-from-agt.md
 * has the table of all cases.
 */
const files = 'https://graph.microsoft.com/Files.Read'
const mail = 'https://graph.microsoft.com/Mail.Read'
const policyOf = ({ contoso }: World) => ({ adapter: 'contoso', id: contoso.policy })

test('the registry of AGT, case by case', { timeout: 120_000 }, async (t: TestContext) => {
  await using world = await startWorld()
  await using daemon = await world.daemon()
  const { as } = daemon
  const { contoso, tenant } = world
  const carol = 'carol@contoso.com'
  tenant.addUser({ displayName: 'Carol', userPrincipalName: carol })

  const account = (displayName: string) =>
    tenant.addAgentIdentity({ displayName, blueprintAppId: contoso.blueprint.appId })
  const fresh = async (more: { readonly principal?: object; readonly [key: string]: unknown } = {}) => {
    const { principal: over, ...members } = more
    const did = `did:mesh:${randomUUID().replaceAll('-', '')}`
    const id = account(did)
    tenant.settle()
    const body = { did, name: 'an agent', principals: [{ ...principal(id), ...over }], ...members }
    const answer = await register(as('registrar'), body)
    return { did, id, body, answer }
  }
  const hold = async (did: string, severity: string, by = 'runtime') => {
    const placed = await as(by).post(path(did, '/holds'), { severity, reason: 'an incident' })
    assert.equal(placed.status, 201, placed.text)
    return textAt(placed.body, 'id')
  }
  const release = (did: string, id: string, by = 'runtime') =>
    as(by).post(path(did, `/holds/${id}/release`), { reason: 'it is over' })
  const dids = async (query: string) => {
    const { status, body, text } = await as('alice').get(`/v1/agents?${query}`)
    assert.equal(status, 200, text)
    return listAt(body, 'items').map((one) => textAt(one, 'did'))
  }

  await t.test('A1: a minimal registration keeps its fields and is active', async () => {
    const { did, id, answer } = await fresh()
    assert.partialDeepStrictEqual(answer.body, { did, name: 'an agent', status: 'active', holds: [], capabilities: [] })
    assert.partialDeepStrictEqual(answer.body, { principals: [{ adapter: 'contoso', id, kind: 'agentIdentity' }] })
    await assertAllowed(daemon, { did })
  })

  await t.test('A2: capabilities and scopes are kept', async () => {
    const capabilities = ['read:reports', 'write:notes']
    const { answer } = await fresh({ capabilities, principal: { scopes: [mail, files] } })
    const names = listAt(answer.body, 'capabilities').map((one) => at(one, 'name'))
    assert.deepEqual(names, capabilities)
    assert.deepEqual(listAt(answer.body, 'principals', 0, 'scopes'), [mail, files])
  })

  await t.test('A3, A20: a blueprint gives its capabilities, and names the access policy that must exist', async () => {
    const definition = { capabilities: ['read:feeds'], accessPolicy: policyOf(world) }
    const put = await as('registrar').ask('/v1/blueprints/Reader', { method: 'PUT', body: definition })
    assert.equal(put.status, 201, put.text)
    assert.partialDeepStrictEqual(put.body, { accessPolicy: policyOf(world) })
    const { answer, did } = await fresh({ blueprint: 'Reader', capabilities: ['write:notes'] })
    assert.equal(at(answer.body, 'blueprint'), 'Reader')
    const names = listAt(answer.body, 'capabilities').map((one) => at(one, 'name'))
    assert.deepEqual(names.toSorted(), ['read:feeds', 'write:notes'])
    await assertAllowed(daemon, { did, capability: 'read:feeds' })
  })

  await t.test('A4, A12: suspended, then active again by whoever suspended it', async () => {
    const { did, answer } = await fresh()
    const id = await hold(did, 'suspend')
    const held = await agentOf(daemon, did)
    assert.equal(at(held, 'status'), 'suspended')
    assert.equal(at(held, 'createdAt'), at(answer.body, 'createdAt'), 'the same record')
    await assertDenied(daemon, { did })
    const done = await release(did, id)
    assert.equal(done.status, 200, done.text)
    assert.equal(at(done.body, 'status'), 'active')
    await assertAllowed(daemon, { did })
  })

  await t.test('A5, A13: disabled, by an operator, and not lifted by the one that only suspends', async () => {
    const { did } = await fresh()
    const id = await hold(did, 'disable', 'alice')
    assert.partialDeepStrictEqual(await agentOf(daemon, did), { status: 'suspended', severity: 'disable' })
    await assertDenied(daemon, { did })
    const refused = await release(did, id)
    assert.equal(refused.status, 403, refused.text)
    await assertDenied(daemon, { did })
  })

  await t.test('A6, A14, A15: a scope that was granted, and one that was not', async () => {
    const { did } = await fresh({ principal: { scopes: [files, mail] } })
    for (const scope of [files, mail]) await assertAllowed(daemon, { did, scope })
    await assertDenied(daemon, { did, scope: 'https://graph.microsoft.com/Sites.Read' }, 'R_SCOPE')
    const empty = await as('gateway').post('/v1/decisions', { did, scope: '' })
    assert.notEqual(at(empty.body, 'allow'), true, 'an empty scope is not a question that skips the check')
  })

  await t.test('A8: the audit log has the DID, the account, its tenant, status, capabilities and scopes', async () => {
    const { did, id } = await fresh({ capabilities: ['read:reports'], principal: { scopes: [files] } })
    await hold(did, 'suspend')
    const { body } = await as('alice').get(`/v1/audit?did=${encodeURIComponent(did)}`)
    const items = listAt(body, 'items')
    const entry = (type: string) => items.find((one) => at(one, 'type') === type)
    const principals = [{ adapter: 'contoso', id, realm: tenant.tenantId }]
    assert.partialDeepStrictEqual(entry('agent.registered'), { did, principals, scopes: [files] })
    assert.partialDeepStrictEqual(entry('capabilities.changed'), { did, capabilities: ['read:reports'] })
    assert.partialDeepStrictEqual(entry('hold.placed'), { did, principals, status: 'suspended' })
  })

  await t.test('A9, A10: found by its DID and by its account, in the directory that was named', async () => {
    const { did, id } = await fresh()
    assert.partialDeepStrictEqual(await agentOf(daemon, did), { principals: [{ adapter: 'contoso', id }] })
    const behind = await as('alice').get(`/v1/principals?adapter=contoso&id=${id}`)
    assert.equal(at(behind.body, 'did'), did)
    assert.equal((await as('alice').get(`/v1/principals?adapter=fabrikam&id=${id}`)).status, 404)
  })

  await t.test('A11: an unknown DID and an unknown account are 404', async () => {
    assert.equal((await as('alice').get(path(`did:mesh:${'0'.repeat(32)}`))).status, 404)
    assert.equal((await as('alice').get(`/v1/principals?adapter=contoso&id=${randomUUID()}`)).status, 404)
  })

  await t.test('A16: a suspended agent has no access, whatever it was granted', async () => {
    const { did } = await fresh({ principal: { scopes: [files] } })
    await assertAllowed(daemon, { did, scope: files })
    await hold(did, 'suspend')
    await assertDenied(daemon, { did, scope: files }, 'R_SUSPENDED')
  })

  await t.test('A17: nobody knows an unregistered DID, and it has no access', () =>
    assertDenied(daemon, { did: `did:mesh:${'f'.repeat(32)}`, scope: files }, 'R_UNKNOWN_DID'),
  )

  await t.test('A18, A19: listed by status and by sponsor', async () => {
    const sponsor = { email: carol }
    const first = await fresh({ sponsor, labels: { unit: 'listed' } })
    const second = await fresh({ sponsor, labels: { unit: 'listed' } })
    const third = await fresh({ sponsor: { email: 'dan@contoso.com' }, labels: { unit: 'listed' } })
    await hold(third.did, 'suspend')
    const query = 'label=unit%3Dlisted'
    assert.deepEqual((await dids(query)).toSorted(), [first.did, second.did, third.did].toSorted())
    assert.deepEqual((await dids(`${query}&status=active`)).toSorted(), [first.did, second.did].toSorted())
    assert.deepEqual(await dids(`${query}&status=suspended`), [third.did])
    const sponsored = (email: string) => dids(`sponsor=${encodeURIComponent(email)}`)
    assert.deepEqual((await sponsored(carol)).toSorted(), [first.did, second.did].toSorted())
    assert.deepEqual(await sponsored('dan@contoso.com'), [third.did])
  })

  await t.test('A21: a blueprint that asks for a sponsor refuses an agent without one', async () => {
    const put = await as('registrar').ask('/v1/blueprints/Sponsored', { method: 'PUT', body: { requireSponsor: true } })
    assert.equal(put.status, 201, put.text)
    const id = account('unsponsored')
    tenant.settle()
    const body = { did: 'did:mesh:unsponsored', name: 'x', blueprint: 'Sponsored', principals: [principal(id)] }
    for (const more of [{}, { sponsor: { email: '' } }]) {
      const refused = await as('registrar').post('/v1/agents', { ...body, ...more })
      assert.ok([400, 422].includes(refused.status), refused.text)
      assert.equal((await as('alice').get(path(body.did))).status, 404)
    }
    const refused = await as('registrar').post('/v1/agents', body)
    assert.deepEqual([refused.status, at(refused.body, 'code')], [422, 'E_SPONSOR'])
  })

  await t.test('A22: registered, suspended with its reason, resumed: in this order in the log', async () => {
    const { did } = await fresh()
    await release(did, await hold(did, 'suspend'))
    const { body } = await as('alice').get(`/v1/audit?did=${encodeURIComponent(did)}`)
    const told = ['agent.registered', 'hold.placed', 'hold.released']
    const events = listAt(body, 'items').filter((one) => told.includes(textAt(one, 'type')))
    assert.deepEqual(
      events.map((one) => at(one, 'type')),
      told,
    )
    assert.equal(at(events[1], 'text', 'reason'), 'an incident')
    const chain = await as('alice').get('/v1/audit/verify')
    assert.equal(at(chain.body, 'ok'), true, 'and nobody can change it unseen')
  })

  await t.test('registering again never resets an agent, and never takes an account over', async () => {
    const { did, id, body } = await fresh({ capabilities: ['read:reports'] })
    await hold(did, 'suspend')
    const again = await as('registrar').post('/v1/agents', body)
    assert.equal(again.status, 200, again.text)
    assert.equal(at(again.body, 'status'), 'suspended')
    const thief = { did: 'did:mesh:thief', name: 'thief', principals: [principal(id)] }
    const refused = await as('registrar').post('/v1/agents', thief)
    assert.deepEqual([refused.status, at(refused.body, 'code')], [409, 'E_PRINCIPAL_TAKEN'])
    assert.equal(textAt((await as('alice').get(`/v1/principals?adapter=contoso&id=${id}`)).body, 'did'), did)
  })

  await t.test(
    'G14, G16: an agent that nobody registered is not found; one without app id or held is told',
    async () => {
      const validate = (did: string) => as('alice').get(path(did, '/validate'))
      const codes = async (did: string) => listAt((await validate(did)).body, 'issues').map((one) => at(one, 'code'))
      assert.equal((await validate('did:mesh:nobody')).status, 404)
      const { did } = await fresh({ principal: { appId: undefined }, sponsor: { email: carol } })
      assert.deepEqual(await codes(did), ['V_NO_APP_ID'])
      await hold(did, 'suspend')
      assert.ok((await codes(did)).includes('V_SUSPENDED'))
    },
  )

  await t.test('G3: an account without an id is refused', async () => {
    const body = { did: 'did:mesh:nameless', name: 'x', principals: [principal('')] }
    const refused = await as('registrar').post('/v1/agents', body)
    assert.ok([400, 422].includes(refused.status), refused.text)
    assert.equal((await as('alice').get(path(body.did))).status, 404)
  })

  await t.test('G15: a complete agent has no issue', async () => {
    const { did } = await fresh({ sponsor: { email: carol } })
    const { body } = await as('alice').get(path(did, '/validate'))
    assert.deepEqual(body, { ok: true, issues: [], unproven: [] })
  })
})
