import assert from 'node:assert/strict'
import { createHmac, createPrivateKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { before, test } from 'node:test'
import { deflateSync } from 'node:zlib'
import { canonical } from '../../src/core/canonical.ts'
import type { Passport } from '../../src/core/passport.ts'
import { setStatus } from '../../src/core/statuslist.ts'
import { signJson } from '../../src/lib/jws.ts'
import { type PassportTerms, verifyPassport } from '../../src/lib/passport.ts'
import { packStatuses } from '../../src/lib/statuslist.ts'
import { signingKey } from '../engine/published.ts'

const now = Date.UTC(2026, 10, 21, 10)
const iat = now / 1000 - 60
const uri = 'https://bridge.test/statuslists/g-1'
const passport: Passport = {
  iss: 'https://bridge.test',
  sub: 'did:mesh:a',
  iat,
  exp: iat + 900,
  jti: 'j',
  name: 'an agent',
  principals: [],
  capabilities: ['read:x'],
  sponsor: null,
  delegation: [],
  status: { status_list: { idx: 5, uri } },
  delegation_claims: { authority_scope: ['read:x'], issued_at: 'x', revocation_check_url: 'y' },
}
const bytes = new Uint8Array(16)
const list = {
  sub: uri,
  iat: now / 1000 - 5,
  exp: now / 1000 + 300,
  ttl: 10,
  status_list: { bits: 2, lst: packStatuses(bytes) },
}
const held = new Uint8Array(16)
setStatus(held, 2, 5, 2)
const gone = new Uint8Array(16)
setStatus(gone, 2, 5, 1)
const type = 'agent-passport+jwt'
const key = signingKey()
const other = signingKey()
const b64 = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
/** Signed with the true key, whatever is in it. */
const made = (header: unknown, payload: unknown, by = key) => {
  const input = `${b64(header)}.${b64(payload)}`
  return `${input}.${sign(null, Buffer.from(input), createPrivateKey(by.pem)).toString('base64url')}`
}
const good = { alg: 'EdDSA', typ: type, kid: key.kid }
const listed = (claims: object, by = key) => signJson(claims, 'statuslist+jwt', by.pem)

let token = ''
let free = ''
before(async () => {
  token = await signJson(passport, type, key.pem)
  free = await listed(list)
})

const check = async (jws: string, more: Partial<PassportTerms> = {}): Promise<string> => {
  const terms = { keys: [key], revoked: [], statusList: free, now, issuer: 'https://bridge.test', ...more }
  const { checks, passport, valid } = await verifyPassport(jws, terms)
  const failed = checks.filter(({ ok }) => !ok).map(({ check }) => check)
  assert.equal(valid, failed.length === 0)
  // What is not the issuer's is told of nobody.
  assert.equal(passport === undefined, failed.includes('signature') || failed.includes('claims'))
  return valid ? 'valid' : failed.join(' ')
}

test('the passport and the list that the others are made of hold', async () => {
  assert.equal(await check(token), 'valid')
  assert.equal(await check(made(good, canonical(passport))), 'valid')
  assert.equal(await check(token, { statusList: undefined }), 'valid')
})

test('nothing in a passport chooses how it is verified', async () => {
  const { key: secret } = { key: key.key.export({ type: 'spki', format: 'pem' }) }
  const payload = canonical(passport)
  const hmac = (alg: string) => {
    const input = `${b64({ ...good, alg })}.${b64(payload)}`
    return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
  }
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const forged = [
    hmac('HS256'),
    hmac('EdDSA'),
    `${b64({ ...good, alg: 'none' })}.${b64(payload)}.`,
    `${b64({ ...good, alg: 'none' })}.${b64(payload)}.AAAA`,
    made({ ...good, alg: 'Ed25519' }, payload),
    made({ ...good, alg: ['EdDSA'] }, payload),
    made({ ...good, alg: 'eddsa' }, payload),
    made({ alg: 'EdDSA', typ: type }, payload),
    made({ ...good, kid: other.kid }, payload),
    made({ ...good, kid: '' }, payload),
    made({ ...good, kid: [key.kid] }, payload),
    made(good, payload, other),
    made({ ...good, kid: other.kid }, payload, other),
    made({ ...good, jwk: other.key.export({ format: 'jwk' }) }, payload, other),
    made({ ...good, jku: 'https://evil.test/jwks.json' }, payload),
    made({ ...good, x5u: 'https://evil.test' }, payload),
    made({ ...good, crit: ['exp'] }, payload),
    made({ ...good, b64: false, crit: ['b64'] }, payload),
    made({ ...good, typ: 'JWT' }, payload),
    made({ ...good, typ: 'receipt+jws' }, payload),
    made({ ...good, typ: 'statuslist+jwt' }, payload),
    made({ alg: 'EdDSA', kid: key.kid }, payload),
    made(`{"alg":"EdDSA","typ":"${type}","kid":"${key.kid}","kid":"${key.kid}"}`, payload),
    made(`{"alg":"none","\\u0061lg":"EdDSA","typ":"${type}","kid":"${key.kid}"}`, payload),
    free,
    `${b64({ ...good, alg: 'RS256' })}.${b64(payload)}.${sign('sha256', Buffer.from('x'), rsa.privateKey).toString('base64url')}`,
    '',
    '..',
    `${token}.`,
    ` ${token}`,
    token.replace('.', '..'),
    `${token}=`,
    JSON.stringify({ payload: b64(payload), signatures: [] }),
    'x'.repeat(17_000),
    made(good, canonical({ ...passport, name: 'x'.repeat(17_000) })),
  ]
  for (const jws of forged) assert.equal(await check(jws), 'signature', jws.slice(0, 120))
})

test('a passport with any byte changed is nobody’s', async () => {
  for (let at = 0; at < token.length; at++) {
    const wrong = token[at] === 'A' ? 'B' : 'A'
    const changed = token.slice(0, at) + wrong + token.slice(at + 1)
    assert.equal(await check(changed), 'signature', `byte ${at}`)
  }
  for (let round = 0; round < 200; round++) {
    const cut = randomBytes(2).readUInt16BE() % token.length
    assert.equal(await check(token.slice(0, cut)), 'signature')
  }
})

test('claims that are not those of a passport are refused, though the key is the true one', async () => {
  const { exp: _exp, ...immortal } = passport
  const wrong: unknown[] = [
    immortal,
    { ...passport, iat: `${iat}` },
    { ...passport, exp: 1e300 },
    { ...passport, exp: -1 },
    { ...passport, exp: iat + 0.5 },
    { ...passport, sub: '' },
    { ...passport, sub: ['did:mesh:a'] },
    { ...passport, aud: ['shop'] },
    { ...passport, status: {} },
    { ...passport, status: { status_list: { idx: -1, uri } } },
    { ...passport, status: { status_list: { idx: 1.5, uri } } },
    { ...passport, status: { status_list: { idx: '5', uri } } },
    { ...passport, capabilities: 'read:*' },
    { ...passport, cnf: { jwk: { kty: 'oct', k: 'AAAA' } } },
    [passport],
    null,
    'passport',
  ]
  for (const value of wrong) assert.equal(await check(made(good, canonical(value))), 'claims', JSON.stringify(value))
  // One passport has one form: a member named twice or in another order is none.
  const twice = canonical(passport).replace('"sub":', '"sub":"did:mesh:b","sub":')
  const spaced = JSON.stringify(passport, null, 1)
  for (const text of [twice, spaced, JSON.stringify(passport), '{', `\ufeff${canonical(passport)}`]) {
    assert.match(await check(made(good, text)), /^(claims|signature)$/)
  }
})

test('times, issuer and audience', async () => {
  const at = (part: object) => check(made(good, canonical({ ...passport, ...part })))
  assert.equal(await check(token, { now: (iat + 900 + 59) * 1000, statusList: undefined }), 'valid', 'within the skew')
  assert.equal(await check(token, { now: (iat + 900 + 60) * 1000, statusList: undefined }), 'time')
  assert.equal(await at({ iat: now / 1000 + 60, exp: now / 1000 + 120 }), 'valid')
  assert.equal(await at({ iat: now / 1000 + 61, exp: now / 1000 + 120 }), 'time')
  assert.equal(await at({ exp: iat }), 'time')
  assert.equal(await at({ exp: iat - 1 }), 'time')
  assert.equal(await at({ exp: iat + 3_600 }), 'valid')
  assert.equal(await at({ exp: iat + 3_601 }), 'time', 'longer than any passport')
  assert.equal(await check(token, { now: Number.NaN, statusList: undefined }), 'time')
  assert.equal(await check(token, { issuer: 'https://bridge.test/' }), 'issuer')
  assert.equal(await check(token, { issuer: 'https://BRIDGE.test' }), 'issuer')
  assert.equal(await check(token, { issuer: undefined }), 'valid')
  assert.equal(await at({ aud: 'shop' }), 'audience')
  assert.equal(await check(token, { audience: 'shop' }), 'valid', 'for anybody')
})

test('a list that is forged, of another, old or not readable is a no', async () => {
  const status = async (part: object, by = key) => check(token, { statusList: await listed({ ...list, ...part }, by) })
  const body = (part: object) => ({ status_list: { ...list.status_list, ...part } })
  assert.equal(await status(body({ lst: packStatuses(held) })), 'status')
  assert.equal(await status(body({ lst: packStatuses(gone) })), 'status')
  assert.equal(await status({}, other), 'list')
  assert.equal(await status({ sub: 'https://bridge.test/statuslists/g-2' }), 'list status')
  assert.equal(await status({ sub: `${uri}/` }), 'list status')
  assert.equal(await status({ exp: now / 1000 - 60 }), 'listTime')
  assert.equal(await status({ exp: now / 1000 - 59 }), 'valid')
  assert.equal(await status({ iat: now / 1000 + 61 }), 'listTime')
  assert.equal(await status({ exp: undefined }), 'list')
  assert.equal(await status(body({ lst: packStatuses(new Uint8Array(1)) })), 'list status', 'the place is outside')
  // With another width the same bytes say something else; the width is signed.
  const low = new Uint8Array([0, 0b100, 0, 0, 0, 0, 0, 0])
  assert.equal(await status(body({ lst: packStatuses(low) })), 'status')
  assert.equal(await status(body({ lst: packStatuses(low), bits: 8 })), 'valid')
  for (const bits of [0, 3, 16, '2', undefined]) assert.equal(await status(body({ bits })), 'list', `${bits}`)
  const bomb = deflateSync(Buffer.alloc(16 * 1024 * 1024)).toString('base64url')
  for (const lst of ['', '=', bomb, 5]) assert.equal(await status(body({ lst })), 'list')
  for (const statusList of ['', token, 'a.b.c', free.slice(0, -4)])
    assert.equal(await check(token, { statusList }), 'list')
  assert.equal(
    await check(token, { statusList: made({ ...good, typ: 'statuslist+jwt', alg: 'none' }, canonical(list)) }),
    'list',
  )
})

test('a release after it was issued is a no, and so is one of the whole list', async () => {
  const status = async (part: object) => check(token, { statusList: await listed({ ...list, ...part }) })
  assert.equal(await status({ released: { 5: iat } }), 'released')
  assert.equal(await status({ released: { 5: iat - 1 } }), 'valid')
  assert.equal(await status({ released: { 6: iat } }), 'valid')
  assert.equal(await status({ released_all: iat }), 'released')
  assert.equal(await status({ released_all: iat - 1 }), 'valid')
  for (const released of [{ '05': iat }, { 5: -1 }, { 5: '1' }, { x: 1 }, []]) {
    assert.equal(await status({ released }), 'list', JSON.stringify(released))
  }
})

test('a key that was taken back vouches for nothing: no passport, and no list either', async () => {
  assert.equal(await check(token, { revoked: [key.kid] }), 'key list')
  assert.equal(await check(token, { keys: [key, other], revoked: [other.kid] }), 'valid')
  const theirs = await listed(list, other)
  assert.equal(await check(token, { keys: [key, other], statusList: theirs }), 'valid')
  assert.equal(await check(token, { keys: [key, other], statusList: theirs, revoked: [other.kid] }), 'list')
})
