import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { diffReload } from '../../src/config.ts'
import { inForce, toolServersOf } from '../../src/settings.ts'
import { faultsOf, minimal, parse, refuses } from './config-fixture.ts'

const one = (rest: string) => `${minimal}tools: { servers: { crm: { ${rest} } } }\n`
const tool = (rest: string, name = 'get') => one(`tools: { ${name}: { capability: "read:x", ${rest} } }`)
const two = (a: string, b: string) =>
  `${minimal}tools: { servers: { a: { resource: "${a}" }, b: { resource: "${b}" } } }\n`

describe('tool servers of the configuration', () => {
  it('are optional, and each member has its default', () => {
    assert.deepEqual(parse(minimal).tools, { servers: {} })
    assert.deepEqual(toolServersOf(parse(one(''))).get('crm'), { tools: [] })
    assert.deepEqual(toolServersOf(parse(tool(''))).get('crm'), {
      tools: [{ name: 'get', capability: 'read:x', otherParameters: 'deny' }],
    })
  })

  it('say what may be called, and with what', () => {
    const text = `${minimal}tools:
  servers:
    crm:
      description: The CRM
      resource: https://mcp.contoso.com/crm
      unlisted: use:crm
      tools:
        toString: { capability: "read:x", resource: { prefix: "file:///srv/" } }
        "a b": { capability: "write:x:y", parameters: { "/n": { max: 1, min: 0 }, "/a~1b": { each: { enum: [1, x, null] } } }, otherParameters: allow }
`
    assert.deepEqual(toolServersOf(parse(text)).get('crm'), {
      description: 'The CRM',
      resource: 'https://mcp.contoso.com/crm',
      unlisted: 'use:crm',
      tools: [
        {
          name: 'a b',
          capability: 'write:x:y',
          parameters: { '/a~1b': { each: { enum: [1, 'x', null] } }, '/n': { min: 0, max: 1 } },
          otherParameters: 'allow',
        },
        { name: 'toString', capability: 'read:x', resource: { prefix: 'file:///srv/' }, otherParameters: 'deny' },
      ],
    })
  })

  it('are put into force by a reload', () => {
    const [before, after] = [parse(minimal), parse(tool(''))]
    assert.deepEqual(diffReload(before, after).needsRestart, [])
    assert.deepEqual([...toolServersOf(inForce(before, after)).keys()], ['crm'])
  })

  const at = 'tools.servers.crm'
  refuses([
    ['an unknown member', one('tool: {}'), `${at}.tool unknown_key`, /tools/],
    ['an unknown member of a tool', tool('pattern: "(a+)+"'), `${at}.tools.get.pattern unknown_key`, /capability/],
    ['a tool that takes nothing', one('tools: { get: {} }'), `${at}.tools.get.capability missing`, /read:customers/],
    [
      'what is no capability',
      one('tools: { get: { capability: read } }'),
      `${at}.tools.get.capability bad_value`,
      /action/,
    ],
    [
      'a set of capabilities',
      one('tools: { get: { capability: "read:*" } }'),
      `${at}.tools.get.capability bad_value`,
      /\*/,
    ],
    ['a wildcard for what is not listed', one('unlisted: "*"'), `${at}.unlisted bad_value`, /deny|action/],
    ['what is neither deny nor a capability', one('unlisted: allow'), `${at}.unlisted bad_value`, /deny|action/],
    [
      'an identifier in another form',
      one('resource: "HTTPS://mcp.contoso.com"'),
      `${at}.resource bad_value`,
      /lower case/,
    ],
    ['what is no pointer', tool('parameters: { n: {} }'), `${at}.tools.get.parameters.n bad_value`, /~1/],
    [
      'what is no constraint',
      tool('parameters: { /n: { pattern: x } }'),
      `${at}.tools.get.parameters./n.pattern unknown_key`,
      /prefix/,
    ],
    ['an open host', tool('resource: { prefix: "https://a" }'), `${at}.tools.get.resource.prefix bad_value`, /\//],
    ['a name with a colon', `${minimal}tools: { servers: { "a:b": {} } }\n`, 'tools.servers.a:b bad_value', /letters/],
    ['a name nobody can see', tool('', '"a\\u200b"'), `${at}.tools.a\u200b bad_value`, /visible/],
    ['an identifier of two', two('urn:x:y', 'urn:x:y'), 'tools.servers.b.resource conflict', /one server/],
  ])

  it('are of some size at most', () => {
    const names = Array.from({ length: 900 }, (_, n) => `t${n}: { capability: "read:${'x'.repeat(60)}" }`)
    const [fault] = faultsOf(one(`tools: { ${names.join(', ')} }`))
    assert.match(JSON.stringify(fault), /tools\.servers\.crm.*64 KiB/)
  })
})
