import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { allFit, type Constraint, constraintOf, fits, isSmallObject } from '../../src/core/constraints.ts'
import { constraint, constraints } from '../../src/lib/constraint.ts'

const rows: readonly [Constraint, readonly unknown[], readonly unknown[]][] = [
  [{}, ['', 0, null, [], {}, true], [2 ** 53, Number.NaN, Number.POSITIVE_INFINITY]],
  [{ type: 'string' }, ['', 'x'], [1, null, ['x'], { x: 'x' }, undefined]],
  [{ type: 'integer' }, [0, -3, 2 ** 53 - 1], [1.5, 2 ** 53, '1', Number.NaN, true]],
  [{ type: 'number' }, [1.5, -0], ['1', null, 2 ** 53, Number.POSITIVE_INFINITY]],
  [{ type: 'array' }, [[], [1]], [{}, { length: 0 }, 'x', null]],
  [{ type: 'object' }, [{}, { a: 1 }], [[], null, 'x']],
  [{ type: 'null' }, [null], [undefined, 0, '', false]],
  [{ type: 'boolean' }, [true, false], ['true', 1, null]],
  [{ enum: ['a', 1, true, null] }, ['a', 1, true, null], ['A', '1', 'true', 'null', 'á', ['a'], false]],
  [{ enum: ['é'] }, ['\u00e9'], ['e\u0301']],
  [{ min: 1, max: 10 }, [1, 10, 1.5], ['5', 0, 11, Number.NaN, null, [5]]],
  [{ maxLength: 2 }, ['', 'ab'], ['abc', ['a'], 1, { length: 1 }]],
  [{ maxItems: 1 }, [[], [[]]], [[1, 2], 'a', { length: 0 }]],
  [{ each: { type: 'string', prefix: 'a' } }, [[], ['a', 'ab']], [['a', 1], ['b'], 'a', [['a']], { 0: 'a' }]],
  [{ prefix: ['a', 'b'] }, ['a', 'bc'], ['', 'A', 'c', ['a'], 1]],
]

describe('a constraint', () => {
  it('holds for what it says, and a member that speaks of one type refuses every other', () => {
    for (const [one, good, bad] of rows) {
      for (const value of good) assert.equal(fits(one, value), true, `${JSON.stringify(one)} ${JSON.stringify(value)}`)
      for (const value of bad) assert.equal(fits(one, value), false, `${JSON.stringify(one)} ${String(value)}`)
    }
  })

  it('on a prefix is not led out of by a .. segment, however it is written', () => {
    const within = { prefix: ['https://crm.contoso.com/a/', '/srv/'] }
    for (const rest of [
      '',
      'b',
      '..b/c',
      'b..',
      '...',
      'b/.',
      'b?x=1',
      'a%20b',
      '%252',
      '2e2e',
      '%25%32e',
      '%2525%c3%a9',
    ]) {
      assert.equal(fits(within, `/srv/${rest}`), true, rest)
    }
    const out = [
      '..',
      '../x',
      'b/../../x',
      '..\\x',
      '%2e%2e/x',
      '.%2E/x',
      '%252e%252E/x',
      '..%2fx',
      'b%5c..%5cx',
      '.\t./x',
    ]
    for (const rest of [
      ...out,
      '..;/x',
      // Readers of URLs cut white space and control characters off the end, readers of C strings what is after a NUL.
      '.. ',
      'b/../..\u0000',
      '..%00',
      '..%20/x',
      '..\u001f',
      '..\u0000.txt',
      '\n../x',
      '.\r\n.',
      '..?x',
      '..#x',
      '%25252e./',
      '%25%32e%2%65',
      '%252525252525',
      '..%25252Fx',
    ]) {
      assert.equal(fits(within, `https://crm.contoso.com/a/${rest}`), false, rest)
    }
  })

  it('that a person writes is refused where it could not mean what it says', () => {
    const bad = [
      { prefix: '' },
      { prefix: [] },
      { prefix: 'https://crm.contoso.com' },
      { prefix: ['file://host'] },
      { type: 'text' },
      { enum: [] },
      { enum: [['a']] },
      { pattern: '(a+)+$' },
      { maxLength: -1 },
      { each: { each: {} } },
      { each: { optional: true } },
      { max: '5' },
    ]
    for (const one of bad) assert.equal(constraint.safeParse(one).success, false, JSON.stringify(one))
    for (const pointer of ['', 'a', '/a~2', '/~', '#/a', `/${'a'.repeat(256)}`]) {
      assert.equal(constraints.safeParse({ [pointer]: {} }).success, false, pointer)
    }
    const good = { '/a~1b/~0/': { optional: true, each: { prefix: ['https://x/', 'a'] }, maxItems: 3 }, '/': {} }
    assert.deepEqual(constraints.parse(good), good)
    assert.equal(
      JSON.stringify(constraintOf({ max: 1, min: 0, type: 'number', optional: false })),
      '{"type":"number","min":0,"max":1}',
    )
  })
})

describe('parameters', () => {
  const rules: Readonly<Record<string, Constraint>> = {
    '/id': { type: 'string' },
    '/filter/from': { type: 'integer' },
    '/filter/tags': { optional: true, each: { type: 'string' } },
    '/list/0/a~1b': { optional: true, enum: [1] },
    '/~0': { optional: true },
  }
  const check = (value: Readonly<Record<string, unknown>>, others: 'allow' | 'deny' = 'deny') =>
    allFit(value, rules, others)
  const whole = { id: 'x', filter: { from: 1 } }

  it('must be there unless they may be left out, and are looked for among own members only', () => {
    assert.equal(check(whole), true)
    assert.equal(check({ ...whole, '~': 9, list: [{ 'a/b': 1 }], filter: { from: 1, tags: ['t'] } }), true)
    for (const wrong of [
      {},
      { id: 'x' },
      { id: 'x', filter: {} },
      { id: 'x', filter: null },
      { id: 'x', filter: [1] },
      { id: 'x', 'filter/from': 1 },
      { id: 1, filter: { from: 1 } },
      { ...whole, filter: { from: 1, tags: null } },
      { ...whole, list: [{ 'a/b': 2 }] },
      Object.create(whole),
    ]) {
      assert.equal(check(wrong), false, JSON.stringify(wrong))
      assert.equal(check(wrong, 'allow'), false, JSON.stringify(wrong))
    }
    const inherited = { '/toString': { optional: true, enum: [1] }, '/constructor/name': { optional: true, enum: [1] } }
    assert.equal(allFit({}, inherited, 'deny'), true)
    assert.equal(allFit(JSON.parse('{"constructor":{"name":2}}'), inherited, 'allow'), false)
  })

  it('that no pointer names are refused at any depth, unless others are allowed', () => {
    for (const more of [
      { ...whole, Id: 'x' },
      { ...whole, filter: { from: 1, to: 2 } },
      { ...whole, filter: { from: 1, '': 2 } },
      { ...whole, list: [] as unknown[], x: {} },
      { ...whole, list: ['y'] },
      { ...whole, list: [{ 'a/b': 1, c: 1 }] },
      { ...whole, list: [{ 'a/b': 1 }, 1] },
      { ...whole, list: { '00': { 'a/b': 1 } } },
    ]) {
      assert.equal(check(more), false, JSON.stringify(more))
      assert.equal(check(more, 'allow'), true, JSON.stringify(more))
    }
    assert.equal(allFit({}, {}, 'deny'), true)
    assert.equal(allFit({ a: 1 }, {}, 'deny'), false)
  })

  it('are compared alike however an array is pointed into', () => {
    assert.equal(allFit({ a: [1, 2] }, { '/a/1': { enum: [2] } }, 'allow'), true)
    for (const step of ['01', '-', '1.0', '+1', ' 1', '1e0', 'length']) {
      assert.equal(allFit({ a: [1, 2] }, { [`/a/${step}`]: { optional: true, enum: [9] } }, 'allow'), true, step)
      assert.equal(allFit({ a: [1, 2] }, { [`/a/${step}`]: {} }, 'allow'), false, step)
    }
  })
})

describe('a small object', () => {
  const most = 1000
  it('is a JSON object of at most so many bytes', () => {
    const full = { a: 'x'.repeat(most - '{"a":""}'.length) }
    assert.equal(isSmallObject(full, most), true)
    assert.equal(isSmallObject({ a: `${full.a}x` }, most), false)
    assert.equal(isSmallObject({ a: 'é'.repeat(600) }, most), false)
    assert.equal(isSmallObject({ a: Array.from({ length: 490 }, () => 1) }, most), true)
    assert.equal(isSmallObject(JSON.parse('{"__proto__":1,"toJSON":{}}'), most), true)
    for (const other of [null, undefined, [], 'x', 1, true, () => ({})]) assert.equal(isSmallObject(other, most), false)
  })

  it('is never one that is not plain data, however it is made', () => {
    const cycle: Record<string, unknown> = {}
    cycle.a = cycle
    cycle.b = [cycle, cycle]
    const hole = [1, 2, 3]
    delete hole[1]
    const tagged = Object.assign([1], { length: 2 })
    let asked = 0
    const getter = Object.defineProperty({}, 'a', { enumerable: true, get: () => asked++ })
    class Own {
      a = 1
    }
    const odd: Record<string, unknown>[] = [
      cycle,
      { a: hole },
      { a: tagged },
      { a: Object.assign([1], { x: 1 }) },
      { a: new Array(2 ** 32 - 1) },
      getter,
      { a: new Own() },
      { a: new Map() },
      { a: new Date(0) },
      { a: undefined },
      { a: 1n },
      { a: Symbol('a') },
      { [Symbol('a')]: 1 },
      { toJSON: () => ({}) },
      { a: Number.NaN },
      Object.defineProperty({}, 'a', { value: 1 }),
    ]
    for (const [at, one] of odd.entries()) assert.equal(isSmallObject(one, 1 << 20), false, String(at))
    assert.equal(asked, 0)
    let deep: unknown = 1
    for (let level = 0; level < 40; level++) deep = { a: deep }
    assert.equal(isSmallObject(deep, 1 << 20), false)
  })

  it('is judged as its JSON is', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.integer({ min: 0, max: 200 }), (value, bytes) => {
        const json = JSON.stringify(value)
        const plain: unknown = JSON.parse(json)
        const nests = /(?:[[{][^\]}]*){33}/.test(json)
        if (!nests) assert.equal(isSmallObject(plain, bytes), Buffer.byteLength(json) <= bytes)
      }),
    )
  })
})
