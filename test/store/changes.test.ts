import assert from 'node:assert/strict'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import type { Touched } from '../../src/core/changes.ts'
import { openStore } from '../../src/store/index.ts'
import { account, agent, directory, hold, idle, principal, register } from './fixture.ts'

test('a commit is told when it can be read, and before whoever made it learns of it', async () => {
  using dir = directory()
  const store = await openStore({ url: `sqlite:${dir.file}`, now: Date.now })
  const outside = new Database(dir.file, { readonly: true })
  const open = outside.prepare<[string], { n: number }>('select count(*) as n from holds where did = ?')
  const order: string[] = []
  store.changes.watch(({ dids }) => {
    for (const did of dids) order.push(`told ${did} ${open.get(did)?.n}`)
  })
  const place = (id: string) =>
    store.write((tx) => tx.insertHold(hold(id, `did:mesh:${id}`))).then(() => order.push(id))
  const before = store.changes.count
  await Promise.all([place('a'), place('b')])
  assert.deepEqual(order, ['told did:mesh:a 1', 'told did:mesh:b 1', 'a', 'b'])
  assert.ok(store.changes.count > before)
  outside.close()
  await store.close()
  assert.ok(Number.isNaN(store.changes.count))
})

test('whatever writes a row that is remembered is told, whose it was and whose it is', async () => {
  using dir = directory()
  const store = await openStore({ url: `sqlite:${dir.file}`, now: Date.now })
  const told: Touched[] = []
  store.changes.watch((touched) => told.push(touched))
  const [one, two] = ['did:mesh:1', 'did:mesh:2']
  const key = { adapter: 'contoso', id: 'p' }
  const touches = async (work: Parameters<typeof store.write<unknown>>[0]): Promise<string> => {
    told.length = 0
    await store.write(work)
    return told
      .map(({ dids, granted, principals, all }) =>
        [...dids, ...[...granted].map((did) => `granted ${did}`), ...principals, ...(all ? ['all'] : [])].join(' '),
      )
      .join('; ')
  }
  await register(store, one)
  await register(store, two)
  const name = 'contoso\np'
  assert.equal(await touches((tx) => tx.insertPrincipal(principal(one, 'p'), idle)), `${one} ${name}`)
  assert.equal(
    await touches((tx) => tx.saveAccount(key, account({ observed: 'enabled', observedAt: 5 }), idle)),
    `${one} ${name}`,
  )
  const fields = { kind: 'k', appId: undefined, scopes: ['s'], shared: false }
  assert.equal(await touches((tx) => tx.describePrincipal(key, one, fields)), `${one} ${name}`)
  assert.equal(await touches((tx) => tx.askRead(key, 1, 2)), '')
  assert.equal(await touches((tx) => tx.noteActivity(one, 9)), '')
  assert.equal(await touches((tx) => tx.saveAgent(agent(one, { resumedAt: 7 }))), one)
  assert.equal(await touches((tx) => tx.insertHolds([hold('h', one), hold('i', two)])), `${one} ${two}`)
  assert.equal(await touches((tx) => tx.saveHold(hold('h', one, { releasedAt: 3 }))), one)
  assert.equal(await touches((tx) => tx.takeStatusPlace(one, { list: 1, idx: 2 })), one)
  assert.equal(await touches((tx) => tx.unmapPrincipal(key, one)), `${one} ${name}`)
  // The row of a shared account names one of its DIDs only.
  const shared = { adapter: 'contoso', id: 'q' }
  const sharedName = 'contoso\nq'
  const sharer = { did: two, appId: undefined, scopes: [], mappedAt: 1 }
  assert.equal(
    await touches((tx) => tx.insertPrincipal(principal(one, 'q', { shared: true }), idle)),
    `${one} ${sharedName}`,
  )
  assert.equal(await touches((tx) => tx.addSharer(shared, sharer)), `${two} ${sharedName}`)
  assert.equal(await touches((tx) => tx.saveAccount(shared, account(), idle)), `${one} ${two} ${sharedName}`)
  // What an agent was granted is told apart: it says nothing of who is stopped.
  const source = { did: one, capability: 'read:reports', source: 'manual', confirmedAt: 1 }
  assert.equal(await touches((tx) => tx.putSource(source)), `granted ${one}`)
  assert.equal(await touches((tx) => tx.putSource({ ...source, confirmedAt: 2 })), `granted ${one}`)
  const delegation = {
    did: two,
    parentDid: one,
    capabilities: [],
    grantedAt: 1,
    grantedBy: 'c',
    expiresAt: 9,
    endedAt: undefined,
    key: undefined,
    signature: undefined,
  }
  assert.equal(await touches((tx) => tx.putDelegation(delegation)), `granted ${two}`)
  const failing = store.write(async (tx) => {
    await tx.insertHold(hold('j', one))
    throw new Error('no')
  })
  await assert.rejects(failing, /no/)
  assert.deepEqual(await store.openHolds(one), [])
  await store.close()
})

test('what another process wrote, noticed in the middle of a transaction, takes nothing from what that is told to have written', async () => {
  using dir = directory()
  const store = await openStore({ url: `sqlite:${dir.file}`, now: Date.now })
  const told: Touched[] = []
  store.changes.watch((touched) => told.push(touched))
  const did = 'did:mesh:1'
  await register(store, did)
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  const outside = new Database(dir.file)
  await turn()
  assert.ok(store.changes.count > 0)
  outside.exec(`update agents set name = 'outside'`)
  outside.close()
  told.length = 0
  await store.write(async (tx) => {
    await tx.insertHold(hold('h', did))
    await turn()
    const { count } = store.changes
    assert.deepEqual(told, [{ dids: new Set(), granted: new Set(), principals: new Set(), all: true }])
    await turn()
    assert.equal(store.changes.count, count)
  })
  assert.deepEqual(
    told.slice(1).map(({ dids, all }) => [...dids, all]),
    [[did, false]],
  )
  await store.close()
})
