import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { chainLength, maxActors, namesOf } from '../../src/core/actors.ts'

const chain = (length: number): unknown =>
  Array.from({ length }).reduce<unknown>(
    (act, _, at) => ({ sub: `s${at}`, ...(act === undefined ? {} : { act }) }),
    undefined,
  )

test('a chain is counted to its end, and refused past sixteen', () => {
  assert.equal(chainLength(undefined), 0)
  for (const length of [1, 2, maxActors]) assert.equal(chainLength(chain(length)), length)
  assert.equal(chainLength(chain(maxActors + 1)), undefined)
})

test('anything but objects nested in objects is no chain', () => {
  const wrong = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null), fc.array(fc.object()))
  fc.assert(
    fc.property(wrong, fc.integer({ min: 0, max: 4 }), (end, depth) => {
      const act = Array.from({ length: depth }).reduce<unknown>((inner) => ({ sub: 'a', act: inner }), end)
      assert.equal(chainLength(act), undefined)
    }),
  )
})

test('a hop is named by its subject and its client, each once; a name that is no text names nobody', () => {
  assert.deepEqual(namesOf({ sub: 'a', azp: 'b', client_id: 'a', iss: 'i', oid: 'ignored' }), {
    names: ['a', 'b'],
    issuer: 'i',
  })
  assert.deepEqual(namesOf({}), { names: [], issuer: undefined })
  for (const hop of [{ sub: 1 }, { sub: '' }, { sub: 'a', azp: {} }, { sub: 'a', iss: [] }, { client_id: null }]) {
    assert.equal(namesOf(hop), undefined, JSON.stringify(hop))
  }
})
