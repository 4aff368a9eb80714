import assert from 'node:assert/strict'
import { type ReplicaRow, settingsDid } from '../../src/core/replica.ts'
import type { Store, StoreTx } from '../../src/core/store.ts'
import type { StoreTest } from './contract.ts'
import { account, agent, hold, idle, principal } from './fixture.ts'

const [a, b] = ['did:mesh:a', 'did:mesh:b']
const key = { adapter: 'contoso', id: 'p' }
const hour = 3_600_000
const definition = { capabilities: [], description: undefined, requireSponsor: false, accessPolicy: undefined }
const blueprint = { ...definition, name: 'n', origin: 'api' as const, createdAt: 1, updatedAt: 1, revision: 1 }
const toolServer = { name: 't', origin: 'api' as const, tools: [], createdAt: 1, updatedAt: 1, revision: 1 }
const tool = { name: 'x', capability: 'read:x', otherParameters: 'deny' as const }
const delegation = {
  did: b,
  parentDid: a,
  capabilities: [],
  grantedAt: 1,
  grantedBy: 'r',
  expiresAt: 9,
  endedAt: undefined,
  key: undefined,
  signature: undefined,
}

/** DIDs of the record since what was there before. */
const noted = async (store: Store, work: (tx: StoreTx) => Promise<unknown>): Promise<string> => {
  const head = await store.changeHead()
  await store.write(work)
  return (await store.changesAfter(head, 99)).map(({ did }) => (did === settingsDid ? 'settings' : did)).join(' ')
}

/** In order; `undefined`: nothing that a decision reads is another. */
const steps: readonly (readonly [string, (tx: StoreTx) => Promise<unknown>, string?])[] = [
  ['a registration', (tx) => tx.insertAgent(agent(a)), a],
  ['another', (tx) => tx.insertAgent(agent(b, { parentDid: a })), b],
  ['its name', (tx) => tx.saveAgent(agent(a, { name: 'other', labels: { x: 'y' }, revision: 2 }))],
  ['its activity', (tx) => tx.noteActivity(a, 5)],
  ['its blueprint', (tx) => tx.saveAgent(agent(a, { blueprint: 'n' })), a],
  ['its parent', (tx) => tx.saveAgent(agent(b)), b],
  ['its release', (tx) => tx.saveAgent(agent(a, { blueprint: 'n', resumedAt: 7 })), a],
  ['its end', (tx) => tx.saveAgent(agent(a, { blueprint: 'n', resumedAt: 7, decommissioned: true })), a],
  ['an account', (tx) => tx.insertPrincipal(principal(a, 'p', { scopes: ['s'] }), idle), a],
  ['when it is looked at', (tx) => tx.askRead(key, 1, 2)],
  ['its first reading', (tx) => tx.saveAccount(key, account({ observed: 'enabled', observedAt: 5 }), idle), a],
  ['the next one', (tx) => tx.saveAccount(key, account({ observed: 'disabled', observedAt: hour + 5 }), idle)],
  ['one after a while', (tx) => tx.saveAccount(key, account({ observedAt: 2 * hour + 6 }), idle), a],
  [
    'one of before, by a clock that was set back',
    (tx) => tx.saveAccount(key, account({ observedAt: 2 * hour }), idle),
    a,
  ],
  [
    'its scopes',
    (tx) => tx.describePrincipal(key, a, { kind: 'k', appId: undefined, scopes: ['t'], shared: false }),
    a,
  ],
  ['sharing it', (tx) => tx.describePrincipal(key, a, { kind: 'k', appId: undefined, scopes: ['t'], shared: true }), a],
  ['whoever shares it', (tx) => tx.addSharer(key, { did: b, appId: undefined, scopes: ['u'], mappedAt: 1 }), b],
  ['a reading of what they share', (tx) => tx.saveAccount(key, account({ observedAt: 9 * hour }), idle), `${a} ${b}`],
  ['one of them less', (tx) => tx.unmapPrincipal(key, a), a],
  ['a hold', (tx) => tx.insertHold(hold('h', a)), a],
  ['its evidence', (tx) => tx.saveHold(hold('h', a, { evidence: { x: 1 }, reason: 'other' }))],
  ['its severity', (tx) => tx.saveHold(hold('h', a, { severity: 'kill' })), a],
  ['its end', (tx) => tx.closeHolds(['h'], 9), a],
  ['a hold of nobody', (tx) => tx.insertHolds([hold('i', 'did:mesh:nobody')]), 'did:mesh:nobody'],
  ['whose it turns out to be', (tx) => tx.moveHolds('did:mesh:nobody', b), `did:mesh:nobody ${b}`],
  ['an alias', (tx) => tx.insertAlias({ alias: 'did:mesh:c', did: a, how: 'asserted', at: 1 }), a],
  ['an alias less', (tx) => tx.dropAlias('did:mesh:c'), a],
  ['a capability', (tx) => tx.putSource({ did: a, capability: 'read:x', source: 'group:g', confirmedAt: 1 }), a],
  ['that it was confirmed', (tx) => tx.confirmSources('group:g', 2)],
  ['a capability less', (tx) => tx.deleteSource(a, 'read:x', 'group:g'), a],
  ['a delegation', (tx) => tx.putDelegation(delegation), b],
  ['its key', (tx) => tx.putDelegation({ ...delegation, key: 'k' })],
  ['that it ended', (tx) => tx.endDelegations([b], 9), b],
  ['a delegation less', (tx) => tx.deleteDelegation(b), b],
  ['a blueprint', (tx) => tx.putBlueprint({ ...blueprint, maxDelegationDepth: undefined }), 'settings'],
  ['its description', (tx) => tx.putBlueprint({ ...blueprint, maxDelegationDepth: undefined, description: 'd' })],
  ['its limit', (tx) => tx.putBlueprint({ ...blueprint, maxDelegationDepth: 1 }), 'settings'],
  ['a blueprint less', (tx) => tx.dropBlueprint('n', 'api'), 'settings'],
  ['a tool server', (tx) => tx.putToolServer(toolServer), 'settings'],
  ['that it is the same', (tx) => tx.putToolServer({ ...toolServer, description: 'd', updatedAt: 2, revision: 2 })],
  ['its resource', (tx) => tx.putToolServer({ ...toolServer, resource: 'https://x.example/' }), 'settings'],
  ['what is not listed', (tx) => tx.putToolServer({ ...toolServer, unlisted: 'read:x' }), 'settings'],
  ['its tools', (tx) => tx.putToolServer({ ...toolServer, unlisted: 'read:x', tools: [tool] }), 'settings'],
  ['the one of the file', (tx) => tx.putToolServer({ ...toolServer, origin: 'config' }), 'settings'],
  ['a tool server less', (tx) => tx.dropToolServer('t', 'api'), 'settings'],
  ['the policy', (tx) => tx.noteSettings(), 'settings'],
]

export const replicaContract = (test: StoreTest): void => {
  test('whatever a decision reads is noted when it changes, and nothing else', async (store) => {
    for (const [what, work, dids = ''] of steps) {
      const found = await noted(store, work)
      assert.deepEqual(found.split(' ').sort(), dids.split(' ').sort(), what)
    }
  })

  test('each DID stands in the record once, where it changed last; one that was taken back does not', async (store) => {
    await store.write(async (tx) => {
      for (const did of [a, b]) await tx.insertAgent(agent(did))
      await tx.saveAgent(agent(a, { blueprint: 'n' }))
    })
    const told = await store.changesAfter(0, 9)
    assert.deepEqual(
      told.map(({ did }) => did),
      [b, a],
    )
    const head = await store.changeHead()
    assert.equal(head, told.at(-1)?.seq)
    const failing = store.write(async (tx) => {
      await tx.insertHold(hold('h', b))
      throw new Error('no')
    })
    await assert.rejects(failing, /no/)
    assert.deepEqual(await store.changesAfter(0, 9), told)
    assert.deepEqual(await store.changesAfter(0, 1), told.slice(0, 1))
    await store.write((tx) => tx.insertHold(hold('h', b)))
    assert.deepEqual(
      (await store.changesAfter(head, 9)).map(({ did }) => did),
      [b],
    )
  })

  test('the record of changes outlives a restart', async (store, { reopen }) => {
    assert.equal(await store.changeHead(), 0)
    await store.write((tx) => tx.insertAgent(agent(a)))
    const head = await store.changeHead()
    const again = await reopen()
    assert.equal(await again.changeHead(), head)
    await again.write((tx) => tx.insertAgent(agent(b)))
    assert.deepEqual(
      (await again.changesAfter(head, 9)).map(({ did }) => did),
      [b],
    )
  })

  test('a row has all that decisions read of a DID, as it was at its position', async (store) => {
    await store.write(async (tx) => {
      await tx.insertAgent(agent(a, { blueprint: 'n', parentDid: b, resumedAt: 4 }))
      await tx.insertAgent(agent(b, { decommissioned: true }))
      await tx.insertPrincipal(principal(a, 'q', { scopes: ['s', 't'], account: account({ observedAt: 3 }) }), idle)
      await tx.insertPrincipal(principal(a, 'p', { shared: true, scopes: ['u'] }), idle)
      await tx.addSharer(key, { did: b, appId: undefined, scopes: ['v'], mappedAt: 1 })
      await tx.insertHolds([
        hold('2', a, { placedAt: 2, publicReason: 'told' }),
        hold('1', a, { placedAt: 1, severity: 'kill', origin: 'runtime:r' }),
        hold('3', a, { releasedAt: 5 }),
        hold('4', 'did:mesh:nobody'),
        hold('5', 'did:mesh:released', { releasedAt: 5 }),
      ])
      await tx.insertAlias({ alias: 'did:mesh:z', did: a, how: 'asserted', at: 1 })
      await tx.insertAlias({ alias: 'did:mesh:y', did: a, how: 'asserted', at: 1 })
      await tx.putSource({ did: a, capability: 'write:x', source: 'manual', confirmedAt: 1 })
      await tx.putSource({ did: a, capability: 'read:x', source: 'group:g', confirmedAt: 2 })
      await tx.putDelegation({ ...delegation, did: a, parentDid: b, endedAt: 8 })
    })
    const seq = await store.changeHead()
    const empty = { seq, agent: undefined, delegation: undefined, holds: [], accounts: [], aliases: [], sources: [] }
    const operator = { origin: 'operator:soc' as const, severity: 'suspend' as const, publicReason: undefined }
    const whole: ReplicaRow = {
      did: a,
      seq,
      agent: { name: 'agent did:mesh:a', blueprint: 'n', parentDid: b, decommissioned: false, resumedAt: 4 },
      delegation: { expiresAt: 9, endedAt: 8 },
      holds: [
        { origin: 'runtime:r', severity: 'kill', publicReason: undefined, placedAt: 1 },
        { ...operator, publicReason: 'told', placedAt: 2 },
      ],
      accounts: [
        { adapter: 'contoso', id: 'p', kind: 'agentIdentity', shared: true, scopes: ['u'], observedAt: undefined },
        { adapter: 'contoso', id: 'q', kind: 'agentIdentity', shared: false, scopes: ['s', 't'], observedAt: 3 },
      ],
      aliases: ['did:mesh:y', 'did:mesh:z'],
      sources: [
        { capability: 'read:x', source: 'group:g', confirmedAt: 2 },
        { capability: 'write:x', source: 'manual', confirmedAt: 1 },
      ],
    }
    const parent: ReplicaRow = {
      ...empty,
      did: b,
      agent: {
        name: 'agent did:mesh:b',
        blueprint: undefined,
        parentDid: undefined,
        decommissioned: true,
        resumedAt: undefined,
      },
      accounts: [
        { adapter: 'contoso', id: 'p', kind: 'agentIdentity', shared: true, scopes: ['v'], observedAt: undefined },
      ],
    }
    const nobody: ReplicaRow = { ...empty, did: 'did:mesh:nobody', holds: [{ ...operator, placedAt: 10 }] }
    assert.deepEqual(await store.replicaAfter('', 9), [whole, parent, nobody])
    assert.deepEqual(await store.replicaAfter('', 2), [whole, parent])
    assert.deepEqual(await store.replicaAfter(b, 9), [nobody])
    assert.deepEqual(await store.replicaAfter(nobody.did, 9), [])
    const asked = await store.replicaOf(['did:mesh:none', b, b])
    assert.deepEqual(
      asked.toSorted((x, y) => (x.did < y.did ? -1 : 1)),
      [parent, { ...empty, did: 'did:mesh:none' }],
    )
    // The parts are the same as those that decisions read one by one.
    assert.deepEqual(
      whole.sources.map((source) => ({ did: a, ...source })),
      await store.sourcesOf(a),
    )
    assert.deepEqual(
      whole.holds.map(({ placedAt }) => placedAt),
      (await store.openHolds(a)).map(({ placedAt }) => placedAt),
    )
  })
}
