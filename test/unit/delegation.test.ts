import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  chainFaults,
  delegationText,
  effectiveAmong,
  isDue,
  isOver,
  type Link,
  mostHops,
  widenings,
} from '../../src/core/delegation.ts'

const link = (
  did: string,
  parentDid: string | undefined,
  own: readonly string[],
  fields: Partial<Link> = {},
): Link => ({
  did,
  parentDid,
  blueprint: undefined,
  own,
  expiresAt: undefined,
  endedAt: undefined,
  ...fields,
})
const at = (now: number) => (one: Link) => isOver(one, now)
const root = link('root', undefined, ['read:*', 'write:reports'])
const middle = link('middle', 'root', ['read:x', 'read:y', 'write:z'], { expiresAt: 100 })
const leaf = link('leaf', 'middle', ['*'])

test('what an agent has is narrowed at every hop', () => {
  const effective = effectiveAmong([leaf, middle, root], at(99))
  assert.deepEqual(effective('root'), ['read:*', 'write:reports'])
  assert.deepEqual(effective('middle'), ['read:x', 'read:y'])
  assert.deepEqual(effective('leaf'), ['read:x', 'read:y'])
  assert.deepEqual(effective('nobody'), [])
})

test('from the millisecond in which a delegation ends nothing is left below it', () => {
  const effective = effectiveAmong([root, middle, leaf], at(100))
  assert.deepEqual(['root', 'middle', 'leaf'].map(effective), [['read:*', 'write:reports'], [], []])
})

test('told once, an end stands whatever the clock says', () => {
  const told = { expiresAt: 100, endedAt: 100 }
  assert.deepEqual([isOver(told, 50), isDue(told, 150)], [true, false])
  assert.deepEqual(
    [isOver({ ...told, endedAt: undefined }, 50), isDue({ ...told, endedAt: undefined }, 100)],
    [false, true],
  )
  assert.deepEqual([isOver({ expiresAt: undefined, endedAt: undefined }, 50)], [false])
})

test('nothing is left in a chain that is too long, goes round or has a link missing', () => {
  const line = Array.from({ length: mostHops + 2 }, (_, n) => link(`n${n}`, n === 0 ? undefined : `n${n - 1}`, ['a:b']))
  const effective = effectiveAmong(line, at(0))
  assert.deepEqual([effective(`n${mostHops}`), effective(`n${mostHops + 1}`)], [['a:b'], []])
  const odd = effectiveAmong([link('x', 'y', ['a:b']), link('y', 'x', ['a:b']), link('z', 'gone', ['a:b'])], at(0))
  assert.deepEqual(['x', 'y', 'z'].map(odd), [[], [], []])
})

test('a chain says what stands against it', () => {
  const chain = [leaf, middle, root]
  const none = () => undefined
  const limit = (did: string, hops: number) => (one: Link) => (one.did === did ? hops : undefined)
  assert.deepEqual(chainFaults(chain, none, 99), { over: false, tooDeep: false })
  assert.deepEqual(chainFaults(chain, none, 100), { over: true, tooDeep: false })
  assert.deepEqual(chainFaults(chain, limit('root', 2), 99), { over: false, tooDeep: false })
  assert.deepEqual(chainFaults(chain, limit('root', 1), 99), { over: false, tooDeep: true })
  assert.deepEqual(chainFaults(chain, limit('middle', 0), 99), { over: false, tooDeep: true })
  assert.deepEqual(chainFaults(chain, limit('leaf', 0), 99), { over: false, tooDeep: false })
  assert.deepEqual(chainFaults([leaf, middle], none, 99), { over: true, tooDeep: false })
  const long = Array.from({ length: mostHops + 2 }, (_, n) => link(`n${n}`, `n${n + 1}`, []))
  assert.deepEqual(chainFaults(long, none, 99), { over: false, tooDeep: true })
})

test('a grant that the parent does not cover is found by its place', () => {
  assert.deepEqual(widenings(['read:x', 'write:y', 'read:*', '*'], ['read:*']), [1, 3])
  assert.deepEqual(widenings(['read:x'], []), [0])
  assert.deepEqual(widenings([], []), [])
})

test('what a parent signs is one text, whatever the order', () => {
  const text = delegationText({
    parent: 'did:mesh:p',
    child: 'did:mesh:ü',
    capabilities: ['write:x', 'read:y', 'write:x'],
    depth: 2,
    expiresAt: Date.UTC(2027, 0, 1),
  })
  assert.equal(
    text,
    'agentmesh-delegation-v1\n' +
      '{"capabilities":["read:y","write:x"],"child":"did:mesh:ü","depth":2,"expiresAt":"2027-01-01T00:00:00.000Z","parent":"did:mesh:p"}',
  )
  const open = delegationText({ parent: 'p', child: 'c', capabilities: [], depth: 1, expiresAt: undefined })
  assert.ok(open.endsWith('{"capabilities":[],"child":"c","depth":1,"expiresAt":null,"parent":"p"}'))
})
