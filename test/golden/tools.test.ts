import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { checkWords } from '../../src/core/checks.ts'
import { constraint } from '../../src/lib/constraint.ts'
import { byName, difference, named, read, rows, same, section } from './markdown.ts'

const page = read('docs/tools.md')

test('docs/tools.md has every member of a constraint and no other', () => {
  const { $defs } = z
    .object({ $defs: z.object({ Constraint: z.object({ properties: z.record(z.string(), z.unknown()) }) }) })
    .parse(z.toJSONSchema(constraint))
  assert.deepEqual(
    difference(Object.keys($defs.Constraint.properties), byName(section(page, 'Constraints')).keys()),
    same,
  )
})

test('docs/tools.md has every setting of a tool server and no other', () => {
  const settings = [...byName(read('docs/config.md')).keys()].flatMap((path) => {
    const [, member] = /^tools\.servers\.\*\.(?:tools\.\*\.)?(\w+)$/.exec(path) ?? []
    return member ?? []
  })
  const told = rows(section(page, 'Define')).flatMap((row) => named(row) ?? [])
  assert.deepEqual(difference(settings, told), same)
})

test('docs/decisions-api.md lists the checks, in their order', () => {
  const [, text = ''] = /- \*\*`checks`\*\*([\s\S]*?)\n- \*\*/.exec(read('docs/decisions-api.md')) ?? []
  const words = [...text.matchAll(/`(\w+)`/g)].map(([, word]) => word).filter((word) => word !== 'codes')
  assert.deepEqual(words, checkWords)
})
