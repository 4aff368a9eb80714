import assert from 'node:assert/strict'
import type { MassKill } from '../../src/core/masskill.ts'
import type { Account } from '../../src/core/types.ts'
import { verifyAudit } from '../../src/engine/auditing.ts'
import type { StoreTest } from './contract.ts'
import { account, agent, hold, idle, place, principal, register } from './fixture.ts'

const kill = (id: string, fields: Partial<MassKill> = {}): MassKill => ({
  id,
  at: 10,
  actor: 'soc',
  origin: 'operator:soc',
  requestId: 'r-1',
  reason: 'breach',
  evidence: { bulk: true },
  selector: { sponsor: 'a@b.c' },
  agents: 3,
  placed: 0,
  doneAt: undefined,
  ...fields,
})

const ids = (list: readonly { id: string }[]) => list.map(({ id }) => id)

export const bulkContract = (test: StoreTest): void => {
  test('agents, accounts and open holds of many DIDs are those of each', async (store) => {
    await register(store, 'a', ['p2', 'p1'])
    await register(store, 'b', ['p3'])
    await register(store, 'B')
    await place(store, hold('h1', 'a', { placedAt: 2 }), hold('h2', 'b'), hold('h3', 'a', { placedAt: 1 }))
    await place(store, hold('h4', 'a', { releasedAt: 5 }), hold('h5', 'nobody'))
    const wanted = ['a', 'b', 'nobody', 'a']
    assert.deepEqual((await store.agentsByDid(wanted)).map(({ did }) => did).sort(), ['a', 'b'])
    assert.deepEqual(ids(await store.principalsByDid(wanted)), ['p1', 'p2', 'p3'])
    const open = await store.openHoldsByDid(wanted)
    for (const did of ['a', 'b', 'nobody']) {
      assert.deepEqual(
        open.filter((one) => one.did === did),
        await store.openHolds(did),
      )
    }
    assert.equal(open.length, 4)
    assert.deepEqual(await store.agentsByDid([]), [])
  })

  test('families: descendants nearest first, each once, and a cycle ends', async (store) => {
    const parents = { b: 'a', c: 'a', d: 'b', e: 'd', x: 'y', y: 'x' }
    await store.write(async (tx) => {
      await tx.insertAgent(agent('a'))
      for (const [did, parentDid] of Object.entries(parents)) await tx.insertAgent(agent(did, { parentDid }))
    })
    const families = await store.families(['b', 'a', 'e', 'x', 'nobody'])
    const of = (did: string) => families.filter(({ ancestor }) => ancestor === did).map((row) => row.did)
    assert.deepEqual(['a', 'b', 'e', 'x', 'nobody'].map(of), [['b', 'c', 'd', 'e'], ['d', 'e'], [], ['y'], []])
  })

  test('holds, accounts, signals and audit entries written by the set are as those written singly', async (store) => {
    const dids = Array.from({ length: 450 }, (_, n) => `did:mesh:${n}`)
    const holds = dids.map((did, n) => hold(`h${n}`, did, { evidence: { n } }))
    await store.write(async (tx) => {
      for (const did of dids) await tx.insertAgent(agent(did))
      for (const did of dids) await tx.insertPrincipal(principal(did, did), idle)
      await tx.appendAudit({ time: 1, type: 'bridge.started', actor: 'bridge' })
      await tx.insertHolds(holds)
      const claimed = account({ mark: 'claimed', claimedAt: 7 })
      const key = (id: string) => ({ adapter: 'contoso', id })
      await tx.saveAccounts(dids.map((id) => ({ key: key(id), account: claimed, schedule: { nextAt: 7, lane: 4 } })))
      await tx.appendSignals(
        holds.map(({ did, id }) => ({
          type: 'suspended',
          did,
          at: 7,
          holdId: id,
          severity: 'kill',
          origin: 'operator:soc',
          reason: 'r',
          capabilities: undefined,
        })),
      )
      await tx.appendAudits(
        holds.map(({ did, id }) => ({
          time: 7,
          type: 'hold.placed',
          did,
          hold: id,
          actor: 'soc',
          text: { reason: id },
        })),
      )
      await tx.appendAudit({ time: 8, type: 'bridge.started', actor: 'bridge' })
    })
    assert.deepEqual(await store.hold('h449'), holds[449])
    const due = await store.due('contoso', 4, 7, 1000)
    assert.equal(due.length, 450)
    assert.deepEqual(due[0]?.account, account({ mark: 'claimed', claimedAt: 7 }))
    const signals = await store.signalsAfter(0, 1000)
    assert.deepEqual(
      signals.map(({ holdId }) => holdId),
      ids(holds),
    )
    assert.deepEqual(
      signals.map(({ seq }) => seq),
      holds.map((_, n) => n + 1),
    )
    const entries = await store.audit({ limit: 1000 })
    assert.deepEqual(
      entries.map(({ hold: id, text }) => text?.reason === id),
      entries.map(() => true),
    )
    assert.equal(entries.length, 452)
    assert.equal((await verifyAudit(store)).ok, true)
  })

  test('an account of which only the reading stays is written as any other', async (store) => {
    const read = account({ observed: 'enabled', observedAt: 5, readDueAt: 6, switches: [] })
    const claimed = { ...read, mark: 'claimed', claimedAt: 7, contested: false, attempts: 2, lastError: 'E_X' } as const
    const seen = { ...claimed, observed: 'disabled', observedAt: 8 } as const
    const schedule = { nextAt: 7, lane: 4 } as const
    await store.write(async (tx) => {
      await tx.insertAgent(agent('a'))
      for (const id of ['a', 'b', 'c']) await tx.insertPrincipal(principal('a', id, { account: read }), idle)
      const row = (id: string, after: Account, before?: Account) => {
        return { key: { adapter: 'contoso', id }, account: after, schedule, before }
      }
      await tx.saveAccounts([row('a', claimed, read), row('b', seen, read), row('c', claimed)])
    })
    const rows = await store.principalsOf('a')
    assert.deepEqual(
      rows.map(({ account: stored }) => stored),
      [claimed, seen, claimed],
    )
    assert.ok(rows.every((row) => row.schedule.nextAt === 7 && row.schedule.lane === 4))
  })

  test('a set that breaks a rule leaves nothing of its transaction', async (store) => {
    await place(store, hold('h1', 'a'))
    await assert.rejects(
      store.write((tx) => tx.insertHolds([hold('h0', 'a'), hold('h1', 'b')])),
      { code: 'E_EXISTS' },
    )
    assert.equal(await store.hold('h0'), undefined)
  })

  test('a kill of many is recorded with its targets and advances', async (store, opened) => {
    const items = ['a', 'b', 'c'].map((did, at) => ({ n: at + 1, did, holdId: `h-${did}` }))
    await store.write(async (tx) => {
      await tx.insertKill(kill('k1'), items)
      await tx.insertKill(kill('k2', { at: 20, selector: undefined, requestId: undefined }), [])
    })
    assert.deepEqual(await store.kill('k1'), kill('k1'))
    assert.equal(await store.kill('none'), undefined)
    assert.deepEqual(await store.killItems('k1', 0, 2), items.slice(0, 2))
    assert.deepEqual(await store.killItems('k1', 2, 2), items.slice(2))
    assert.deepEqual(ids(await store.recentKills(5, 9)), ['k2', 'k1'])
    assert.deepEqual(ids(await store.recentKills(11, 9)), ['k2'])
    assert.deepEqual(ids(await store.recentKills(5, 1)), ['k2'])
    assert.deepEqual(ids(await store.unfinishedKills()), ['k1', 'k2'])
    await store.write((tx) => tx.advanceKill('k1', 2, undefined))
    assert.deepEqual(await store.kill('k1'), kill('k1', { placed: 2 }))
    await store.write((tx) => tx.advanceKill('k1', 3, 30))
    const again = await opened.reopen()
    assert.deepEqual(await again.kill('k1'), kill('k1', { placed: 3, doneAt: 30 }))
    assert.deepEqual(ids(await again.unfinishedKills()), ['k2'])
  })

  test('the accounts of a kill by adapter and state, without those whose hold was released', async (store) => {
    const states = {
      ours: account({ mark: 'ours' }),
      answered: account({ mark: 'claimed', disabledAckAt: 4, attempts: 1 }),
      'off before': account({ observed: 'disabled' }),
      absent: account({ observed: 'absent' }),
      fails: account({ mark: 'claimed', attempts: 2 }),
      contested: account({ mark: 'claimed', contested: true }),
      waits: account({ mark: 'claimed' }),
      unread: account(),
      released: account({ mark: 'ours' }),
    }
    const names = Object.keys(states)
    await store.write(async (tx) => {
      for (const [did, present] of Object.entries(states)) {
        await tx.insertAgent(agent(did))
        await tx.insertPrincipal(principal(did, did, { account: present }), idle)
        await tx.insertHold(hold(`h-${did}`, did, did === 'released' ? { releasedAt: 20 } : {}))
      }
      await tx.insertPrincipal(principal('ours', 'o2', { adapter: 'okta' }), idle)
      const items = names.map((did, at) => ({ n: at + 1, did, holdId: `h-${did}` }))
      await tx.insertKill(kill('k', { agents: names.length }), items)
    })
    assert.deepEqual(await store.killAccounts('k'), [
      { adapter: 'contoso', kind: 'agentIdentity', state: 'failed', n: 2 },
      { adapter: 'contoso', kind: 'agentIdentity', state: 'off', n: 4 },
      { adapter: 'contoso', kind: 'agentIdentity', state: 'pending', n: 2 },
      { adapter: 'okta', kind: 'agentIdentity', state: 'pending', n: 1 },
    ])
    assert.equal(await store.killReleased('k'), 1)
    assert.deepEqual(await store.killAccounts('none'), [])
  })

  test('a kill of many is forgotten at its retention once it is done; one that is not done, never', async (store) => {
    await store.write(async (tx) => {
      for (const [id, doneAt] of [
        ['old', 5],
        ['new', 50],
        ['open', undefined],
      ] as const) {
        await tx.insertKill(kill(id, { doneAt }), [{ n: 1, did: 'a', holdId: `h-${id}` }])
      }
    })
    const before = { signals: 10, inbox: 10, idempotency: 10, guard: 10, receipts: 10 }
    assert.equal(await store.write((tx) => tx.prune(before)), 2)
    assert.deepEqual(await Promise.all(['old', 'new', 'open'].map(async (id) => (await store.kill(id))?.id)), [
      undefined,
      'new',
      'open',
    ])
    assert.deepEqual(await store.killItems('old', 0, 9), [])
    assert.equal((await store.killItems('open', 0, 9)).length, 1)
  })

  test('agents of a blueprint and of a parent', async (store) => {
    await register(store, 'a', [], { blueprint: 'Analyst', parentDid: 'p' })
    await register(store, 'b', [], { blueprint: 'analyst', parentDid: 'p' })
    await register(store, 'c', [], { blueprint: 'Analyst' })
    const dids = async (filter: object) => (await store.agents({ limit: 9, ...filter })).map(({ did }) => did)
    assert.deepEqual(await dids({ blueprint: 'Analyst' }), ['a', 'c'])
    assert.deepEqual(await dids({ parentDid: 'p' }), ['a', 'b'])
    assert.deepEqual(await dids({ parentDid: 'p', blueprint: 'Analyst' }), ['a'])
    assert.deepEqual(await dids({ parentDid: 'p', after: 'a' }), ['b'])
  })
}
