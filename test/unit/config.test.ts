import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inspect } from 'node:util'
import { credential, entra, HASH, minimal, OTHER, parse, soc, TENANT, withClients } from './config-fixture.ts'

describe('a good configuration', () => {
  it('has every default of the contract', () => {
    const config = parse(minimal)
    assert.deepEqual(config.policy, {
      confirmReleaseAfter: 30_000,
      resume: 'approval',
      drift: 'reassert',
      maxStaleness: { warn: 900_000, deny: 86_400_000 },
      unknownActors: 'deny',
      guard: { window: 600_000, minAgents: 50, suspend: { max: 50, percent: 20 }, resume: { max: 10, percent: 5 } },
    })
    assert.equal(config.server.policySocket, undefined)
    for (const [place, wanted] of [
      ['unix:/run/policy.sock', { path: '/run/policy.sock' }],
      ['127.0.0.1:8181', { host: '127.0.0.1', port: 8181 }],
      ['[::1]:0', { host: '::1', port: 0 }],
    ] as const) {
      assert.deepEqual(parse(`${minimal}server: { policySocket: "${place}" }`).server.policySocket, wanted)
    }
    assert.deepEqual(config.auth.killBudget, { max: 100, per: 600_000 })
    assert.equal(config.retention.receipts, 400 * 86_400_000)
    assert.deepEqual(config.auth.clients[0]?.role, ['operator'])
    assert.deepEqual(config.auth.clients[0]?.tokenSha256, [HASH])
  })

  it('is frozen all the way down', () => {
    const config = parse(entra(`groups: { ${TENANT}: ["read:x"] }`))
    assert.ok(Object.isFrozen(config.adapters.contoso?.groups))
    assert.ok(Object.isFrozen(config.auth.clients[0]?.role))
  })

  it('may be JSON', () => {
    const clients = [{ name: 'soc', role: ['operator', 'reader'], tokenSha256: HASH.toUpperCase() }]
    const config = parse(JSON.stringify({ version: 1, auth: { clients }, adapters: { m: { kind: 'memory' } } }))
    assert.equal(config.adapters.m?.kind, 'memory')
    assert.deepEqual(config.auth.clients[0]?.tokenSha256, [HASH])
  })

  it('takes values from the environment, in flow mappings, numbers and parts of strings too', () => {
    const config = parse(
      `${minimal}server: { port: \${PORT}, publicUrl: "https://\${HOST}/x" }\noutbound: { proxy: \${PROXY} }\nlog: {level: \${L}}\n`,
      { PORT: '99', HOST: 'b.example', PROXY: '', L: 'debug' },
    )
    assert.equal(config.server.port, 99)
    assert.equal(config.server.publicUrl, 'https://b.example/x')
    assert.equal(config.outbound.proxy, undefined)
    assert.equal(config.log.level, 'debug')
  })

  it('does not read values of the environment as YAML, nor twice', () => {
    const secret = `a: b # \${HOME} { [`
    const text = credential(`{ type: clientSecret, clientId: ${TENANT}, secret: \${S} }`)
    const config = parse(text, { S: secret, HOME: 'x' })
    const { contoso } = config.adapters
    assert.ok(contoso?.kind === 'entra' && contoso.credential.type === 'clientSecret')
    assert.equal(contoso.credential.secret.read(), secret)
  })

  it('keeps an escaped reference', () => {
    const text = credential(`{ type: clientSecret, clientId: ${TENANT}, secret: "$\${NOT_SET}" }`)
    const { contoso } = parse(text).adapters
    assert.ok(contoso?.kind === 'entra' && contoso.credential.type === 'clientSecret')
    assert.equal(contoso.credential.secret.read(), `\${NOT_SET}`)
  })

  it('never prints its secrets', () => {
    const config = parse(
      `${entra('hooks: { eventGrid: { auth: key, key: [{ file: /secret }, "hush-hush-literal"] } }')}outbound: { proxy: "http://u:hush-hush@p:1" }\n`,
    )
    const { contoso } = config.adapters
    assert.ok(contoso?.kind === 'entra' && contoso.hooks.eventGrid?.auth === 'key')
    assert.deepEqual(
      contoso.hooks.eventGrid.key.map((key) => key.read()),
      ['hush-hush-hush-hush', 'hush-hush-literal'],
    )
    assert.equal(config.outbound.proxy?.read(), 'http://u:hush-hush@p:1')
    const printed = [
      inspect(config, { depth: 20 }),
      inspect(config, { depth: 20, customInspect: false, showHidden: true }),
      JSON.stringify(config),
      `${contoso.hooks.eventGrid.key}`,
    ].join()
    assert.doesNotMatch(printed, /hush-hush/)
    assert.match(printed, /\[secret\]/)
  })

  it('treats labels and groups as maps whatever their keys', () => {
    const runtime = `{ name: rt, role: runtime, tokenSha256: ${OTHER}, agents: { labels: { file: payments } } }`
    assert.deepEqual(parse(withClients(soc, runtime)).auth.clients[1]?.agents?.labels, { file: 'payments' })
    const upper = 'AAAAAAAA-1111-2222-3333-444444444444'
    const { contoso } = parse(entra(`groups: { ${upper}: ["read:x"] }`)).adapters
    assert.deepEqual(contoso?.groups, { [upper.toLowerCase()]: ['read:x'] })
  })
})
