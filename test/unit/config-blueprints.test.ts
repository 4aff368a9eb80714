import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { blueprintsOf } from '../../src/settings.ts'
import { entra, faultsOf, minimal, parse, refuses, TENANT } from './config-fixture.ts'

const one = (rest: string, name = '"Data Analyst Agent"') => `${minimal}blueprints: { ${name}: { ${rest} } }\n`

describe('blueprints of the configuration', () => {
  it('are optional, and each member has its default', () => {
    assert.deepEqual(parse(minimal).blueprints, {})
    assert.deepEqual(blueprintsOf(parse(one(''))).get('Data Analyst Agent'), {
      description: undefined,
      capabilities: [],
      requireSponsor: false,
      maxDelegationDepth: undefined,
      accessPolicy: undefined,
    })
  })

  it('say what they grant and ask for', () => {
    const policy = `accessPolicy: { adapter: contoso, id: ${TENANT} }`
    const text = `${entra('')}blueprints: { A: { description: x, capabilities: ["write:x", "read:x", "read:x"], requireSponsor: true, maxDelegationDepth: 0, ${policy} } }\n`
    assert.deepEqual(blueprintsOf(parse(text)).get('A'), {
      description: 'x',
      capabilities: ['read:x', 'write:x'],
      requireSponsor: true,
      maxDelegationDepth: 0,
      accessPolicy: { adapter: 'contoso', id: TENANT },
    })
  })

  it('may have any name that can be seen', () => {
    for (const name of ['é', 'a/b', 'v1.2', 'x'.repeat(200)]) {
      assert.ok(blueprintsOf(parse(one('', JSON.stringify(name)))).has(name), name)
    }
    for (const name of ['', ' a', 'a ', 'a\tb', 'a\nb', 'a\u200bb', 'x'.repeat(201)]) {
      assert.equal(faultsOf(one('', JSON.stringify(name))).length, 1, JSON.stringify(name))
    }
  })

  const at = 'blueprints.Data Analyst Agent'
  refuses([
    ['an unknown member', one('sponsor: true'), `${at}.sponsor unknown_key`, /requireSponsor/],
    ['what is no capability', one('capabilities: [nonsense]'), `${at}.capabilities.0 bad_value`, /read:reports/],
    ['a wildcard within a word', one('capabilities: ["read:re*"]'), `${at}.capabilities.0 bad_value`, /capability/],
    ['a depth over ten', one('maxDelegationDepth: 11'), `${at}.maxDelegationDepth bad_value`, /10/],
    [
      'half an access policy',
      `${entra('')}blueprints: { "Data Analyst Agent": { accessPolicy: { adapter: contoso } } }\n`,
      `${at}.accessPolicy.id missing`,
      /add it/,
    ],
    [
      'an access policy of no adapter',
      `${entra('')}blueprints: { A: { accessPolicy: { adapter: contos, id: x } } }\n`,
      'blueprints.A.accessPolicy.adapter bad_value',
      /did you mean contoso/,
    ],
  ])
})
