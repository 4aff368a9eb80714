import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { checkWords, passed } from '../../src/core/checks.ts'
import { covers } from '../../src/core/covers.ts'
import { decide, isRefusalCode, type Question } from '../../src/core/decide.ts'
import { soundChain } from '../../src/core/delegation.ts'
import {
  isResource,
  isSmallDefinition,
  judge,
  sameToolServer,
  type ToolServer,
  toolName,
  toolServerName,
  toolServerOf,
  writtenServer,
} from '../../src/core/tools.ts'

const server = (fields: Parameters<typeof writtenServer>[0]): ToolServer => ({
  ...writtenServer(fields),
  name: 'crm',
  origin: 'api',
  createdAt: 0,
  updatedAt: 0,
  revision: 1,
})

const crm = server({
  unlisted: 'deny',
  tools: {
    get: { capability: 'read:x', otherParameters: 'deny' },
    set: { capability: 'write:x', parameters: { '/n': { max: 5 } }, otherParameters: 'deny' },
    file: { capability: 'read:f', resource: { prefix: 'file:///srv/' }, otherParameters: 'deny' },
  },
})

const call = (tool: string | undefined, parameters?: unknown, resource?: unknown) => ({
  tool,
  server: 'crm',
  resource,
  parameters,
})

const asked = (over: Partial<Question> = {}): Question => ({
  did: 'did:mesh:a',
  agent: { did: 'did:mesh:a', decommissioned: false, resumedAt: undefined },
  holds: [],
  principals: [],
  accounts: [],
  token: undefined,
  chain: soundChain,
  capability: undefined,
  scope: undefined,
  capabilities: ['read:x', 'write:x'],
  now: 0,
  denyAfterMs: 1,
  ...over,
})

const allMade = {
  signature: true,
  mapping: true,
  holds: true,
  release: true,
  observed: true,
  scope: true,
  capability: true,
  delegation: true,
  actors: true,
  tool: true,
  parameters: true,
}

describe('a call', () => {
  it('is of a listed tool of a known server, or of none', () => {
    assert.deepEqual(judge(call('get'), crm), { listed: true, capability: 'read:x', fits: undefined })
    const none = { listed: false, capability: undefined, fits: undefined }
    for (const tool of [
      undefined,
      '',
      'GET',
      'get ',
      'g\u0435t',
      'ge\u0301t',
      'toString',
      '__proto__',
      'constructor',
      'get\0',
    ]) {
      assert.deepEqual(judge(call(tool), crm), none, tool)
    }
    assert.deepEqual(judge(call('get'), undefined), none)
    const open = { ...crm, unlisted: 'use:crm' }
    assert.deepEqual(judge(call('any'), open), { listed: true, capability: 'use:crm', fits: undefined })
    assert.equal(judge(call('get'), open).capability, 'read:x', 'what is listed takes what it says')
    for (const tool of [undefined, '']) assert.deepEqual(judge(call(tool), open), none)
  })

  it('is compared with what its rule says of resource and parameters', () => {
    const rows: readonly [ReturnType<typeof call>, boolean | undefined][] = [
      [call('get', { any: 1 }), true],
      [call('get', undefined, 'any'), undefined],
      [call('get', [1]), false],
      [call('get', 'x'), false],
      [call('get', null), false],
      [call('get', { a: 'x'.repeat(16 * 1024) }), false],
      [call('set', { n: 5 }), true],
      [call('set', { n: 6 }), false],
      [call('set', { n: 5, m: 1 }), false],
      [call('set', {}), false],
      [call('set'), false],
      [call('file', undefined, 'file:///srv/a'), true],
      [call('file', { x: 1 }, 'file:///srv/a'), true],
      [call('file', [], 'file:///srv/a'), false],
      [call('file', undefined, 'file:///srv/../etc'), false],
      [call('file', undefined, { toString: () => 'file:///srv/a' }), false],
      [call('file', undefined, ['file:///srv/a']), false],
      [call('file', undefined, null), false],
      [call('file'), false],
    ]
    for (const [one, wanted] of rows) assert.equal(judge(one, crm).fits, wanted, JSON.stringify(one))
  })

  it('is allowed exactly when it is listed, fits, and its capability is held; whatever the lists are', () => {
    const word = fc.constantFrom('a', 'b', 'c', 'toString', '__proto__x')
    const capability = fc.constantFrom('read:a', 'read:b', 'read:a:x', 'call:a', 'call:b')
    const grant = fc.oneof(capability, fc.constantFrom('*', 'read:*', 'call:*', 'read:a:*', 'read', 'rea*'))
    const limit = fc.integer({ min: 0, max: 3 })
    const rule = fc.record({
      capability,
      limit: fc.option(limit),
      others: fc.constantFrom('allow' as const, 'deny' as const),
    })
    const parameters = fc.option(
      fc.dictionary(fc.constantFrom('n', 'm'), fc.oneof(fc.integer({ min: 0, max: 4 }), fc.constant('1'))),
    )
    fc.assert(
      fc.property(
        fc.dictionary(word, rule),
        fc.option(capability),
        fc.array(grant, { maxLength: 4 }),
        fc.option(word),
        parameters,
        fc.boolean(),
        (rules, unlisted, capabilities, tool, given, known) => {
          const tools = Object.entries(rules).map(([name, { capability, limit, others }]) => {
            const parameters = limit === null ? undefined : { '/n': { max: limit } }
            return [name, { capability, parameters, otherParameters: others }] as const
          })
          const one = server({ unlisted: unlisted ?? 'deny', tools: Object.fromEntries(tools) })
          const question = {
            tool: tool ?? undefined,
            server: 'crm',
            resource: undefined,
            parameters: given ?? undefined,
          }
          const { allow, checks, codes } = decide(
            asked({ capabilities, call: { asked: question, server: known ? one : undefined } }),
          )

          const listed = tool !== null && known && Object.hasOwn(rules, tool) ? rules[tool] : undefined
          const needed = listed?.capability ?? (tool !== null && known ? unlisted : null)
          const held = needed !== null && capabilities.some((name) => covers(name, needed))
          const n = given?.n
          const fitting =
            listed === undefined ||
            listed.limit === null ||
            (typeof n === 'number' && n <= listed.limit && (listed.others === 'allow' || !('m' in (given ?? {}))))
          assert.equal(allow, needed !== null && held && fitting)
          assert.equal(codes.includes('R_TOOL'), needed === null)
          assert.equal(codes.includes('R_CAPABILITY'), needed !== null && !held)
          assert.equal(codes.includes('R_PARAMETERS'), needed !== null && !fitting)
          assert.equal(checks.includes('tool'), needed !== null)
          assert.equal(checks.includes('capability'), held)
        },
      ),
    )
  })
})

describe('the checks of a decision', () => {
  it('are those that were made and found nothing, in one order', () => {
    const { checks } = decide(asked())
    assert.deepEqual(checks, ['mapping', 'holds'])
    const all = decide(
      asked({
        principals: [],
        capability: 'read:x',
        call: { asked: call('set', { n: 9 }), server: crm },
        delegated: true,
        actors: [{ names: ['n'], dids: ['did:mesh:b'], held: false, resumedAt: undefined }],
      }),
    )
    assert.deepEqual(all.checks, ['mapping', 'holds', 'capability', 'delegation', 'actors', 'tool'])
    assert.deepEqual(all.codes, ['R_PARAMETERS'])
    const nobody = decide(asked({ did: undefined, agent: undefined }))
    assert.deepEqual([nobody.codes, nobody.checks], [['R_UNMAPPED'], []])
    const over = decide(asked({ delegated: true, chain: { over: true, tooDeep: false } }))
    assert.deepEqual(over.checks, ['mapping', 'holds'])
    assert.deepEqual(
      checks.filter((word) => !checkWords.includes(word)),
      [],
    )
  })

  it('lack one for every refusal that a decision may find', () => {
    const code = readFileSync(new URL('../../src/core/decide.ts', import.meta.url), 'utf8')
    const found = new Set([...code.matchAll(/failed\.add\('(R_\w+)'\)/g)].map(([, name = '']) => name))
    assert.ok(found.size > 10)
    for (const name of found) {
      assert.ok(isRefusalCode(name))
      assert.equal(passed(allMade, new Set([name])).length, checkWords.length - 1, name)
    }
    assert.deepEqual(passed(allMade, new Set()), checkWords)
  })
})

describe('a definition', () => {
  it('of a server has an identifier in the one form that URL parsers write', () => {
    for (const good of [
      'https://mcp.contoso.com',
      'https://mcp.contoso.com/',
      'https://mcp.contoso.com/crm',
      'https://mcp.contoso.com/crm/',
      'https://mcp.contoso.com:8443/crm?x=1',
      'urn:mcp:crm',
      'http://127.0.0.1:8080/mcp',
    ]) {
      assert.equal(isResource(good), true, good)
    }
    for (const bad of [
      '',
      'crm',
      '/crm',
      'mcp.contoso.com',
      'HTTPS://mcp.contoso.com/crm',
      'https://MCP.contoso.com/crm',
      'https://mcp.contoso.com:443/crm',
      'https://mcp.contoso.com/a/../crm',
      'https://mcp.contoso.com/crm#x',
      'https://mcp.contoso.com/crm#',
      'https://user@mcp.contoso.com/crm',
      'https://mcp.contoso.com/c r m',
      'https://mcp.contoso.com/é',
      'https://mcp.contosö.com/crm',
      ' https://mcp.contoso.com/crm',
      `https://mcp.contoso.com/${'a'.repeat(2048)}`,
    ]) {
      assert.equal(isResource(bad), false, bad)
    }
  })

  it('has names that cannot be taken for a URI, and tools whose names can be seen', () => {
    for (const bad of ['', '-a', 'a:b', 'a/b', 'urn:x', 'é', 'a b', 'a'.repeat(65)]) {
      assert.equal(toolServerName.test(bad), false, bad)
    }
    for (const good of ['crm', 'CRM.v1_x-2', '0']) {
      assert.ok(toolServerName.test(good) && !isResource(good), good)
    }
    for (const bad of ['', ' a', 'a\n', 'a\u200bb', '__proto__', 'a'.repeat(129)])
      assert.equal(toolName.test(bad), false, bad)
    for (const good of ['a', 'a b', 'files/read', 'crm.get', 'é', '__proto', 'a'.repeat(128)])
      assert.ok(toolName.test(good))
  })

  it('is the same however it is ordered, and may be so large and no larger', () => {
    const rules = {
      b: { capability: 'read:b', otherParameters: 'deny' as const, parameters: { '/y': { max: 1, min: 0 }, '/x': {} } },
      a: { capability: 'read:a', otherParameters: 'deny' as const },
    }
    const turned = {
      a: { otherParameters: 'deny' as const, capability: 'read:a', resource: undefined },
      b: { parameters: { '/x': {}, '/y': { min: 0, max: 1 } }, capability: 'read:b', otherParameters: 'deny' as const },
    }
    const [one, other] = [rules, turned].map((tools) => writtenServer({ unlisted: 'deny', tools, description: null }))
    assert.ok(one && other)
    assert.ok(sameToolServer(one, other))
    assert.deepEqual(toolServerOf(one), toolServerOf(other))
    assert.equal(sameToolServer(one, { ...other, unlisted: 'use:x' }), false)
    assert.ok(isSmallDefinition(one))
    assert.equal(isSmallDefinition({ ...one, description: 'x'.repeat(64 * 1024) }), false)
  })
})
