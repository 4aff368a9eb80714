import assert from 'node:assert/strict'
import { generateKeyPairSync, privateEncrypt } from 'node:crypto'
import { describe, it } from 'node:test'
import { b64, forge, makeKey, type TestKey, token } from '../unit/issuer.ts'
import { Target } from './rig.ts'

/** The set as it is published, refetched. */
const publish = async (target: Target, ...keys: object[]): Promise<void> => {
  target.server.keys = keys
  await target.clock.advance(61_000)
  await target.source.refresh().catch(() => undefined)
}

const open = async () => {
  const good = makeKey('good')
  return { good, target: await Target.open([good]) }
}

/** The eight points of small order as they may be written, y first to last byte, and some of them past the field's prime. */
const smallOrder = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]

describe('a published key', () => {
  it('of Ed25519 that signs anything for anybody is not used', async () => {
    const { good, target } = await open()
    await using _ = target
    for (const hex of smallOrder) {
      for (const sign of [0, 0x80]) {
        const point = Buffer.from(hex, 'hex')
        point[31] = (point[31] ?? 0) | sign
        await publish(target, good.jwk, { kty: 'OKP', crv: 'Ed25519', kid: 'small', x: b64(point) })
        // R the same point or the neutral one, S zero: with such a key this holds for one text in eight, or for every one.
        for (const r of [point, Buffer.concat([Buffer.from([1]), Buffer.alloc(31)])]) {
          for (let jti = 0; jti < 12; jti++) {
            const input = `${b64(JSON.stringify({ alg: 'EdDSA', kid: 'small' }))}.${b64(JSON.stringify({ ...target.claims, jti }))}`
            await target.refused(hex, `${input}.${b64(Buffer.concat([r, Buffer.alloc(32)]))}`, 'R_KEY')
          }
        }
      }
    }
  })

  it('of RSA that is weak is not used', async () => {
    const { good, target } = await open()
    await using _ = target
    const n = Buffer.from(good.jwk.n ?? '', 'base64url')
    const even = Buffer.from(n)
    even[255] = (even[255] ?? 0) & 0xfe
    const forged = (() => {
      const input = `${b64(JSON.stringify({ alg: 'RS256', kid: 'weak' }))}.${b64(JSON.stringify(target.claims))}`
      return `${input}.${b64(Buffer.concat([Buffer.from([0, 1]), Buffer.alloc(254, 0xff)]))}`
    })()
    const small = makeKey('weak', 'RS256', { bits: 1024 })
    const nearly = makeKey('weak', 'RS256', { bits: 2040 })
    const weak: readonly (readonly [string, object, string])[] = [
      ['exponent one', { ...good.jwk, kid: 'weak', e: 'AQ' }, forged],
      ['exponent zero', { ...good.jwk, kid: 'weak', e: 'AA' }, forged],
      ['no exponent', { ...good.jwk, kid: 'weak', e: '' }, forged],
      ['even exponent', { ...good.jwk, kid: 'weak', e: b64(Buffer.from([1, 0, 0])) }, forged],
      ['exponent of 70 bits', { ...good.jwk, kid: 'weak', e: b64(Buffer.alloc(9, 0xff)) }, forged],
      ['even modulus', { ...good.jwk, kid: 'weak', n: b64(even) }, forged],
      ['modulus one', { ...good.jwk, kid: 'weak', n: 'AQ' }, forged],
      ['modulus zero', { ...good.jwk, kid: 'weak', n: b64(Buffer.alloc(256)) }, forged],
      [
        'zeros before a short modulus',
        { ...small.jwk, n: b64(Buffer.concat([Buffer.alloc(128), Buffer.from(small.jwk.n ?? '', 'base64url')])) },
        token(small, target.clock.now()),
      ],
      ['1024 bits', small.jwk, token(small, target.clock.now())],
      ['2040 bits', nearly.jwk, token(nearly, target.clock.now())],
      ['20,000 bits', { ...good.jwk, kid: 'weak', n: b64(Buffer.alloc(2500, 0xff)) }, forged],
      ['numbers that are no text', { ...good.jwk, kid: 'weak', n: 5, e: 3 }, forged],
    ]
    for (const [name, jwk, text] of weak) {
      await publish(target, good.jwk, jwk)
      await target.refused(name, text, 'R_KEY')
    }
  })

  it('that tells its private half, or is a shared secret, is not used', async () => {
    const { good, target } = await open()
    await using _ = target
    for (const alg of ['RS256', 'ES256', 'EdDSA']) {
      const key = makeKey('leaked', alg)
      await publish(target, good.jwk, { ...key.privateKey.export({ format: 'jwk' }), kid: 'leaked' })
      await target.refused(alg, token(key, target.clock.now()), 'R_KEY')
    }
    await publish(target, good.jwk, { kty: 'oct', kid: 'good', k: b64('secret') })
    await target.accepted('the one beside it', token(good, target.clock.now()))
  })

  it('off its curve, of a curve that is not ours, or of another kind than it says is not used', async () => {
    const { good, target } = await open()
    await using _ = target
    const ec = makeKey('odd', 'ES256')
    const p384 = makeKey('odd', 'ES384')
    const koblitz = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export({ format: 'jwk' })
    const x448 = generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' })
    const ed448 = generateKeyPairSync('ed448').publicKey.export({ format: 'jwk' })
    const zero = b64(Buffer.alloc(32))
    const rows: readonly (readonly [string, object])[] = [
      ['a point off the curve', { ...ec.jwk, y: ec.jwk.x }],
      ['the origin', { ...ec.jwk, x: zero, y: zero }],
      ['coordinates past the prime', { ...ec.jwk, x: b64(Buffer.alloc(32, 0xff)), y: b64(Buffer.alloc(32, 0xff)) }],
      ['short coordinates', { ...ec.jwk, x: ec.jwk.x?.slice(0, 20) }],
      ['P-384 called P-256', { ...p384.jwk, crv: 'P-256' }],
      ['secp256k1', { ...koblitz, kid: 'odd' }],
      ['secp256k1 called P-256', { ...koblitz, crv: 'P-256', kid: 'odd' }],
      ['X25519', { ...x448, kid: 'odd' }],
      ['Ed448', { ...ed448, kid: 'odd' }],
      ['EC that says RSA', { ...ec.jwk, kty: 'RSA' }],
      ['EC that says OKP', { ...ec.jwk, kty: 'OKP' }],
      ['no kind', { ...ec.jwk, kty: undefined }],
      ['for encryption', { ...ec.jwk, use: 'enc' }],
      ['to sign with', { ...ec.jwk, use: undefined, key_ops: ['sign'] }],
      ['pinned to another algorithm', { ...ec.jwk, alg: 'ES384' }],
      ['pinned to a shared secret’s', { ...ec.jwk, alg: 'HS256' }],
      ['pinned to none', { ...ec.jwk, alg: 'none' }],
      ['named by a number', { ...ec.jwk, kid: 1 }],
      ['another issuer’s', { ...ec.jwk, issuer: 'https://login.example.com/99999999/v2.0' }],
    ]
    for (const [name, jwk] of rows) {
      await publish(target, good.jwk, jwk)
      await target.refused(name, token(ec, target.clock.now()), 'R_KEY')
    }
    await publish(target, good.jwk, ec.jwk)
    await target.accepted('as it should be', token(ec, target.clock.now()))
  })

  it('is not found by anything but its exact name', async () => {
    const good = makeKey('2026/11')
    await using target = await Target.open([good])
    const now = target.clock.now()
    const kids: unknown[] = [
      '../../../../dev/null',
      '/proc/self/environ',
      'file:///dev/null',
      'https://evil.example/jwks.json',
      "2026/11' UNION SELECT 'key' --",
      "' OR '1'='1",
      '2026/11; rm -rf /',
      '$(id)',
      '{{7*7}}',
      '2026/11\u0000',
      '2026/11 ',
      '2026%2F11',
      '2026\\/11x',
      '２０２６/11',
      '2026/1\u0661',
      '2026/11\u200b',
      '\ud800',
      '__proto__',
      'constructor',
      'hasOwnProperty',
      'toString',
      'length',
      '0',
      'undefined',
      'null',
      '[object Object]',
      'a'.repeat(9000),
      '\u{1f511}'.repeat(1000),
      ['2026/11'],
      [['2026/11']],
      { toString: '2026/11' },
      { 0: '2026/11' },
      202_611,
      -0,
      true,
      null,
    ]
    for (const kid of kids) {
      await target.refused(JSON.stringify(kid)?.slice(0, 60) ?? '', token(good, now, {}, { kid }), 'R_KEY')
    }
    await target.refused('no name', token(good, now, {}, { kid: undefined }), 'R_KEY')
    await target.refused('16 KiB of name', token(good, now, {}, { kid: 'k'.repeat(16 * 1024) }), 'R_TOO_LARGE')
    await target.accepted('its name', token(good, now))
    await target.accepted('its name, escaped', forge('{"alg":"RS256","kid":"\\u0032026/11"}', target.claims, good))
  })

  it('is never taken from the token', async () => {
    const { good, target } = await open()
    await using _ = target
    const mine = makeKey('good')
    const now = target.clock.now()
    const asked = target.server.hits
    const x5c = [b64(mine.publicKey.export({ type: 'spki', format: 'der' }))]
    const headers: readonly object[] = [
      { jwk: mine.jwk },
      { jwk: { ...mine.jwk, kid: 'good' }, kid: 'good' },
      { jku: target.server.uri },
      { jku: 'https://login.example.com@evil.example/keys' },
      { x5u: target.server.uri },
      { x5c, x5t: b64('x'), 'x5t#S256': b64('x') },
      { epk: mine.jwk },
      { keys: [mine.jwk] },
      { key: mine.publicKey.export({ type: 'spki', format: 'pem' }) },
    ]
    for (const header of headers) {
      await target.refused(JSON.stringify(header).slice(0, 40), token(mine, now, {}, header), 'R_SIGNATURE')
      await target.accepted('by the issuer’s key', token(good, now, {}, header))
    }
    await target.refused('without a name', token(mine, now, {}, { jwk: mine.jwk, kid: undefined }), 'R_KEY')
    assert.equal(target.server.hits, asked)
  })

  it('makes no signature out of its own numbers', async () => {
    const { good, target } = await open()
    await using _ = target
    const input = token(good, target.clock.now()).split('.').slice(0, 2).join('.')
    const publicParts = [
      Buffer.from(good.jwk.n ?? '', 'base64url'),
      Buffer.from(String(good.publicKey.export({ type: 'spki', format: 'pem' }))),
      privateEncrypt(good.privateKey, Buffer.from(input.slice(0, 200))),
    ]
    for (const bytes of publicParts) await target.refused('its own numbers', `${input}.${b64(bytes)}`, 'R_SIGNATURE')
  })
})

describe('two keys of one name', () => {
  it('are told apart by kind, and of one kind neither serves', async () => {
    const { good, target } = await open()
    await using _ = target
    const twin: TestKey = makeKey('good')
    const ec = makeKey('good', 'ES256')
    await publish(target, good.jwk, ec.jwk)
    await target.accepted('RSA', token(good, target.clock.now()))
    await target.accepted('EC', token(ec, target.clock.now()))
    await publish(target, good.jwk, twin.jwk)
    await target.refused('the first', token(good, target.clock.now()), 'R_KEY')
    await target.refused('the second', token(twin, target.clock.now()), 'R_KEY')
  })
})
