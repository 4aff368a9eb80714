import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { parseSound, plainNames } from '../../src/lib/names.ts'

const sound = (json: string, maxDepth?: number): boolean => {
  try {
    parseSound(json, maxDepth)
    return true
  } catch (error) {
    assert.ok(error instanceof SyntaxError)
    return false
  }
}

/** A value by its members in order, so that one can be named twice. */
type Tree = string | number | null | readonly Tree[] | { readonly members: readonly (readonly [string, Tree])[] }

const names = ['a', 'b', 'c', '1', '"', '\\', '\\"', ':', '{', '', 'constructor', '__proto__']
const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom<Tree>(null, 0, -1.5e7, '', '":', '{"a":1,"a":2}', '\\', '\\\\"', ' : '),
    fc.array(tie('tree'), { maxLength: 4 }),
    fc.array(fc.tuple(fc.constantFrom(...names), tie('tree')), { maxLength: 5 }).map((members): Tree => ({ members })),
  ),
}))

const isList = (value: Tree): value is readonly Tree[] => Array.isArray(value)
const blanks = ['', ' ', '\t\r\n ']

const written = (value: Tree, blank: string): string => {
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  const between = `${blank},${blank}`
  if (isList(value)) return `[${blank}${value.map((one) => written(one, blank)).join(between)}${blank}]`
  const members = value.members.map(([name, one], at) => {
    // Every other one in escapes: the same name all the same.
    const spelled = [...name].map((letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')
    return `${at % 2 === 0 ? JSON.stringify(name) : `"${spelled}"`}${blank}:${blank}${written(one, blank)}`
  })
  return `{${blank}${members.join(between)}${blank}}`
}

const expected = (value: Tree, depth: number): boolean => {
  if (value === null || typeof value !== 'object') return true
  if (depth === 0) return false
  if (isList(value)) return value.every((one) => expected(one, depth - 1))
  const own = value.members.map(([name]) => name)
  if (new Set(own).size !== own.length || own.includes('__proto__')) return false
  if (own.some((name) => /["\\]/.test(name))) return false
  return value.members.every(([, one]) => expected(one, depth - 1))
}

const meant = (value: Tree): unknown => {
  if (value === null || typeof value !== 'object') return value
  if (isList(value)) return value.map(meant)
  return Object.fromEntries(value.members.map(([name, one]) => [name, meant(one)]))
}

describe('member names', () => {
  it('are sound when no object has one twice, or __proto__, and nothing is too deep', () => {
    fc.assert(
      fc.property(tree, fc.constantFrom(...blanks), fc.integer({ min: 1, max: 6 }), (value, blank, depth) => {
        const json = written(value, blank)
        assert.equal(sound(json, depth), expected(value, depth))
        if (expected(value, depth)) assert.deepEqual(parseSound(json, depth), meant(value))
      }),
      { numRuns: 3000 },
    )
  })

  it('are counted as they are written, whatever the values look like', () => {
    for (const json of ['{}', '[]', '"a"', 'null', '{"a":"b\\\\","c":"\\":"}', '{"a":{"a":[{"a":1},{"a":2}]}}'])
      assert.ok(sound(json), json)
    for (const json of [
      '{"a":1,"a":1}',
      '{"a":1,"\\u0061":1}',
      '{"a":{"b":1,"c":2},"a":3}',
      '[{"x":[{"a":1,"b":2,"a":3}]}]',
      '{"__proto__":1}',
      '{"\\u005f_proto__":1}',
      '{"a":{"__proto__":{}}}',
    ])
      assert.ok(!sound(json), json)
  })

  it('are read as they are where the engine takes one with an escape for another that it has seen', () => {
    JSON.parse('{"q":1,"b\\\\":1}')
    JSON.parse('[{"a":null,"\\\\":null,"b":null}]')
    assert.deepEqual(parseSound('{"q":1,"b\\u0061":1}'), { q: 1, ba: 1 })
    assert.deepEqual(parseSound('{"q":1,"b\\/c":"\\u0061"}'), { q: 1, 'b/c': 'a' })
    assert.ok(!sound('[{"a":null,"\\u0061":null,"b":null}]'))
  })

  it('that cannot be written without an escape are refused, and nothing else is changed', () => {
    for (const name of ['\\"', '\\\\', '\\u0022', '\\u005c', '\\n', '\\u0000', '\\ud83d'])
      assert.equal(plainNames(`{"a":{"b${name}" : 1}}`), undefined, name)
    for (const json of ['{"a\\', '{"a\\"', '{"a\\x":1}', '"a\\"', '{"a":"\\', '\\":', '{"\\u00":1}']) {
      assert.equal(plainNames(json), json)
      assert.ok(!sound(json), json)
    }
    const json = '{"\\u0061\\/\\ud83d\\ude00"\t:\n["\\u0061", {"a":"\\":"}]}'
    assert.equal(plainNames(json), '{"a/\u{1f600}"\t:\n["\\u0061", {"a":"\\":"}]}')
  })

  it('are looked at thirty-two deep, and no deeper', () => {
    const nested = (depth: number, inner: string) => `${'['.repeat(depth)}${inner}${']'.repeat(depth)}`
    assert.ok(sound(nested(32, '1')))
    assert.ok(!sound(nested(33, '')))
    assert.ok(sound(nested(31, '{"a":1}')))
    assert.ok(!sound(nested(32, '{}')))
    assert.ok(!sound(nested(8000, '')))
  })
})
