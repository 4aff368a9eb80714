import assert from 'node:assert/strict'
import type { Schedule, Store } from '../../src/core/store.ts'
import type { Account } from '../../src/core/types.ts'
import type { StoreTest } from './contract.ts'
import { account, agent, hold, idle, place, principal, register } from './fixture.ts'

const key = (id: string) => ({ adapter: 'contoso', id })
const ids = (list: readonly { id: string }[]) => list.map((p) => p.id)

const map = (store: Store, list: readonly (readonly [id: string, schedule: Schedule, fields?: Partial<Account>])[]) =>
  store.write(async (tx) => {
    await tx.insertAgent(agent('did:mesh:a'))
    for (const [id, schedule, fields] of list) {
      await tx.insertPrincipal(principal('did:mesh:a', id, { account: account(fields) }), schedule)
    }
  })

const fullAccount = account({
  observed: 'disabled',
  observedAt: 0,
  offReadAt: 21,
  switches: [{ name: 'identity', state: 'off', ours: true }],
  dependsOn: 'blueprint-1',
  mark: 'ours',
  claimedAt: 1,
  sentAt: 2,
  intent: 'disable',
  inFlightUntil: 3,
  disabledAckAt: 4,
  enabledAckAt: 5,
  foreignSeenAt: 6,
  drifts: [7, 8],
  contested: true,
  overriddenAt: 9,
  liftedFrom: 10,
  putBack: true,
  offUntil: 15,
  examinedUntil: 16,
  copiedAt: 17,
  driftAcceptedAt: 11,
  readDueAt: 12,
  readAgainAt: 13,
  attempts: 14,
  lastError: 'E_DIRECTORY_DOWN',
})

export const principalContract = (test: StoreTest): void => {
  test('a principal comes back as it went in, with its whole account', async (store) => {
    const full = principal('did:mesh:a', 'p1', { appId: 'app', scopes: ['s1', 's2'], account: fullAccount })
    const schedule: Schedule = { nextAt: 0, lane: 0 }
    await store.write(async (tx) => {
      await tx.insertAgent(agent('did:mesh:a'))
      await tx.insertPrincipal(full, schedule)
      await tx.insertPrincipal(principal('did:mesh:a', 'P1'), idle)
    })
    assert.deepEqual(await store.principal(key('p1')), { ...full, schedule })
    assert.deepEqual(await store.principal(key('P1')), { ...principal('did:mesh:a', 'P1'), schedule: idle })
    assert.equal(await store.principal({ adapter: 'Contoso', id: 'p1' }), undefined)
    assert.deepEqual(ids(await store.principalsOf('did:mesh:a')), ['P1', 'p1'])
    assert.deepEqual(ids(await store.principalsById('contoso', ['p1', 'x', 'P1', 'p1'])).sort(), ['P1', 'p1'])
    assert.deepEqual(await store.principalsById('contoso', []), [])
    assert.deepEqual(await store.principalsById('other', ['p1']), [])
  })

  test('principalsAfter pages through one adapter in the order of ids', async (store) => {
    await map(store, [
      ['b', idle],
      ['a', { nextAt: 5, lane: 1 }],
      ['C', idle],
    ])
    await store.write((tx) => tx.insertPrincipal(principal('did:mesh:a', 'aa', { adapter: 'other' }), idle))
    assert.deepEqual(ids(await store.principalsAfter('contoso', undefined, 2)), ['C', 'a'])
    assert.deepEqual(ids(await store.principalsAfter('contoso', 'a', 2)), ['b'])
    assert.deepEqual((await store.principalsAfter('contoso', 'C', 1))[0]?.schedule, { nextAt: 5, lane: 1 })
    assert.deepEqual(await store.principalsAfter('contoso', 'b', 2), [])
  })

  test('dependentsOf finds the object itself and whatever hangs on it, each once', async (store) => {
    await map(store, [
      ['bp', idle],
      ['child', idle, { dependsOn: 'bp' }],
      ['self', idle, { dependsOn: 'self' }],
      ['other', idle, { dependsOn: 'bp2' }],
    ])
    assert.deepEqual(ids(await store.dependentsOf('contoso', 'bp')).sort(), ['bp', 'child'])
    assert.deepEqual(ids(await store.dependentsOf('contoso', 'self')), ['self'])
    assert.deepEqual(await store.dependentsOf('other', 'bp'), [])
  })

  test('principalsNamed finds every id that is a name with a # behind it', async (store) => {
    const named = ['arn:role/a#1', 'arn:role/a#2', 'arn:role/a', 'arn:role/ab#1', 'arn:role/A#1', 'arn:role/a$1']
    await map(
      store,
      named.map((id) => [id, idle]),
    )
    assert.deepEqual(ids(await store.principalsNamed('contoso', ['arn:role/a', 'x', 'arn:role/a'])), named.slice(0, 2))
    assert.deepEqual(await store.principalsNamed('contoso', []), [])
    assert.deepEqual(await store.principalsNamed('other', ['arn:role/a']), [])
  })

  test('saveAccount and describePrincipal change their own fields only', async (store) => {
    await map(store, [['p1', idle]])
    const described = { kind: 'user', appId: 'x', scopes: ['s'], shared: false }
    await store.write((tx) => tx.saveAccount(key('p1'), fullAccount, { nextAt: 9, lane: 0 }))
    await store.write((tx) => tx.describePrincipal(key('p1'), 'did:mesh:a', described))
    const after = await store.principal(key('p1'))
    assert.deepEqual(after, {
      ...principal('did:mesh:a', 'p1', { kind: 'user', appId: 'x', scopes: ['s'], account: fullAccount }),
      schedule: { nextAt: 9, lane: 0 },
    })
    for (const change of [
      store.write((tx) => tx.saveAccount(key('none'), fullAccount, idle)),
      store.write((tx) => tx.describePrincipal(key('none'), 'did:mesh:a', described)),
    ]) {
      await assert.rejects(change, { code: 'E_NOT_FOUND' })
    }
  })

  test('a principal belongs to one DID, and its DID is registered', async (store) => {
    await register(store, 'did:mesh:a', ['p1'])
    await assert.rejects(register(store, 'did:mesh:b', ['p1']), { code: 'E_PRINCIPAL_TAKEN' })
    assert.equal(await store.agent('did:mesh:b'), undefined)
    await assert.rejects(
      store.write((tx) => tx.insertPrincipal(principal('did:mesh:c', 'p2'), idle)),
      { code: 'E_AGENT_UNKNOWN' },
    )
  })

  test('counts follow inserts and deletes', async (store) => {
    await register(store, 'did:mesh:a', ['p1', 'p2'])
    await store.write((tx) => tx.insertPrincipal(principal('did:mesh:a', 'q', { adapter: 'okta' }), idle))
    assert.equal(await store.countPrincipals('contoso'), 2)
    assert.deepEqual(await store.adaptersWithPrincipals(), ['contoso', 'okta'])
    await store.write(async (tx) => {
      await tx.unmapPrincipal(key('p1'), 'did:mesh:a')
      await tx.unmapPrincipal(key('p1'), 'did:mesh:a')
      await tx.unmapPrincipal({ adapter: 'okta', id: 'q' }, 'did:mesh:a')
    })
    assert.equal(await store.countPrincipals('contoso'), 1)
    assert.equal(await store.countPrincipals('okta'), 0)
    assert.deepEqual(await store.adaptersWithPrincipals(), ['contoso'])
  })

  test('due gives one lane by time; nothing that is idle, later or elsewhere', async (store) => {
    await map(store, [
      ['late', { nextAt: 100, lane: 0 }],
      ['b', { nextAt: 20, lane: 0 }],
      ['a', { nextAt: 20, lane: 0 }],
      ['first', { nextAt: 0, lane: 0 }],
      ['slow', { nextAt: 1, lane: 1 }],
      ['idle', { nextAt: undefined, lane: 0 }],
    ])
    assert.deepEqual(ids(await store.due('contoso', 0, 20, 9)), ['first', 'a', 'b'])
    assert.deepEqual(ids(await store.due('contoso', 0, 20, 2)), ['first', 'a'])
    assert.deepEqual(ids(await store.due('contoso', 1, 20, 9)), ['slow'])
    assert.deepEqual(await store.due('okta', 0, 20, 9), [])
    assert.equal(await store.nextDue('contoso', 0), 0)
    assert.equal(await store.nextDue('contoso', 1), 1)
    assert.equal(await store.nextDue('okta', 1), undefined)
    assert.deepEqual(await store.laneDepth('contoso'), [
      { lane: 0, due: 4 },
      { lane: 1, due: 1 },
      { lane: 2, due: 0 },
      { lane: 3, due: 0 },
      { lane: 4, due: 0 },
    ])
    assert.deepEqual(await store.laneDepth('okta'), [
      { lane: 0, due: 0 },
      { lane: 1, due: 0 },
      { lane: 2, due: 0 },
      { lane: 3, due: 0 },
      { lane: 4, due: 0 },
    ])
  })

  test('stale gives those never seen, then the oldest, then those of a clock that was ahead', async (store) => {
    await map(store, [
      ['new', idle, { observedAt: 50 }],
      ['edge', idle, { observedAt: 20 }],
      ['old', idle, { observedAt: 10 }],
      ['zero', idle, { observedAt: 0 }],
      ['never', idle],
      ['ahead', idle, { observedAt: 101 }],
      ['far ahead', idle, { observedAt: 102 }],
      ['asked', idle, { readDueAt: 5 }],
      ['asked, ahead', idle, { observedAt: 101, readDueAt: 5 }],
      ['asked too', idle, { observedAt: 1, readDueAt: 5 }],
    ])
    assert.deepEqual(ids(await store.stale('contoso', 20, 100, 9)), ['never', 'zero', 'old', 'ahead', 'far ahead'])
    assert.deepEqual(ids(await store.stale('contoso', 20, 100, 4)), ['never', 'zero', 'old', 'ahead'])
    assert.deepEqual(ids(await store.stale('contoso', 20, 101, 9)), ['never', 'zero', 'old', 'far ahead'])
    assert.deepEqual(ids(await store.stale('contoso', 20, 100, 2)), ['never', 'zero'])
    assert.deepEqual(ids(await store.stale('contoso', 20, 100, 1)), ['never'])
    assert.equal(await store.countStale('contoso', 20, 100), 8)
    assert.equal(await store.countStale('okta', 20, 100), 0)
    assert.equal(await store.oldestReading('contoso'), 0)
    assert.equal(await store.oldestReading('okta'), undefined)
  })

  test('wake brings forward and raises the lane, never the other way', async (store) => {
    await map(store, [
      ['idle', idle],
      ['sooner', { nextAt: 5, lane: 0 }],
      ['later', { nextAt: 50, lane: 1 }],
    ])
    await store.write((tx) => tx.wake(['did:mesh:a'], 10, 1))
    const at = async (id: string) => (await store.principal(key(id)))?.schedule
    assert.deepEqual(await at('idle'), { nextAt: 10, lane: 1 })
    assert.deepEqual(await at('sooner'), { nextAt: 5, lane: 0 })
    assert.deepEqual(await at('later'), { nextAt: 10, lane: 1 })
    await store.write((tx) => tx.wake(['did:mesh:a'], 20, 0))
    assert.deepEqual(await at('later'), { nextAt: 10, lane: 0 })
    await store.write((tx) => tx.wake(['did:mesh:nobody'], 1, 0))
    assert.deepEqual(await at('later'), { nextAt: 10, lane: 0 })
  })

  test('askRead asks for the earliest first read and the latest second one', async (store) => {
    await map(store, [['p', { nextAt: 30, lane: 1 }]])
    const state = async () => {
      const p = await store.principal(key('p'))
      return [p?.schedule.nextAt, p?.schedule.lane, p?.account.readDueAt, p?.account.readAgainAt]
    }
    await store.write((tx) => tx.askRead(key('p'), 40, undefined))
    assert.deepEqual(await state(), [30, 1, 40, undefined])
    await store.write((tx) => tx.askRead(key('p'), 20, 60))
    assert.deepEqual(await state(), [20, 1, 20, 60])
    await store.write((tx) => tx.askRead(key('p'), 25, 50))
    await store.write((tx) => tx.askRead(key('p'), 25, undefined))
    assert.deepEqual(await state(), [20, 1, 20, 60])
    await store.write((tx) => tx.askRead(key('p'), 10, 70))
    assert.deepEqual(await state(), [10, 1, 10, 70])
    await store.write((tx) => tx.askRead(key('nobody'), 10, 70))
  })

  test('askReadDependents asks for the object itself and for all that depend on it', async (store) => {
    await map(store, [
      ['bp', idle],
      ['child', idle, { dependsOn: 'bp' }],
      ['other', idle, { dependsOn: 'bp2' }],
    ])
    await store.write((tx) => tx.askReadDependents('contoso', 'bp', 7, 9))
    await store.write((tx) => tx.askReadDependents('okta', 'bp2', 7, undefined))
    const asked = async (id: string) => {
      const account = (await store.principal(key(id)))?.account
      return [account?.readDueAt, account?.readAgainAt]
    }
    assert.deepEqual(await asked('bp'), [7, 9])
    assert.deepEqual(await asked('child'), [7, 9])
    assert.deepEqual(await asked('other'), [undefined, undefined])
    assert.deepEqual(ids(await store.due('contoso', 1, 7, 9)).sort(), ['bp', 'child'])
  })

  test('wakeEngaged wakes the marked and the held of one adapter', async (store) => {
    await map(store, [
      ['marked', idle, { mark: 'lifted' }],
      ['free', idle],
    ])
    await register(store, 'did:mesh:held', ['held'])
    await register(store, 'did:mesh:past', ['past'])
    await place(store, hold('h1', 'did:mesh:held'), hold('h2', 'did:mesh:past', { releasedAt: 11 }))
    await store.write((tx) => tx.wakeEngaged('okta', 5))
    assert.equal(await store.nextDue('contoso', 1), undefined)
    await store.write((tx) => tx.wakeEngaged('contoso', 5))
    assert.deepEqual(ids(await store.due('contoso', 1, 5, 9)).sort(), ['held', 'marked'])
  })

  test('failing are those with a mark whose latest call failed', async (store) => {
    await map(store, [
      ['failing', idle, { mark: 'claimed', attempts: 2 }],
      ['well', idle, { mark: 'ours' }],
      ['unmarked', idle, { attempts: 2 }],
    ])
    assert.equal(await store.countFailing('contoso'), 1)
    assert.equal(await store.countFailing('okta'), 0)
  })

  test('an adapter is engaged while a mark or a hold would be orphaned', async (store) => {
    await register(store, 'did:mesh:a', ['p'])
    assert.equal(await store.engaged('contoso'), false)
    await store.write((tx) => tx.saveAccount(key('p'), account({ mark: 'claimed' }), idle))
    assert.equal(await store.engaged('contoso'), true)
    assert.equal(await store.engaged('okta'), false)
    await store.write((tx) => tx.saveAccount(key('p'), account(), idle))
    await place(store, hold('h', 'did:mesh:a'))
    assert.equal(await store.engaged('contoso'), true)
    await store.write((tx) => tx.closeHolds(['h'], 20))
    assert.equal(await store.engaged('contoso'), false)
    await place(store, hold('own', 'did:mesh:gone', { origin: 'adapter:okta/x' }))
    assert.equal(await store.engaged('okta'), true)
    assert.equal(await store.engaged('okt'), false)
  })
}
