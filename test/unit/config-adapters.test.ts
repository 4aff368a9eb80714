import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { settingsOf } from '../../src/settings.ts'
import { credential, entra, faultsOf, operator, parse, type Row, refuses, TENANT } from './config-fixture.ts'

const QUEUE = 'https://bells.queue.core.windows.net/bells'

const table: Row[] = [
  [
    'an adapter that follows none of the file',
    entra('follows: contso'),
    'adapters.contoso.follows bad_value',
    /mean contoso/,
  ],
  [
    'self-registration by an adapter that is not of the file',
    `${entra('mirror: both')}\nregistration: { self: { adapters: [contos] } }\nserver: { publicUrl: https://b.contoso.com }`,
    'registration.self.adapters.0 bad_value',
    /did you mean contoso/,
  ],
  [
    'self-registration without a URL to sign',
    `${entra('mirror: both')}\nregistration: { self: { adapters: [contoso] } }`,
    'registration.self conflict',
    /publicUrl/,
  ],
  ['an adapter that follows itself', entra('follows: contoso'), 'adapters.contoso.follows conflict', /itself/],
  ['a service by name', entra('trustedWriters: [scim]'), 'adapters.contoso.trustedWriters.0 bad_value', /not a GUID/],
  ['a follower that waits for ever', entra('followWithin: 90d'), 'adapters.contoso.followWithin bad_value', /7d|long/],
  [
    'an adapter name',
    `version: 1\n${operator}\nadapters: { Bad: { kind: memory } }`,
    'adapters.Bad bad_value',
    /lower-case/,
  ],
  [
    'an adapter kind',
    `version: 1\n${operator}\nadapters: { a: { kind: memroy } }`,
    'adapters.a.kind bad_value',
    /did you mean memory\?/,
  ],
  [
    'an adapter without kind',
    `version: 1\n${operator}\nadapters: { a: {} }`,
    'adapters.a.kind missing',
    /entra, memory/,
  ],
  ['an adapter that is none', `version: 1\n${operator}\nadapters: { a: 3 }`, 'adapters.a wrong_type', /mapping/],
  [
    'an adapter without tenant',
    `version: 1\n${operator}\nadapters: { a: { kind: entra, credential: { type: managedIdentity } } }`,
    'adapters.a.tenantId missing',
    /1111/,
  ],
  [
    'an unknown key of an adapter',
    entra('tennants: x'),
    'adapters.contoso.tennants unknown_key',
    /tenantId|known here/,
  ],
  ['a mirror mode', entra('mirror: bot'), 'adapters.contoso.mirror bad_value', /did you mean both\?/],
  ['a cron expression', entra('sync: { full: "61 * * * *" }'), 'adapters.contoso.sync.full bad_value', /5 fields/],
  [
    'a cron expression of 7 fields',
    entra('sync: { full: "* * * * * * *" }'),
    'adapters.contoso.sync.full bad_value',
    /5 fields/,
  ],
  ['a group by name', entra('groups: { admins: ["read:x"] }'), 'adapters.contoso.groups.admins bad_value', /object id/],
  [
    'a group that gives nothing',
    entra(`groups: { ${TENANT}: [] }`),
    `adapters.contoso.groups.${TENANT} bad_value`,
    /at least one/,
  ],
  [
    'a capability',
    entra(`groups: { ${TENANT}: [read] }`),
    `adapters.contoso.groups.${TENANT}.0 bad_value`,
    /action:resource/,
  ],
  [
    'Event Grid tokens in a cloud where nobody can check them',
    entra('cloud: china, hooks: { eventGrid: { auth: entra, audience: "api://hooks" } }'),
    'adapters.contoso.hooks.eventGrid.auth conflict',
    /auth: key/,
  ],
  [
    'Graph as audience',
    entra('tokens: { audiences: ["https://graph.microsoft.com"] }'),
    'adapters.contoso.tokens bad_value',
    /Graph/,
  ],
  [
    'an endpoint with a path',
    entra('endpoints: { graph: "https://g.example/v1" }'),
    'adapters.contoso.endpoints.graph bad_value',
    /without a path/,
  ],
  [
    'an endpoint over http',
    entra('endpoints: { graph: "http://g.example" }'),
    'adapters.contoso.endpoints.graph bad_value',
    /loopback/,
  ],
  [
    'a credential of another type',
    credential('{ type: password }'),
    'adapters.contoso.credential.type bad_value',
    /clientSecret/,
  ],
  [
    'a credential that lacks a part',
    credential('{ type: tokenFile }'),
    'adapters.contoso.credential.path missing',
    /add it/,
  ],
  [
    'two names of one identity',
    credential(`{ type: managedIdentity, clientId: ${TENANT}, objectId: ${TENANT} }`),
    'adapters.contoso.credential bad_value',
    /keep one/,
  ],
  [
    'a certificate without key',
    credential(`{ type: clientCertificate, clientId: ${TENANT}, certificate: { file: /ca.pem } }`),
    'adapters.contoso.credential.certificate bad_value',
    /private key/,
  ],
  [
    'a hook key too short',
    entra('hooks: { eventGrid: { auth: key, key: short } }'),
    'adapters.contoso.hooks.eventGrid.key bad_value',
    /16 characters/,
  ],
  [
    'a queue with its signature in the address',
    entra('hooks: { queue: { url: "https://bells.queue.core.windows.net/bells?sv=1&sig=abcdefghijkl" } }'),
    'adapters.contoso.hooks.queue.url bad_value',
    /access.sas/,
  ],
  [
    'a queue by the address of its account',
    entra('hooks: { queue: { url: "https://bells.queue.core.windows.net" } }'),
    'adapters.contoso.hooks.queue.url bad_value',
    /\{queue\}/,
  ],
  [
    'a signature that is none',
    entra(`hooks: { queue: { url: "${QUEUE}", access: { auth: sas, sas: "sv=2026-04-06&sp=rp&nothing" } } }`),
    'adapters.contoso.hooks.queue.access.sas bad_value',
    /sig=/,
  ],
  [
    'a connection string without key',
    entra(
      `hooks: { queue: { url: "${QUEUE}", access: { auth: connectionString, connectionString: "AccountName=bells;X=" } } }`,
    ),
    'adapters.contoso.hooks.queue.access.connectionString bad_value',
    /AccountKey/,
  ],
  [
    'a queue that is asked too often',
    entra(`hooks: { queue: { url: "${QUEUE}", poll: 500ms } }`),
    'adapters.contoso.hooks.queue.poll bad_value',
    /at least 1s/,
  ],
  [
    'a queue with the token file of the directory',
    `version: 1\n${operator}\nadapters: { contoso: { kind: entra, tenantId: ${TENANT}, credential: { type: tokenFile, path: /t }, hooks: { queue: { url: "${QUEUE}" } } } }`,
    'adapters.contoso.hooks.queue.access.credential conflict',
    /access.credential/,
  ],
  [
    'a hook without audience',
    entra('hooks: { eventGrid: { auth: entra } }'),
    'adapters.contoso.hooks.eventGrid.audience missing',
    /add it/,
  ],
]

describe('a faulty adapter is refused', () => {
  refuses(table)
})

const chainOf = (...links: readonly string[]) =>
  `version: 1\n${operator}\nadapters: { ${links
    .map((link) => {
      const [name, follows] = link.split(' > ')
      return `${name}: { kind: memory${follows === undefined ? '' : `, follows: ${follows}`} }`
    })
    .join(', ')} }\n`

describe('adapters that follow others', () => {
  it('may form a chain', () => {
    assert.deepEqual(faultsOf(chainOf('a', 'b > a', 'c > b')), [])
  })

  it('may not form a circle: every link of it is named, and what hangs on it is not', () => {
    assert.deepEqual(
      faultsOf(chainOf('a > b', 'b > c', 'c > a', 'd > a')).map(({ path, code }) => `${path} ${code}`),
      ['adapters.a.follows conflict', 'adapters.b.follows conflict', 'adapters.c.follows conflict'],
    )
  })

  it('are told with every other fault of the file', () => {
    const text = chainOf('a > x', 'b > b').replace('version: 1', 'version: 2')
    assert.deepEqual(
      faultsOf(text).map(({ path }) => path),
      ['version', 'adapters.a.follows', 'adapters.b.follows'],
    )
  })

  it('tell the engine whom they follow, for how long, and whom they trust', () => {
    const config = parse(entra(`trustedWriters: [${TENANT.toUpperCase()}], followWithin: 2h`))
    const settings = settingsOf(config.adapters['contoso'] ?? assert.fail())
    assert.deepEqual(
      [settings.follows, settings.followWithinMs, settings.trustedWriters],
      [undefined, 7_200_000, [TENANT]],
    )
  })
})
