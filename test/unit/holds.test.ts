import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cascadeOrigin, isDirectory, isOwn, ownOrigin, releaseRule } from '../../src/core/holds.ts'
import type { Hold } from '../../src/core/types.ts'
import { hold, own } from './accounts.ts'

const releasable = { ...own, releasableAt: 5 }
const bySoc = hold('operator:soc', { actor: 'soc' })

/** hold, who asks, roles, answer */
const rows: readonly [string, Hold, string, readonly string[], string][] = [
  ['decommission', { ...bySoc, severity: 'decommission' }, 'soc', ['operator'], 'E_NOT_RELEASABLE'],
  ['cascade', hold('cascade:did:mesh:p'), 'soc', ['operator'], 'E_NOT_RELEASABLE'],
  ['its own suspend', bySoc, 'soc', ['responder'], 'now'],
  ['a runtime, its own suspend', hold('runtime:agt', { actor: 'agt' }), 'agt', ['runtime'], 'now'],
  ['a runtime of the same name as the operator', bySoc, 'agt', ['runtime'], 'E_FORBIDDEN'],
  ['its own kill', { ...bySoc, severity: 'kill' }, 'soc', ['responder'], 'E_FORBIDDEN'],
  ['its own kill, an approver', { ...bySoc, severity: 'kill' }, 'soc', ['responder', 'approver'], 'E_SAME_PERSON'],
  ["another's kill, an approver", { ...bySoc, severity: 'kill' }, 'carol', ['approver'], 'two release'],
  ["another's kill, an operator", { ...bySoc, severity: 'kill' }, 'alice', ['operator'], 'two release'],
  ["another's kill, a responder", { ...bySoc, severity: 'kill' }, 'dan', ['responder'], 'E_FORBIDDEN'],
  ["another's disable, an approver", { ...bySoc, severity: 'disable' }, 'carol', ['approver'], 'E_FORBIDDEN'],
  ["another's disable, an operator", { ...bySoc, severity: 'disable' }, 'alice', ['operator'], 'two override'],
  ['its own disable', { ...bySoc, severity: 'disable' }, 'soc', ['operator'], 'E_SAME_PERSON'],
  ["another's suspend, an operator", bySoc, 'alice', ['operator'], 'two override'],
  ["another's suspend, an approver", bySoc, 'carol', ['approver'], 'E_FORBIDDEN'],
  ['a directory hold, an operator', own, 'alice', ['operator'], 'two override'],
  ['a directory hold, an approver', own, 'carol', ['approver'], 'E_FORBIDDEN'],
  ['a releasable directory hold, an approver', releasable, 'carol', ['approver'], 'two approve'],
  ['a releasable directory hold, an operator', releasable, 'alice', ['operator'], 'two approve'],
  ['a releasable directory hold, a responder', releasable, 'dan', ['responder'], 'E_FORBIDDEN'],
]

for (const [what, given, name, roles, wanted] of rows) {
  test(`release: ${what}`, () => {
    const answer = () => releaseRule(given, { name, roles })
    if (wanted.startsWith('E_')) {
      assert.throws(answer, { code: wanted })
      return
    }
    const rule = answer()
    assert.equal(rule.how === 'two' ? `two ${rule.kind}` : rule.how, wanted)
  })
}

test('origins', () => {
  assert.equal(ownOrigin('north', 'a/b'), 'adapter:north/a/b')
  assert.equal(cascadeOrigin('did:mesh:p'), 'cascade:did:mesh:p')
  assert.deepEqual([isOwn(own), isOwn({ origin: cascadeOrigin('x') })], [true, false])
  assert.deepEqual([isDirectory(own), isDirectory(bySoc)], [true, false])
})
