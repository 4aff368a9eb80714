import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bySource, groupChange, groupSource, narrowed, parseCapability } from '../../src/core/capabilities.ts'
import { coverage, covers } from '../../src/core/covers.ts'
import type { CapabilitySource } from '../../src/core/types.ts'

const source = (capability: string, name = 'manual', did = 'did:mesh:a'): CapabilitySource => ({
  did,
  capability,
  source: name,
  confirmedAt: 1,
})

for (const good of ['read:reports', 'read:reports:eu', '*', 'read:*', 'read:reports:*']) {
  test(`${good} is a capability`, () => assert.equal(parseCapability(good), good))
}
for (const bad of [
  'everything',
  '',
  ' ',
  'read:',
  ':x',
  're*d:x',
  '*:x',
  'read:*:x',
  'read reports',
  'x'.repeat(257),
]) {
  test(`"${bad.slice(0, 20)}" is no capability`, () => {
    assert.throws(() => parseCapability(bad), { code: 'E_CAPABILITY' })
  })
}

for (const [what, own, parent, wanted] of [
  ['a parent without any', ['read:x'], [], []],
  ['the same as the parent', ['read:x', 'read:y'], ['read:x'], ['read:x']],
  ['a wildcard of the parent', ['read:x', 'write:x'], ['read:*'], ['read:x']],
  ['a wildcard of its own', ['read:*'], ['read:x', 'read:y', 'write:z'], ['read:x', 'read:y']],
  ['everything', ['*'], ['read:*', 'write:z'], ['read:*', 'write:z']],
  ['one wildcard within another', ['read:*'], ['read:x:*', 'read:y'], ['read:x:*', 'read:y']],
] as const) {
  test(`narrowed: ${what}`, () => {
    assert.deepEqual(narrowed(own, parent), wanted)
    assert.deepEqual(narrowed(parent, own), wanted)
  })
}

test('sources are listed under their capability, in byte order', () => {
  const [a, b, c] = [source('b', 'manual'), source('a'), source('b', 'group:north/g')]
  assert.deepEqual(bySource([a, b, c]), [
    { name: 'a', sources: [b] },
    { name: 'b', sources: [a, c] },
  ])
})

test('a complete read of a group adds what is new and removes what is gone, and nothing else', () => {
  const name = groupSource('north', 'g')
  const present = [source('x', name, 'stays'), source('x', name, 'leaves'), source('old', name, 'stays')]
  const { add, remove } = groupChange(name, ['x', 'y'], new Set(['stays', 'joins']), present, 9)
  assert.deepEqual(remove, [present[1], present[2]])
  assert.deepEqual(add, [
    { did: 'stays', capability: 'y', source: 'group:north/g', confirmedAt: 9 },
    { did: 'joins', capability: 'x', source: 'group:north/g', confirmedAt: 9 },
    { did: 'joins', capability: 'y', source: 'group:north/g', confirmedAt: 9 },
  ])
})

test('a list of grants includes what one of them includes, however odd the names', () => {
  const name = fc
    .array(fc.constantFrom('read', 'r', 'x', ':', ':', '*', ':*'), { maxLength: 6 })
    .map((parts) => parts.join(''))
  fc.assert(
    fc.property(fc.array(name, { maxLength: 5 }), name, (granted, asked) => {
      const one = granted.some((grant) => covers(grant, asked))
      assert.equal(coverage(granted)(asked), one)
    }),
    { numRuns: 20_000 },
  )
})

test('long lists are narrowed by looking up, not by comparing each with each', () => {
  let read = 0
  const counted = (list: readonly string[]) =>
    new Proxy(list, {
      get: (target, key) => {
        if (typeof key === 'string' && /^\d+$/.test(key)) read += 1
        return Reflect.get(target, key)
      },
    })
  const own = Array.from({ length: 1_000 }, (_, n) => `read:${n}`)
  assert.equal(narrowed(counted(own), counted(own)).length, 1_000)
  assert.ok(read < 10_000, `${read} look-ups`)
})
