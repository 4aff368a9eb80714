import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { EntraTenant, SeenRequest } from '../../sandbox/entra/index.ts'
import { bridgeRoles } from '../../sandbox/entra/seed.ts'
import type { PrincipalRef, WriteResult } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'
import { until } from '../e2e/until.ts'
import { bench, never, signal } from './tenant.ts'

const always = Number.POSITIVE_INFINITY
const writes = (tenant: EntraTenant): readonly SeenRequest[] =>
  tenant.requests.filter((each) => each.method === 'PATCH')
const batches = (tenant: EntraTenant): readonly SeenRequest[] =>
  tenant.requests.filter((each) => each.path === '/$batch')
const isOn = (tenant: EntraTenant, id: string) => tenant.get(id)?.properties.accountEnabled === true

async function agents(count: number, options: Parameters<typeof bench>[0] = {}) {
  const base = await bench(options)
  const { tenant, blueprint, adapter } = base
  const refs = Array.from({ length: count }, (_, at): PrincipalRef => {
    const id = tenant.addAgentIdentity({ displayName: `agent ${at}`, blueprintAppId: blueprint.appId })
    return { id, kind: 'agentIdentity' }
  })
  const accounts = adapter.accounts
  assert.ok(accounts)
  return { ...base, [Symbol.asyncDispose]: () => base[Symbol.asyncDispose](), refs, accounts, first: refs[0]?.id ?? '' }
}
const ownSwitch = (result: WriteResult | undefined) => result?.before?.switches.find((each) => each.ours)?.state
const outcomes = (results: readonly WriteResult[]) =>
  results.map((each) => [each.outcome, each.before?.state === 'absent' ? 'absent' : ownSwitch(each)])

describe('entra writes', () => {
  it('one suspension is one fully serial batch: the read, then the write that depends on it', async () => {
    await using it = await agents(1)
    assert.deepEqual(outcomes(await it.accounts.disable(it.refs, signal())), [['done', 'on']])
    const [batch, ...more] = batches(it.tenant)
    assert.equal(more.length, 0)
    assert.deepEqual(batch?.headers['x-ms-throttle-priority'], 'High')
    assert.match(String(batch?.headers['client-request-id']), /^[0-9a-f-]{36}$/)
    const items = it.tenant.requests.filter((each) => each.batch === batch?.seq)
    assert.deepEqual(
      items.map((each) => [each.method, each.path.split('?')[0], each.status]),
      [
        ['GET', `/servicePrincipals/${it.first}/microsoft.graph.agentIdentity`, 200],
        ['PATCH', `/servicePrincipals/${it.first}/microsoft.graph.agentIdentity`, 204],
      ],
    )
    assert.ok(items.every((each) => each.headers.consistencylevel === undefined))
  })

  it('many are read in one parallel batch and written in the next, at most 20 each', async () => {
    await using it = await agents(45)
    it.tenant.setEnabled(it.refs[3]?.id ?? '', false)
    const results = await it.accounts.disable([...it.refs, { id: never, kind: 'agentIdentity' }], signal())
    assert.equal(results.length, 46)
    assert.equal(results.filter((each) => each.outcome === 'done' && ownSwitch(each) === 'on').length, 44)
    const rest = results.filter((each) => each.outcome === 'unsent')
    assert.deepEqual(rest.map((each) => each.before?.state).sort(), ['absent', 'disabled'])
    assert.equal(batches(it.tenant).length, 6)
    for (const batch of batches(it.tenant)) {
      const items = it.tenant.requests.filter((each) => each.batch === batch.seq)
      assert.ok(items.length <= 20)
      assert.equal(new Set(items.map((each) => each.method)).size, 1)
    }
    assert.ok(it.refs.every(({ id }) => !isOn(it.tenant, id)))
  })

  it('one that is off already is answered with what the read said', async () => {
    await using it = await agents(1)
    it.tenant.setEnabled(it.first, false)
    assert.deepEqual(outcomes(await it.accounts.disable(it.refs, signal())), [['done', 'off']])
  })

  it('absent: nothing is written', async () => {
    await using it = await agents(1)
    const results = await it.accounts.disable([{ id: never, kind: 'agentIdentity' }], signal())
    assert.deepEqual(outcomes(results), [['unsent', 'absent']])
  })

  it('a read that fails does not keep the write from being sent', async () => {
    await using it = await agents(2)
    it.tenant.fail(/^GET \/servicePrincipals/, { status: 500, times: always })
    assert.deepEqual(outcomes(await it.accounts.disable(it.refs.slice(0, 1), signal())), [['done', undefined]])
    assert.deepEqual(
      outcomes(await it.accounts.disable(it.refs, signal()))
        .flat()
        .filter(Boolean),
      ['done', 'done'],
    )
  })

  it('falls back once to the other spelling of the path, and remembers it', async () => {
    await using it = await agents(2)
    it.tenant.fail(/^PATCH \/servicePrincipals\/[0-9a-f-]+\/microsoft/, { status: 405, times: always })
    assert.deepEqual(outcomes(await it.accounts.disable(it.refs.slice(0, 1), signal())), [['done', 'on']])
    const before = writes(it.tenant).length
    assert.deepEqual(outcomes(await it.accounts.disable(it.refs.slice(1), signal())), [['done', 'on']])
    assert.equal(writes(it.tenant).length, before + 1)
    assert.equal(
      (await it.accounts.enable(it.refs, signal())).every((each) => each.outcome === 'done'),
      true,
    )
  })

  it('a lost answer is said to be lost and never sent again', async () => {
    await using it = await agents(1)
    it.tenant.fail('/$batch', { mode: 'reset-after-body' })
    const [result] = await it.accounts.disable(it.refs, signal())
    assert.equal(result?.outcome, 'lost')
    assert.equal(result?.error?.code, 'E_DIRECTORY_DOWN')
    assert.equal(writes(it.tenant).length, 1)
    assert.equal(isOn(it.tenant, it.first), false)
  })

  for (const [status, outcome] of [
    [502, 'lost'],
    [503, 'refused'],
    [403, 'refused'],
    [400, 'refused'],
  ] as const) {
    it(`${status} to the write means ${outcome}`, async () => {
      await using it = await agents(1)
      it.tenant.fail(/^PATCH/, { status, times: always })
      const [result] = await it.accounts.disable(it.refs, signal())
      assert.equal(result?.outcome, outcome)
      assert.equal(ownSwitch(result), 'on')
      // 400 may also mean that the path is spelled wrong: then the other spelling is tried, once.
      assert.equal(writes(it.tenant).length, status === 400 ? 2 : 1)
    })
  }

  it('an answer without the item is lost', async () => {
    await using it = await agents(1)
    it.tenant.fail('/$batch', { status: 200, body: { responses: [] } })
    assert.equal((await it.accounts.disable(it.refs, signal()))[0]?.outcome, 'lost')
  })

  it('aborted while on the wire is lost, before it unsent', async () => {
    await using it = await agents(1)
    await it.accounts.enable(it.refs, signal())
    const held = it.tenant.hold('/$batch')
    const stop = new AbortController()
    const pending = it.accounts.disable(it.refs, stop.signal)
    await held.reached()
    stop.abort()
    assert.equal((await pending)[0]?.outcome, 'lost')
    held.release()
    assert.equal((await it.accounts.enable(it.refs, stop.signal))[0]?.outcome, 'unsent')
  })

  it('an enable is sent once and never waits: throttled, it is handed back', async () => {
    await using it = await agents(1)
    it.tenant.fail(/^PATCH/, { status: 429, headers: { 'Retry-After': '0.249' } })
    const [first] = await it.accounts.enable(it.refs, signal())
    assert.deepEqual([first?.outcome, first?.error?.code], ['refused', 'E_DIRECTORY_THROTTLED'])
    assert.ok((first?.error?.retryAfterMs ?? 0) >= 1000)
    const [second] = await it.accounts.enable(it.refs, signal())
    assert.equal(second?.outcome, 'unsent')
    assert.ok((second?.error?.retryAfterMs ?? 0) > 0)
    assert.equal(writes(it.tenant).length, 1)
    assert.equal((await it.accounts.disable(it.refs, signal()))[0]?.outcome, 'done')
  })

  it('an enable asks whether it is still wanted when its turn on the wire has come, not before', async () => {
    await using it = await agents(14)
    const [enabling = { id: '', kind: '' }, ...others] = it.refs
    await it.accounts.enable([enabling], signal())
    const sent = writes(it.tenant).length
    // Every turn that an enable may have is taken: by reads, and by suspensions.
    const held = it.tenant.hold('/$batch')
    const before = batches(it.tenant).length
    const reads = others.slice(0, 10).map((ref) => it.adapter.lookup([ref], signal()))
    await until('ten reads are open', () => batches(it.tenant).length === before + 10)
    const suspensions = others.slice(10, 12).map((ref) => it.accounts.disable([ref], signal()))
    await until('twelve requests are open', () => batches(it.tenant).length === before + 12)
    let asked = 0
    let wanted = true
    const waiting = it.accounts.enable([enabling], signal(), async () => {
      asked += 1
      if (!wanted) throw new BridgeError('E_ABORTED', 'not any more')
    })
    await it.adapter.lookup([], signal())
    assert.equal(asked, 0)
    wanted = false
    held.release()
    assert.deepEqual(
      (await waiting).map(({ outcome, error }) => [outcome, error?.code]),
      [['unsent', 'E_ABORTED']],
    )
    await Promise.all([...reads, ...suspensions])
    assert.equal(asked, 1)
    assert.equal(writes(it.tenant).length, sent + 2, 'the two suspensions, and no enable')
  })

  it('never writes itself, a never-listed account, another kind or a malformed id', async () => {
    await using it = await agents(1, { settings: { never: [never], manage: { kinds: ['servicePrincipal'] } } })
    const refs: PrincipalRef[] = [
      { id: it.bridge.servicePrincipalId.toUpperCase(), kind: 'servicePrincipal' },
      { id: it.bridge.appId, kind: 'servicePrincipal' },
      { id: never, kind: 'servicePrincipal' },
      { id: it.first, kind: 'agentIdentity' },
      { id: "x')/owners", kind: 'servicePrincipal' },
    ]
    const results = await it.accounts.disable(refs, signal())
    assert.ok(results.every((each) => each.outcome === 'unsent'))
    assert.deepEqual(
      results.map((each) => each.error?.code),
      ['E_NEVER', 'E_NEVER', 'E_NEVER', 'E_KIND_REFUSED', 'E_PRINCIPAL_ID'],
    )
    assert.equal(batches(it.tenant).length, 0)
  })

  it('ends the sessions of a user it switched off, and does not mind when it may not', async () => {
    await using it = await agents(1)
    const user = it.tenant.addAgentUser({ displayName: 'u', identityParentId: it.first })
    const refs = [{ id: user, kind: 'agentUser' }]
    assert.deepEqual(outcomes(await it.accounts.disable(refs, signal())), [['done', 'on']])
    const revoked = await it.tenant.waitForRequest((each) => each.path.endsWith('/revokeSignInSessions'))
    assert.deepEqual([revoked.method, revoked.status], ['POST', 200])
    await using poor = await agents(0, { roles: bridgeRoles.filter((role) => role !== 'User.RevokeSessions.All') })
    const other = poor.tenant.addUser({ displayName: 'v' })
    const results = await poor.accounts.disable([{ id: other, kind: 'user' }], signal())
    assert.deepEqual(outcomes(results), [['done', 'on']])
    await until('the refusal is logged', () => /User\.RevokeSessions\.All/.test(poor.logged()))
  })

  it('names the permission to grant when it is refused', async () => {
    await using it = await agents(1, { roles: ['AgentIdentity.Read.All'] })
    const [result] = await it.accounts.disable(it.refs, signal())
    assert.deepEqual([result?.outcome, result?.error?.code], ['refused', 'E_DIRECTORY_FORBIDDEN'])
    assert.match(String(result?.error?.hint), /AgentIdentity\.EnableDisable\.All/)
  })

  it('without a token nothing is sent', async () => {
    await using it = await agents(1)
    it.tenant.setTokenEndpointDown(true)
    const [result] = await it.accounts.disable(it.refs, signal())
    assert.equal(result?.outcome, 'unsent')
    assert.equal(batches(it.tenant).length, 0)
  })
})
