import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TrustInput } from '../../src/engine/trustapi.ts'
import { alice, bob, caller, carol, minute, registrar, runtime, second, soc, World } from './harness.ts'

const trust = { suspendBelow: 300, liftAbove: 500 }
const other = caller('agt-2', 'runtime')

const report = async (world: World, did: string, score: number, by = runtime, fields: Partial<TrustInput> = {}) => {
  const [answer] = await world.bridge.reportTrust([{ did, score, scale: '0-1000', ...fields }], by)
  assert.ok(answer)
  return answer
}

const entriesOf = async (world: World, hold: string) =>
  (await world.store.audit({ hold, limit: 100 })).map(({ type, actor, details }) => ({
    type,
    actor,
    how: details?.how,
  }))

test('a low score suspends everywhere, and lifts only above the second threshold', async () => {
  await using world = await World.open({ policy: { trust } })
  const did = await world.agent('a')
  assert.deepEqual(await report(world, did, 300), { did, status: 'ok', score: 300, hold: undefined })
  assert.deepEqual(await world.codes(did), [])

  const { hold } = await report(world, did, 299)
  assert.ok(hold)
  assert.deepEqual(await world.codes(did), ['R_SUSPENDED'])
  await world.settleAll()
  assert.deepEqual([...world.writes('north'), ...world.writes('south')], ['disable', 'disable'])
  const [open] = await world.open(did)
  assert.partialDeepStrictEqual(open, {
    id: hold,
    origin: 'policy:trust',
    severity: 'suspend',
    actor: 'agt-1',
    reason: 'The trust score 299 of 1000, reported by agt-1, is below 300.',
    evidence: { client: 'agt-1', score: 299, scale: '0-1000', threshold: 300 },
  })

  for (const score of [0, 299, 300, 499]) assert.equal((await report(world, did, score)).hold, hold)
  assert.equal((await world.open(did)).length, 1)
  assert.equal((await report(world, did, 500)).hold, undefined)
  assert.deepEqual(await world.codes(did), [])
  await world.settleAll()
  assert.deepEqual(world.writes('north'), ['disable', 'enable'])
  assert.deepEqual(await entriesOf(world, hold), [
    { type: 'hold.placed', actor: 'agt-1', how: undefined },
    { type: 'hold.released', actor: 'agt-1', how: 'trust' },
  ])
  assert.equal((await report(world, did, 499)).hold, undefined, 'down again, and not below the first threshold')
  assert.deepEqual(world.violations, [])
})

test('a runtime that is an agent stops its own family, and has no part in letting it go', async () => {
  await using world = await World.open({ policy: { trust } })
  const parent = await world.agent('parent', {}, [])
  const child = await world.agent('child', { parentDid: parent }, [])
  const stranger = await world.agent('stranger', {}, [])
  const relations = { parent: { ...runtime, dids: [parent] }, child: { ...runtime, dids: [stranger, child] } }
  for (const [mine, theirs] of [
    [relations.parent, child],
    [relations.child, parent],
    [relations.child, child],
  ] as const) {
    const { hold, status } = await report(world, theirs, 100, mine)
    assert.equal(status, 'ok')
    assert.ok(hold)
    assert.deepEqual(await report(world, theirs, 500, mine), {
      did: theirs,
      status: 'forbidden',
      score: undefined,
      hold: undefined,
    })
    // Under other thresholds, or none for a while, that would let it go.
    assert.equal((await report(world, theirs, 499, mine)).status, 'forbidden')
    world.policy = { ...world.policy, trust: undefined }
    for (const score of [900, 101, 100]) assert.equal((await report(world, theirs, score, mine)).status, 'forbidden')
    world.policy = { ...world.policy, trust }
    const items = [500, 99].map((score) => ({ did: theirs, score, scale: '0-1000' as const }))
    const statuses = (answers: readonly { status: string }[]) => answers.map(({ status }) => status)
    assert.deepEqual(statuses(await world.bridge.reportTrust(items, mine)), ['forbidden', 'ok'])
    assert.deepEqual(statuses(await world.bridge.trustNow(items, mine)), ['forbidden', 'ok'], 'a repeat says the same')
    // What it may not say does not stand either: the other one alone lifts nothing.
    assert.equal((await report(world, theirs, 900, other)).hold, hold)
    assert.equal((await report(world, theirs, 900, runtime)).hold, undefined, 'the same client, when it is no agent')
    assert.deepEqual(await world.open(theirs), [])
  }
  // Of those that are not its family it is a runtime like any other.
  await report(world, stranger, 100, relations.parent)
  assert.equal((await report(world, stranger, 500, relations.parent)).hold, undefined)
  assert.deepEqual(world.violations, [])
})

test('both scales meet the same thresholds', async () => {
  await using world = await World.open({ policy: { trust } })
  const did = await world.agent('a')
  const scale = '0-1' as const
  assert.equal((await report(world, did, 0.3, runtime, { scale })).hold, undefined)
  assert.deepEqual(await report(world, did, 0.2999, runtime, { scale }), {
    did,
    status: 'ok',
    score: 299.9,
    hold: (await world.open(did))[0]?.id,
  })
  assert.equal((await world.open(did)).length, 1)
  assert.equal((await report(world, did, 500)).hold, undefined)
  const view = await world.bridge.agent(did, registrar)
  assert.equal(view.trust?.score, 500)
})

test('one runtime that is not convinced keeps the agent held, also when it fell silent, until people decide', async () => {
  await using world = await World.open({ policy: { trust } })
  const did = await world.agent('a', {}, [])
  await report(world, did, 499, other)
  const { hold } = await report(world, did, 100)
  assert.ok(hold)
  assert.equal((await report(world, did, 900)).hold, hold, 'the other one said 499')
  await world.clock.advance(400 * 24 * 60 * minute)
  await world.restart()
  assert.equal((await report(world, did, 1000)).hold, hold, 'and has not been heard of since')
  assert.deepEqual(
    (await world.bridge.agent(did, registrar)).trust?.reports.map(({ client, score, settled }) => [
      client,
      score,
      settled,
    ]),
    [
      ['agt-1', 1000, false],
      ['agt-2', 499, false],
    ],
  )

  for (const one of [soc, carol])
    await assert.rejects(world.bridge.release(did, hold, 'r', one), { code: 'E_FORBIDDEN' })
  await assert.rejects(world.bridge.release(did, hold, 'r', runtime), { code: 'E_FORBIDDEN' })
  const asReporter = world.bridge.release(did, hold, 'r', caller('agt-1', 'operator'))
  await assert.rejects(asReporter, { code: 'E_SAME_PERSON' })
  await world.releaseByTwo(did, hold, alice, bob)
  assert.deepEqual(await world.codes(did), [])
  assert.ok((await world.bridge.agent(did, registrar)).trust?.reports.every(({ settled }) => settled))
  // What was settled holds nobody any more: the next hold ends as soon as its own client is convinced.
  assert.ok((await report(world, did, 100)).hold)
  assert.equal((await report(world, did, 500)).hold, undefined)
})

test('an override ends the hold and not the policy: the next low report places another', async () => {
  await using world = await World.open({ policy: { trust } })
  const did = await world.agent('a')
  const { hold } = await report(world, did, 200)
  assert.ok(hold)
  await world.releaseByTwo(did, hold)
  assert.deepEqual(await world.codes(did), [])
  assert.equal((await report(world, did, 600, other)).hold, undefined, 'of another client nothing is wrong')
  const again = await report(world, did, 200)
  assert.ok(again.hold !== undefined && again.hold !== hold)
  assert.deepEqual(await world.codes(did), ['R_SUSPENDED'])
})

test('thresholds changed at a reload, and a restart, hold and lift nobody by themselves', async () => {
  await using world = await World.open({ policy: { trust } })
  const low = await world.agent('low')
  const mid = await world.agent('mid')
  await report(world, low, 100)
  await report(world, mid, 350)
  const reload = async (to: typeof trust | undefined) => {
    world.policy = { ...world.policy, trust: to }
    await world.restart()
    await world.settleAll()
  }
  await reload({ suspendBelow: 400, liftAbove: 450 })
  assert.deepEqual([await world.origins(low), await world.origins(mid)], [['policy:trust'], []])
  assert.ok((await report(world, mid, 350)).hold, 'the next report meets the new threshold')
  assert.ok((await report(world, low, 449)).hold)
  await reload({ suspendBelow: 10, liftAbove: 20 })
  assert.deepEqual([await world.origins(low), await world.origins(mid)], [['policy:trust'], ['policy:trust']])
  assert.equal((await report(world, low, 20)).hold, undefined)
  assert.equal(world.alerts.length, 0)

  await reload(undefined)
  assert.deepEqual(
    world.alerts.map(({ code }) => code),
    ['trust-policy-gone'],
  )
  assert.match(world.alerts[0]?.text ?? '', /^1 agent is held/)
  const kept = await report(world, mid, 1000)
  assert.ok(kept.hold, 'whoever takes the policy away lifts nothing')
  assert.equal((await report(world, low, 0)).hold, undefined)
  await reload(trust)
  assert.equal((await report(world, mid, 1000)).hold, undefined)
})

test('a report of an earlier moment is ignored, one without a time is the latest, also after the clock was set back', async () => {
  await using world = await World.open({ policy: { trust } })
  const did = await world.agent('a')
  const now = world.clock.now()
  assert.equal((await report(world, did, 600, runtime, { at: now - 5 * second })).status, 'ok')
  assert.deepEqual(await report(world, did, 100, runtime, { at: now - 6 * second }), {
    did,
    status: 'stale',
    score: 600,
    hold: undefined,
  })
  assert.equal((await report(world, did, 550, other, { at: now - 60 * minute })).status, 'ok', 'each has its own order')
  assert.equal((await report(world, did, 610, runtime, { at: now + 50 * second })).status, 'ok')
  world.clock.jump(-60 * minute)
  assert.ok((await report(world, did, 100)).hold)
  assert.equal((await report(world, did, 900)).hold, undefined)
})

test('nothing is kept of an agent that is unknown, beyond the bounds or decommissioned', async () => {
  await using world = await World.open({ policy: { trust } })
  const inside = await world.agent('inside', { labels: { unit: 'payments' } })
  const outside = await world.agent('outside', { labels: { unit: 'research' } })
  const gone = await world.agent('gone', { labels: { unit: 'payments' } })
  const bounded = { ...runtime, labels: { unit: 'payments' } }
  await report(world, gone, 700)
  await world.bridge.decommission(gone, 'replaced', registrar)
  assert.equal((await world.bridge.agent(gone, registrar)).trust, undefined)
  const dids = ['did:mesh:nobody', outside, gone, inside]
  const answers = await world.bridge.reportTrust(
    dids.map((did) => ({ did, score: 1, scale: '0-1000' })),
    bounded,
  )
  assert.deepEqual(
    answers.map(({ status, score }) => [status, score]),
    [
      ['unknown', undefined],
      ['forbidden', undefined],
      ['decommissioned', undefined],
      ['ok', 1],
    ],
  )
  assert.deepEqual(
    (await world.store.trustOf(dids)).map(({ did }) => did),
    [inside],
  )
  assert.deepEqual([await world.origins(outside), await world.origins('did:mesh:nobody')], [[], []])
  await assert.rejects(report(world, 'garbage', 1), { code: 'E_DID' })
})

test('the holds of reports are out of the kill budget: what fits is done, the rest refused, and a repeat is free', async () => {
  await using world = await World.open({ policy: { trust, killBudget: { max: 3, perMs: 10 * minute } } })
  const dids = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((id) => world.agent(id, {}, [])))
  const healthy = await world.agent('healthy', {}, [])
  await world.kill(await world.agent('killed', {}, []))
  const items = [...dids, healthy].map((did) => ({ did, score: did === healthy ? 800 : 10, scale: '0-1000' as const }))
  const refused = { code: 'E_BUDGET', retryAfterMs: 10 * minute }
  await assert.rejects(world.bridge.reportTrust(items, runtime), (error: Error) => {
    assert.partialDeepStrictEqual({ ...error }, { code: 'E_BUDGET' })
    return (
      'retryAfterMs' in error && Number(error.retryAfterMs) > 0 && Number(error.retryAfterMs) <= refused.retryAfterMs
    )
  })
  const held = async () => {
    const origins = await Promise.all(dids.map((did) => world.origins(did)))
    return origins.map((list) => list.length)
  }
  assert.deepEqual(await held(), [1, 1, 0, 0, 0])
  assert.equal((await world.store.trustOf([healthy])).length, 1)
  assert.equal((await world.store.trustOf(dids)).length, 2, 'what holds nobody for want of budget is not kept either')
  assert.deepEqual(
    world.alerts.map(({ code }) => code),
    ['kill-budget'],
  )
  await assert.rejects(world.bridge.reportTrust(items, runtime), { code: 'E_BUDGET' })
  assert.deepEqual(await held(), [1, 1, 0, 0, 0])
  await world.clock.advance(11 * minute)
  assert.deepEqual(
    (await world.bridge.reportTrust(items, runtime)).map(({ hold }) => hold !== undefined),
    [true, true, true, true, true, false],
  )
  // Flapping costs as well: it would be a way around the budget.
  await assert.rejects(
    world.bridge.reportTrust(
      [{ ...items[0], did: dids[0] ?? '', score: 900, scale: '0-1000' }, ...items.slice(0, 1)],
      runtime,
    ),
    { code: 'E_BUDGET' },
  )
  assert.deepEqual(await held(), [0, 1, 1, 1, 1])
})

test('scores of one agent in one request are taken in their order', async () => {
  await using world = await World.open({ policy: { trust } })
  const did = await world.agent('a')
  const scores = [100, 900, 200, 400]
  const answers = await world.bridge.reportTrust(
    scores.map((score) => ({ did, score, scale: '0-1000' as const })),
    runtime,
  )
  assert.deepEqual(
    answers.map(({ hold }) => hold !== undefined),
    [true, false, true, true],
  )
  assert.equal((await world.store.holdsOf(did, 10)).length, 2)
  assert.equal((await world.store.trustOf([did]))[0]?.score, 400)
})

test('a thousand scores at once, their holds and those of descendants, and all of it undone', async () => {
  await using world = await World.open({ policy: { trust, killBudget: { max: 1000, perMs: minute } } })
  const dids: string[] = []
  for (let n = 0; n < 120; n += 1) dids.push(await world.agent(`p${n}`, {}, []))
  const child = await world.agent('child', { parentDid: dids[60] }, [])
  const of = (score: number) =>
    Array.from({ length: 1000 }, (_, n) => ({ did: dids[n % dids.length] ?? '', score, scale: '0-1000' as const }))
  await world.bridge.reportTrust(of(10), runtime)
  assert.equal(await world.store.countOpenHolds(), 121)
  assert.deepEqual(await world.origins(child), [`cascade:${dids[60]}`])
  await world.bridge.reportTrust(of(900), runtime)
  assert.equal(await world.store.countOpenHolds(), 0)
})

test('the policy releases nothing but its own hold', async () => {
  await using world = await World.open({ policy: { trust } })
  const did = await world.agent('a')
  const { holdId } = await world.kill(did)
  await world.bridge.place(did, { severity: 'suspend', reason: 'case 4711' }, soc)
  world.south.set('a', false)
  await world.settleAll()
  await report(world, did, 10)
  assert.equal((await world.open(did)).length, 4)
  await report(world, did, 1000)
  assert.deepEqual(await world.origins(did), ['adapter:south/a', 'operator:soc', 'runtime:agt-1'])
  assert.equal((await world.store.hold(holdId))?.releasedAt, undefined)
})

test('what is kept under a key is kept with the last of the scores, and not when some were left out', async () => {
  await using world = await World.open({ policy: { trust, killBudget: { max: 1, perMs: minute } } })
  const [a, b] = [await world.agent('a', {}, []), await world.agent('b', {}, [])]
  const keep = (key: string) => ({
    client: 'agt-1',
    route: 'POST /v1/trust',
    key,
    entry: (answers: readonly unknown[]) => ({ bodyHash: 'x', status: 200, ref: String(answers.length) }),
  })
  const low = (did: string) => ({ did, score: 1, scale: '0-1000' as const })
  await assert.rejects(world.bridge.reportTrust([low(a), low(b)], runtime, keep('k1')), { code: 'E_BUDGET' })
  assert.equal(await world.store.idempotent('agt-1', 'POST /v1/trust', 'k1'), undefined)
  await world.clock.advance(2 * minute)
  const many = [...Array.from({ length: 60 }, () => low(a)), low(b)]
  await world.bridge.reportTrust(many, runtime, keep('k1'))
  assert.equal((await world.store.idempotent('agt-1', 'POST /v1/trust', 'k1'))?.ref, '61')
  assert.deepEqual(
    (await world.bridge.trustNow([low(a), low('did:mesh:nobody')], runtime)).map(({ status, score }) => [
      status,
      score,
    ]),
    [
      ['ok', 1],
      ['unknown', undefined],
    ],
  )
})

test('a score under another spelling is the agent’s, also twice in one report', async () => {
  await using world = await World.open({ policy: { trust } })
  const did = await world.agent('a')
  const alias = 'did:agentmesh:a'
  await world.bridge.patch(did, { aliases: [alias] }, alice, undefined)
  const items = [alias, did].map((one, index) => ({ did: one, score: 100 + index, scale: '0-1000' as const }))
  const [first, second] = await world.bridge.reportTrust(items, runtime)
  assert.deepEqual([first?.did, second?.did, first?.hold], [did, did, second?.hold])
  assert.equal((await world.open(did)).length, 1)
  assert.deepEqual((await world.bridge.agent(alias, registrar)).trust?.reports.length, 1)
  assert.equal((await report(world, alias, 500)).hold, undefined)
  assert.deepEqual(await world.open(did), [])
})
