import { generateKeyPairSync } from 'node:crypto'
import { describe } from 'node:test'
import { operator, type Row, refuses } from './config-fixture.ts'

const pem = (options: { privateKey: ReturnType<typeof generateKeyPairSync>['privateKey'] }) =>
  options.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
const good = pem(generateKeyPairSync('ec', { namedCurve: 'P-256' }))
const short = pem(generateKeyPairSync('rsa', { modulusLength: 1024 }))
const other = pem(generateKeyPairSync('ed25519'))
const publicHalf = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' })

/** An org with settings of its own, some of them written over. */
const okta = (more: Record<string, unknown>): string => {
  const credential = { type: 'privateKey', clientId: '0oa1a2b3c4d5e6f7g8h9', key: good }
  const adapter = { kind: 'okta', orgUrl: 'https://contoso.okta.com', credential, ...more }
  return `version: 1\n${operator}\nadapters: ${JSON.stringify({ a: adapter })}\n`
}
const key = (text: string) => okta({ credential: { type: 'privateKey', clientId: 'x', key: text } })

const table: Row[] = [
  ['an org in plain http', okta({ orgUrl: 'http://contoso.okta.com' }), 'adapters.a.orgUrl bad_value', /loopback/],
  [
    'an org with a path',
    okta({ orgUrl: 'https://contoso.okta.com/api' }),
    'adapters.a.orgUrl bad_value',
    /without a path/,
  ],
  ['a key that is none', key('hush'), 'adapters.a.credential.key bad_value', /private JWK/],
  ['a key too short', key(short), 'adapters.a.credential.key bad_value', /2048 bits/],
  ['a key of another kind', key(other), 'adapters.a.credential.key bad_value', /RSA|EC/],
  ['a public key', key(JSON.stringify(publicHalf)), 'adapters.a.credential.key bad_value', /privat/],
  ['no kind at all', okta({ manage: { kinds: [] } }), 'adapters.a.manage.kinds bad_value', /at least one/],
  ['a login on the never list', okta({ never: ['admin@contoso.com'] }), 'adapters.a.never.0 bad_value', /logins/],
  ['a group by its name', okta({ groups: { Everyone: ['read:x'] } }), 'adapters.a.groups.Everyone bad_value', /00g/],
  [
    "the org's own authorization server",
    okta({ tokens: { audiences: ['a'], authorizationServers: ['https://contoso.okta.com'] } }),
    'adapters.a.tokens.authorizationServers.0 bad_value',
    /org server cannot be verified/,
  ],
  ['more than there is', okta({ limits: { share: 101 } }), 'adapters.a.limits.share bad_value', /1 to 100/],
  [
    'a secret too short',
    okta({ hooks: { eventHook: { secret: 'short' } } }),
    'adapters.a.hooks.eventHook.secret bad_value',
    /16/,
  ],
]

describe('faults of an okta adapter', () => refuses(table))
