import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { NameTable } from '../../src/lib/nametable.ts'
import { PackedMap } from '../../src/lib/packed.ts'

interface Value {
  readonly own: string
  readonly others: readonly string[]
  readonly text: string
}

const packedOf = (most = 100) => new PackedMap<Value>({ namesOf: ({ own, others }) => [own, ...others], most })

const own = fc.constantFrom('a', 'b', 'ü', '\u{1f600}', 'did:mesh:some', '')
const others = fc.uniqueArray(fc.constantFrom('x', 'y\n1', 'z'), { maxLength: 3 })
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.nat(3000).map((length) => 'é'.repeat(length)),
)
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('set' as const), own, others, text }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete' as const), own }) },
  fc.record({ kind: fc.constant('clear' as const) }),
)

test('values are found by each of their names, and by no other, whatever came and went', () => {
  const property = fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const packed = packedOf()
    const model = new Map<string, Value>()
    for (const one of steps) {
      if (one.kind === 'set') {
        const { own, others, text } = one
        const value = { own, others, text }
        assert.equal(packed.set(value), true)
        model.set(own, value)
      } else if (one.kind === 'delete') {
        packed.delete(one.own)
        model.delete(one.own)
      } else {
        packed.clear()
        model.clear()
      }
      assert.equal(packed.size, model.size)
      for (const [name, value] of model) assert.deepEqual(packed.get(name), value)
      for (const name of ['x', 'y\n1', 'z']) {
        const having = [...model.values()].filter(({ others }) => others.includes(name))
        const found = packed.get(name)
        if (having.length === 0) assert.equal(found, undefined)
        else assert.deepEqual(found, model.get(found?.own ?? 'none'))
        assert.equal(found === undefined || found.others.includes(name), true)
      }
      for (const name of ['nobody', 'A', 'y']) assert.equal(packed.get(name), undefined)
    }
  })
  fc.assert(property, { numRuns: 200 })
})

test('thousands of values grow and go, and what replaces another takes its place', () => {
  const packed = packedOf(30_000)
  const value = (n: number, text: string): Value => ({ own: `own ${n}`, others: [`other ${n}`], text })
  for (let n = 0; n < 30_000; n += 1) packed.set(value(n, 'first'))
  const { bytes } = packed
  for (let round = 0; round < 5; round += 1) for (let n = 0; n < 30_000; n += 1) packed.set(value(n, `next${round}`))
  assert.equal(packed.bytes, bytes)
  for (let n = 0; n < 30_000; n += 1) if (n % 3 !== 0) packed.delete(`own ${n}`)
  for (let n = 0; n < 30_000; n += 1) {
    const expected = n % 3 === 0 ? value(n, 'next4') : undefined
    assert.deepEqual(packed.get(`own ${n}`), expected)
    assert.deepEqual(packed.get(`other ${n}`), expected)
  }
  packed.clear()
  assert.ok(packed.bytes < bytes / 10)
  assert.equal(packed.get('own 0'), undefined)
})

test('there is no room for more than was agreed, nor for a giant; one that is replaced by a giant is gone', () => {
  const packed = packedOf(2)
  assert.equal(packed.set({ own: 'a', others: ['x'], text: '1' }), true)
  assert.equal(packed.set({ own: 'b', others: [], text: '1' }), true)
  assert.equal(packed.set({ own: 'c', others: [], text: '1' }), false)
  assert.equal(packed.get('c'), undefined)
  assert.equal(packed.set({ own: 'b', others: [], text: '2' }), true)
  assert.equal(packed.set({ own: 'a', others: ['x'], text: 'é'.repeat(140_000) }), false)
  assert.equal(packed.get('a'), undefined)
  assert.equal(packed.get('x'), undefined)
  assert.equal(packed.set({ own: 'c', others: [], text: '1' }), true)
})

test('a name that several places have leaves each of them by itself', () => {
  const table = new NameTable()
  const all = (name: string): number[] => {
    const found: number[] = []
    table.find(name, (place) => {
      found.push(place)
      return false
    })
    return found.toSorted()
  }
  for (let place = 1; place <= 300; place += 1) table.enter('one', place)
  for (let place = 1; place <= 300; place += 1) table.enter(`own ${place}`, place)
  table.leave('one', 301)
  table.leave('nobody', 1)
  for (let place = 1; place <= 300; place += 2) table.leave('one', place)
  assert.equal(all('one').length, 150)
  assert.ok(all('one').every((place) => place % 2 === 0))
  for (let place = 1; place <= 300; place += 1) assert.deepEqual(all(`own ${place}`), [place])
})
