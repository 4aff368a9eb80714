import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { assertAllowed, registerAll } from './agents.ts'
import { at, listAt, parsed, textAt } from './json.ts'
import { audience, startWorld } from './world.ts'

type Members = Readonly<Record<string, unknown>>

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
const decode = (part: string | undefined): Members => {
  const value = parsed(Buffer.from(part ?? '', 'base64url').toString())
  return Object.fromEntries(Object.entries(typeof value === 'object' && value !== null ? value : {}))
}
const rs256 = (key: KeyObject) => (input: string) => sign('RSA-SHA256', Buffer.from(input), key).toString('base64url')

const forge = (header: Members, claims: Members, signer: (input: string) => string): string => {
  const input = `${encode(header)}.${encode(claims)}`
  return `${input}.${signer(input)}`
}

test('every family of forged tokens is refused with its code, and none makes the bridge call anywhere', async () => {
  await using world = await startWorld()
  await using daemon = await world.daemon()
  await registerAll(daemon, world)
  const { tenant, contoso } = world
  const id = contoso.agents.scout
  const issue = (claims: Members = {}, header: Members = {}) =>
    tenant.issueToken({ kind: 'agent', id, audience, claims, header })
  const genuine = issue()
  await assertAllowed(daemon, { token: genuine })

  const [first, second, signature] = genuine.split('.')
  const header = decode(first)
  const claims = decode(second)
  const keySet = parsed(await (await fetch(`${tenant.origin}/${tenant.tenantId}/discovery/keys`)).text())
  const published = listAt(keySet, 'keys').find((key) => at(key, 'kid') === header.kid)
  const modulus = textAt(published, 'n')
  const own = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const jwk = own.publicKey.export({ format: 'jwk' })
  const mine = rs256(own.privateKey)
  const hs256 = (input: string) => createHmac('sha256', modulus).update(input).digest('base64url')
  const now = Math.floor(Date.now() / 1000)
  let visits = 0
  const server = createServer((_request, response) => {
    visits += 1
    response.end(JSON.stringify({ keys: [{ ...jwk, kid: 'x', use: 'sig' }] }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  await using _stopped = { [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const elsewhere = `http://127.0.0.1:${address.port}/keys`

  const forged: Readonly<Record<string, readonly [token: string, codes: readonly string[]]>> = {
    'no signature algorithm': [forge({ ...header, alg: 'none' }, claims, () => ''), ['R_TOKEN', 'R_ALGORITHM']],
    'HS256 with the public key as secret': [forge({ ...header, alg: 'HS256' }, claims, hs256), ['R_ALGORITHM']],
    'an algorithm of the same key that is not allowed': [issue({}, { alg: 'RS512' }), ['R_ALGORITHM']],
    'an unknown kid': [forge({ ...header, kid: 'foreign' }, claims, mine), ['R_KEY']],
    'a known kid, another key': [forge(header, claims, mine), ['R_SIGNATURE']],
    'an embedded key': [forge({ ...header, jwk }, claims, mine), ['R_SIGNATURE', 'R_TOKEN']],
    'a key URL': [forge({ ...header, kid: 'x', jku: elsewhere }, claims, mine), ['R_KEY', 'R_TOKEN']],
    'a certificate URL': [forge({ ...header, kid: 'x', x5u: elsewhere }, claims, mine), ['R_KEY', 'R_TOKEN']],
    'changed claims': [`${first}.${encode({ ...claims, roles: ['Everything'] })}.${signature}`, ['R_SIGNATURE']],
    'a critical extension': [issue({}, { crit: ['b64'], b64: false }), ['R_CRIT', 'R_TOKEN']],
    'another issuer': [issue({ iss: 'https://login.attacker.example/' }), ['R_ISSUER']],
    'another tenant': [issue({ tid: randomUUID() }), ['R_TENANT']],
    'another audience': [issue({ aud: 'api://someone-else' }), ['R_AUDIENCE']],
    'Microsoft Graph as audience': [issue({ aud: 'https://graph.microsoft.com' }), ['R_AUDIENCE']],
    expired: [issue({ iat: now - 7200, nbf: now - 7200, exp: now - 3600 }), ['R_EXPIRED']],
    'no expiry': [issue({ exp: undefined }), ['R_CLAIMS']],
    'no time of issue': [issue({ iat: undefined }), ['R_CLAIMS']],
    'not valid yet': [issue({ nbf: now + 3600 }), ['R_NOT_YET_VALID']],
    oversized: [issue({ padding: 'x'.repeat(20_000) }), ['R_TOO_LARGE']],
    'bound to a key': [issue({ cnf: { jkt: 'thumbprint' } }), ['R_CNF']],
    'not a token': ['not.a.token', ['R_TOKEN']],
    'four parts': [`${genuine}.x`, ['R_TOKEN']],
  }
  const keyFetches = () => tenant.requests.filter(({ path }) => path.endsWith('/keys')).length
  const before = keyFetches()
  for (const [family, [token, codes]] of Object.entries(forged)) {
    for (const [route, body] of [
      ['/v1/tokens/verify', { token }],
      ['/v1/decisions', { token }],
    ] as const) {
      const answer = await daemon.as('gateway').post(route, body)
      assert.equal(answer.status, 200, `${family}: ${answer.text}`)
      assert.notEqual(at(answer.body, 'allow') ?? at(answer.body, 'valid'), true, family)
      const [code] = listAt(answer.body, 'codes')
      assert.ok(typeof code === 'string' && codes.includes(code), `${family}: ${answer.text}`)
    }
  }
  await assertAllowed(daemon, { token: genuine })
  assert.equal(visits, 0, 'a token sent the bridge somewhere')
  assert.equal(keyFetches(), before + 1, 'one fetch in five minutes for key ids nobody knows')
  const log = daemon.process.lines.join('\n')
  assert.ok(!log.includes(genuine) && !log.includes(signature ?? '?'), 'a token is in the log')
})
