import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DelegationTerms } from '../../src/core/delegation.ts'
import type { DelegationInput } from '../../src/engine/delegationapi.ts'
import { thumbprintOf } from '../../src/lib/agentkey.ts'
import { registrar, World } from './harness.ts'
import { newSigner } from './signing.ts'

const expiresAt = Date.UTC(2100, 0, 1)
const capabilities = ['write:z', 'read:x']

/** A root whose DID is derived from its key, and what it may grant to `child`. */
const rooted = async (world: World) => {
  const root = newSigner()
  await world.bridge.register({ did: root.did, name: 'root', capabilities: ['read:*', 'write:*'] }, registrar)
  const terms: DelegationTerms = { parent: root.did, child: 'did:mesh:child', capabilities, depth: 1, expiresAt }
  const register = (delegation: DelegationInput) =>
    world.bridge.register({ did: 'did:mesh:child', name: 'child', parentDid: root.did, delegation }, registrar)
  return { root, terms, register }
}
const given = (signature: string, key?: unknown): DelegationInput => ({
  capabilities,
  expiresAt: '2100-01-01T00:00:00Z',
  proof: { signature, ...(key !== undefined && { key }) },
})

for (const form of ['key', 'spki', 'jwk'] as const) {
  test(`a delegation signed by the parent is verified, its key given as ${form}`, async () => {
    await using world = await World.open()
    const { root, terms, register } = await rooted(world)
    const signature = root.delegate(terms)
    const { agent } = await register(given(signature, root[form]))
    const base64url = Buffer.from(signature, 'base64').toString('base64url')
    const signed = { key: thumbprintOf(root.key), signature: base64url }
    assert.deepEqual(agent.delegation?.signed, { ...signed, binding: 'fingerprint' })
    const [, hop] = await world.bridge.delegation('did:mesh:child')
    assert.deepEqual([hop?.signed?.key, hop?.granted], [signed.key, ['read:x', 'write:z']])
    const [entry] = await world.store.audit({ dids: ['did:mesh:child'], limit: 1 })
    assert.deepEqual(entry?.details?.['delegation'], {
      capabilities: ['read:x', 'write:z'],
      expiresAt,
      signed: true,
    })
    // In the other alphabet it is the same delegation, and a change of something else leaves it.
    assert.equal((await register(given(base64url, root.jwk))).created, false)
    const patched = await world.bridge.patch('did:mesh:child', { name: 'renamed' }, registrar, undefined)
    assert.deepEqual(patched.delegation, agent.delegation)
  })
}

test('a signature over anything else, by anybody else or in another form is refused, and nothing is registered', async () => {
  await using world = await World.open()
  const { root, terms, register } = await rooted(world)
  const mallory = newSigner()
  const good = root.delegate(terms)
  const bytes = Buffer.from(good, 'base64')
  const flipped = Buffer.from(bytes)
  flipped[5] = (flipped[5] ?? 0) ^ 1
  const others: Partial<DelegationTerms>[] = [
    { parent: 'did:mesh:other' },
    { child: 'did:mesh:other' },
    { capabilities: ['read:x'] },
    { capabilities: [...capabilities, 'read:y'] },
    { depth: 2 },
    { expiresAt: expiresAt + 1 },
    { expiresAt: undefined },
  ]
  const wrong = [
    ...others.map((other) => given(root.delegate({ ...terms, ...other }), root.key)),
    // AGT's own scope chain: it binds neither expiry nor depth.
    given(root.signature(`${root.did}:did:mesh:child:read:x,write:z`), root.key),
    given(mallory.delegate(terms), root.key),
    given(mallory.delegate(terms), mallory.key),
    // Whoever made the JWK chose its kid.
    given(mallory.delegate(terms), { ...mallory.jwk, kid: root.did }),
    given(flipped.toString('base64'), root.key),
    given(bytes.subarray(0, 63).toString('base64'), root.key),
    given(`${good.slice(0, -2)}AA`, root.key),
    given('', root.key),
  ]
  for (const delegation of wrong) {
    await assert.rejects(register(delegation), { code: 'E_DELEGATION_PROOF' }, JSON.stringify(delegation))
  }
  assert.equal(await world.store.agent('did:mesh:child'), undefined)
  assert.equal((await register(given(good, root.key))).created, true)
})

test('a private key is refused, and no text of it is in the answer', async () => {
  await using world = await World.open()
  const { root, terms, register } = await rooted(world)
  const refused = await register(given(root.delegate(terms), root.privateJwk)).then(
    () => undefined,
    (error: unknown) => error,
  )
  assert.ok(refused instanceof Error && 'code' in refused && refused.code === 'E_KEY')
  assert.ok(!JSON.stringify({ ...refused, message: refused.message }).includes(String(root.privateJwk.d)))
})

test('a signature that is taken back with its delegation is no way around a wider one', async () => {
  await using world = await World.open()
  const { root, terms, register } = await rooted(world)
  await register(given(root.delegate(terms), root.key))
  const patch = (delegation: unknown) => world.bridge.patch('did:mesh:child', { delegation }, registrar, undefined)
  const wider = { ...given(root.delegate(terms), root.key), capabilities: ['read:*'] }
  await assert.rejects(patch(wider), { code: 'E_DELEGATION_PROOF' })
  assert.deepEqual((await world.bridge.agent('did:mesh:child', registrar)).effective, ['read:x', 'write:z'])
  const unsigned = await patch({ capabilities: ['read:*'] })
  assert.deepEqual([unsigned.delegation?.signed, unsigned.effective], [undefined, ['read:*']])
})
