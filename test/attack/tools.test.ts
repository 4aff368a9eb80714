import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { createDecider } from '../../src/engine/deciding.ts'
import { createLogger } from '../../src/lib/log.ts'
import { registrar, World } from '../engine/harness.ts'
import { faceWorld } from '../http/faceworld.ts'

const resource = 'https://mcp.contoso.com/crm'
const tools = {
  get: { capability: 'read:x' },
  set: {
    capability: 'read:x',
    parameters: { '/n': { type: 'integer', max: 10 }, '/path': { optional: true, prefix: '/srv/' } },
  },
}

/** An agent that may call everything there is, so that only the rules stand in its way. */
const armed = async () => {
  const faces = await faceWorld()
  const body = { resource, tools }
  assert.equal((await faces.server.ask('/v1/toolservers/crm', { as: 'registrar', method: 'PUT', body })).status, 201)
  const did = await faces.world.agent('a', { capabilities: ['*'] })
  const decide = (members: string) =>
    faces.server.ask('/v1/decisions', { as: 'gateway', body: `{"did":"${did}",${members}}` })
  const codes = async (members: string) => {
    const { json, status, text } = await decide(members)
    return status === 200 ? String(json?.codes) : `${status} ${json?.code ?? text}`
  }
  return { faces, did, codes }
}

test('no other spelling of a server, and no look-alike of a tool, is the one that was listed', async () => {
  const { faces, codes } = await armed()
  await using _ = faces
  const ask = (server: string, tool = 'get') =>
    codes(`"tool":${JSON.stringify(tool)},"server":${JSON.stringify(server)}`)
  assert.equal(await ask(resource), '')
  assert.equal(await ask('crm'), '')
  for (const server of [
    'HTTPS://mcp.contoso.com/crm',
    'https://MCP.contoso.com/crm',
    'https://mcp.contoso.com:443/crm',
    'https://mcp.contoso.com/crm/',
    'https://mcp.contoso.com/./crm',
    'https://mcp.contoso.com/x/../crm',
    'https://mcp.contoso.com//crm',
    'https://mcp.contoso.com/%63rm',
    'https://mcp.contoso.com/crm?',
    'https://mcp.contoso.com/crm#',
    'https://mcp.contoso.com./crm',
    'https://a@mcp.contoso.com/crm',
    'https:\\\\mcp.contoso.com\\crm',
    ' https://mcp.contoso.com/crm',
    'https://mcp.contoso.com/crm\u0000',
    'https://mcp.c\u043entoso.com/crm',
    'CRM',
    'crm ',
    '\u0441rm',
    '%',
    'c%',
    'constructor',
  ]) {
    assert.equal(await ask(server), 'R_TOOL', server)
  }
  for (const tool of [
    'Get',
    'get ',
    '\uff47et',
    'g\u0435t',
    'ge\u0074\u0301',
    'get\u200b',
    'get\u0000',
    'ge',
    'constructor',
    'toString',
    'hasOwnProperty',
    '0',
    'length',
    '*',
  ]) {
    assert.equal(await ask('crm', tool), 'R_TOOL', JSON.stringify(tool))
  }
})

test('parameters cannot be told in two ways, reach a prototype, or be anything but a small JSON object', async () => {
  const { faces, codes } = await armed()
  await using _ = faces
  const set = (parameters: string) => codes(`"tool":"set","server":"crm","parameters":${parameters}`)
  assert.equal(await set('{"n":10}'), '')
  const rows: readonly (readonly [string, string])[] = [
    ['{"n":1,"n":99}', '400 E_JSON'],
    ['{"n":99,"n":1}', '400 E_JSON'],
    ['{"n":99,"\\u006e":1}', '400 E_JSON'],
    ['{"n":1,"o":{"a":1,"a":2}}', '400 E_JSON'],
    ['{"n":1,"__proto__":{"n":99}}', '400 E_JSON'],
    ['{"__proto__":{"n":1}}', '400 E_JSON'],
    ['{"constructor":{"prototype":{"n":1}}}', '400 E_JSON'],
    ['{"n":1e400}', '400 E_JSON'],
    ['{"n":"\\ud800"}', '400 E_JSON'],
    [`{"n":${'['.repeat(70)}${']'.repeat(70)}}`, '400 E_JSON'],
    [`{"n":${'['.repeat(40)}${']'.repeat(40)}}`, 'R_PARAMETERS'],
    [`{"n":1,"o":"${'x'.repeat(17_000)}"}`, 'R_PARAMETERS'],
    [`{"n":1,"o":[${'0,'.repeat(100_000)}0]}`, 'R_PARAMETERS'],
    [`{${Array.from({ length: 20_000 }, (_, n) => `"k${n}":0`).join(',')}}`, 'R_PARAMETERS'],
    ['[]', '400 E_VALIDATION'],
    ['null', '400 E_VALIDATION'],
    ['"n"', '400 E_VALIDATION'],
    ['{}', 'R_PARAMETERS'],
    ['{"N":1}', 'R_PARAMETERS'],
    ['{"n":"1"}', 'R_PARAMETERS'],
    ['{"n":[1]}', 'R_PARAMETERS'],
    ['{"n":{"valueOf":1}}', 'R_PARAMETERS'],
    ['{"n":null}', 'R_PARAMETERS'],
    ['{"n":true}', 'R_PARAMETERS'],
    ['{"n":1.5}', 'R_PARAMETERS'],
    ['{"n":-9007199254740993}', 'R_PARAMETERS'],
    ['{"n":1,"n ":1}', 'R_PARAMETERS'],
    ['{"n":1,"":1}', 'R_PARAMETERS'],
    ['{"n":1,"toString":1}', 'R_PARAMETERS'],
    ['{"n":1,"path":"/srv/../etc/shadow"}', 'R_PARAMETERS'],
    ['{"n":1,"path":"/srv/%2e%2e/etc/shadow"}', 'R_PARAMETERS'],
    ['{"n":1,"path":["/srv/a"]}', 'R_PARAMETERS'],
    ['{"n":1,"path":null}', 'R_PARAMETERS'],
    ['{"n":1,"path":"/srv/a"}', ''],
  ]
  for (const [parameters, wanted] of rows) assert.equal(await set(parameters), wanted, parameters.slice(0, 60))
  const twice = '"tool":"drop","tool":"get","server":"crm"'
  assert.equal(await codes(twice), '400 E_JSON')
  for (const path of ['/v1/data/agentmesh/allow', '/annotate', '/access/v1/evaluation', '/access/v1/evaluations']) {
    const { status } = await faces.server.ask(path, { as: 'gateway', body: '{"input":{"a":1,"a":2},"input":"x"}' })
    assert.equal(status, 400, path)
  }
})

test('parameters, tool and resource of a question are in no answer, log, metric or record', async () => {
  const { faces, did } = await armed()
  await using _ = faces
  const { server, world } = faces
  const secret = 'f3a9c1-not-to-be-kept'
  const call = { did, tool: `set${secret}`, server: 'crm', resource: secret, parameters: { n: 99, [secret]: secret } }
  const bodies: readonly (readonly [string, object])[] = [
    ['/v1/decisions', call],
    ['/v1/decisions', { ...call, tool: 'set' }],
    ['/v1/decisions', { ...call, tool: 'get' }],
    ['/v1/decisions', { ...call, parameters: [secret] }],
    ['/v1/data/agentmesh/allow', { input: { agentDid: did, ...call } }],
    ['/annotate', { input: did, fields: call }],
    [
      '/access/v1/evaluation',
      {
        subject: { type: 'agent', id: did },
        action: { name: 'call' },
        resource: { type: 'tool', id: call.tool, properties: call },
      },
    ],
  ]
  for (const [at, [path, body]] of bodies.entries()) {
    for (const headers of [{}, { 'idempotency-key': `key-${at}` }]) {
      const { status, text } = await server.ask(path, { as: 'gateway', body, headers })
      assert.equal(status, at === 3 ? 400 : 200, path)
      assert.ok(!text.includes(secret), path)
    }
  }
  assert.ok(server.lines.length > 0)
  const kept = [
    server.lines.join('\n'),
    await world.metrics.text(),
    readFileSync(await world.backup()).toString('latin1'),
  ]
  for (const text of kept) assert.ok(!text.includes(secret))
})

test('what the engine logs of a refused call says nothing of it either', async () => {
  await using world = await World.open()
  const lines: string[] = []
  const deps = {
    ...world.deps,
    log: createLogger({ level: 'trace', destination: { write: (line) => lines.push(line) } }),
  }
  const none = async () => ({ valid: false as const, codes: [], principals: [] })
  const decider = createDecider(deps, { verify: none, subject: none, reload: () => undefined }, world.activity)
  const did = await world.agent('a')
  const { codes } = await decider.decide({
    did,
    tool: 'secret-1',
    server: 'secret-2',
    resource: 'secret-3',
    parameters: { a: 'secret-4' },
  })
  assert.deepEqual(codes, ['R_TOOL'])
  assert.match(lines.join(''), /a decision was refused/)
  assert.doesNotMatch(lines.join(''), /secret/)
})

test('whatever is asked in place of a call, the answer is a refusal and no failure', async () => {
  await using world = await World.open()
  await world.bridge.defineToolServer(
    'crm',
    {
      tools: [
        {
          name: 'set',
          capability: 'read:x',
          parameters: { '/n': { max: 1 } },
          resource: { enum: ['r'] },
          otherParameters: 'deny',
        },
      ],
    },
    registrar,
    undefined,
  )
  const did = await world.agent('a', { capabilities: ['read:x'] })
  const good = { did, tool: 'set', server: 'crm', resource: 'r', parameters: { n: 1 } }
  assert.equal((await world.bridge.decide(good)).allow, true)
  await fc.assert(
    fc.asyncProperty(fc.anything({ maxDepth: 3 }), fc.anything(), async (parameters, resource) => {
      const isGood = JSON.stringify([parameters, resource]) === '[{"n":1},"r"]'
      const one = await world.bridge.decide({ ...good, parameters, resource })
      assert.equal(one.allow, isGood)
      assert.equal((await world.bridge.decide({ ...good, parameters })).allow, JSON.stringify(parameters) === '{"n":1}')
    }),
    { numRuns: 300 },
  )
})
