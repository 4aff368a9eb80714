import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createSessions } from '../../clients/mcp/sessions.ts'

const party = (did: string, person?: string) => ({
  did,
  principal: null,
  onBehalfOf: person === undefined ? null : { id: person, kind: 'person' },
})

test('of very many sessions the one that was used longest ago is forgotten, and no other', () => {
  const sessions = createSessions(3)
  for (const id of ['1', '2', '3']) sessions.bind(id, party('did:mesh:a'))
  sessions.bind('1', party('did:mesh:b'))
  sessions.bind('4', party('did:mesh:a'))
  const foreign = ['1', '2', '3', '4'].map((id) => sessions.isOf(id, party('did:mesh:b')))
  assert.deepEqual(foreign, [false, true, false, false])
  assert.equal(sessions.isOf('1', party('did:mesh:a', 'alice')), false)
  sessions.forget('1')
  assert.equal(sessions.isOf('1', party('did:mesh:b')), true)
})

test('how long an id is that somebody made up, or what a token says of a person, costs no memory', () => {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  const used = () => {
    if (typeof collect === 'function') collect()
    return process.memoryUsage().heapUsed
  }
  const sessions = createSessions()
  const long = () => randomBytes(7_500).toString('hex')
  sessions.bind(long(), party('did:mesh:a', long()))
  const before = used()
  for (let times = 0; times < 1_500; times++) sessions.bind(long(), party('did:mesh:a', long()))
  const grown = used() - before
  assert.ok(grown < 10_000_000, `${grown} bytes`)
  assert.equal(sessions.isOf('s', party('did:mesh:a')), true)
})
