import assert from 'node:assert/strict'
import { env } from 'node:process'
import { test } from 'node:test'
import { token } from '../unit/issuer.ts'
import { fuzz } from './fuzz.ts'
import { Target } from './rig.ts'

const seed = Number(env['FC_SEED'] ?? Date.now() % 1e9)

test(`a changed token is never accepted and breaks nothing, and jose agrees on every signature (seed ${seed})`, async () => {
  const { cases, identical, refused, compared } = await fuzz({ cases: 10_000, seed, differential: true })
  assert.equal(compared, cases)
  // The changes reach every stage of the verification, and now and then change nothing.
  for (const code of ['R_TOKEN', 'R_ALGORITHM', 'R_KEY', 'R_SIGNATURE']) assert.ok((refused[code] ?? 0) > 100, code)
  assert.ok(identical > 10 && identical < cases / 10, `${identical} identical`)
})

test('one broken rule is told once, with the seed and the token', async () => {
  await using target = await Target.open()
  const { claims } = await target.accepted('a good one', token(target.key('ES256'), target.clock.now()))
  let asked = 0
  const gullible: Target['verify'] = async () => {
    asked += 1
    const issuedAt = target.clock.now()
    const signedBy = { alg: 'ES256', kid: 'ES256', key: target.key('ES256').publicKey }
    return { claims, header: {}, signedBy, issuedAt, expiresAt: issuedAt }
  }
  await assert.rejects(fuzz({ cases: 1_000_000, seed, differential: false, verify: gullible }), (error: unknown) => {
    assert.ok(error instanceof assert.AssertionError)
    assert.match(error.message, new RegExp(`^a changed token was accepted; seed ${seed}: ".*"$`))
    return true
  })
  assert.ok(asked < 1000, `${asked} asked`)
})
