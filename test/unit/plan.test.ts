import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { counted, inOrder, type PlannedChange, planHash, plannedChanges, wholeHash } from '../../src/core/plan.ts'

const text = fc.string({ maxLength: 8 })
const change: fc.Arbitrary<PlannedChange> = fc.record({
  change: fc.constantFrom(...plannedChanges),
  dids: fc.array(text, { minLength: 1, maxLength: 3 }),
  principal: fc.option(text, { nil: undefined }),
  because: fc.array(text, { maxLength: 2 }),
  cause: fc.option(text, { nil: undefined }),
  capability: fc.option(text, { nil: undefined }),
  guarded: fc.boolean(),
})

test('the hash of a plan is that of its changes, whatever their order and however often each was found', () => {
  fc.assert(
    fc.property(fc.array(change), fc.array(fc.nat()), (rows, seeds) => {
      const other = [...rows, ...rows]
        .map((row, n) => ({ row, at: seeds[n % Math.max(1, seeds.length)] ?? 0 }))
        .sort((a, b) => a.at - b.at)
        .map(({ row }) => row)
      assert.equal(planHash('contoso', other), planHash('contoso', rows))
      assert.deepEqual(inOrder(other), inOrder(rows))
      assert.match(planHash('contoso', rows), /^[0-9a-f]{64}$/)
    }),
  )
})

test('two plans of one directory have one hash only if they are the same', () => {
  fc.assert(
    fc.property(fc.array(change), fc.array(change), (one, two) => {
      const same = JSON.stringify(inOrder(one)) === JSON.stringify(inOrder(two))
      assert.equal(planHash('contoso', one) === planHash('contoso', two), same)
      assert.notEqual(planHash('contoso', one), planHash('acme', one))
    }),
  )
})

test('the whole has a hash when every part has one, in whatever order the directories are', () => {
  const a = { adapter: 'a', hash: '1' }
  const b = { adapter: 'b', hash: '2' }
  assert.equal(wholeHash([a, b]), wholeHash([b, a]))
  assert.notEqual(wholeHash([a, b]), wholeHash([a]))
  assert.notEqual(wholeHash([a, b]), wholeHash([a, { ...b, hash: '3' }]))
  assert.equal(wholeHash([a, { ...b, hash: undefined }]), undefined)
})

test('of each kind that there is, how many', () => {
  assert.deepEqual(counted(['x', 'y', 'z'], ['z', 'x', 'z']), [
    { kind: 'x', n: 1 },
    { kind: 'z', n: 2 },
  ])
})
