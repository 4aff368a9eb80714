import assert from 'node:assert/strict'
import { createHmac, randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { getHeapSnapshot } from 'node:v8'
import fc from 'fast-check'
import type { Issuer } from '../../src/core/adapter.ts'
import type { RefusalCode } from '../../src/core/decide.ts'
import { codeOf } from '../../src/core/errors.ts'
import { manualClock } from '../../src/lib/clock.ts'
import { createKeySource, type KeySource } from '../../src/lib/jwks.ts'
import { parseJwt, verifyJwt } from '../../src/lib/jwt.ts'
import { AUDIENCE, b64, forge, ISSUER, KeyServer, makeKey, signature, token } from './issuer.ts'

const clock = manualClock()
const now = clock.now()
const seconds = Math.floor(now / 1000)
const rsa = makeKey('rsa-1')
const ec = makeKey('ec-1', 'ES256')
const stranger = makeKey('rsa-1')
const claims = { iss: ISSUER, aud: AUDIENCE, iat: seconds, exp: seconds + 3600, oid: 'account-1' }
const header = { alg: 'RS256', typ: 'JWT', kid: 'rsa-1' }

let server: KeyServer
let keys: KeySource
let issuer: Issuer

before(async () => {
  server = await KeyServer.start(rsa, ec)
  issuer = server.issuer({ algorithms: ['RS256', 'ES256'] })
  keys = createKeySource({ uri: server.uri, fetch: server.fetch, clock })
  await keys.refresh()
})
after(() => server[Symbol.asyncDispose]())

const verify = (text: string, over: Partial<Issuer> = {}) => verifyJwt(text, { ...issuer, ...over }, keys, now)

async function refused(text: string, code: RefusalCode, over: Partial<Issuer> = {}): Promise<void> {
  const hits = server.hits
  assert.deepEqual(await verify(text, over), { refused: code })
  assert.ok(server.hits - hits <= (code === 'R_KEY' ? 1 : 0), 'no fetch for what is refused before its key')
}

describe('a good token', () => {
  it('gives its claims, header and dates', async () => {
    const result = await verify(forge(header, claims, rsa))
    assert.ok(!('refused' in result))
    assert.deepEqual(result.claims, claims)
    assert.deepEqual(result.header, header)
    assert.equal(result.issuedAt, seconds * 1000)
    assert.equal(result.expiresAt, (seconds + 3600) * 1000)
  })

  it('is told at once when the key is there', async () => {
    assert.ok('claims' in (await verify(token(rsa, now))))
    await new Promise((resolve) => setImmediate(resolve))
    assert.ok('claims' in verify(token(rsa, now)))
  })

  it('verifies with every configured algorithm', async () => {
    for (const alg of ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA']) {
      const key = makeKey(alg, alg)
      await using own = await KeyServer.start(key)
      const source = createKeySource({ uri: own.uri, fetch: own.fetch, clock })
      const result = await verifyJwt(token(key, now), own.issuer({ algorithms: [alg] }), source, now)
      assert.ok(!('refused' in result), alg)
    }
  })

  it('may have a list of audiences, fractions of seconds, nested claims and an assumed issue date', async () => {
    const fine: object[] = [
      { aud: ['other', AUDIENCE] },
      { iat: seconds - 0.5, exp: seconds + 0.25 },
      { nested: { a: [{ b: { c: 1 } }], exp: 'x' } },
      { constructor: 1, prototype: 2, toString: 3 },
    ]
    for (const over of fine) assert.ok(!('refused' in (await verify(token(rsa, now, over)))), JSON.stringify(over))
    const result = await verify(token(rsa, now, { iat: undefined, exp: seconds + 200 }), { lifetimeMs: 300_000 })
    assert.equal('issuedAt' in result && result.issuedAt, (seconds - 100) * 1000)
  })

  it('ignores key material and key addresses in its header', async () => {
    let asked = 0
    await using trap = await KeyServer.start(stranger)
    trap.answer = (response) => {
      asked += 1
      response.end()
    }
    const x5c = [b64(stranger.publicKey.export({ type: 'spki', format: 'der' }))]
    const extras = { jwk: stranger.jwk, jku: trap.uri, x5u: trap.uri, x5c, x5t: 'AAAA' }
    assert.ok(!('refused' in (await verify(token(rsa, now, {}, extras)))))
    await refused(token(stranger, now, {}, extras), 'R_SIGNATURE')
    await refused(token(stranger, now, {}, { ...extras, kid: 'theirs' }), 'R_KEY')
    await refused(token(stranger, now, {}, { ...extras, kid: undefined }), 'R_KEY')
    assert.equal(asked, 0)
  })
})

describe('the algorithm', () => {
  it('is never none, in any spelling', async () => {
    for (const alg of [
      'none',
      'None',
      'NONE',
      'nOnE',
      '',
      ' RS256',
      'rs256',
      'RS256 ',
      'RS256\u0000',
      null,
      1,
      ['RS256'],
      {},
    ]) {
      await refused(forge({ ...header, alg }, claims, rsa), 'R_ALGORITHM')
    }
    await refused(forge({ typ: 'JWT', kid: 'rsa-1' }, claims, rsa), 'R_ALGORITHM')
    await refused(`${b64(JSON.stringify({ alg: 'none' }))}.${b64(JSON.stringify(claims))}.`, 'R_ALGORITHM')
  })

  it('is never a shared secret, also not when configured', async () => {
    const spki = rsa.publicKey.export({ type: 'spki', format: 'pem' })
    const secrets = [
      spki,
      String(spki).trim(),
      rsa.publicKey.export({ type: 'pkcs1', format: 'pem' }),
      rsa.publicKey.export({ type: 'spki', format: 'der' }),
      rsa.publicKey.export({ type: 'pkcs1', format: 'der' }),
      JSON.stringify(rsa.jwk),
      Buffer.from(rsa.jwk.n ?? '', 'base64url'),
      '',
    ]
    for (const alg of ['HS256', 'HS384', 'HS512']) {
      for (const secret of secrets) {
        const input = `${b64(JSON.stringify({ ...header, alg }))}.${b64(JSON.stringify(claims))}`
        const mac = createHmac(`sha${alg.slice(2)}`, secret)
          .update(input)
          .digest('base64url')
        await refused(`${input}.${mac}`, 'R_ALGORITHM')
        await refused(`${input}.${mac}`, 'R_ALGORITHM', { algorithms: ['HS256', 'HS384', 'HS512', 'none'] })
      }
    }
  })

  it('must be on the list of this issuer and fit the key', async () => {
    await refused(token({ ...rsa, alg: 'RS512' }, now), 'R_ALGORITHM')
    await refused(token(ec, now), 'R_ALGORITHM', { algorithms: ['RS256'] })
    await refused(token(ec, now, {}, { kid: 'rsa-1' }), 'R_KEY')
    await refused(token(rsa, now, {}, { kid: 'ec-1' }), 'R_KEY')
    const padded = await verify(token({ ...rsa, alg: 'PS256' }, now), { algorithms: ['PS256'] })
    assert.ok(!('refused' in padded), 'an RSA key without alg serves both paddings')
  })
})

describe('the header', () => {
  it('may demand nothing', async () => {
    for (const crit of [['exp'], ['b64'], [], 'b64', null, ['alg'], {}]) {
      await refused(token(rsa, now, {}, { crit, exp: 1 }), 'R_CRIT')
    }
    await refused(token(rsa, now, {}, { b64: false, crit: ['b64'] }), 'R_CRIT')
    await refused(token(rsa, now, {}, { b64: false }), 'R_CRIT')
    await refused(token(rsa, now, {}, { b64: true }), 'R_CRIT')
  })

  it('names a key by a string', async () => {
    const odd = [
      undefined,
      null,
      '',
      0,
      1.5,
      true,
      ['rsa-1'],
      { kid: 'rsa-1' },
      '../../../../etc/passwd',
      "' OR 1=1 --",
    ]
    for (const kid of [
      ...odd,
      '__proto__',
      'constructor',
      'toString',
      'rsa-1 ',
      'RSA-1',
      'rsa-1\u0000',
      'a'.repeat(9000),
    ]) {
      await refused(token(rsa, now, {}, { kid }), 'R_KEY')
    }
  })

  it('has the configured type', async () => {
    const types = ['at+jwt']
    for (const typ of ['at+jwt', 'AT+JWT', 'application/at+jwt', 'application/AT+jwt']) {
      assert.ok(!('refused' in (await verify(token(rsa, now, {}, { typ }), { types }))), typ)
    }
    for (const typ of [undefined, 'JWT', 'secevent+jwt', '', null, 1, ['at+jwt'], 'application/application/at+jwt']) {
      await refused(token(rsa, now, {}, { typ }), 'R_TOKEN', { types })
    }
    for (const typ of [null, 1, {}]) await refused(token(rsa, now, {}, { typ }), 'R_TOKEN')
    assert.ok(!('refused' in (await verify(token(rsa, now, {}, { typ: undefined })))))
  })
})

describe('the form', () => {
  const good = forge(header, claims, rsa)
  const [first = '', second = '', third = ''] = good.split('.')

  it('is three canonical base64url parts', async () => {
    const bad = [
      ['', 'empty'],
      ['.', 'dot'],
      ['..', 'dots'],
      [`${first}.${second}`, 'two parts'],
      [`${good}.`, 'trailing dot'],
      [`.${good}`, 'leading dot'],
      [`${good}.${third}`, 'two signatures'],
      [`${first}.${second}.`, 'no signature'],
      [`${first}..${third}`, 'no payload'],
      [`${good}=`, 'padded'],
      [`${first}=.${second}.${third}`, 'padded header'],
      [` ${good}`, 'leading space'],
      [`${good}\n`, 'trailing newline'],
      [`${good}\r\n`, 'trailing crlf'],
      [`${first}.${second}.${third.slice(0, 20)}\n${third.slice(20)}`, 'folded'],
      [`${good}\u0000`, 'nul'],
      [good.replaceAll('.', '\u2024'), 'another dot'],
      [`Bearer ${good}`, 'with scheme'],
      [`${first}.${second}.${third}AAA`, 'impossible length'],
      [`${first}.${second}.${third}A`, 'longer signature'],
      [JSON.stringify({ payload: second, protected: first, signature: third }), 'flattened JSON'],
      [JSON.stringify({ payload: second, signatures: [{ protected: first, signature: third }] }), 'general JSON'],
      [`${good}.${good}`, 'twice'],
      [`${first}.${second}.${third}.${third}.${third}`, 'an encrypted one'],
    ] as const
    for (const [text, name] of bad) {
      const result = await verify(text)
      assert.deepEqual(result, { refused: name === 'longer signature' ? 'R_SIGNATURE' : 'R_TOKEN' }, name)
    }
  })

  it('has no stray bits, no standard base64', async () => {
    const stray = (part: string) => {
      const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
      return part.slice(0, -1) + alphabet[alphabet.indexOf(part.at(-1) ?? '') ^ 1]
    }
    assert.equal(third.length % 4, 2)
    assert.deepEqual(Buffer.from(stray(third), 'base64url'), Buffer.from(third, 'base64url'))
    await refused(`${first}.${second}.${stray(third)}`, 'R_TOKEN')
    const standard = forge(header, { ...claims, text: '\u00ff\u00fe\u00fb\u00ff?>?>' }, rsa).split('.')
    const encoded = standard.map((part) => Buffer.from(part, 'base64url').toString('base64'))
    await refused(encoded.join('.'), 'R_TOKEN')
  })

  it('is at most 16 KiB, before anything else is looked at', async () => {
    await refused('a'.repeat(16 * 1024 + 1), 'R_TOO_LARGE')
    await refused(token(rsa, now, { filler: 'x'.repeat(16 * 1024) }), 'R_TOO_LARGE')
    await refused('.'.repeat(16 * 1024), 'R_TOKEN')
    await refused('\u{1f512}'.repeat(100), 'R_TOKEN')
    const room = Math.floor(((16 * 1024 - token(rsa, now, { filler: '' }).length) * 3) / 4) - 3
    assert.ok(!('refused' in (await verify(token(rsa, now, { filler: 'x'.repeat(room) })))))
  })

  it('holds JSON objects in UTF-8', async () => {
    const text = JSON.stringify(claims)
    const bom = Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(text)])
    const broken = Buffer.from(text.replace('account-1', 'account-?'))
    broken[broken.indexOf('?')] = 0xff
    const overlong = Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xc0, 0xaf]), Buffer.from('"}')])
    const surrogate = Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"}')])
    const utf16 = Buffer.from(text, 'utf16le')
    for (const bytes of [bom, broken, overlong, surrogate, utf16]) await refused(forge(header, bytes, rsa), 'R_TOKEN')
    for (const json of [
      '[]',
      'null',
      '1',
      '"x"',
      'true',
      `[${text}]`,
      `${text} x`,
      `${text}${text}`,
      text.slice(1),
      '{a:1}',
    ]) {
      await refused(forge(header, json, rsa), 'R_TOKEN')
      await refused(forge(json, claims, rsa), 'R_TOKEN')
    }
    await refused(forge(header, text.replace(`${seconds + 3600}`, 'NaN'), rsa), 'R_TOKEN')
    await refused(forge(header, text.replace(`${seconds + 3600}`, 'Infinity'), rsa), 'R_TOKEN')
  })

  it('names no member twice, however it is written', async () => {
    const tail = JSON.stringify(claims).slice(1)
    for (const name of ['"iss"', '"\\u0069ss"', '"exp"', '"o\\u0069d"']) {
      await refused(forge(header, `{${name}:"https://evil.example",${tail}`, rsa), 'R_TOKEN')
      await refused(forge(header, `{${name} : {"x":[1,{"y":"}"}]},${tail}`, rsa), 'R_TOKEN')
    }
    await refused(forge('{"alg":"none","alg":"RS256","kid":"rsa-1"}', claims, rsa), 'R_TOKEN')
    await refused(forge('{"alg":"RS256","kid":"rsa-1","\\u006bid":"x"}', claims, rsa), 'R_TOKEN')
    await refused(forge(header, `{"act":{"sub":"a","sub":"b"},${tail}`, rsa), 'R_TOKEN')
    const alike = `{"a":{"iss":1,"x":"\\"iss\\":,{"},"b":["iss","iss",{"iss":2},{"iss":3}],"c":"iss",${tail}`
    assert.ok(!('refused' in (await verify(forge(header, alike, rsa)))))
  })

  it('cannot reach a prototype', async () => {
    const tail = JSON.stringify(claims).slice(1)
    await refused(forge(header, `{"__proto__":{"oid":"admin"},${tail}`, rsa), 'R_TOKEN')
    await refused(forge(header, `{"x":{"__proto__":{"admin":true}},${tail}`, rsa), 'R_TOKEN')
    await refused(forge(header, `{"\\u005f_proto__":1,${tail}`, rsa), 'R_TOKEN')
    await refused(forge('{"__proto__":{"alg":"RS256","kid":"rsa-1"}}', claims, rsa), 'R_TOKEN')
    assert.equal(Reflect.get({}, 'admin'), undefined)
  })

  it('is not nested deeper than 32', async () => {
    const nested = (depth: number) =>
      `{"iss":"${ISSUER}","aud":"${AUDIENCE}","iat":${seconds},"exp":${seconds + 9},"n":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`
    assert.ok(!('refused' in (await verify(forge(header, nested(32), rsa)))))
    await refused(forge(header, nested(33), rsa), 'R_TOKEN')
    await refused(forge(header, nested(5000), rsa), 'R_TOKEN')
  })
})

describe('the signature', () => {
  it('is by the published key over exactly these parts', async () => {
    await refused(token(stranger, now), 'R_SIGNATURE')
    const [first = '', , third = ''] = token(rsa, now).split('.')
    await refused(`${first}.${b64(JSON.stringify({ ...claims, oid: 'admin' }))}.${third}`, 'R_SIGNATURE')
    await refused(`${first}.${token(rsa, now, { oid: 'x' }).split('.')[1]}.${third}`, 'R_SIGNATURE')
    await refused(`${b64(JSON.stringify({ ...header, x: 1 }))}.${b64(JSON.stringify(claims))}.${third}`, 'R_SIGNATURE')
  })

  it('is not zero, empty, short, DER or somebody else’s curve', async () => {
    const input = token(ec, now).split('.').slice(0, 2).join('.')
    const order = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex')
    const signed = signature(input, ec)
    const s = BigInt(`0x${signed.subarray(32).toString('hex')}`)
    const bad = [
      Buffer.alloc(64),
      Buffer.alloc(64, 0xff),
      Buffer.concat([order, order]),
      Buffer.concat([Buffer.alloc(32), signed.subarray(32)]),
      Buffer.concat([signed.subarray(0, 32), Buffer.alloc(32)]),
      Buffer.alloc(1),
      Buffer.alloc(63),
      Buffer.alloc(65),
      signed.subarray(0, 63),
      Buffer.concat([signed, Buffer.alloc(1)]),
      signature(input, makeKey('x', 'ES384')),
      signature(input, makeKey('x', 'ES256')),
      signature(input, makeKey('x', 'EdDSA')),
      Buffer.from('3006020100020100', 'hex'),
    ]
    assert.ok(s > 0n)
    for (const bytes of bad) await refused(`${input}.${b64(bytes)}`, 'R_SIGNATURE')
    const rs = token(rsa, now).split('.').slice(0, 2).join('.')
    for (const bytes of [Buffer.alloc(256), Buffer.alloc(256, 0xff), Buffer.alloc(1), Buffer.alloc(255)]) {
      await refused(`${rs}.${b64(bytes)}`, 'R_SIGNATURE')
    }
  })

  it('does not survive any change of one byte', async () => {
    const tokens = [token(rsa, now), token(ec, now)]
    const change = fc.tuple(fc.constantFrom(...tokens), fc.nat(), fc.integer({ min: 1, max: 255 }))
    await fc.assert(
      fc.asyncProperty(change, async ([text, place, xor]) => {
        const bytes = Buffer.from(text, 'latin1')
        const at = place % bytes.length
        bytes[at] = (bytes[at] ?? 0) ^ xor
        assert.ok('refused' in (await verify(bytes.toString('latin1'))))
      }),
      { numRuns: 10_000 },
    )
  })

  it('does not survive any other letter of the alphabet at any place', async () => {
    const text = token(ec, now)
    for (let at = 0; at < text.length; at++) {
      for (const letter of ['A', '_', '.', '=']) {
        if (text[at] === letter) continue
        assert.ok('refused' in (await verify(text.slice(0, at) + letter + text.slice(at + 1))), `${letter} at ${at}`)
      }
    }
  })
})

describe('the claims', () => {
  it('name exactly this issuer', async () => {
    const near = [`${ISSUER}/`, ISSUER.toUpperCase(), ISSUER.replace('https', 'http'), ` ${ISSUER}`, `${ISSUER}#`, '']
    const neighbour = ISSUER.replace('11111111', '99999999')
    for (const iss of [...near, neighbour, undefined, null, 1, [ISSUER], { iss: ISSUER }]) {
      await refused(token(rsa, now, { iss }), 'R_ISSUER')
    }
  })

  it('name one of these audiences', async () => {
    const odd = [undefined, null, 1, '', {}, [], [[AUDIENCE]], [AUDIENCE, 1], { 0: AUDIENCE, length: 1 }]
    for (const aud of [
      ...odd,
      `${AUDIENCE}/`,
      AUDIENCE.toUpperCase(),
      ['other'],
      '00000003-0000-0000-c000-000000000000',
    ]) {
      await refused(token(rsa, now, { aud }), 'R_AUDIENCE')
    }
  })

  it('carry real dates', async () => {
    const absurd = [undefined, null, '', `${seconds}`, '2026-01-01', true, [], [seconds], {}, -1, -seconds, 1e300, 1e17]
    for (const value of [...absurd, Number.MAX_SAFE_INTEGER, now]) {
      await refused(token(rsa, now, { exp: value }), 'R_CLAIMS')
      if (value === now) continue
      await refused(token(rsa, now, { iat: value }), 'R_CLAIMS')
      if (value !== undefined) await refused(token(rsa, now, { nbf: value }), 'R_CLAIMS')
    }
    const text = JSON.stringify(claims)
    await refused(forge(header, text.replace(`${seconds + 3600}`, '1e999'), rsa), 'R_CLAIMS')
    await refused(forge(header, text.replace(`${seconds + 3600}`, '-1e999'), rsa), 'R_CLAIMS')
    await refused(forge(header, text.replace(`${seconds}`, '1e999'), rsa), 'R_CLAIMS')
    await refused(token(rsa, now, { iat: undefined, exp: seconds + 400 }), 'R_NOT_YET_VALID', { lifetimeMs: 300_000 })
    for (const iat of [null, 'x', -1]) await refused(token(rsa, now, { iat }), 'R_CLAIMS', { lifetimeMs: 300_000 })
  })

  it('are in force, give or take 60 seconds', async () => {
    const good = async (over: object) =>
      assert.ok(!('refused' in (await verify(token(rsa, now, over)))), JSON.stringify(over))
    await good({ exp: seconds - 59 })
    await refused(token(rsa, now, { exp: seconds - 60 }), 'R_EXPIRED')
    await refused(token(rsa, now, { exp: 0 }), 'R_EXPIRED')
    await refused(token(rsa, now, { iat: seconds - 7200, exp: seconds - 3600 }), 'R_EXPIRED')
    await good({ nbf: seconds + 60 })
    await refused(token(rsa, now, { nbf: seconds + 61 }), 'R_NOT_YET_VALID')
    await good({ iat: seconds + 60 })
    await refused(token(rsa, now, { iat: seconds + 61 }), 'R_NOT_YET_VALID')
    await good({ nbf: undefined })
  })
})

describe('when the keys cannot be had', () => {
  it('a token is neither good nor bad', async () => {
    await using own = await KeyServer.start(rsa)
    own.down()
    const source = createKeySource({ uri: own.uri, fetch: own.fetch, clock })
    await assert.rejects(
      async () => verifyJwt(token(rsa, now), own.issuer(), source, now),
      (error) => codeOf(error) === 'E_JWKS_DOWN',
    )
    assert.deepEqual(await verifyJwt('x', own.issuer(), source, now), { refused: 'R_TOKEN' })
  })
})

describe('parseJwt', () => {
  const headerOf = (text: string) => {
    const parsed = parseJwt(text)
    return 'header' in parsed ? parsed.header : undefined
  }

  it('believes nothing but takes apart', () => {
    const parsed = parseJwt(token(stranger, now))
    assert.ok('claims' in parsed)
    assert.equal(parsed.claims.iss, ISSUER)
  })

  it('remembers the header of a token whose signature held, and of no other', async () => {
    const said = { kid: rsa.kid, note: randomUUID() }
    const [good, forged] = [token(rsa, now, {}, said), token(stranger, now, {}, { ...said, alg: rsa.alg })]
    await refused(forged, 'R_SIGNATURE')
    assert.notEqual(headerOf(forged), headerOf(forged))
    assert.ok('claims' in (await verify(good)))
    assert.ok(headerOf(good))
    assert.equal(headerOf(good), headerOf(good))
    await refused(forged, 'R_SIGNATURE')
  })

  it('remembers a hundred headers that are not long', async () => {
    const isKept = (text: string) => {
      const known = headerOf(text)
      return headerOf(text) === known
    }
    const of = (note: string) => token(rsa, now, {}, { kid: rsa.kid, note })
    const first = of(randomUUID())
    assert.ok('claims' in (await verify(first)))
    assert.throws(() => Object.assign(headerOf(first) ?? {}, { alg: 'none' }), TypeError, 'nobody can change it')
    const long = of('x'.repeat(600))
    assert.ok('claims' in (await verify(long)))
    assert.ok(!isKept(long))
    for (let n = 0; n < 99; n += 1) assert.ok('claims' in (await verify(of(randomUUID()))))
    assert.ok(isKept(first))
    assert.ok('claims' in (await verify(of(randomUUID()))))
    assert.ok(!isKept(first))
  })

  it('remembers of a header only what holds for that issuer', async () => {
    const text = token(rsa, now, {}, { note: randomUUID() })
    const others: [RefusalCode, Partial<Issuer>][] = [
      ['R_ALGORITHM', { algorithms: ['ES256'] }],
      ['R_TOKEN', { types: ['at+jwt'] }],
      ['R_TOKEN', { headers: ['alg', 'kid', 'typ'] }],
    ]
    for (const [code, over] of others) {
      assert.ok('claims' in (await verifyJwt(text, issuer, keys, now)))
      await refused(text, code, over)
    }
    assert.ok('claims' in (await verifyJwt(text, issuer, keys, now)))
  })

  it('keeps nothing of a token but its header', async () => {
    const takeApart = async (): Promise<Buffer> => {
      const text = token(rsa, now, { jti: randomUUID() }, { kid: rsa.kid, note: randomUUID() })
      assert.ok('claims' in (await verify(text)))
      // Bytes, so that what is looked for is not found here.
      return Buffer.from(text.slice(text.indexOf('.') + 1, text.lastIndexOf('.')))
    }
    const claimed = await takeApart()
    // What was matched last is kept by the engine itself.
    assert.match('anything else', /^[a-z ]+$/)
    const heap: string[] = []
    for await (const chunk of getHeapSnapshot()) heap.push(String(chunk))
    assert.ok(!heap.join('').includes(claimed.toString()))
  })
})
