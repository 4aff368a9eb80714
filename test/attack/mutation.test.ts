import assert from 'node:assert/strict'
import { env } from 'node:process'
import { test } from 'node:test'
import { fuzz } from './fuzz.ts'

const seed = Number(env['FC_SEED'] ?? Date.now() % 1e9)

test(`a changed token is never accepted and breaks nothing, and jose agrees on every signature (seed ${seed})`, async () => {
  const { cases, identical, refused, compared } = await fuzz({ cases: 10_000, seed, differential: true })
  assert.equal(compared, cases)
  // The changes reach every stage of the verification, and now and then change nothing.
  for (const code of ['R_TOKEN', 'R_ALGORITHM', 'R_KEY', 'R_SIGNATURE']) assert.ok((refused[code] ?? 0) > 100, code)
  assert.ok(identical > 10 && identical < cases / 10, `${identical} identical`)
})
