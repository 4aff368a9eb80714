import assert from 'node:assert/strict'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import { decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import type { Changes, Touched } from '../../src/core/changes.ts'
import { statusAt } from '../../src/core/statuslist.ts'
import { createStatusLists } from '../../src/engine/statuslists.ts'
import { openStatusList } from '../../src/lib/statuslist.ts'
import { alice, minute, registrar, runtime, second, soc, World } from './harness.ts'
import { nameOf, published, signingKey } from './published.ts'

const hold = { severity: 'suspend', reason: 'r' } as const

test('a list is a signed Status List Token of the draft, for a fixed number of agents', async () => {
  await using world = await World.open()
  const { issue, keys, list } = published(world)
  const did = await world.agent('a')
  assert.deepEqual(await world.bridge.statusLists(), [], 'nobody has a place before the first passport')
  const { status } = await issue(did)
  assert.equal(status.uri, 'https://bridge.test/statuslists/generation-1')
  const token = await list(status.uri)
  const [key] = keys
  assert.deepEqual(decodeProtectedHeader(token), { alg: 'EdDSA', typ: 'statuslist+jwt', kid: key?.kid })
  const { payload } = await jwtVerify(token, key?.key ?? new Uint8Array(), {
    typ: 'statuslist+jwt',
    currentDate: new Date(world.clock.now()),
  })
  const iat = Math.floor(world.clock.now() / 1000)
  const { status_list: body, ...rest } = payload
  assert.deepEqual(rest, { sub: status.uri, iat, exp: iat + 300, ttl: 10 })
  assert.partialDeepStrictEqual(body, { bits: 2, aggregation_uri: 'https://bridge.test/statuslists' })
  assert.deepEqual(await world.bridge.statusLists(), [status.uri])
  const { bytes } = await published(world, ...keys).opened(status.uri)
  assert.equal(bytes.length, 32 * 1024)
})

test('what is committed is in the list at the very next request: suspended, released, decommissioned', async () => {
  await using world = await World.open()
  const { issue, opened } = published(world)
  const did = await world.agent('a')
  const other = await world.agent('b')
  const { status } = await issue(did)
  const { status: theirs } = await issue(other)
  const values = async () => {
    const { bits, bytes } = await opened(status.uri)
    return [statusAt(bytes, bits, status.idx), statusAt(bytes, bits, theirs.idx)]
  }
  assert.deepEqual(await values(), [0, 0])
  const { id } = await world.bridge.place(did, hold, soc)
  const { id: second } = await world.bridge.place(did, hold, alice)
  assert.deepEqual(await values(), [2, 0])
  await world.bridge.release(did, id, 'clear', soc)
  assert.deepEqual(await values(), [2, 0], 'one hold is left')
  await world.bridge.release(did, second, 'clear', alice)
  assert.deepEqual(await values(), [0, 0])
  await world.bridge.decommission(other, 'gone', registrar)
  assert.deepEqual(await values(), [0, 1])
  await world.restart()
  assert.deepEqual(await values(), [0, 1], 'from the store alone')
})

test('a descendant is suspended with its ancestor', async () => {
  await using world = await World.open()
  const { issue, opened } = published(world)
  const root = await world.agent('root', { capabilities: ['read:x'] })
  const leaf = await world.agent('leaf', { parentDid: root })
  const { status } = await issue(leaf)
  await world.kill(root)
  const { bits, bytes } = await opened(status.uri)
  assert.equal(statusAt(bytes, bits, status.idx), 2)
})

test('a list is signed once for all who ask, again after a change and when it may no longer be kept', async () => {
  await using world = await World.open()
  const { issue } = published(world)
  const did = await world.agent('a')
  const { status } = await issue(did)
  const name = nameOf(status.uri)
  const all = await Promise.all(Array.from({ length: 20 }, () => world.bridge.statusList(name)))
  assert.equal(new Set(all.map(({ token }) => token)).size, 1)
  const [first] = all
  await world.clock.advance(9 * second)
  assert.equal((await world.bridge.statusList(name)).etag, first?.etag)
  // A commit that changes nobody's status.
  await world.bridge.patch(did, { name: 'renamed' }, registrar, undefined)
  assert.equal((await world.bridge.statusList(name)).etag, first?.etag)
  await world.clock.advance(second)
  const later = await world.bridge.statusList(name)
  assert.notEqual(later.etag, first?.etag)
  await world.kill(did)
  assert.notEqual((await world.bridge.statusList(name)).etag, later.etag)
  const count = /status_lists_signed_total (\d+)/.exec(await world.metrics.text())?.[1]
  assert.equal(count, '3')
})

test('with another key in front the next list is signed by it at once, and by none that was taken back', async () => {
  await using world = await World.open()
  const [old, young] = [signingKey(), signingKey()]
  const { issue, list } = published(world, old, young)
  const did = await world.agent('a')
  const { status } = await issue(did)
  const kid = async () => decodeProtectedHeader(await list(status.uri)).kid
  assert.equal(await kid(), old.kid)
  world.revoked = [old.kid]
  assert.equal(await kid(), young.kid)
  assert.equal(decodeProtectedHeader((await issue(did)).passport).kid, young.kid)
  assert.deepEqual(
    (await world.bridge.signingKeys()).map((one) => one.kid),
    [young.kid],
  )
  assert.deepEqual(world.bridge.revokedKeys(), [old.kid])
  world.revoked = [old.kid, young.kid]
  await assert.rejects(list(status.uri), { code: 'E_NOT_FOUND' })
  await assert.rejects(issue(did), { code: 'E_NOT_FOUND' })
})

test('a place is drawn at random, is kept, and a list that is nearly full is followed by another', async () => {
  await using world = await World.open()
  const { issue, opened } = published(world)
  const [a, b, c] = [await world.agent('a'), await world.agent('b'), await world.agent('c')]
  world.places = [7, 7, 8]
  assert.equal((await issue(a)).status.idx, 7)
  assert.equal((await issue(b)).status.idx, 8)
  world.places = [...Array.from({ length: 32 }, (_, at) => 7 + (at % 2)), 9]
  const placed = (await issue(c)).status
  assert.deepEqual(placed, { uri: 'https://bridge.test/statuslists/generation-2', idx: 9 })
  await world.restart()
  assert.deepEqual((await issue(c)).status, placed)
  await world.kill(c)
  const { bits, bytes } = await opened(placed.uri)
  assert.equal(statusAt(bytes, bits, 9), 2)
  assert.equal(bytes.filter((byte) => byte !== 0).length, 1)
  const entries = (await world.store.audit({ dids: [c], limit: 100 })).filter(({ type }) => type === 'passport.enabled')
  assert.deepEqual(
    entries.map(({ details }) => details),
    [{ list: 2, idx: 9 }],
  )
})

test('after a restore the lists of before are gone, and nobody is told that an agent of theirs is fine', async () => {
  await using world = await World.open()
  const { check, issue, list } = published(world)
  const did = await world.agent('a')
  const copy = await world.backup()
  const { passport, status } = await issue(did)
  await world.kill(did)
  assert.deepEqual((await check(passport, status.uri)).failed, ['status'])
  await world.restore(copy)
  await assert.rejects(list(status.uri), { code: 'E_NOT_FOUND' })
  const { passport: next, status: place } = await issue(did)
  assert.equal(place.uri, 'https://bridge.test/statuslists/generation2-1')
  assert.deepEqual((await check(next, place.uri)).failed, [])
  assert.deepEqual((await check(passport, place.uri)).failed, ['list', 'status'])
})

test('releases are told for as long as a passport from before may live; many at once as one moment', async () => {
  await using world = await World.open()
  const { issue, opened } = published(world)
  const did = await world.agent('a')
  const { status } = await issue(did)
  const { id } = await world.bridge.place(did, hold, soc)
  await world.bridge.release(did, id, 'clear', soc)
  const releasedAt = Math.floor(world.clock.now() / 1000)
  assert.deepEqual([...(await opened(status.uri)).released], [[status.idx, releasedAt]])
  await world.restart()
  assert.deepEqual([...(await opened(status.uri)).released], [[status.idx, releasedAt]])
  await world.clock.advance(62 * minute + second)
  assert.deepEqual([...(await opened(status.uri)).released], [])

  await world.store.write(async (tx) => {
    const agent = await tx.agent(did)
    assert.ok(agent)
    for (let idx = 0; idx < 4_097; idx++) {
      const one = { ...agent, did: `did:mesh:${idx}`, resumedAt: world.clock.now() }
      await tx.insertAgent(one)
      await tx.takeStatusPlace(one.did, { list: 2, idx })
    }
  })
  const many = await opened('generation-2')
  assert.deepEqual([many.released.size, many.releasedAll], [0, Math.floor(world.clock.now() / 1000)])
  assert.equal((await opened(status.uri)).releasedAll, undefined)
})

test('a list that does not exist, or is spelled another way, is not found', async () => {
  await using world = await World.open()
  const { issue } = published(world)
  await issue(await world.agent('a'))
  for (const name of [
    'generation-2',
    'generation-0',
    'generation-01',
    'Generation-1',
    '1',
    'generation-1 ',
    '../1',
    'generation2-1',
  ]) {
    await assert.rejects(world.bridge.statusList(name), { code: 'E_NOT_FOUND' }, name)
  }
})

test('what AGT reads about one passport names every key once it is no good any more, or unknown', async () => {
  await using world = await World.open()
  const { issue, keys } = published(world, signingKey(), signingKey())
  const kids = keys.map(({ kid }) => kid)
  const did = await world.agent('a')
  const { issuedAt, status } = await issue(did)
  const name = nameOf(status.uri)
  const iat = issuedAt / 1000
  const revoked = (place = status.idx, at = iat, list = name) => world.bridge.revokedFor(list, place, at)
  assert.deepEqual(await revoked(), [])
  for (const unknown of [
    await revoked(status.idx, iat, 'generation-2'),
    await revoked(status.idx, iat, 'other-1'),
    await revoked(status.idx, iat + 3_600),
    await revoked(status.idx, iat - 4_000),
    await revoked(2 ** 17),
  ]) {
    assert.deepEqual(unknown, kids)
  }
  const { id } = await world.bridge.place(did, hold, soc)
  assert.deepEqual(await revoked(), kids)
  await world.bridge.release(did, id, 'clear', soc)
  assert.deepEqual(await revoked(), kids, 'from before the release')
  await world.clock.advance(second)
  const again = await issue(did)
  assert.deepEqual(await revoked(status.idx, again.issuedAt / 1000), [])
  world.revoked = ['k'.repeat(43)]
  assert.deepEqual(await revoked(status.idx, again.issuedAt / 1000), world.revoked)
  world.keys = []
  await assert.rejects(revoked(), { code: 'E_NO_PASSPORTS', status: 410 })
})

test('a request that comes while an earlier one still reads sees what was committed in between', async () => {
  await using world = await World.open()
  const { issue, opened } = published(world)
  const [early, late] = [await world.agent('early'), await world.agent('late')]
  const { status } = await issue(early)
  const { status: place } = await issue(late)
  await opened(status.uri)
  const { store } = world
  const { statusesOf } = store
  const reading = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  Object.assign(store, {
    statusesOf: async (dids: readonly string[]) => {
      Object.assign(store, { statusesOf })
      const found = await statusesOf(dids)
      reading.resolve()
      await gate.promise
      return found
    },
  })
  await world.kill(early)
  const first = opened(status.uri)
  await reading.promise
  await world.kill(late)
  const second = opened(status.uri)
  gate.resolve()
  for (const [list, idx] of [
    [await first, status.idx],
    [await second, place.idx],
  ] as const) {
    assert.equal(statusAt(list.bytes, list.bits, idx), 2)
  }
})

test('after a commit that may have been about anybody, everything is read again before long', async () => {
  await using world = await World.open()
  const { issue, keys } = published(world)
  const did = await world.agent('a')
  const { status } = await issue(did)
  let told: ((touched: Touched) => void) | undefined
  const changes: Changes = {
    count: 0,
    watch: (tell) => {
      told = tell
    },
  }
  const { clock, metrics, store } = world.deps
  const lists = createStatusLists({ clock, metrics, store: { ...store, changes } })
  const by = { pem: keys[0]?.pem ?? '', kid: 'k', issuer: 'i', base: 'b', ttlMs: 1_000, lifetimeMs: 60_000 }
  const value = async () => {
    const list = await openStatusList((await lists.signed(nameOf(status.uri), by)).token, keys)
    assert.ok(typeof list !== 'string')
    return statusAt(list.bytes, list.bits, status.idx)
  }
  assert.equal(await value(), 0)
  await world.kill(did)
  told?.({ all: true, dids: new Set(), granted: new Set(), principals: new Set() })
  await world.clock.advance(minute + second)
  assert.equal(await value(), 2)
})

test('a store that another process took over is not answered for', async () => {
  await using world = await World.open()
  const { issue, opened } = published(world)
  const { status } = await issue(await world.agent('a'))
  await opened(status.uri)
  const outside = new Database(world.path)
  outside.exec('update lease set epoch = epoch + 1')
  outside.close()
  await new Promise((resolve) => setImmediate(resolve))
  await assert.rejects(opened(status.uri), { code: 'E_LEASE_LOST' })
  await assert.rejects(world.bridge.revokedFor(nameOf(status.uri), status.idx, 1), { code: 'E_LEASE_LOST' })
})

test('a read that fails answers nobody, and the next one reads everything', async () => {
  await using world = await World.open()
  const { issue, opened } = published(world)
  const did = await world.agent('a')
  const { status } = await issue(did)
  await opened(status.uri)
  const { store } = world
  const { statusesOf } = store
  const failing = async () => {
    throw new Error('the disk')
  }
  Object.assign(store, { statusesOf: failing })
  await world.kill(did)
  await assert.rejects(opened(status.uri), /the disk/)
  Object.assign(store, { statusesOf })
  const { bits, bytes } = await opened(status.uri)
  assert.equal(statusAt(bytes, bits, status.idx), 2)
})

test('requests while agents are being held see every hold that was acknowledged before them', async () => {
  await using world = await World.open()
  const { issue, opened } = published(world)
  const dids = await Promise.all(Array.from({ length: 12 }, (_, at) => world.agent(`a${at}`, {}, ['north'])))
  const places = new Map<string, number>()
  let uri = ''
  for (const did of dids) {
    const { status } = await issue(did)
    places.set(did, status.idx)
    uri = status.uri
  }
  await opened(uri)
  await Promise.all(
    dids.map(async (did) => {
      await world.kill(did, { ...runtime, name: `runtime of ${did}` })
      const { bits, bytes } = await opened(uri)
      assert.equal(statusAt(bytes, bits, places.get(did) ?? -1), 2, did)
    }),
  )
  assert.equal(typeof decodeJwt((await world.bridge.statusList(nameOf(uri))).token).iat, 'number')
})
