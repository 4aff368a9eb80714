import assert from 'node:assert/strict'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import { BridgeError } from '../../src/core/errors.ts'
import type { Judged, ReplicaReads } from '../../src/core/replica.ts'
import type { Store } from '../../src/core/store.ts'
import type { Agent } from '../../src/core/types.ts'
import { createKnown } from '../../src/engine/known.ts'
import { createRoster, keepRoster, type Roster } from '../../src/engine/roster.ts'
import { breathe } from '../../src/lib/breathe.ts'
import { manualClock } from '../../src/lib/clock.ts'
import { createLogger } from '../../src/lib/log.ts'
import { createMetrics } from '../../src/lib/metrics.ts'
import { chunkBytes } from '../../src/lib/packed.ts'
import { openStore } from '../../src/store/index.ts'
import { account, agent, directory, hold, idle, principal } from '../store/fixture.ts'

const names = ['a', 'b', 'c'] as const
const didOf = (name: string): string => `did:mesh:${name}`
const keyOf = (id: string) => ({ adapter: 'contoso', id })

const readAll = async (roster: Roster): Promise<void> => {
  while (await roster.read());
}

const judgedAgent = ({ did, name, blueprint, parentDid, decommissioned, resumedAt }: Agent) => ({
  did,
  name,
  blueprint,
  parentDid,
  decommissioned,
  resumedAt,
})

/** The same from the single reads of the store. */
const told = async (store: Store, did: string): Promise<Judged> => {
  const [found, holds, accounts, sources, chain] = await Promise.all([
    store.agent(did),
    store.openHolds(did),
    store.principalsOf(did),
    store.sourcesOf(did),
    store.chain(did),
  ])
  return {
    did,
    agent: found && judgedAgent(found),
    link: chain[0],
    holds: holds.map(({ origin, severity, publicReason, placedAt }) => ({
      did,
      origin,
      severity,
      publicReason,
      placedAt,
      releasedAt: undefined,
    })),
    accounts: accounts.map(({ adapter, id, kind, shared, scopes, account: { observedAt } }) => ({
      did,
      adapter,
      id,
      kind,
      shared,
      scopes,
      account: { observedAt },
    })),
    sources,
  }
}

const one = fc.constantFrom(...names)
const step = fc.record({
  kind: fc.constantFrom(
    'register',
    'describe',
    'hold',
    'release',
    'map',
    'move',
    'share',
    'unmap',
    'observe',
    'grant',
    'revoke',
    'delegate',
    'remove',
  ),
  name: one,
  other: one,
  id: fc.constantFrom('p', 'q'),
  n: fc.nat(5),
})
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

const perform = (store: Store, { kind, name, other, id, n }: Step): Promise<unknown> =>
  store.write(async (tx) => {
    const [did, otherDid] = [didOf(name), didOf(other)]
    const source = { did, capability: `read:${n}`, source: 'manual', confirmedAt: n }
    const mapped = await tx.principal(keyOf(id))
    const isKnown = (await tx.agent(did)) !== undefined
    if (kind === 'register' && !isKnown) return tx.insertAgent(agent(did, { blueprint: n > 2 ? 'bp' : undefined }))
    if (!isKnown)
      return kind === 'hold' ? tx.insertHold(hold(`h${performance.now()}`, did, { placedAt: n })) : undefined
    switch (kind) {
      case 'describe':
        return tx.saveAgent(
          agent(did, {
            name: `n${n}`,
            parentDid: other === name ? undefined : otherDid,
            resumedAt: n === 0 ? undefined : n,
            decommissioned: n === 5,
          }),
        )
      case 'hold':
        return tx.insertHold(
          hold(`h${performance.now()}`, did, { placedAt: n, publicReason: n > 2 ? 'ü"' : undefined }),
        )
      case 'release': {
        const [open] = await tx.openHolds(did)
        return open && tx.saveHold({ ...open, releasedAt: 99 })
      }
      case 'map':
        return mapped ?? tx.insertPrincipal(principal(did, id, { scopes: n > 2 ? ['s'] : [] }), idle)
      case 'move':
        if (mapped === undefined || mapped.shared) return undefined
        await tx.unmapPrincipal(keyOf(id), mapped.did)
        return tx.insertPrincipal(principal(did, id), idle)
      case 'share':
        if (mapped === undefined || mapped.did === did) return undefined
        await tx.describePrincipal(keyOf(id), mapped.did, {
          kind: 'k',
          appId: undefined,
          scopes: [...mapped.scopes],
          shared: true,
        })
        return tx.addSharer(keyOf(id), { did, appId: undefined, scopes: [`u${n}`], mappedAt: 1 })
      case 'unmap':
        return mapped && tx.unmapPrincipal(keyOf(id), mapped.shared ? did : mapped.did)
      case 'observe':
        return mapped && tx.saveAccount(keyOf(id), account({ observed: 'enabled', observedAt: n }), idle)
      case 'grant':
        return tx.putSource(source)
      case 'revoke':
        return tx.deleteSource(did, source.capability, 'manual')
      case 'delegate':
        return tx.putDelegation({
          did,
          parentDid: otherDid,
          capabilities: [],
          grantedAt: 1,
          grantedBy: 'c',
          expiresAt: n === 0 ? undefined : n,
          endedAt: n === 5 ? 1 : undefined,
          key: undefined,
          signature: undefined,
        })
      default:
        return undefined
    }
  })

test('who is on the roster is told as the store tells it, after whatever was committed and read meanwhile', async () => {
  let answered = 0
  const property = fc.asyncProperty(
    fc.array(fc.record({ step, pace: fc.nat(3) }), { minLength: 5, maxLength: 40 }),
    async (steps) => {
      using dir = directory()
      const store = await openStore({ url: `sqlite:${dir.file}`, now: Date.now })
      await store.write(async (tx) => {
        for (const did of [didOf('a'), didOf('b')]) await tx.insertAgent(agent(did))
        await tx.insertPrincipal(principal(didOf('a'), 'p'), idle)
      })
      const roster = createRoster(store)
      const check = async (): Promise<void> => {
        for (const name of names) {
          const found = roster.of(didOf(name))
          if (found === undefined) continue
          answered += 1
          assert.deepEqual(found, await told(store, didOf(name)))
        }
        for (const id of ['p', 'q']) {
          const found = roster.holding(keyOf(id))
          if (found === undefined) continue
          const mapped = await store.principal(keyOf(id))
          assert.equal(mapped?.did, found.did)
          assert.equal(mapped.shared, false)
        }
        const known = createKnown(store, roster)
        for (const name of names) await known.principalsOf(didOf(name))
        for (const id of ['p', 'q']) {
          assert.equal((await known.principal(keyOf(id)))?.did, (await store.principal(keyOf(id)))?.did)
        }
      }
      for (const { step, pace } of steps) {
        // Some reads begin before the commit, some end after it.
        const reads = Array.from({ length: pace }, () => roster.read())
        await perform(store, step).catch((error: unknown) => {
          // Who shares an account shares it once.
          if (!(error instanceof BridgeError)) throw error
        })
        await check()
        await Promise.all(reads)
        await check()
      }
      await readAll(roster)
      await check()
      for (const name of names) {
        const { agent, holds } = await told(store, didOf(name))
        assert.equal(roster.of(didOf(name)) !== undefined, agent !== undefined || holds.length > 0)
      }
      await store.close()
    },
  )
  await fc.assert(property, { numRuns: 60 })
  assert.ok(answered > 500, `${answered} answered`)
})

const opened = async (file: string, agents = 3) => {
  const store = await openStore({ url: `sqlite:${file}`, now: Date.now })
  await store.write(async (tx) => {
    for (let n = 0; n < agents; n += 1) {
      await tx.insertAgent(agent(didOf(`${n}`)))
      await tx.insertPrincipal(principal(didOf(`${n}`), `p${n}`), idle)
    }
  })
  return store
}

test('a hold is seen in the turn of its commit: until it is read again, only the store tells', async () => {
  using dir = directory()
  const store = await opened(dir.file)
  const roster = createRoster(store)
  await readAll(roster)
  const did = didOf('1')
  assert.deepEqual(roster.of(did)?.holds, [])
  let inTurn: Judged | undefined | 'nothing' = 'nothing'
  store.changes.watch(() => {
    inTurn = roster.of(did)
  })
  await store.write((tx) => tx.insertHold(hold('h', did)))
  assert.equal(inTurn, undefined)
  assert.equal(roster.of(did), undefined)
  assert.equal(roster.holding(keyOf('p1')), undefined)
  assert.notEqual(roster.of(didOf('2')), undefined)
  await readAll(roster)
  assert.equal(roster.of(did)?.holds.length, 1)
  assert.equal(roster.holding(keyOf('p1'))?.did, did)
  await store.close()
})

test('whoever is held is on it though nobody registered it, for as long as it is', async () => {
  using dir = directory()
  const store = await opened(dir.file)
  const roster = createRoster(store)
  await store.write((tx) => tx.insertHold(hold('h', 'did:mesh:stranger')))
  await readAll(roster)
  assert.equal(roster.of('did:mesh:stranger')?.holds.length, 1)
  assert.equal(roster.size, 4)
  await store.write((tx) => tx.saveHold(hold('h', 'did:mesh:stranger', { releasedAt: 9 })))
  await readAll(roster)
  assert.equal(roster.of('did:mesh:stranger'), undefined)
  assert.equal(roster.size, 3)
  await store.close()
})

test('what a commit overtook on its way is not taken', async () => {
  using dir = directory()
  const store = await opened(dir.file)
  const did = didOf('1')
  for (const read of ['replicaAfter', 'replicaOf'] as const) {
    let placed = 0
    const slow: Pick<Store, 'changes'> & ReplicaReads = {
      ...store,
      [read]: async (...args: [never, never]) => {
        const rows = await store[read](...args)
        if (placed++ === 0) await store.write((tx) => tx.insertHold(hold(`h ${read}`, did)))
        return rows
      },
    }
    const roster = createRoster(slow)
    if (read === 'replicaOf') {
      await readAll(roster)
      await store.write((tx) => tx.saveAgent(agent(did, { resumedAt: 5 })))
    }
    await roster.read()
    assert.equal(roster.of(did), undefined, read)
    assert.notEqual(roster.of(didOf('2')), undefined, read)
    await readAll(roster)
    const [found] = (await store.openHolds(did)).filter(({ id }) => id === `h ${read}`)
    assert.equal(
      roster.of(did)?.holds.some(({ placedAt }) => placedAt === found?.placedAt),
      true,
      read,
    )
    await store.write((tx) => tx.saveHold({ ...hold(`h ${read}`, did), releasedAt: 9 }))
  }
  await store.close()
})

test('more agents than a page holds are all read; of whoever there is no room for only the store tells', async () => {
  using dir = directory()
  const store = await opened(dir.file, 250)
  const roster = createRoster(store)
  await readAll(roster)
  assert.equal(roster.size, 250)
  await store.write(async (tx) => {
    const scopes = ['s'.repeat(50_000)]
    for (let n = 0; n < 250; n += 1) {
      await tx.describePrincipal(keyOf(`p${n}`), didOf(`${n}`), { kind: 'k', appId: undefined, scopes, shared: false })
    }
  })
  const small = createRoster(store, 2 * chunkBytes)
  await readAll(small)
  assert.ok(small.size > 100 && small.size < 250, `${small.size}`)
  const told = Array.from({ length: 250 }, (_, n) => small.of(didOf(`${n}`))).filter((one) => one !== undefined)
  assert.equal(told.length, small.size)
  await store.close()
})

test('those never read are read while others are written all the time', async () => {
  using dir = directory()
  const store = await opened(dir.file, 350)
  const roster = createRoster(store)
  for (let n = 0; n < 4; n += 1) {
    await store.write((tx) => tx.saveAgent(agent(didOf('1'), { resumedAt: n })))
    await roster.read()
  }
  assert.equal(roster.size, 350)
  await store.close()
})

test('what grew past its memory is read anew', async () => {
  using dir = directory()
  const store = await opened(dir.file, 1_000)
  const roster = createRoster(store)
  for (const length of [1, 2, 3, 5, 8, 12, 17, 23].map((part) => part * 1_000)) {
    await store.write(async (tx) => {
      const fields = { kind: 'k', appId: undefined, scopes: ['s'.repeat(length)], shared: false }
      for (let n = 0; n < 1_000; n += 1) await tx.describePrincipal(keyOf(`p${n}`), didOf(`${n}`), fields)
    })
    await readAll(roster)
  }
  assert.equal(roster.size, 1_000)
  const texts = 23_300 * 1_000
  assert.ok(roster.bytes < 2 * texts + 5 * chunkBytes, `${roster.bytes}`)
  await store.close()
})

test('a chain is told as the store tells it, however long, in a circle, or with nobody at its end', async () => {
  using dir = directory()
  const store = await openStore({ url: `sqlite:${dir.file}`, now: Date.now })
  await store.write(async (tx) => {
    for (let n = 0; n < 15; n += 1) await tx.insertAgent(agent(didOf(`${n}`)))
    for (let n = 1; n < 15; n += 1) await tx.saveAgent(agent(didOf(`${n}`), { parentDid: didOf(`${n - 1}`) }))
    for (const name of ['x', 'y', 'z']) await tx.insertAgent(agent(didOf(name)))
    await tx.saveAgent(agent(didOf('x'), { parentDid: didOf('y') }))
    await tx.saveAgent(agent(didOf('y'), { parentDid: didOf('x') }))
    await tx.saveAgent(agent(didOf('z'), { parentDid: didOf('nobody') }))
  })
  const roster = createRoster(store)
  await readAll(roster)
  const known = createKnown({ ...store, chain: async () => assert.fail('the store was asked') }, roster)
  for (const name of ['0', '1', '5', '9', '10', '11', '12', '14', 'x', 'y']) {
    assert.deepEqual(await known.chain(didOf(name)), await store.chain(didOf(name)), name)
  }
  const asking = createKnown(store, roster)
  assert.deepEqual(await asking.chain(didOf('z')), await store.chain(didOf('z')))
  await store.close()
})

test('an agent asked about before it was read gains by its reading as well', async () => {
  using dir = directory()
  const store = await opened(dir.file)
  const did = didOf('1')
  const roster = createRoster(store)
  const asked: string[] = []
  const known = createKnown(
    {
      ...store,
      chain: async (one) => {
        asked.push(one)
        return store.chain(one)
      },
    },
    roster,
  )
  await known.principalsOf(did)
  await known.chain(did)
  await readAll(roster)
  asked.length = 0
  await store.write((tx) => tx.saveAgent(agent(didOf('2'), { resumedAt: 1 })))
  assert.equal((await known.chain(did)).length, 1)
  assert.deepEqual(asked, [])
  await store.close()
})

test('it is kept current until it is told to stop; what cannot be read is tried again ever more rarely', async () => {
  using dir = directory()
  const store = await opened(dir.file, 250)
  const clock = manualClock()
  const stopping = new AbortController()
  let failing = true
  let reads = 0
  const roster = createRoster({
    ...store,
    replicaAfter: async (after, limit) => {
      reads += 1
      if (failing) throw new Error('no')
      return store.replicaAfter(after, limit)
    },
  })
  const warned: unknown[] = []
  const log = createLogger({ level: 'warn', destination: { write: (line) => warned.push(line) } })
  const metrics = createMetrics()
  const gauge = async () => Number(/^idp_bridge_roster_agents (\d+)$/m.exec(await metrics.text())?.[1] ?? 'NaN')
  const kept = keepRoster(roster, { clock, log, metrics, random: () => 1 }, stopping.signal)
  await clock.advance(250)
  await clock.advance(1_000)
  assert.equal(reads, 2)
  await clock.advance(1_999)
  assert.equal(reads, 2)
  await clock.advance(1)
  assert.equal(reads, 3)
  assert.equal(warned.length, 3)
  failing = false
  await clock.advance(4_000)
  for (let turn = 0; turn < 10; turn += 1) await breathe()
  assert.equal(roster.size, 250)
  assert.equal(await gauge(), 250)
  await store.write((tx) => tx.insertAgent(agent(didOf('new'))))
  assert.equal(roster.of(didOf('new')), undefined)
  await clock.advance(250)
  assert.notEqual(roster.of(didOf('new')), undefined)
  stopping.abort()
  await kept
  await store.close()
})

test('after another process wrote, all is read again; of a closed store nothing is told', async () => {
  using dir = directory()
  const store = await opened(dir.file)
  const roster = createRoster(store)
  await readAll(roster)
  const outside = new Database(dir.file)
  outside.exec(`update agents set blueprint = 'outside'`)
  outside.close()
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(roster.of(didOf('1')), undefined)
  await readAll(roster)
  assert.equal(roster.of(didOf('1'))?.agent?.blueprint, 'outside')
  await store.close()
  assert.equal(roster.of(didOf('1')), undefined)
  assert.equal(await roster.read(), 0)
})

test('nor is what another process overtook on its way taken', async () => {
  for (const read of ['replicaAfter', 'replicaOf'] as const) {
    using dir = directory()
    const store = await opened(dir.file)
    const outside = new Database(dir.file)
    let written = 0
    const slow: Pick<Store, 'changes'> & ReplicaReads = {
      ...store,
      [read]: async (...args: [never, never]) => {
        const rows = await store[read](...args)
        outside.exec(`update agents set blueprint = 'outside ${++written}'`)
        await new Promise((resolve) => setImmediate(resolve))
        assert.ok(store.changes.count > 0)
        return rows
      },
    }
    const roster = createRoster(slow)
    if (read === 'replicaOf') {
      await readAll(roster)
      await store.write((tx) => tx.saveAgent(agent(didOf('1'), { resumedAt: 5 })))
    }
    await roster.read()
    assert.equal(written, 1)
    const told = roster.of(didOf('1'))
    if (read === 'replicaAfter') assert.equal(told, undefined)
    else assert.equal(told?.agent?.blueprint, 'outside 1', 'read again after it')
    outside.close()
    await store.close()
  }
})
