import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { deniesAll, denyAll, revokeBefore, revokedBefore, trustsNobody } from '../../adapters/aws/documents.ts'
import { idFault, partsOf, roleOf, userOf } from '../../adapters/aws/ids.ts'

const encoded = (Statement: unknown) => encodeURIComponent(JSON.stringify({ Version: '2012-10-17', Statement }))
const deny = { Effect: 'Deny', Action: '*', Resource: '*' }
const allow = { Effect: 'Allow', Action: '*', Resource: '*' }

describe('a policy document', () => {
  it('denies everything only if one statement does, to all, without a condition', () => {
    const table: [unknown, boolean | 'unknown'][] = [
      [deny, true],
      [[allow, { ...deny, Action: ['s3:*', '*'], Resource: ['*'] }], true],
      [{ ...deny, Action: '*:*' }, true],
      [{ ...deny, Condition: {} }, true],
      [{ ...deny, Condition: { Bool: { 'aws:SecureTransport': false } } }, false],
      [{ Effect: 'Deny', NotAction: 's3:*', Resource: '*' }, false],
      [{ Effect: 'Deny', Action: '*', NotResource: 'x' }, false],
      [{ ...deny, Resource: 'arn:aws:s3:::x' }, false],
      [allow, false],
      [[], false],
      [{ ...deny, Effect: 'deny' }, 'unknown'],
      ['text', 'unknown'],
      [null, 'unknown'],
    ]
    for (const [statement, expected] of table) {
      assert.equal(deniesAll(encoded(statement)), expected, JSON.stringify(statement))
    }
    for (const text of [undefined, '', '%', 'null', '[]', '{']) assert.equal(deniesAll(text), 'unknown')
    assert.equal(deniesAll(encodeURIComponent(denyAll)), true)
  })

  it('revokes sessions until the time that it says, and suspends nobody', () => {
    const at = Date.parse('2026-11-22T10:00:00.123Z')
    const document = encodeURIComponent(revokeBefore(at))
    assert.deepEqual([revokedBefore(document), deniesAll(document)], [at, false])
    const conditions = (Condition: object) => revokedBefore(encoded({ ...deny, Condition }))
    assert.equal(conditions({ DateLessThan: { 'AWS:TokenIssueTime': '2026-11-22T10:00:00.123Z' } }), at)
    assert.equal(conditions({ DateLessThan: { 'aws:CurrentTime': '2026-11-22T10:00:00Z' } }), undefined)
    assert.equal(conditions({ DateGreaterThan: { 'aws:TokenIssueTime': '2026-11-22T10:00:00Z' } }), undefined)
    const both = {
      DateLessThan: { 'aws:TokenIssueTime': '2026-11-22T10:00:00Z' },
      Bool: { 'aws:SecureTransport': true },
    }
    assert.equal(conditions(both), undefined)
    assert.equal(conditions({ DateLessThan: { 'aws:TokenIssueTime': 'soon' } }), undefined)
  })

  it('trusts nobody when it allows nothing, or denies everyone', () => {
    const trust = { Effect: 'Allow', Principal: { Service: 'ec2.amazonaws.com' }, Action: 'sts:AssumeRole' }
    assert.equal(trustsNobody(encoded(trust)), false)
    assert.equal(trustsNobody(encoded([])), true)
    assert.equal(trustsNobody(encoded([trust, { ...trust, Effect: 'Deny', Principal: { AWS: '*' } }])), true)
    assert.equal(
      trustsNobody(encoded([trust, { ...trust, Effect: 'Deny', Principal: '*', Action: 'sts:TagSession' }])),
      false,
    )
    assert.equal(trustsNobody(encoded([trust, { ...trust, Effect: 'Deny' }])), false)
    assert.equal(trustsNobody(undefined), 'unknown')
  })
})

describe('an id', () => {
  it('of a role needs both halves, well formed', () => {
    const arn = 'arn:aws:iam::111122223333:role/agents/eu/a.b@c'
    assert.deepEqual(roleOf(`${arn}#AROAEXAMPLEID`), {
      arn,
      account: '111122223333',
      path: '/agents/eu/',
      name: 'a.b@c',
      roleId: 'AROAEXAMPLEID',
    })
    for (const id of [
      arn,
      `${arn}#`,
      `${arn}#AIDAEXAMPLEID`,
      `${arn}#aroaexampleid`,
      `${arn}#AROAEXAMPLEID#AROAEXAMPLEID`,
      'arn:aws:iam::111122223333:role/a#b/c#AROAEXAMPLEID',
      'arn:aws:iam::111122223333:user/a#AROAEXAMPLEID',
      'arn:aws:iam::1:role/a#AROAEXAMPLEID',
      'arn:aws:sts::111122223333:assumed-role/a/b#AROAEXAMPLEID',
      `${arn}/#AROAEXAMPLEID`,
      `arn:aws:iam::111122223333:role/${'a'.repeat(65)}#AROAEXAMPLEID`,
    ])
      assert.equal(roleOf(id), undefined, id)
    assert.equal(partsOf('arn:aws-cn:iam::111122223333:role/a')?.path, '/')
  })

  it('of a user is its store and its id', () => {
    const user = 'd-1234567890/a1b2c3d4-1111-4222-8333-444455556666'
    assert.equal(userOf(user)?.store, 'd-1234567890')
    assert.ok(userOf('d-1234567890/1234567890-a1b2c3d4-1111-4222-8333-444455556666'))
    for (const id of [
      `${user}/x`,
      user.toUpperCase(),
      'd-1234567890/',
      '/a1b2c3d4-1111-4222-8333-444455556666',
      '../x',
    ])
      assert.equal(userOf(id), undefined, id)
    const known = { accounts: new Set<string>(), store: 'd-9999999999' }
    assert.equal(idFault({ id: user, kind: 'identityCenterUser' }, known)?.code, 'E_PRINCIPAL_ID')
    assert.equal(idFault({ id: user, kind: 'iamRole' }, { ...known, store: 'd-1234567890' })?.code, 'E_PRINCIPAL_ID')
  })
})
