import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { bridgeRoles } from '../../sandbox/entra/seed.ts'
import { codeOf } from '../../src/core/errors.ts'
import { type Bench, type BenchOptions, bench, leaping, never, signal } from './tenant.ts'

const open = (options: BenchOptions = {}) => bench({ roles: [...bridgeRoles, 'Policy.Read.All'], ...options })
const policiesOf = ({ adapter }: Bench) => {
  assert.ok(adapter.accessPolicies !== undefined)
  return adapter.accessPolicies
}
const asked = (it: Bench) => it.tenant.requests.filter(({ path }) => path.includes('conditionalAccess'))

describe('entra access policies', () => {
  it('is there and enforced, there and not, or absent', async () => {
    await using it = await open()
    const id = it.tenant.addPolicy({ displayName: 'Block agents' })
    const read = (one = id) => policiesOf(it).read(one, signal())
    assert.deepEqual(await read(), { name: 'Block agents', enforced: true })
    assert.equal(asked(it)[0]?.path, `/identity/conditionalAccess/policies/${id}?$select=id,displayName,state`)
    assert.deepEqual(await read(id.toUpperCase()), { name: 'Block agents', enforced: true })
    for (const state of ['disabled', 'enabledForReportingButNotEnforced'] as const) {
      it.tenant.setPolicyState(id, state)
      assert.deepEqual(await read(), { name: 'Block agents', enforced: false })
    }
    assert.equal(await read(never), undefined)
    it.tenant.removePolicy(id)
    assert.equal(await read(), undefined)
  })

  it('takes nothing but a GUID for an id, and sends nothing else', async () => {
    await using it = await open()
    const { vet } = policiesOf(it)
    assert.equal(vet(never), undefined)
    for (const id of ['', 'Block agents', `${never}/x`, `${never}?$select=id`, '../users']) {
      assert.equal(vet(id)?.code, 'E_ACCESS_POLICY', id)
    }
  })

  it('without the permission it is unread, and the hint names the permission', async () => {
    await using it = await bench()
    const id = it.tenant.addPolicy({ displayName: 'x' })
    await assert.rejects(policiesOf(it).read(id, signal()), (error: unknown) => {
      assert.equal(codeOf(error), 'E_DIRECTORY_FORBIDDEN')
      assert.match(error instanceof Error && 'hint' in error ? String(error.hint) : '', /Policy\.Read\.All/)
      return true
    })
    assert.equal(asked(it).length, 1)
    // Nobody who names no policy is asked for it.
    assert.ok((await it.adapter.check(signal())).every(({ text }) => !text.includes('Policy.Read.All')))
  })

  it('what is not an answer of Graph is never taken for absence', async () => {
    await using it = await open()
    const id = it.tenant.addPolicy({ displayName: 'x' })
    const path = /conditionalAccess/
    const code = async () =>
      policiesOf(it)
        .read(id, signal())
        .then(() => 'read', codeOf)
    it.tenant.fail(path, { status: 404, body: 'not here' })
    assert.equal(await code(), 'E_DIRECTORY_REFUSED')
    it.tenant.fail(path, { status: 400, body: { error: { code: 'BadRequest', message: '' } } })
    assert.equal(await code(), 'E_DIRECTORY_REFUSED')
    it.tenant.fail(path, { status: 200, body: { id: never, displayName: 'another', state: 'enabled' } })
    assert.equal(await code(), 'E_DIRECTORY_ANSWER')
    it.tenant.fail(path, { status: 200, body: { id, displayName: 'x' } })
    assert.equal(await code(), 'E_DIRECTORY_ANSWER')
    assert.equal(await code(), 'read')
  })

  it('keeps to one request a second, and outlasts a limit that others use up', async () => {
    const clock = leaping()
    await using it = await open({ clock, now: () => clock.now(), throttle: {} })
    const ids = Array.from({ length: 5 }, (_, n) => it.tenant.addPolicy({ displayName: `p${n}` }))
    const { read } = policiesOf(it)
    const begun = clock.mono()
    const found = await Promise.all(ids.map((id) => read(id, signal())))
    assert.deepEqual(
      found.map((one) => one?.name),
      ['p0', 'p1', 'p2', 'p3', 'p4'],
    )
    assert.deepEqual(
      asked(it).map(({ status }) => status),
      [200, 200, 200, 200, 200],
    )
    assert.ok(clock.mono() - begun >= 4000)
    it.tenant.throttleNext(2, { retryAfter: null, match: /conditionalAccess/ })
    assert.equal((await read(ids[0] ?? '', signal()))?.name, 'p0')
    it.tenant.throttleNext(3, { retryAfter: null, match: /conditionalAccess/ })
    await assert.rejects(read(ids[0] ?? '', signal()), { code: 'E_DIRECTORY_THROTTLED' })
    const gone = read(ids[0] ?? '', AbortSignal.abort())
    await assert.rejects(gone, { code: 'E_ABORTED' })
    assert.equal((await read(ids[0] ?? '', signal()))?.name, 'p0')
  })
})
