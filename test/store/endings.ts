import assert from 'node:assert/strict'
import type { CascadeEnd } from '../../src/core/ending.ts'
import type { StoreTest } from './contract.ts'
import { agent, hold, idle, place, principal, register } from './fixture.ts'

const ids = (list: readonly { id: string }[]) => list.map(({ id }) => id)

export const endingContract = (test: StoreTest): void => {
  test('open holds that descend from one ancestor come nearest first, as many as asked for', async (store) => {
    const parents = { b: 'a', c: 'a', d: 'b', e: 'd', x: 'y', y: 'x' }
    await store.write(async (tx) => {
      await tx.insertAgent(agent('a'))
      for (const [did, parentDid] of Object.entries(parents)) await tx.insertAgent(agent(did, { parentDid }))
    })
    const derived = (id: string, did: string, from: string, fields = {}) =>
      hold(id, did, { origin: `cascade:${from}`, ...fields })
    await place(store, derived('4', 'e', 'a'), derived('3', 'd', 'a'), derived('2', 'c', 'a'), derived('1', 'b', 'a'))
    await place(store, derived('5', 'd', 'b'), hold('6', 'b'), derived('7', 'x', 'y'), derived('8', 'y', 'x'))
    await place(store, derived('9', 'c', 'a2'), derived('0', 'c', 'a', { releasedAt: 5 }))
    assert.deepEqual(ids(await store.cascadeHolds('a', 10)), ['1', '2', '3', '4'])
    assert.deepEqual(ids(await store.cascadeHolds('a', 3)), ['1', '2', '3'])
    assert.deepEqual(ids(await store.cascadeHolds('b', 10)), ['5'])
    await place(store, derived('k', 'b', 'c', { severity: 'kill' }), derived('l', 'd', 'b2'))
    await store.write(async (tx) => {
      await tx.saveHold(derived('2', 'c', 'a', { severity: 'disable' }))
      await tx.saveHold(derived('4', 'e', 'a', { guarded: true }))
    })
    const { severity, guarded } = derived('1', 'b', 'a')
    assert.deepEqual(ids(await store.cascadeHolds('a', 10, { severity, guarded })), ['2', '4'])
    assert.deepEqual(ids(await store.cascadeHolds('a', 1, { severity, guarded })), ['2'])
    assert.deepEqual(ids(await store.cascadeHolds('a', 10, { severity: 'decommission', guarded })).length, 4)
    assert.deepEqual(ids(await store.cascadeHolds('y', 10)), ['7'])
    assert.deepEqual(await store.cascadeHolds('nobody', 10), [])
    assert.deepEqual(await store.cascadeHolds('a', 0), [])
  })

  test('what is still to end is kept, one for each ancestor, until it is dropped', async (store, opened) => {
    const end = (ancestor: string, at: number, fields: Partial<CascadeEnd> = {}): CascadeEnd => ({
      ancestor,
      at,
      actor: 'soc',
      requestId: undefined,
      ...fields,
    })
    const again = end('b', 3, { actor: 'alice', requestId: 'r-1' })
    await store.write(async (tx) => {
      for (const one of [end('b', 1), end('a', 2), again]) await tx.putCascadeEnd(one)
      await tx.dropCascadeEnd('nobody')
    })
    const reopened = await opened.reopen()
    assert.deepEqual(await reopened.cascadeEnds(), [end('a', 2), again])
    await reopened.write((tx) => tx.dropCascadeEnd('a'))
    assert.deepEqual(await reopened.cascadeEnds(), [again])
  })

  test('holds close as a set: the first time counts, and one that is not there takes back all', async (store) => {
    await place(store, hold('h1', 'a'), hold('h2', 'b'), hold('h3', 'c'))
    await store.write((tx) => tx.closeHolds(['h1'], 20))
    await store.write((tx) => tx.closeHolds(['h1', 'h2'], 30))
    await assert.rejects(
      store.write((tx) => tx.closeHolds(['h3', 'none'], 40)),
      { code: 'E_HOLD_UNKNOWN' },
    )
    const releasedAt = async (id: string) => (await store.hold(id))?.releasedAt
    assert.deepEqual([await releasedAt('h1'), await releasedAt('h2'), await releasedAt('h3')], [20, 30, undefined])
  })

  test('of several holds, the releases that wait are void and those that are done stay', async (store) => {
    await place(store, hold('h1', 'a'), hold('h2', 'b'), hold('h3', 'c'))
    const release = (id: string, holdId: string, status: 'awaiting' | 'done') => ({
      id,
      holdId,
      did: 'a',
      kind: 'release' as const,
      requestedBy: 'soc',
      requestedAt: 5,
      reason: 'r',
      status,
    })
    await store.write(async (tx) => {
      await tx.insertRelease(release('r1', 'h1', 'awaiting'))
      await tx.insertRelease(release('r2', 'h2', 'done'))
      await tx.insertRelease(release('r3', 'h3', 'awaiting'))
      await tx.voidReleases(['h1', 'h2'])
    })
    const status = async (id: string) => (await store.release(id))?.status
    assert.deepEqual([await status('r1'), await status('r2'), await status('r3')], ['void', 'done', 'awaiting'])
  })

  test('agents resume as a set: no revision, no other agent, and nobody who is not registered', async (store) => {
    for (const did of ['a', 'b', 'c']) await register(store, did)
    await store.write((tx) => tx.noteResumed(['a', 'b', 'nobody'], 50))
    const [a, c] = [await store.agent('a'), await store.agent('c')]
    assert.deepEqual(a, { ...agent('a'), resumedAt: 50, updatedAt: 50 })
    assert.deepEqual((await store.agent('b'))?.resumedAt, 50)
    assert.deepEqual(c, agent('c'))
    await store.write((tx) => tx.noteResumed(['a'], 40))
    const later = await store.agent('a')
    assert.deepEqual([later?.resumedAt, later?.updatedAt], [50, 40], 'a clock set back takes no release away')
  })

  test('legs of many holds are kept as those written singly', async (store) => {
    const leg = (holdId: string, at: number) => ({
      holdId,
      type: 'account' as const,
      adapter: 'contoso',
      id: 'p',
      at,
      answeredAt: undefined,
      closedAt: 4,
      reopenedAt: undefined,
      ended: { state: 'closed', reason: 'disabled', error: undefined } as const,
    })
    await store.write(async (tx) => {
      await tx.saveLeg(leg('h1', 1))
      await tx.saveLegs([leg('h1', 2), leg('h2', 2)])
      await tx.saveLegs([])
    })
    assert.deepEqual(await store.legsOf(['h1', 'h2']), [leg('h1', 2), leg('h2', 2)])
  })

  test('waking many brings what is due later forward and leaves what is due sooner', async (store) => {
    await store.write(async (tx) => {
      for (const did of ['a', 'b', 'c']) await tx.insertAgent(agent(did))
      await tx.insertPrincipal(principal('a', 'p1'), idle)
      await tx.insertPrincipal(principal('b', 'p2'), { nextAt: 5, lane: 4 })
      await tx.insertPrincipal(principal('c', 'p3'), { nextAt: 90, lane: 4 })
      await tx.wake(['a', 'b', 'nobody'], 10, 1)
    })
    const scheduleOf = async (id: string) => (await store.principal({ adapter: 'contoso', id }))?.schedule
    assert.deepEqual(
      [await scheduleOf('p1'), await scheduleOf('p2'), await scheduleOf('p3')],
      [
        { nextAt: 10, lane: 1 },
        { nextAt: 5, lane: 1 },
        { nextAt: 90, lane: 4 },
      ],
    )
  })
}
