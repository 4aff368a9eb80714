import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { PrincipalRef, WriteResult } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'
import { until } from '../e2e/until.ts'
import { bench, nobody, type Org, type OrgOptions, permissions, withAgents } from './org.ts'
import { leaping, signal } from './tenant.ts'

const always = Number.POSITIVE_INFINITY
const unset: PrincipalRef = { id: '', kind: '' }

async function org(count: number, options: OrgOptions = {}) {
  const it = await bench(options)
  const { accounts } = it.adapter
  assert.ok(accounts)
  const refs = it.users(count)
  const [one = unset] = refs
  return { ...it, accounts, refs, one, [Symbol.asyncDispose]: () => it[Symbol.asyncDispose]() }
}
const ownSwitch = (result: WriteResult | undefined) => result?.before?.switches.find((each) => each.ours)?.state
const told = (result: WriteResult | undefined) => [result?.outcome, result?.error?.code]
/** What was asked of the API, without ids and queries. */
const asked = ({ org: { requests } }: Pick<Org, 'org'>) =>
  requests
    .filter(({ surface }) => surface === 'api')
    .map(({ method, path }) => `${method} ${path.replace(/\/(00u|0oa|wlp|wlo)\w{17}/g, '/$1').split('?')[0]}`)
const suspensions = (it: Pick<Org, 'org'>) => asked(it).filter((each) => each.endsWith('/suspend'))
const status = ({ org }: Pick<Org, 'org'>, id: string) => org.get(id)?.status

describe('okta suspends users', () => {
  it('reads, suspends, and ends sessions and tokens', async () => {
    await using it = await org(1)
    it.org.signIn(it.one.id)
    const token = it.org.issueToken({ clientId: it.bridge, userId: it.one.id, server: 'default' })
    const [result] = await it.accounts.disable(it.refs, signal())
    assert.deepEqual([result?.outcome, ownSwitch(result), result?.before?.byId], ['done', 'on', true])
    assert.equal(status(it, it.one.id), 'SUSPENDED')
    const ended = await it.org.waitForRequest(
      ({ method, status: answered }) => method === 'DELETE' && answered !== undefined,
    )
    assert.equal(ended.path, `/api/v1/users/${it.one.id}/sessions?oauthTokens=true&forgetDevices=true`)
    assert.equal(ended.status, 204)
    assert.deepEqual([it.org.sessionsOf(it.one.id), it.org.isActiveToken(token)], [0, false])
    assert.deepEqual(asked(it), [
      'GET /api/v1/users/00u',
      'POST /api/v1/users/00u/lifecycle/suspend',
      'DELETE /api/v1/users/00u/sessions',
    ])
  })

  it('many cost a read, a suspension and an end of sessions each, in bounded parallel and in this order', async () => {
    await using it = await org(60, { clock: leaping() })
    it.org.setLatency(5)
    let most = 0
    it.org.fail(
      () => {
        most = Math.max(most, it.org.requests.filter((each) => each.status === undefined).length)
        return false
      },
      { status: 500 },
    )
    const results = await it.accounts.disable(it.refs, signal(), true)
    assert.ok(results.every(({ outcome }) => outcome === 'done'))
    await until('the sessions are ended', () => asked(it).length === 180)
    assert.ok(
      asked(it).findLastIndex((each) => each.endsWith('suspend')) <
        asked(it).findIndex((each) => each.startsWith('DELETE')),
    )
    assert.ok(most > 3 && most <= 15, `${most} at once`)
    assert.ok(it.refs.every(({ id }) => status(it, id) === 'SUSPENDED'))
  })

  it('one that is off already, or gone, is not written', async () => {
    await using it = await org(2)
    const [first = unset, second = unset] = it.refs
    it.org.setEnabled(first.id, false)
    it.org.removeUser(second.id)
    const results = await it.accounts.disable([first, second, { id: nobody, kind: 'user' }], signal())
    assert.deepEqual(
      results.map(({ outcome, before, error }) => [outcome, before?.state, error]),
      [
        ['unsent', 'disabled', undefined],
        ['unsent', 'absent', undefined],
        ['unsent', 'absent', undefined],
      ],
    )
    assert.equal(suspensions(it).length, 0)
  })

  for (const [name, act, mend] of [
    ['LOCKED_OUT', (it: Org, id: string) => it.org.lockOut(id), /unlock/],
    ['PASSWORD_EXPIRED', (it: Org, id: string) => it.org.expirePassword(id), /reset the password/],
    ['RECOVERY', (it: Org, id: string) => it.org.resetPassword(id), /recovery/],
  ] as const) {
    it(`${name}: may still act and cannot be suspended: refused with what mends it, and never deactivated`, async () => {
      await using it = await org(1)
      act(it, it.one.id)
      const [result] = await it.accounts.disable(it.refs, signal())
      assert.deepEqual([result?.outcome, result?.before?.state], ['refused', 'enabled'])
      assert.equal(result?.error?.code, 'E_DIRECTORY_REFUSED')
      assert.ok(result?.error?.message.includes(name))
      assert.match(String(result?.error?.hint), mend)
      assert.equal(status(it, it.one.id), name)
      // Read again afterwards: the words of the refusal do not tell which status it is.
      assert.deepEqual(asked(it).at(-1), 'GET /api/v1/users/00u')
      assert.equal(asked(it).filter((each) => each.startsWith('DELETE')).length, 0)
    })
  }

  it('STAGED, PROVISIONED, DEPROVISIONED: cannot act, off by a switch of others, and nothing is sent', async () => {
    await using it = await org(0)
    const refs = (['STAGED', 'PROVISIONED', 'DEPROVISIONED'] as const).map((name) => ({
      id: it.org.addUser({ status: name }),
      kind: 'user',
    }))
    for (const result of await it.accounts.disable(refs, signal())) {
      assert.deepEqual([result.outcome, result.before?.state, ownSwitch(result)], ['unsent', 'disabled', 'on'])
      assert.equal(result.error, undefined)
    }
    assert.equal(suspensions(it).length, 0)
  })

  it('suspended by somebody else between our read and our write: theirs, as the reading after it says', async () => {
    await using it = await org(1)
    const held = it.org.hold(/^POST .*suspend$/)
    const pending = it.accounts.disable(it.refs, signal())
    await held.reached()
    it.org.setEnabled(it.one.id, false)
    held.release()
    const [result] = await pending
    assert.deepEqual([...told(result), ownSwitch(result)], ['refused', 'E_DIRECTORY_REFUSED', 'off'])
    assert.equal(asked(it).filter((each) => each.startsWith('DELETE')).length, 0)
  })

  it('an id that Okta takes for somebody else’s login is not written', async () => {
    await using it = await org(2)
    const [, other = unset] = it.refs
    const body = { id: other.id, status: 'ACTIVE' }
    it.org.fail(`/api/v1/users/${it.one.id}`, { status: 200, body, times: always })
    for (const bulk of [false, true]) {
      const [result] = await it.accounts.disable([it.one], signal(), bulk)
      assert.deepEqual([...told(result), result?.before], ['unsent', 'E_DIRECTORY_ANSWER', undefined])
    }
    assert.equal(suspensions(it).length, 0)
  })

  it('a lost answer is said to be lost and never sent again', async () => {
    await using it = await org(1)
    it.org.fail(/^POST .*suspend$/, { mode: 'reset-after-body' })
    const [result] = await it.accounts.disable(it.refs, signal())
    assert.deepEqual(told(result), ['lost', 'E_DIRECTORY_DOWN'])
    assert.equal(suspensions(it).length, 1)
    assert.equal(status(it, it.one.id), 'SUSPENDED')
  })

  for (const [code, outcome, error] of [
    [500, 'lost', 'E_DIRECTORY_DOWN'],
    [502, 'lost', 'E_DIRECTORY_DOWN'],
    [504, 'lost', 'E_DIRECTORY_DOWN'],
    [403, 'refused', 'E_DIRECTORY_FORBIDDEN'],
    [400, 'refused', 'E_DIRECTORY_REFUSED'],
    [409, 'refused', 'E_DIRECTORY_REFUSED'],
    [429, 'refused', 'E_DIRECTORY_THROTTLED'],
    [401, 'refused', 'E_DIRECTORY_AUTH'],
  ] as const) {
    it(`${code} to the write means ${outcome}`, async () => {
      await using it = await org(1)
      it.org.fail(/^POST .*suspend$/, { status: code, times: always })
      const [result] = await it.accounts.disable(it.refs, signal())
      assert.deepEqual([...told(result), ownSwitch(result)], [outcome, error, 'on'])
      assert.equal(suspensions(it).length, code === 401 ? 2 : 1)
      assert.equal(status(it, it.one.id), 'ACTIVE')
    })
  }

  it('503 is lost, but for the read-only mode of an org, in which nothing changes', async () => {
    await using it = await org(1)
    for (const [code, outcome] of [
      ['E0000009', 'lost'],
      ['E0000010', 'refused'],
    ] as const) {
      it.org.fail(/^POST .*suspend$/, { status: 503, code, message: 'x' })
      assert.deepEqual(told((await it.accounts.disable(it.refs, signal()))[0]), [outcome, 'E_DIRECTORY_DOWN'])
    }
    it.org.fail(/^POST .*suspend$/, { status: 503, body: '<html>a proxy</html>' })
    assert.deepEqual(told((await it.accounts.disable(it.refs, signal()))[0]), ['lost', 'E_DIRECTORY_DOWN'])
  })

  it('aborted while on the wire is lost, before it unsent', async () => {
    await using it = await org(1)
    await it.adapter.lookup(it.refs, signal())
    const held = it.org.hold(/^POST .*suspend$/)
    const stop = new AbortController()
    const pending = it.accounts.disable(it.refs, stop.signal)
    await held.reached()
    stop.abort()
    assert.deepEqual(told((await pending)[0]), ['lost', 'E_ABORTED'])
    held.release()
    assert.deepEqual(told((await it.accounts.disable(it.refs, stop.signal))[0]), ['unsent', 'E_ABORTED'])
  })

  it('no room for the reading: a single one is suspended unread, those of many are handed back', async () => {
    await using it = await org(3, { limits: { perMinute: { user: 2 }, share: 1 } })
    await it.adapter.lookup(it.refs.slice(0, 1), signal())
    it.org.throttleNext(1, { match: /^GET \/api\/v1\/users\// })
    await assert.rejects(it.adapter.lookup(it.refs.slice(0, 1), signal()), { code: 'E_DIRECTORY_THROTTLED' })
    const [single = unset, ...many] = it.refs
    const [result] = await it.accounts.disable([single], signal())
    assert.deepEqual([result?.outcome, result?.before], ['done', undefined])
    for (const each of await it.accounts.disable(many, signal(), true)) {
      assert.deepEqual(told(each), ['unsent', 'E_DIRECTORY_THROTTLED'])
      assert.ok((each.error?.retryAfterMs ?? 0) > 1000)
    }
    assert.equal(suspensions(it).length, 1)
  })

  it('names the permission that is missing', async () => {
    await using it = await org(1, { permissions: ['okta.users.read'] })
    const [result] = await it.accounts.disable(it.refs, signal())
    assert.deepEqual(told(result), ['refused', 'E_DIRECTORY_FORBIDDEN'])
    assert.match(String(result?.error?.hint), /okta\.users\.manage.*okta\.users\.lifecycle\.suspend/)
  })

  it('never writes itself, a never-listed account, another kind, a login or a malformed id', async () => {
    await using it = await org(2, { settings: { never: [nobody], manage: { kinds: ['user', 'serviceApp'] } } })
    const website = it.org.addApp({ label: 'a website', applicationType: 'web' })
    const cases: [PrincipalRef, string][] = [
      [{ id: it.bridge, kind: 'serviceApp' }, 'E_NEVER'],
      [{ id: nobody, kind: 'user' }, 'E_NEVER'],
      [{ id: 'wlp00000000000000000', kind: 'aiAgent' }, 'E_KIND_REFUSED'],
      [{ id: it.one.id, kind: 'serviceApp' }, 'E_PRINCIPAL_ID'],
      [{ id: 'admin@contoso.example', kind: 'user' }, 'E_PRINCIPAL_ID'],
      [{ id: 'me', kind: 'user' }, 'E_PRINCIPAL_ID'],
      [{ id: `${it.one.id}/../${it.refs[1]?.id}`, kind: 'user' }, 'E_PRINCIPAL_ID'],
      // Its id does not tell that it is no service app: the reading before the write does.
      [{ id: website, kind: 'serviceApp' }, 'E_KIND_REFUSED'],
    ]
    const results = await it.accounts.disable(
      cases.map(([ref]) => ref),
      signal(),
    )
    assert.deepEqual(
      results.map(told),
      cases.map(([, code]) => ['unsent', code]),
    )
    assert.deepEqual(asked(it), ['GET /api/v1/apps/0oa'])
    assert.equal(it.adapter.vet({ id: website, kind: 'serviceApp' })?.code, 'E_KIND_REFUSED')
  })

  it('with manage.groups writes only their members, which apps never are', async () => {
    await using it = await org(2)
    const [member = unset, stranger = unset] = it.refs
    const group = it.org.addGroup({ members: [member.id] })
    const bounded = it.open({ manage: { groups: [group] } })
    const refs = [member, stranger, ...it.apps(1)]
    assert.deepEqual((await bounded.accounts?.disable(refs, signal()))?.map(told), [
      ['done', undefined],
      ['unsent', 'E_KIND_REFUSED'],
      ['unsent', 'E_KIND_REFUSED'],
    ])
    // Not known whom it may write: nobody is.
    it.org.fail('/api/v1/groups/', { status: 500, times: always })
    const blind = it.open({ manage: { groups: [group] } })
    assert.deepEqual((await blind.accounts?.disable([member], signal()))?.map(told), [['unsent', 'E_DIRECTORY_DOWN']])
  })

  it('never writes its own app under a client id of its own', async () => {
    await using it = await org(0)
    const [app = unset] = it.apps(1)
    const row = { id: app.id, status: 'ACTIVE', settings: { oauthClient: { application_type: 'service' } } }
    const body = { ...row, credentials: { oauthClient: { client_id: it.bridge } } }
    it.org.fail(`/api/v1/apps/${app.id}`, { status: 200, body })
    assert.deepEqual(told((await it.accounts.disable([app], signal()))[0]), ['unsent', 'E_NEVER'])
  })
})

describe('okta ends the sessions of whom it suspended', () => {
  const ends = (it: Pick<Org, 'org'>) => asked(it).filter((each) => each.startsWith('DELETE')).length

  it('until it is done, and no longer when the user was unsuspended meanwhile', async () => {
    await using it = await org(2, { clock: leaping() })
    it.org.signIn(it.one.id)
    it.org.fail(/^DELETE /, { status: 500, times: 3 })
    await it.accounts.disable([it.one], signal())
    await until('they are ended', () => it.org.sessionsOf(it.one.id) === 0 && ends(it) === 4)
    const [, other = unset] = it.refs
    const lift = it.org.fail(/^DELETE /, { status: 500, times: always })
    await it.accounts.disable([other], signal())
    await until('it was tried', () => ends(it) > 5)
    it.org.setEnabled(other.id, true)
    it.org.signIn(other.id)
    lift()
    const before = ends(it)
    await it.adapter.lookup([other], signal())
    await until('it was read that they are wanted again', () => asked(it).at(-1) === 'GET /api/v1/users/00u')
    assert.ok(ends(it) - before <= 1)
  })

  it('also when nobody heard that the suspension was done', async () => {
    await using it = await org(2, { clock: leaping() })
    const [, other = unset] = it.refs
    it.org.signIn(other.id)
    it.org.fail(/^POST .*suspend$/, { mode: 'reset-after-body' })
    assert.equal((await it.accounts.disable([it.one], signal()))[0]?.outcome, 'lost')
    await until('they are ended', () => ends(it) === 1)
    it.org.fail(/^POST .*suspend$/, { status: 500 })
    assert.equal((await it.accounts.disable([other], signal()))[0]?.outcome, 'lost')
    await until('it was read', () => asked(it).at(-1) === 'GET /api/v1/users/00u')
    await it.adapter.lookup([other], signal())
    assert.deepEqual([ends(it), it.org.sessionsOf(other.id)], [1, 1], 'it is on')
  })

  it('not while nobody can tell whether the user is still suspended', async () => {
    await using it = await org(1, { clock: leaping() })
    it.org.fail(/^DELETE /, { status: 500 })
    const lift = it.org.fail(/^GET /, { status: 503, times: always })
    await it.accounts.disable(it.refs, signal())
    const reads = () => asked(it).filter((each) => each.startsWith('GET')).length
    await until('it was read in vain', () => reads() > 10)
    assert.equal(ends(it), 1)
    lift()
    await until('they are ended', () => ends(it) === 2)
  })

  it('not of a user to be on again while others had their turn', async () => {
    await using it = await org(7, { clock: leaping() })
    const [single = unset, ...many] = it.refs
    const last = many.at(-1) ?? unset
    const held = it.org.hold(/^DELETE /)
    await it.accounts.disable(many, signal(), true)
    await until('four are being ended', () => ends(it) === 4)
    await it.accounts.enable([last], signal())
    held.release()
    await until('the others are ended', () => ends(it) >= 5)
    await it.accounts.disable([single], signal())
    await until('so is one after them', () =>
      it.org.requests.some((each) => each.path.includes(`${single.id}/sessions`)),
    )
    assert.ok(!it.org.requests.some((each) => each.path.includes(`${last.id}/sessions`)))
  })

  it('of one at once, while those of many wait until the suspensions have passed', async () => {
    await using it = await org(4, { clock: leaping() })
    const [single = unset, ...many] = it.refs
    const held = it.org.hold(new RegExp(`^POST /api/v1/users/${many[0]?.id}/`))
    const pending = it.accounts.disable(many, signal(), true)
    await held.reached()
    await it.accounts.disable([single], signal())
    const first = await it.org.waitForRequest(({ method, status: answered }) => method === 'DELETE' && answered === 204)
    assert.ok(first.path.includes(single.id))
    assert.equal(ends(it), 1)
    held.release()
    await pending
    await until('all are ended', () => ends(it) === 4)
  })

  it('not once the user is to be on again', async () => {
    await using it = await org(1, { clock: leaping() })
    const held = it.org.hold(/^DELETE /)
    await it.accounts.disable(it.refs, signal())
    await held.reached()
    await it.accounts.enable(it.refs, signal())
    it.org.fail(/^DELETE /, { status: 500, times: always })
    held.release()
    const before = ends(it)
    await it.accounts.disable(it.refs, signal())
    await until('owed anew', () => ends(it) > before + 1)
    await it.accounts.enable(it.refs, signal())
    const after = ends(it)
    await it.adapter.lookup(it.refs, signal())
    assert.ok(ends(it) <= after + 1)
  })

  it('not when the user was switched on while it was read whether to', async () => {
    await using it = await org(2, { clock: leaping() })
    const [, other = unset] = it.refs
    it.org.fail(/^DELETE /, { status: 500 })
    let reads = 0
    const second = Promise.withResolvers<void>()
    const isSecond = ({ method }: { method: string }) => {
      reads += method === 'GET' ? 1 : 0
      if (reads === 2) second.resolve()
      return reads === 2
    }
    // The reading before the repetition: what it says is decided at its begin, and takes seconds to arrive.
    it.org.fail(isSecond, { mode: 'drip', everyMs: 6 })
    await it.accounts.disable([it.one], signal())
    await second.promise
    await it.accounts.enable([it.one], signal())
    it.org.signIn(it.one.id)
    // What is owed for another is paid after it.
    await it.accounts.disable([other], signal())
    await it.org.waitForRequest(({ method, path }) => method === 'DELETE' && path.includes(other.id), 60_000)
    assert.deepEqual([ends(it), it.org.sessionsOf(it.one.id)], [2, 1])
  })

  it('says so when it may not, and suspends all the same', async () => {
    const poor = permissions.filter((each) => !each.endsWith('clearSessions'))
    await using it = await org(2, { permissions: poor })
    const results = await it.accounts.disable(it.refs, signal())
    assert.ok(results.every(({ outcome }) => outcome === 'done'))
    await until('the refusal is logged', () => /okta\.users\.lifecycle\.clearSessions/.test(it.logged()))
  })
})

describe('okta switches on', () => {
  it('unsuspends; what is on already is done; what is off by others stays off', async () => {
    await using it = await org(3)
    const [first = unset, second = unset, third = unset] = it.refs
    await it.accounts.disable([first], signal())
    it.org.act(third.id, 'deactivate')
    const results = await it.accounts.enable([first, second, third], signal())
    assert.deepEqual(
      results.map(({ outcome }) => outcome),
      ['done', 'done', 'done'],
    )
    assert.deepEqual(
      it.refs.map(({ id }) => status(it, id)),
      ['ACTIVE', 'ACTIVE', 'DEPROVISIONED'],
    )
  })

  it('a refusal that the reading after it does not explain stays one', async () => {
    await using it = await org(1)
    await it.accounts.disable(it.refs, signal())
    it.org.fail(/unsuspend$/, { status: 400, times: 2 })
    const [refused] = await it.accounts.enable(it.refs, signal())
    assert.deepEqual(told(refused), ['refused', 'E_DIRECTORY_REFUSED'])
    it.org.fail(/^GET /, { status: 500 })
    assert.deepEqual(told((await it.accounts.enable(it.refs, signal()))[0]), ['refused', 'E_DIRECTORY_REFUSED'])
  })

  it('is sent once and never waits: throttled, it is handed back, while a suspension goes on', async () => {
    await using it = await org(2)
    const [first = unset, second = unset] = it.refs
    await it.accounts.disable([first], signal())
    await until('sessions are ended', () => asked(it).some((each) => each.startsWith('DELETE')))
    it.org.throttleNext(1, { match: /unsuspend$/, concurrent: true })
    assert.deepEqual(told((await it.accounts.enable([first], signal()))[0]), ['refused', 'E_DIRECTORY_THROTTLED'])
    const [again] = await it.accounts.enable([first], signal())
    assert.deepEqual(told(again), ['unsent', 'E_DIRECTORY_THROTTLED'])
    assert.ok((again?.error?.retryAfterMs ?? 0) > 0)
    assert.equal(asked(it).filter((each) => each.endsWith('unsuspend')).length, 1)
    assert.equal((await it.accounts.disable([second], signal()))[0]?.outcome, 'done')
  })

  it('asks whether it is still wanted when its turn on the wire has come, not before', async () => {
    await using it = await org(14)
    const [enabling = unset, ...others] = it.refs
    await it.accounts.disable([enabling], signal())
    await until('sessions are ended', () => asked(it).some((each) => each.startsWith('DELETE')))
    const before = asked(it).length
    // Every turn that an enable may have is taken: by reads, and by suspensions.
    const held = it.org.hold(/^/)
    const reads = others.slice(0, 9).map((ref) => it.adapter.lookup([ref], signal()))
    await until('nine reads are open', () => asked(it).length === before + 9)
    const writes = others.slice(9, 11).map((ref) => it.accounts.disable([ref], signal()))
    await until('eleven requests are open', () => asked(it).length === before + 11)
    let times = 0
    const waiting = it.accounts.enable([enabling], signal(), async () => {
      times += 1
      throw new BridgeError('E_ABORTED', 'not any more')
    })
    await it.adapter.lookup([], signal())
    assert.equal(times, 0)
    held.release()
    assert.deepEqual(told((await waiting)[0]), ['unsent', 'E_ABORTED'])
    await Promise.all([...reads, ...writes])
    assert.equal(times, 1)
    assert.equal(status(it, enabling.id), 'SUSPENDED')
  })
})

describe('okta switches service apps', () => {
  it('by deactivate and activate, each of them twice', async () => {
    await using it = await org(0)
    const refs = it.apps(2)
    for (const [outcome, own] of [
      ['done', 'on'],
      ['unsent', 'off'],
    ] as const) {
      const results = await it.accounts.disable(refs, signal())
      assert.deepEqual(
        results.map((each) => [each.outcome, ownSwitch(each)]),
        [
          [outcome, own],
          [outcome, own],
        ],
      )
    }
    assert.ok(refs.every(({ id }) => status(it, id) === 'INACTIVE'))
    for (const _ of [1, 2])
      assert.ok((await it.accounts.enable(refs, signal())).every(({ outcome }) => outcome === 'done'))
    assert.ok(refs.every(({ id }) => status(it, id) === 'ACTIVE'))
    assert.equal(asked(it).filter((each) => each.includes('sessions')).length, 0)
  })
})

describe('okta switches AI agents', () => {
  it('follows the operation to its end', async () => {
    await using it = await org(0, withAgents)
    const refs = it.agents(2)
    const results = await it.accounts.disable(refs, signal())
    assert.deepEqual(
      results.map((each) => [each.outcome, ownSwitch(each)]),
      [
        ['done', 'on'],
        ['done', 'on'],
      ],
    )
    assert.ok(refs.every(({ id }) => status(it, id) === 'INACTIVE'))
    assert.ok(asked(it).includes('GET /workload-principals/api/v1/operations/wlo'))
    assert.deepEqual(
      (await it.accounts.disable(refs, signal())).map(({ outcome }) => outcome),
      ['unsent', 'unsent'],
    )
    assert.ok((await it.accounts.enable(refs, signal())).every(({ outcome }) => outcome === 'done'))
    assert.ok(refs.every(({ id }) => status(it, id) === 'ACTIVE'))
  })

  it('one that fails was refused', async () => {
    await using it = await org(0, withAgents)
    const refs = it.agents(1)
    it.org.failOperations()
    const [result] = await it.accounts.disable(refs, signal())
    assert.deepEqual(told(result), ['refused', 'E_DIRECTORY_REFUSED'])
    assert.match(String(result?.error?.message), /INTERNAL_ERROR/)
    const orphan = { id: it.org.addAgent({ status: 'INACTIVE', ownerIds: [] }), kind: 'aiAgent' }
    const [on] = await it.accounts.enable([orphan], signal())
    assert.deepEqual(told(on), ['refused', 'E_DIRECTORY_REFUSED'])
    assert.match(String(on?.error?.hint), /owner/)
  })

  it('one whose end nobody saw is lost, and the agent unknown until it ended', async () => {
    await using it = await org(0, { ...withAgents, operationMs: 3_600_000, clock: leaping() })
    const refs = it.agents(1)
    const [one = unset] = refs
    const state = async () => (await it.adapter.lookup(refs, signal())).get(one.id)?.state
    assert.deepEqual(told((await it.accounts.disable(refs, signal()))[0]), ['lost', 'E_DIRECTORY_DOWN'])
    assert.equal(status(it, one.id), 'ACTIVE')
    assert.equal(await state(), 'unknown')
    it.org.settle()
    assert.equal(await state(), 'disabled')
  })

  it('an activation that may still land makes no reading a reason to write nothing', async () => {
    await using it = await org(0, { ...withAgents, operationMs: 3_600_000, clock: leaping() })
    const one = { id: it.org.addAgent({ status: 'INACTIVE' }), kind: 'aiAgent' }
    assert.equal((await it.accounts.enable([one], signal()))[0]?.outcome, 'lost')
    const [result] = await it.accounts.disable([one], signal())
    assert.ok(asked(it).some((each) => each.endsWith('/deactivate')))
    assert.notEqual(result?.outcome, 'unsent')
    assert.equal(result?.before, undefined)
  })

  it('an operation that Okta knows nothing of any more will not land', async () => {
    await using it = await org(0, { ...withAgents, operationMs: 3_600_000, clock: leaping() })
    const refs = it.agents(1)
    const [one = unset] = refs
    const state = async () => (await it.adapter.lookup(refs, signal())).get(one.id)?.state
    assert.equal((await it.accounts.disable(refs, signal()))[0]?.outcome, 'lost')
    it.org.fail(/operations/, { status: 404, body: '<html>proxy</html>' })
    assert.equal(await state(), 'unknown')
    it.org.fail(/operations/, { status: 404, code: 'E0000007', message: 'Not found' })
    assert.equal(await state(), 'enabled')
  })

  it('a place to look that is not of the org is not asked', async () => {
    await using it = await org(0, withAgents)
    const refs = it.agents(2)
    const [one = unset, two = unset] = refs
    it.org.fail(/deactivate$/, { status: 202, headers: { Location: 'https://evil.example/api/v1/operations/x' } })
    assert.deepEqual(told((await it.accounts.disable([one], signal()))[0]), ['lost', 'E_DIRECTORY_ANSWER'])
    it.org.fail(/deactivate$/, { status: 202 })
    assert.deepEqual(told((await it.accounts.disable([two], signal()))[0]), ['lost', 'E_DIRECTORY_ANSWER'])
  })

  it('a staged one cannot act, and cannot be deactivated either', async () => {
    await using it = await org(0, withAgents)
    const staged = { id: it.org.addAgent({ status: 'STAGED' }), kind: 'aiAgent' }
    const [result] = await it.accounts.disable([staged], signal())
    assert.deepEqual([result?.outcome, result?.before?.state], ['unsent', 'disabled'])
  })

  it('says how long a write may still land: an operation outlives its request', async () => {
    await using it = await org(0)
    const agents = it.open({ manage: { kinds: ['aiAgent'] } })
    assert.ok((agents.accounts?.writeTimeoutMs ?? 0) > it.accounts.writeTimeoutMs)
  })
})
