import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { codeOf } from '../../src/core/errors.ts'
import { makeKey, type TestKey, token } from '../unit/issuer.ts'
import { dice } from './mutate.ts'
import { Target } from './rig.ts'

const lanes = 64

describe('while keys are changed under 64 at once', () => {
  it('each token is judged by a key set that was in force between its call and its answer', async () => {
    const all = [makeKey('a'), makeKey('b', 'ES256'), makeKey('c', 'EdDSA')]
    /** As `a` by name: another key. */
    const successor = makeKey('a')
    await using target = await Target.open(all)
    const d = dice(20_261_121)
    const now = target.clock.now()
    const signers: readonly TestKey[] = [...all, successor, makeKey('stranger'), makeKey('b', 'ES256')]
    const tokens = signers.map((key) => token(key, now))
    const sets: readonly (readonly TestKey[])[] = [
      all,
      [successor, ...all.slice(1)],
      all.slice(1),
      [...all.slice(0, 2)],
    ]
    /** Every set published so far, and from when on each was in force, counted in refreshes. */
    const published: (readonly TestKey[])[] = [all]
    let begun = 0
    let ended = 0
    let done = false
    const outcomes = new Map<string, number>()

    const lane = async () => {
      while (!done) {
        const nth = d.below(tokens.length)
        const from = ended
        const result = await target.verify(tokens[nth] ?? '').catch((error: unknown) => ({ refused: codeOf(error) }))
        const upTo = begun
        const outcome = 'refused' in result ? String(result.refused) : 'accepted'
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
        const signer = signers[nth]
        const allowed = published.slice(from, upTo + 1).map((keys) => {
          if (signer !== undefined && keys.includes(signer)) return 'accepted'
          return keys.some(({ kid }) => kid === signer?.kid) ? 'R_SIGNATURE' : 'R_KEY'
        })
        assert.ok(allowed.includes(outcome as (typeof allowed)[number]), `${outcome} of ${allowed.join(', ')}`)
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    const rotate = async () => {
      for (let round = 0; round < 60; round += 1) {
        const next = d.pick(sets)
        published.push(next)
        begun += 1
        target.server.publish(...next)
        await target.source.refresh()
        ended += 1
        await new Promise((resolve) => setImmediate(resolve))
      }
      done = true
    }
    await Promise.all([rotate(), ...Array.from({ length: lanes }, lane)])
    for (const outcome of ['accepted', 'R_SIGNATURE', 'R_KEY']) assert.ok((outcomes.get(outcome) ?? 0) > 0, outcome)
    assert.equal(outcomes.get('undefined'), undefined)
  })

  it('a new key is found by one fetch and a withdrawn one is gone with the next, for all of them', async () => {
    const [old, next] = [makeKey('old'), makeKey('next')]
    await using target = await Target.open([old])
    const now = target.clock.now()
    const each = (key: TestKey) => Promise.all(Array.from({ length: lanes }, () => target.verify(token(key, now))))
    const hits = target.server.hits
    target.server.publish(old, next)
    assert.ok((await each(next)).every((result) => !('refused' in result)))
    assert.equal(target.server.hits, hits + 1)
    target.server.publish(next)
    await target.source.refresh()
    assert.ok((await each(old)).every((result) => 'refused' in result && result.refused === 'R_KEY'))
    assert.ok((await each(next)).every((result) => !('refused' in result)))
  })
})
