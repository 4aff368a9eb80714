import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createNameTable, type NameTable } from '../../src/lib/nametable.ts'
import { chunkBytes, PackedMap } from '../../src/lib/packed.ts'

interface Value {
  readonly own: string
  readonly others: readonly string[]
  readonly text: string
}

const namesOf = ({ own, others }: Value) => [own, ...others]
const packedOf = (mostBytes = 100 * chunkBytes, newTable?: () => NameTable) =>
  new PackedMap<Value>({ namesOf, mostBytes, ...(newTable && { newTable }) })

/** Every name falls together with every other one. */
const worstTable = (): NameTable => {
  let places: number[] = []
  return {
    bytes: 0,
    find: (_, isMeant) => [...new Set(places)].find(isMeant),
    enter: (_, place) => places.push(place),
    leave: (_, place) => {
      const at = places.indexOf(place)
      places = places.filter((__, n) => n !== at)
    },
  }
}

const own = fc.constantFrom('a', 'b', 'ü', '\u{1f600}', 'did:mesh:some', '')
const others = fc.uniqueArray(fc.constantFrom('x', 'y\n1', 'z', 'other a'), { maxLength: 3 })
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
  const property = fc.property(fc.array(step, { maxLength: 60 }), fc.boolean(), (steps, worst) => {
    const packed = packedOf(undefined, worst ? worstTable : undefined)
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

test('one that has the first name of another among its own is not taken for it', () => {
  const packed = packedOf()
  packed.set({ own: 'a', others: ['b'], text: '1' })
  packed.set({ own: 'b', others: ['a'], text: '2' })
  packed.delete('a')
  assert.equal(packed.get('b')?.own, 'b')
  assert.equal(packed.get('a')?.own, 'b')
  packed.set({ own: 'b', others: [], text: '3' })
  assert.equal(packed.get('a'), undefined)
  assert.equal(packed.size, 1)
})

test('thousands of values grow and go, and what replaces another takes its place', () => {
  const packed = packedOf()
  const value = (n: number, text: string): Value => ({ own: `own ${n}`, others: [`other ${n}`], text })
  // Three pieces of memory, the ends of two not quite full.
  const filler = 'f'.repeat(200 + 32 * 5)
  for (let n = 0; n < 30_000; n += 1) packed.set(value(n, `first${filler}`))
  const { bytes } = packed
  assert.ok(bytes > 3 * chunkBytes)
  for (let round = 0; round < 3; round += 1) {
    for (let n = 0; n < 30_000; n += 1) packed.set(value(n, `next${round}${filler}`))
  }
  assert.equal(packed.bytes, bytes)
  for (let n = 0; n < 30_000; n += 1) if (n % 3 !== 0) packed.delete(`own ${n}`)
  for (let n = 0; n < 30_000; n += 1) {
    const expected = n % 3 === 0 ? value(n, `next2${filler}`) : undefined
    assert.deepEqual(packed.get(`own ${n}`), expected)
    assert.deepEqual(packed.get(`other ${n}`), expected)
  }
  packed.clear()
  assert.ok(packed.bytes < bytes / 10)
  assert.equal(packed.get('own 0'), undefined)
})

test('values that all grow leave memory behind that is seen to be sparse', () => {
  const packed = packedOf()
  const write = (length: number) => {
    for (let n = 0; n < 10_000; n += 1) packed.set({ own: `own ${n}`, others: [], text: 'x'.repeat(length) })
  }
  write(10)
  assert.equal(packed.isSparse, false)
  for (let length = 100; length <= 1_000; length += 100) write(length)
  assert.equal(packed.isSparse, true)
  packed.clear()
  write(1_000)
  assert.equal(packed.isSparse, false)
})

test('there is no room past what was agreed, nor for a giant; one that is replaced by a giant is gone', () => {
  const packed = packedOf(chunkBytes)
  const text = 'x'.repeat(200_000)
  let stored = 0
  while (packed.set({ own: `own ${stored}`, others: [], text })) stored += 1
  assert.equal(stored, 20)
  assert.equal(packed.size, 20)
  assert.equal(packed.get('own 20'), undefined)
  assert.equal(packed.set({ own: 'own 1', others: ['x'], text }), true, 'in the place of what it replaces')
  assert.equal(packed.set({ own: 'own 1', others: ['x'], text: 'é'.repeat(140_000) }), false)
  assert.equal(packed.get('own 1'), undefined)
  assert.equal(packed.get('x'), undefined)
  assert.equal(packed.set({ own: 'c', others: [], text: '1' }), true)
})

test('a name that several places have leaves each of them by itself', () => {
  const table = createNameTable()
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
