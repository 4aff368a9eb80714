import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { AUDIENCE, b64, forge, ISSUER, makeKey, type TestKey, token } from '../unit/issuer.ts'
import { allRefused, type Case, Target } from './rig.ts'

let target: Target
let key: TestKey
let good: string
let parts: readonly [string, string, string]
before(async () => {
  target = await Target.open([makeKey('RS256'), makeKey('ES256', 'ES256'), makeKey('EdDSA', 'EdDSA')])
  key = target.key('RS256')
  good = token(key, target.clock.now())
  const [header = '', claims = '', signed = ''] = good.split('.')
  parts = [header, claims, signed]
})
after(() => target[Symbol.asyncDispose]())

const header = (over: object = {}) => ({ alg: 'RS256', kid: 'RS256', ...over })
/** With these claims as they are written; signed as it should be. */
const signed = (claims: string | object, head: string | object = header()) => forge(head, claims, key)

describe('a token without a signature', () => {
  it('is none, however the algorithm is spelt', async () => {
    const spellings = [
      'none',
      'None',
      'NONE',
      'nOnE',
      'NonE',
      'none ',
      ' none',
      'none\u0000',
      'ｎｏｎｅ',
      'non\u0435',
      '',
    ]
    for (const alg of spellings) {
      const input = `${b64(JSON.stringify(header({ alg })))}.${b64(JSON.stringify(target.claims))}`
      await target.refused(`"${alg}", signed`, signed(target.claims, header({ alg })), 'R_ALGORITHM')
      await target.refused(`"${alg}", somebody's signature`, `${input}.${parts[2]}`, 'R_ALGORITHM')
      await target.refused(`"${alg}", nothing`, `${input}.`, alg === 'none' ? 'R_ALGORITHM' : 'R_TOKEN')
      await target.refused(`"${alg}", no dot`, input, 'R_TOKEN')
    }
    await target.refused('a good one without its signature', `${parts[0]}.${parts[1]}.`, 'R_TOKEN')
    await target.refused('one letter', `${parts[0]}.${parts[1]}.A`, 'R_TOKEN')
    await target.refused('one byte', `${parts[0]}.${parts[1]}.AA`, 'R_SIGNATURE')
  })
})

describe('an algorithm', () => {
  it('of shared secrets is none, whatever of ours the secret is', async () => {
    const jwks = JSON.stringify({ keys: target.server.keys })
    for (const name of ['RS256', 'ES256', 'EdDSA']) {
      const { publicKey, jwk } = target.key(name)
      const pem = String(publicKey.export({ type: 'spki', format: 'pem' }))
      const secrets = [
        pem,
        pem.trim(),
        pem.replaceAll('\n', '\r\n'),
        pem.replaceAll('\n', ''),
        JSON.stringify(jwk),
        jwks,
        jwk.x ?? jwk.n ?? '',
        '',
        '\u0000',
        name,
      ]
      for (const alg of ['HS256', 'HS384', 'HS512', 'hs256', 'HS1']) {
        for (const secret of secrets) {
          const input = `${b64(JSON.stringify({ alg, kid: name }))}.${b64(JSON.stringify(target.claims))}`
          const mac = createHmac(/512|384/.test(alg) ? `sha${alg.slice(2)}` : 'sha256', secret).update(input)
          await target.refused(alg, `${input}.${mac.digest('base64url')}`, 'R_ALGORITHM', {
            algorithms: [alg, 'RS256'],
          })
        }
      }
    }
  })

  it('that is for something else, or that nobody knows, is none', async () => {
    const odd: unknown[] = [
      'RSA-OAEP',
      'RSA1_5',
      'dir',
      'A128KW',
      'ECDH-ES',
      'ES256K',
      'Ed448',
      'RS1',
      'rs256',
      'Rs256',
    ]
    odd.push(
      ['RS256'],
      { alg: 'RS256' },
      null,
      1,
      true,
      'RS256,none',
      'RS256\n',
      '__proto__',
      'constructor',
      'toString',
    )
    for (const alg of odd) {
      const algorithms = ['RS256', String(alg)]
      await target.refused(String(alg), signed(target.claims, header({ alg })), 'R_ALGORITHM', { algorithms })
    }
    await target.refused('none named', signed(target.claims, { kid: 'RS256' }), 'R_ALGORITHM')
  })
})

describe('a header that demands something', () => {
  it('is not obeyed', async () => {
    const demands: readonly object[] = [
      { crit: ['b64'], b64: false },
      { crit: ['b64'], b64: true },
      { b64: false },
      { crit: [] },
      { crit: ['exp'], exp: 1 },
      { crit: ['http://example.invalid/UNDEFINED'], 'http://example.invalid/UNDEFINED': true },
      { crit: ['alg', 'kid'] },
      { crit: 'b64' },
      { crit: null },
      { crit: { length: 0 } },
      { crit: [null] },
    ]
    for (const over of demands)
      await target.refused(JSON.stringify(over), signed(target.claims, header(over)), 'R_CRIT')
    // RFC 7797: the claims as they are, not encoded.
    const head = b64(JSON.stringify(header({ b64: false, crit: ['b64'] })))
    await target.refused('claims not encoded', `${head}.${JSON.stringify(target.claims)}.${parts[2]}`, 'R_TOKEN')
    await target.refused('compressed', signed(target.claims, header({ zip: 'DEF', crit: ['zip'] })), 'R_CRIT')
  })
})

describe('another form', () => {
  it('than three parts in canonical base64url is none', async () => {
    const [h, c, s] = parts
    const padded = (part: string) => part + '='.repeat((4 - (part.length % 4)) % 4 || 1)
    const five = [b64('{"alg":"RSA-OAEP","enc":"A256GCM","kid":"RS256"}'), s, b64('iv'), b64('text'), b64('tag')]
    const cases: Case[] = [
      ['five parts, encrypted', five.join('.'), 'R_TOKEN'],
      ['five parts, all there', `${h}.${c}.${s}.${b64('x')}.${b64('y')}`, 'R_TOKEN'],
      ['four parts', `${h}.${c}.${s}.${s}`, 'R_TOKEN'],
      ['two dots more', `${good}..`, 'R_TOKEN'],
      ['two dots more in front', `..${good}`, 'R_TOKEN'],
      ['dots between', `${h}..${c}..${s}`, 'R_TOKEN'],
      ['only dots', '..', 'R_TOKEN'],
      ['flattened JSON', JSON.stringify({ payload: c, protected: h, signature: s }), 'R_TOKEN'],
      ['general JSON', JSON.stringify({ payload: c, signatures: [{ protected: h, signature: s }] }), 'R_TOKEN'],
      ['JSON text', JSON.stringify(good), 'R_TOKEN'],
      ['both at once', `{"payload":"${c}","protected":"${h}","signature":"${s}","":"${good}"}`, 'R_TOKEN'],
      ['detached', `${h}..${s}`, 'R_TOKEN'],
      ['padded header', `${padded(h)}.${c}.${s}`, 'R_TOKEN'],
      ['padded claims', `${h}.${padded(c)}.${s}`, 'R_TOKEN'],
      ['padded signature', `${h}.${c}.${padded(s)}`, 'R_TOKEN'],
      ['the other alphabet', [h, c, s].map((p) => Buffer.from(p, 'base64url').toString('base64')).join('.'), 'R_TOKEN'],
      ['hex', [h, c, s].map((p) => Buffer.from(p, 'base64url').toString('hex')).join('.'), 'R_TOKEN'],
      ['a scheme in front', `Bearer ${good}`, 'R_TOKEN'],
      ['in quotes', `"${good}"`, 'R_TOKEN'],
      ['in URL encoding', good.replaceAll('.', '%2E'), 'R_TOKEN'],
      ['nothing', '', 'R_TOKEN'],
      ['a byte order mark', `\ufeff${good}`, 'R_TOKEN'],
      ['nested, signed twice', signed(good), 'R_TOKEN'],
      ['a SAML answer', b64('<samlp:Response/>'), 'R_TOKEN'],
      ['16 KiB and one', `${h}.${c}.${'A'.repeat(16 * 1024)}`, 'R_TOO_LARGE'],
      ['a megabyte of dots', '.'.repeat(1 << 20), 'R_TOO_LARGE'],
    ]
    for (const blank of [' ', '\n', '\r\n', '\t', '\u0000', '\u00a0', '\u200b', '\u2028']) {
      cases.push([`blank ${JSON.stringify(blank)} in front`, blank + good, 'R_TOKEN'])
      cases.push([`blank ${JSON.stringify(blank)} behind`, good + blank, 'R_TOKEN'])
      cases.push([`blank ${JSON.stringify(blank)} in it`, `${h}.${c}.${s.slice(0, 9)}${blank}${s.slice(9)}`, 'R_TOKEN'])
      cases.push([`blank ${JSON.stringify(blank)} at a dot`, `${h}.${blank}${c}.${s}`, 'R_TOKEN'])
    }
    await allRefused(target, cases)
  })

  it('of the last letter of any part is none, though it says the same', async () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    // Claims and headers of all three lengths that leave bits over.
    for (const filler of ['', 'x', 'xx']) {
      const text = token(key, target.clock.now(), { filler }, { filler })
      const split = text.split('.')
      for (const [nth, part] of split.entries()) {
        const last = alphabet.indexOf(part.at(-1) ?? '')
        const spare = { 0: 0, 2: 4, 3: 2 }[part.length % 4] ?? 0
        for (let bits = 1; bits < 1 << spare; bits++) {
          const twin = part.slice(0, -1) + alphabet.charAt(last ^ bits)
          assert.deepEqual(Buffer.from(twin, 'base64url'), Buffer.from(part, 'base64url'))
          await target.refused(`part ${nth}`, split.with(nth, twin).join('.'), 'R_TOKEN')
        }
      }
    }
  })
})

describe('JSON with two readings', () => {
  it('is none: a member twice, a prototype, depth, no object, no UTF-8', async () => {
    const rest = JSON.stringify(target.claims).slice(1)
    const cases: Case[] = [
      ['iss twice, ours last', signed(`{"iss":"https://evil.example",${rest}`), 'R_TOKEN'],
      ['iss twice, ours first', signed(`${JSON.stringify(target.claims).slice(0, -1)},"iss":"x"}`), 'R_TOKEN'],
      ['iss twice, escaped', signed(`{"\\u0069\\u0073\\u0073":"x",${rest}`), 'R_TOKEN'],
      ['exp twice', signed(`{"exp":99999999999,${rest}`), 'R_TOKEN'],
      ['oid twice, far down', signed(`{"x":[[{"y":{"oid":1,"o\\u0069d":2}}]],${rest}`), 'R_TOKEN'],
      ['alg twice, none first', signed(target.claims, '{"alg":"none","alg":"RS256","kid":"RS256"}'), 'R_TOKEN'],
      ['alg twice, none last', signed(target.claims, '{"alg":"RS256","kid":"RS256","alg":"none"}'), 'R_TOKEN'],
      ['kid twice', signed(target.claims, '{"alg":"RS256","kid":"RS256","kid":"RS256"}'), 'R_TOKEN'],
      [
        'crit hidden by a twin',
        signed(target.claims, '{"alg":"RS256","kid":"RS256","crit":["x"],"crit":[]}'),
        'R_TOKEN',
      ],
      ['the same name of surrogates', signed(`{"\\ud83d\\ude00":1,"😀":2,${rest}`), 'R_TOKEN'],
      ['a quote in a name', signed(`{"a\\"":1,${rest}`), 'R_TOKEN'],
      ['a backslash in a name', signed(`{"a\\\\":1,${rest}`), 'R_TOKEN'],
      ['a control character in a name', signed(`{"x":{"\\u0000":1},${rest}`), 'R_TOKEN'],
      ['half a surrogate pair in a name', signed(`{"\\ud800":1,${rest}`), 'R_TOKEN'],
      ['a prototype', signed(`{"__proto__":{"oid":"account-9"},${rest}`), 'R_TOKEN'],
      ['a prototype, escaped', signed(`{"\\u005f\\u005fproto__":{"oid":"x"},${rest}`), 'R_TOKEN'],
      ['a prototype far down', signed(`{"a":[{"b":{"__proto__":null}}],${rest}`), 'R_TOKEN'],
      [
        'a prototype in the header',
        signed(target.claims, '{"__proto__":{"alg":"RS256"},"alg":"RS256","kid":"RS256"}'),
        'R_TOKEN',
      ],
      ['5,000 lists deep', signed(`{"x":${'['.repeat(5000)}${']'.repeat(5000)},${rest}`), 'R_TOKEN'],
      ['1,000 objects deep', signed(`{"x":${'{"a":'.repeat(1000)}1${'}'.repeat(1000)},${rest}`), 'R_TOKEN'],
      ['a list', signed(`[${JSON.stringify(target.claims)}]`), 'R_TOKEN'],
      ['a text', signed(JSON.stringify(JSON.stringify(target.claims))), 'R_TOKEN'],
      ['null', signed('null'), 'R_TOKEN'],
      ['a number', signed('1'), 'R_TOKEN'],
      ['nothing', signed(''), 'R_TOKEN'],
      ['two objects', signed(`${JSON.stringify(target.claims)}{}`), 'R_TOKEN'],
      ['a comment', signed(`/**/${JSON.stringify(target.claims)}`), 'R_TOKEN'],
      ['a comma too many', signed(`${JSON.stringify(target.claims).slice(0, -1)},}`), 'R_TOKEN'],
      ['single quotes', signed(JSON.stringify(target.claims).replaceAll('"', "'")), 'R_TOKEN'],
      ['a control character in a text', signed(`{"x":"\u0001",${rest}`), 'R_TOKEN'],
      ['UTF-16', signed(JSON.stringify(target.claims), Buffer.from(JSON.stringify(header()), 'utf16le')), 'R_TOKEN'],
      ['a byte order mark', forge(header(), Buffer.from(`\ufeff${JSON.stringify(target.claims)}`), key), 'R_TOKEN'],
      ['Latin-1', forge(header(), Buffer.from(`{"x":"\u00e9",${rest}`, 'latin1'), key), 'R_TOKEN'],
      [
        'a surrogate in UTF-8',
        forge(
          header(),
          Buffer.concat([Buffer.from('{"x":"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from(`",${rest}`)]),
          key,
        ),
        'R_TOKEN',
      ],
      [
        'an overlong slash',
        forge(
          header(),
          Buffer.concat([Buffer.from('{"x":"'), Buffer.from([0xc0, 0xaf]), Buffer.from(`",${rest}`)]),
          key,
        ),
        'R_TOKEN',
      ],
    ]
    await allRefused(target, cases)
    assert.equal(Reflect.get({}, 'oid'), undefined)
  })

  it('of one reading is fine, however odd', async () => {
    const rest = JSON.stringify(target.claims).slice(1)
    const fine: readonly string[] = [
      ` \t\r\n{ "x" : 1 ,${rest} \n`,
      `{"\\u0061\\/\\ud83d\\ude00":1,"a":"\\udfff","b":"\\\\","c":"\\\\\\"}{[",${rest}`,
      `{"":{"":{"":[]}},"constructor":{"prototype":{"x":1}},"hasOwnProperty":1,${rest}`,
      `{"x":{"iss":1,"aud":2},"y":["iss","iss",{"iss":1},{"iss":2}],${rest}`,
      `{"n":[1e999,-0,1E-400,123456789012345678901234567890],${rest}`,
    ]
    for (const claims of fine) {
      const { claims: read } = await target.accepted(claims.slice(0, 40), signed(claims))
      assert.equal(read.oid, 'account-1')
      assert.deepEqual([read.iss, read.aud], [ISSUER, AUDIENCE])
    }
  })
})

describe('a claim whose name is written with an escape', () => {
  it('is read as it is, whatever the engine was made to read before', async () => {
    const rest = JSON.stringify(target.claims).slice(1)
    // V8 13.6 would take the next name for this one.
    JSON.parse(`{"x":1,"\\\\u0":1,${rest}`)
    const { claims } = await target.accepted('an escaped name', signed(`{"x":1,"\\u0063nf":{"jkt":"x"},${rest}`))
    assert.deepEqual(claims['cnf'], { jkt: 'x' })
  })
})

describe('a token of another purpose', () => {
  it('is refused where the issuer says which types it signs for access', async () => {
    const types = ['at+jwt', 'jwt']
    for (const typ of [
      'secevent+jwt',
      'logout+jwt',
      'dpop+jwt',
      'statuslist+jwt',
      'wit+jwt',
      'JWE',
      '',
      'at+jwt;x',
      'at+jwt ',
      1,
      null,
      ['jwt'],
    ]) {
      await target.refused(String(typ), token(key, target.clock.now(), {}, { typ }), 'R_TOKEN', { types })
    }
    for (const typ of ['at+jwt', 'application/at+jwt', 'AT+JWT', 'JWT']) {
      await target.accepted(typ, token(key, target.clock.now(), {}, { typ }), { types })
    }
  })
})
