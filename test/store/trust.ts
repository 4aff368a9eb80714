import assert from 'node:assert/strict'
import type { TrustReport } from '../../src/core/trust.ts'
import type { StoreTest } from './contract.ts'
import { agent } from './fixture.ts'

const report = (did: string, client: string, fields: Partial<TrustReport> = {}): TrustReport => ({
  did,
  client,
  score: 700,
  scale: '0-1000',
  at: 10,
  reportedAt: 11,
  settled: false,
  ...fields,
})

export const trustContract = (test: StoreTest): void => {
  test('the latest score of each client of each agent is kept, as it was reported', async (store, opened) => {
    const exact = report('a', 'agt-2', { score: 0.1 + 0.2, scale: '0-1' })
    const later = report('a', 'agt-1', { score: 120, at: 20, reportedAt: 21, settled: true })
    await store.write(async (tx) => {
      for (const did of ['a', 'b', 'c']) await tx.insertAgent(agent(did))
      await tx.saveTrust([report('a', 'agt-1'), exact, report('b', 'agt-1')])
      await tx.saveTrust([later])
      await tx.saveTrust([])
    })
    const reopened = await opened.reopen()
    assert.deepEqual(await reopened.trustOf(['b', 'a', 'c', 'nobody']), [later, exact, report('b', 'agt-1')])
    assert.deepEqual(await reopened.trustOf(['c']), [])
    assert.deepEqual(await reopened.trustOf([]), [])
  })

  test('scores are settled and dropped for one agent, and for no other', async (store) => {
    await store.write(async (tx) => {
      for (const did of ['a', 'b']) await tx.insertAgent(agent(did))
      await tx.saveTrust([report('a', 'agt-1'), report('a', 'agt-2'), report('b', 'agt-1')])
      await tx.settleTrust('a')
    })
    const settled = async () => (await store.trustOf(['a', 'b'])).map((one) => [one.did, one.client, one.settled])
    assert.deepEqual(await settled(), [
      ['a', 'agt-1', true],
      ['a', 'agt-2', true],
      ['b', 'agt-1', false],
    ])
    await store.write((tx) => tx.dropTrust('a'))
    assert.deepEqual(await settled(), [['b', 'agt-1', false]])
  })

  test('a score of nobody takes back the transaction', async (store) => {
    const write = store.write(async (tx) => {
      await tx.insertAgent(agent('a'))
      await tx.saveTrust([report('a', 'agt-1'), report('nobody', 'agt-1')])
    })
    await assert.rejects(write, { code: 'E_AGENT_UNKNOWN' })
    assert.equal(await store.agent('a'), undefined)
  })
}
