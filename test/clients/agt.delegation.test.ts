import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AgentIdentity } from '@microsoft/agent-governance-sdk'
import { signDelegation } from '../../clients/agt/index.ts'
import { path } from '../e2e/agents.ts'
import { at, textAt } from '../e2e/json.ts'
import { startBridge } from './rig.ts'

const code = (name: string) => (error: unknown) => error instanceof Error && 'code' in error && error.code === name

test("a delegation signed with the SDK's identity is verified by the daemon, down to the third hop", async () => {
  await using bridge = await startBridge()
  const { daemon } = bridge
  const root = AgentIdentity.generate('root', ['read:*'])
  const middle = root.delegate('middle', ['read:*'])
  const leaf = middle.delegate('leaf-é', ['read:reports'])
  const register = (body: object) => daemon.as('alice').post('/v1/agents', { name: 'an agent', ...body })
  assert.equal((await register({ did: root.did, capabilities: ['read:*'] })).status, 201)

  const expiresAt = new Date(Date.now() + 3_600_000)
  const first = signDelegation(root, { child: middle.did, capabilities: ['read:*'], expiresAt })
  const second = signDelegation(middle, { child: leaf.did, capabilities: ['read:reports', 'read:notes'] })
  assert.deepEqual([first.depth, second.depth, second.expiresAt], [1, 2, null])
  const stolen = await register({ did: leaf.did, parentDid: root.did, delegation: first })
  assert.deepEqual([stolen.status, textAt(stolen.body, 'code')], [422, 'E_DELEGATION_PROOF'])
  for (const [of, parent, delegation] of [
    [middle, root, first],
    [leaf, middle, second],
  ] as const) {
    const answer = await register({ did: of.did, parentDid: parent.did, delegation })
    assert.equal(answer.status, 201, answer.text)
    assert.equal(at(answer.body, 'delegation', 'signed', 'signature'), toUrl(delegation.proof.signature))
  }
  const chain = await daemon.as('alice').get(path(leaf.did, '/delegation'))
  assert.deepEqual(at(chain.body, 'items', '2', 'effective'), ['read:notes', 'read:reports'])
  assert.deepEqual(
    ['0', '1', '2'].map((n) => at(chain.body, 'items', n, 'did')),
    [root.did, middle.did, leaf.did],
  )
})

const toUrl = (text: string) => Buffer.from(text, 'base64').toString('base64url')

test('nothing is signed for an identity that is not active, nor for terms that say nothing', () => {
  const identity = AgentIdentity.generate('root', ['read:*'])
  const terms = { child: 'did:mesh:child', capabilities: ['read:x'] }
  assert.throws(() => signDelegation(identity, { ...terms, expiresAt: new Date('never') }), code('E_DELEGATION'))
  for (const depth of [0, 1.5, Number.NaN]) {
    assert.throws(() => signDelegation(identity, { ...terms, depth }), code('E_DELEGATION'))
  }
  identity.suspend()
  assert.throws(() => signDelegation(identity, terms), code('E_DELEGATION'))
})
