import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { describe, it } from 'node:test'
import { inspect } from 'node:util'
import { ConfigError, formatFaults, loadConfig } from '../../src/config.ts'
import {
  adapterKinds,
  entra,
  faultsOf,
  HASH,
  minimal,
  OTHER,
  operator,
  parse,
  type Row,
  refuses,
  soc,
  withAuth,
  withClients,
} from './config-fixture.ts'

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const rsaKey = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

const table: Row[] = [
  ['YAML that is broken', 'version: [1', ' syntax', /bracket/],
  ['JSON that is broken', '{"version": 1', ' syntax', /bracket|JSON/],
  ['the same key twice', `version: 1\nversion: 1\n${operator}\nadapters: {}`, ' syntax', /twice/],
  ['a tab as indentation', 'version: 1\nauth:\n\tclients: []', ' syntax', /tab|indentation|JSON/],
  ['a second document', `${minimal}---\nversion: 1`, ' syntax', /document/],
  ['a YAML tag', `version: !evil 1\n${operator}\nadapters: {}`, ' syntax', /tag/],
  ['a list as the file', '- 1', ' wrong_type', /mapping/],
  ['an empty file', '', ' wrong_type', /mapping/],
  ['private-use characters', `${minimal}# \uE000`, ' syntax', /invisible/],
  ['another version', minimal.replace('1', '2'), 'version bad_value', /use 1/],
  ['an unknown key', `${minimal}serverr: {}`, 'serverr unknown_key', /did you mean server\?/],
  ['an unknown key like no other', `${minimal}zzzzzzz: {}`, 'zzzzzzz unknown_key', /known here: version, server/],
  ['no clients', `version: 1\nauth: {}\nadapters: {}`, 'auth.clients missing', /add it/],
  ['no auth', 'version: 1\nadapters: {}', 'auth missing', /add it/],
  ['text for a mapping', `${minimal}server: here`, 'server wrong_type', /must be a mapping, but is text/],
  ['a number for text', `${minimal}server: { host: 1 }`, 'server.host wrong_type', /quotes/],
  ['a port out of range', `${minimal}server: { port: 99999 }`, 'server.port bad_value', /0 to 65535/],
  ['a port that is no number', `${minimal}server: { port: abc }`, 'server.port bad_value', /whole number/],
  ...[
    '0.0.0.0:8181',
    'localhost:8181',
    '10.0.0.1:8181',
    '127.0.0.1',
    '127.0.0.1:99999',
    '127.0.0.999:1',
    '[::]:1',
    'unix:run/x',
  ].map((place): [string, string, string, RegExp] => [
    `a policy socket at ${place}`,
    `${minimal}server: { policySocket: "${place}" }`,
    'server.policySocket bad_value',
    /unix:/,
  ]),
  ['plain http', `${minimal}server: { publicUrl: "http://b.example" }`, 'server.publicUrl bad_value', /loopback/],
  [
    'a password in a URL',
    `${minimal}server: { publicUrl: "https://u:p@b.example" }`,
    'server.publicUrl bad_value',
    /https/,
  ],
  [
    'a proxy range that is none',
    `${minimal}server: { trustProxy: [10.0.0.0/33] }`,
    'server.trustProxy.0 bad_value',
    /range/,
  ],
  [
    'a duration without unit',
    `${minimal}policy: { confirmReleaseAfter: 30 }`,
    'policy.confirmReleaseAfter wrong_type',
    /30s/,
  ],
  [
    'a duration of another spelling',
    `${minimal}policy: { confirmReleaseAfter: PT3S }`,
    'policy.confirmReleaseAfter bad_value',
    /30s/,
  ],
  ['a duration too long', `${minimal}retention: { receipts: 9999d }`, 'retention.receipts bad_value', /too long/],
  ['a duration too short', `${minimal}retention: { receipts: 1h }`, 'retention.receipts bad_value', /at least 1d/],
  [
    'warn after deny',
    `${minimal}policy: { maxStaleness: { warn: 2d } }`,
    'policy.maxStaleness conflict',
    /shorter than deny/,
  ],
  [
    'thresholds the wrong way round',
    `${minimal}policy: { trust: { suspendBelow: 500 } }`,
    'policy.trust conflict',
    /liftAbove greater/,
  ],
  [
    'a threshold on the other scale',
    `${minimal}policy: { trust: { suspendBelow: 0.3 } }`,
    'policy.trust.suspendBelow wrong_type',
    /number|integer/,
  ],
  ['a misspelt choice', `${minimal}policy: { drift: reasert }`, 'policy.drift bad_value', /did you mean reassert\?/],
  ['a time zone', `${minimal}schedule: { timeZone: Mars/Olympus }`, 'schedule.timeZone bad_value', /IANA/],
  ['a store of another kind', `${minimal}store: { url: "mysql://x" }`, 'store.url bad_value', /sqlite:/],
  ['a store for later', `${minimal}store: { url: "postgres://x" }`, 'store.url bad_value', /later release/],
  ['a store in memory', `${minimal}store: { url: "sqlite::memory:" }`, 'store.url bad_value', /lose every hold/],
  ['no operator', withClients(soc.replace('operator', 'reader')), 'auth.clients conflict', /role operator/],
  ['an unknown role', withClients(soc.replace('operator', 'admin')), 'auth.clients.0.role bad_value', /one of reader/],
  [
    'one client name twice',
    withClients(soc, soc.replace(HASH, OTHER)),
    'auth.clients.1.name conflict',
    /another client/,
  ],
  [
    'one token for two',
    withClients(soc, soc.replace('soc', 'noc')),
    'auth.clients.1.tokenSha256 conflict',
    /client soc/,
  ],
  [
    'a token hash too short',
    withClients(soc.replace(HASH, 'abc')),
    'auth.clients.0.tokenSha256 bad_value',
    /sha256sum/,
  ],
  [
    'the hash of nothing',
    withClients(soc.replace(HASH, 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')),
    'auth.clients.0.tokenSha256 bad_value',
    /empty token/,
  ],
  ['an empty token list', withClients(soc.replace(HASH, '[]')), 'auth.clients.0.tokenSha256 bad_value', /at least one/],
  [
    'labels on an operator',
    withClients(soc.replace('}', ', agents: { labels: { a: b } } }')),
    'auth.clients.0.agents bad_value',
    /runtime/,
  ],
  [
    'a kill budget of none',
    withAuth(`{ clients: [${soc}], killBudget: { max: 0 } }`),
    'auth.killBudget.max bad_value',
    /from 1/,
  ],
  ['a variable that is not set', `${minimal}log: { level: "\${LEVEL}" }`, 'log.level env_missing', /LEVEL/],
  ['a malformed reference', `${minimal}log: { level: "\${LEVEL:-info}" }`, 'log.level bad_value', /no defaults/],
  [
    'a secret file that is not there',
    `${minimal}signing: { keys: [{ file: /nope }] }`,
    'signing.keys.0 unreadable',
    /\/nope/,
  ],
  [
    'a secret file that is empty',
    `${minimal}signing: { keys: [{ file: /empty }] }`,
    'signing.keys.0 unreadable',
    /empty/,
  ],
  ['a key that is none', `${minimal}signing: { keys: [{ file: /secret }] }`, 'signing.keys.0 bad_value', /ed25519/],
  [
    'a key of another kind',
    `${minimal}signing: { keys: [${JSON.stringify(rsaKey)}] }`,
    'signing.keys.0 bad_value',
    /ed25519/,
  ],
  ['a secret of another shape', `${minimal}signing: { keys: [{ path: /x }] }`, 'signing.keys.0 bad_value', /file:/],
  ['a reference where none belongs', `${minimal}store: { url: { file: /secret } }`, 'store.url wrong_type', /text/],
  ['authorities that are not there', `${minimal}outbound: { caFile: /nope }`, 'outbound.caFile unreadable', /\/nope/],
  ['authorities without a certificate', `${minimal}outbound: { caFile: /secret }`, 'outbound.caFile bad_value', /PEM/],
  [
    'a range as proxy exception',
    `${minimal}outbound: { noProxy: [10.0.0.0/8] }`,
    'outbound.noProxy.0 bad_value',
    /all below it/,
  ],
  ['a proxy of another scheme', `${minimal}outbound: { proxy: "ftp://p" }`, 'outbound.proxy bad_value', /proxy URL/],
]

describe('a faulty configuration is refused', () => {
  refuses(table)

  it('for being over 1 MiB', () => {
    assert.equal(faultsOf(`${minimal}# ${'x'.repeat(1024 * 1024)}`)[0]?.code, 'too_large')
  })

  it('for multiplying itself through aliases', () => {
    const levels = Array.from({ length: 12 }, (_, i) => `l${i + 1}: &l${i + 1} [${Array(9).fill(`*l${i}`).join(', ')}]`)
    const faults = faultsOf(`l0: &l0 [x]\n${levels.join('\n')}\n`)
    assert.match(faults[0]?.message ?? '', /aliases/)
  })

  it('for a path that is not there, or not a file', () => {
    for (const path of ['/nowhere/bridge.yaml', '/']) {
      assert.throws(
        () => loadConfig(path, { env: {}, adapterKinds }),
        (error) => {
          assert.ok(error instanceof ConfigError)
          assert.equal(error.faults[0]?.code, 'unreadable')
          assert.equal(error.exit, 78)
          return true
        },
      )
    }
  })

  it('with every fault at once, in the order of the file', () => {
    const faults = faultsOf(
      `version: 1\nserver: { port: -1 }\nlog: { level: loud }\n${operator}\npolicy: { drift: x }\nadapters: { a: { kind: x }, B: { kind: memory } }\n`,
    )
    assert.deepEqual(
      faults.map((fault) => fault.path),
      ['server.port', 'log.level', 'policy.drift', 'adapters.a.kind', 'adapters.B'],
    )
    const printed = formatFaults(faults, 'bridge.yaml').split('\n')
    assert.equal(printed.length, 10)
    assert.match(printed[0] ?? '', /^bridge\.yaml:2:17: server\.port is out of range$/)
  })

  it('without printing what may be a secret', () => {
    const texts = [
      `${minimal}signing: { keys: ["hunter2-hunter2"] }`,
      `${minimal}log: { level: hunter2-hunter2 }`,
      `${minimal}server: { port: "hunter2-hunter2" }`,
      `${minimal}store: { url: "hunter2-hunter2" }`,
      `${minimal}x: "hunter2-hunter2`,
      `${minimal}x: @hunter2-hunter2`,
      withClients(soc.replace(HASH, 'hunter2-hunter2')),
      entra('hooks: { eventGrid: { auth: key, key: [hunter2, hunter2-hunter2-hunter2] } }'),
    ]
    for (const text of texts) {
      assert.throws(
        () => parse(text),
        (error) => {
          assert.ok(error instanceof ConfigError)
          assert.doesNotMatch(inspect(error, { depth: 9 }) + formatFaults(error.faults), /hunter2/)
          return true
        },
      )
    }
  })
})
