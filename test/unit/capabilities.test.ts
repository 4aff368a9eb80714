import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bySource, effective, groupChange, groupSource, parseCapability } from '../../src/core/capabilities.ts'
import type { CapabilitySource } from '../../src/core/types.ts'

const source = (capability: string, name = 'manual', did = 'did:mesh:a'): CapabilitySource => ({
  did,
  capability,
  source: name,
  confirmedAt: 1,
})
const of = (...names: string[]) => names.map((name) => source(name))

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

for (const [what, own, ancestors, wanted] of [
  ['no parent', of('b', 'a', 'a'), [], ['a', 'b']],
  ['a parent without any', of('read:x'), [of()], []],
  ['the same as the parent', of('read:x', 'read:y'), [of('read:x')], ['read:x']],
  ['a wildcard of the parent', of('read:x', 'write:x'), [of('read:*')], ['read:x']],
  ['a wildcard of its own', of('read:*'), [of('read:x', 'read:y', 'write:z')], ['read:x', 'read:y']],
  ['everything', of('*'), [of('read:*', 'write:z')], ['read:*', 'write:z']],
  ['two ancestors', of('*'), [of('read:*', 'write:z'), of('read:x')], ['read:x']],
  ['two ancestors, the wider last', of('*'), [of('read:x'), of('*')], ['read:x']],
] as const) {
  test(`effective: ${what}`, () => assert.deepEqual(effective(own, ancestors), wanted))
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
