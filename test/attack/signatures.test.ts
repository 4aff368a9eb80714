import assert from 'node:assert/strict'
import { constants, createHash, createPublicKey, createSecretKey, privateEncrypt, sign } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { signatureHolds } from '../../src/lib/signature.ts'
import { b64, forge, signature, type TestKey, token } from '../unit/issuer.ts'
import { algorithms, type Case, Target } from './rig.ts'

/** Published examples: what is public in them, and that the signature is over exactly these bytes. */
const published = [
  {
    name: 'RFC 7515 A.2',
    alg: 'RS256',
    jwk: {
      kty: 'RSA',
      n: 'ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ',
      e: 'AQAB',
    },
    jws: 'eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw',
    code: 'R_KEY',
  },
  {
    name: 'RFC 7515 A.3',
    alg: 'ES256',
    jwk: {
      kty: 'EC',
      crv: 'P-256',
      x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
      y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
    },
    jws: 'eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q',
    code: 'R_KEY',
  },
  {
    name: 'RFC 7515 A.4',
    alg: 'ES512',
    jwk: {
      kty: 'EC',
      crv: 'P-521',
      x: 'AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk',
      y: 'ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2',
    },
    jws: 'eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn',
    code: 'R_TOKEN',
  },
  {
    name: 'RFC 7520 4.2',
    alg: 'PS384',
    jwk: {
      kty: 'RSA',
      n: 'n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw',
      e: 'AQAB',
    },
    jws: 'eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw',
    code: 'R_TOKEN',
  },
  {
    name: 'RFC 8037 A.4',
    alg: 'EdDSA',
    jwk: { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' },
    jws: 'eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg',
    code: 'R_TOKEN',
  },
] as const

let target: Target
before(async () => {
  target = await Target.open()
})
after(() => target[Symbol.asyncDispose]())

const numberOf = (bytes: Buffer): bigint => BigInt(`0x${bytes.toString('hex')}`)
const bytesOf = (value: bigint, length: number): Buffer =>
  Buffer.from(value.toString(16).padStart(2 * length, '0'), 'hex')

/** The signing input of a good token of this key. */
const inputOf = (key: TestKey): string => token(key, target.clock.now()).split('.').slice(0, 2).join('.')

describe('published signatures', () => {
  for (const { name, alg, jwk, jws, code } of published) {
    it(`${name}: holds, with any bit changed it does not, and as a token of ours it is none`, async () => {
      const dot = jws.lastIndexOf('.')
      const [data, signed] = [Buffer.from(jws.slice(0, dot)), Buffer.from(jws.slice(dot + 1), 'base64url')]
      const key = createPublicKey({ key: { ...jwk }, format: 'jwk' })
      assert.equal(await signatureHolds(alg, key, data, signed), true)
      for (const part of [data, signed]) {
        for (let at = 0; at < part.length; at += 7) {
          part[at] = (part[at] ?? 0) ^ (1 << (at % 8))
          assert.equal(await signatureHolds(alg, key, data, signed), false, `byte ${at}`)
          part[at] = (part[at] ?? 0) ^ (1 << (at % 8))
        }
      }
      await target.refused(name, jws, code)
    })
  }

  it('the first that is asked in a turn is answered at once, and one whose key cannot be used rejects', async () => {
    const { alg, jws, jwk } = published[0]
    const dot = jws.lastIndexOf('.')
    const [data, signed] = [Buffer.from(jws.slice(0, dot)), Buffer.from(jws.slice(dot + 1), 'base64url')]
    const key = createPublicKey({ key: { ...jwk }, format: 'jwk' })
    for (let turn = 0; turn < 3; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve))
      assert.equal(signatureHolds(alg, key, data, signed), true)
      const second = signatureHolds(alg, key, data, signed)
      assert.ok(second instanceof Promise)
      assert.equal(await second, true)
    }
    await new Promise((resolve) => setImmediate(resolve))
    const broken = signatureHolds(alg, createSecretKey(Buffer.alloc(32)), data, signed)
    assert.ok(broken instanceof Promise)
    await assert.rejects(broken)
  })

  it('asked about many at once each get their own answer, on whichever thread, also where a key cannot be used', async () => {
    const asked = Array.from({ length: 300 }, (_, n) => {
      const { alg, jws, jwk } = published[n % published.length] ?? published[0]
      const dot = jws.lastIndexOf('.')
      const data = Buffer.from(`${jws.slice(0, dot)}${n % 3 === 1 ? '.' : ''}`)
      const signed = Buffer.from(jws.slice(dot + 1), 'base64url')
      const key = n % 3 === 2 ? createSecretKey(Buffer.alloc(32)) : createPublicKey({ key: { ...jwk }, format: 'jwk' })
      return signatureHolds(alg, key, data, signed)
    })
    const answers = (await Promise.allSettled(asked)).map((one) => one.status === 'fulfilled' && one.value)
    assert.deepEqual(
      answers,
      answers.map((_, n) => n % 3 === 0),
    )
    assert.deepEqual(
      (await Promise.allSettled(asked)).map(({ status }) => status === 'rejected'),
      answers.map((_, n) => n % 3 === 2 && published[n % published.length]?.alg !== 'PS384'),
    )
  })

  it('of unsecured and of shared-secret examples are none to us', async () => {
    const joe = 'eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ'
    const hs = `eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.${joe}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk`
    await target.refused('RFC 7515 A.1', hs, 'R_ALGORITHM')
    await target.refused('RFC 7519 §6.1', `eyJhbGciOiJub25lIn0.${joe}.`, 'R_ALGORITHM')
  })
})

describe('RSA', () => {
  const digestInfo = (oid: string, parameters: string, digest: Buffer) => {
    const algorithm = `06${(oid.length / 2).toString(16).padStart(2, '0')}${oid}${parameters}`
    const inner = `30${(algorithm.length / 2).toString(16).padStart(2, '0')}${algorithm}04${digest.length.toString(16)}`
    const body = Buffer.concat([Buffer.from(inner, 'hex'), digest])
    return Buffer.concat([Buffer.from([0x30, body.length]), body])
  }
  const sha256 = '608648016503040201'
  const sha1 = '2b0e03021a'

  it('accepts one encoding of the digest and no other', async () => {
    const key = target.key('RS256')
    const input = inputOf(key)
    const digest = createHash('sha256').update(input).digest()
    const raw = (block: Buffer) =>
      `${input}.${b64(privateEncrypt({ key: key.privateKey, padding: constants.RSA_NO_PADDING }, block))}`
    const padded = (info: Buffer, { type = 1, fill = 0xff, after = Buffer.alloc(0) } = {}) => {
      const filler = Buffer.alloc(256 - 3 - info.length - after.length, fill)
      return Buffer.concat([Buffer.from([0, type]), filler, Buffer.from([0]), info, after])
    }
    const good = digestInfo(sha256, '0500', digest)
    await target.accepted('as it should be', raw(padded(good)))
    const short = Buffer.concat([Buffer.from([0, 1]), Buffer.alloc(8, 0xff), Buffer.from([0]), good])
    const cases: readonly (readonly [string, Buffer])[] = [
      ['digest of another hash', padded(digestInfo(sha1, '0500', createHash('sha1').update(input).digest()))],
      ['digest of another hash under the name of this one', padded(digestInfo(sha1, '0500', digest))],
      ['bytes behind the digest', padded(good, { after: Buffer.alloc(20) })],
      ['short padding and garbage behind', Buffer.concat([short, Buffer.alloc(256 - short.length, 0x5a)])],
      ['padding of encryption', padded(good, { type: 2 })],
      ['padding of zeros', padded(good, { fill: 0 })],
      ['the bare digest', padded(digest)],
      ['a parameter too many', padded(digestInfo(sha256, '05000500', digest))],
      ['nothing', Buffer.alloc(256)],
    ]
    for (const [name, block] of cases) await target.refused(name, raw(block), 'R_SIGNATURE')
  })

  it('accepts a signature in exactly one writing', async () => {
    for (const alg of ['RS256', 'PS256']) {
      const key = target.key(alg)
      const input = inputOf(key)
      const signed = signature(input, key)
      const n = numberOf(Buffer.from(key.jwk.n ?? '', 'base64url'))
      const s = numberOf(signed)
      const cases: (readonly [string, Buffer])[] = [
        ['a zero before', Buffer.concat([Buffer.alloc(1), signed])],
        ['a zero behind', Buffer.concat([signed, Buffer.alloc(1)])],
        ['cut in front', signed.subarray(1)],
        ['cut behind', signed.subarray(0, -1)],
        ['negated', bytesOf(n - s, 256)],
        ['zero', Buffer.alloc(256)],
        ['one', bytesOf(1n, 256)],
        ['the modulus', bytesOf(n, 256)],
        ['the modulus less one', bytesOf(n - 1n, 256)],
        ['twice', Buffer.concat([signed, signed])],
        ['reversed', Buffer.from(signed).reverse()],
      ]
      if (s + n < 1n << 2048n) cases.push(['the modulus added', bytesOf(s + n, 256)])
      for (const [name, bytes] of cases)
        await target.refused(`${alg}: ${name}`, `${input}.${b64(bytes)}`, 'R_SIGNATURE')
    }
  })

  it('knows a PSS signature that begins with a zero only with it', async () => {
    const key = target.key('PS256')
    const input = inputOf(key)
    let signed = signature(input, key)
    // Salted, so another one each time: one in 256 begins so.
    while (signed[0] !== 0) signed = signature(input, key)
    await target.accepted('whole', `${input}.${b64(signed)}`)
    await target.refused('without the zero', `${input}.${b64(signed.subarray(1))}`, 'R_SIGNATURE')
  })

  it('tells the two paddings and the hashes apart', async () => {
    const key = target.key('RS256')
    const { privateKey } = key
    const pss = (saltLength: number, hash = 'sha256') => ({
      hash,
      padding: constants.RSA_PKCS1_PSS_PADDING,
      saltLength,
    })
    const made = (alg: string, { hash, ...how }: { hash: string; padding?: number; saltLength?: number }) => {
      const input = `${b64(JSON.stringify({ alg, kid: 'RS256' }))}.${b64(JSON.stringify(target.claims))}`
      return `${input}.${b64(sign(hash, Buffer.from(input), { key: privateKey, ...how }))}`
    }
    await target.accepted('PS256 by a key for both', made('PS256', pss(32)))
    const cases: Case[] = [
      ['PKCS#1 signature called PSS', made('PS256', { hash: 'sha256' }), 'R_SIGNATURE'],
      ['PSS signature called PKCS#1', made('RS256', pss(32)), 'R_SIGNATURE'],
      ['no salt', made('PS256', pss(0)), 'R_SIGNATURE'],
      ['salt of 20', made('PS256', pss(20)), 'R_SIGNATURE'],
      ['salt as long as it gets', made('PS256', pss(222)), 'R_SIGNATURE'],
      ['another hash', made('PS256', pss(32, 'sha384')), 'R_SIGNATURE'],
      ['SHA-1', made('RS256', { hash: 'sha1' }), 'R_SIGNATURE'],
      ['SHA-512 called SHA-256', made('RS256', { hash: 'sha512' }), 'R_SIGNATURE'],
      ['RS1', made('RS1', { hash: 'sha1' }), 'R_ALGORITHM'],
    ]
    for (const [name, text, code] of cases) await target.refused(name, text, code)
  })
})

describe('ECDSA', () => {
  const order: Readonly<Record<string, bigint>> = {
    ES256: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
    ES384: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  }

  it('needs r and s between one and the order, each in its own half', async () => {
    for (const [alg, n] of Object.entries(order)) {
      const key = target.key(alg)
      const size = alg === 'ES256' ? 32 : 48
      const input = inputOf(key)
      const signed = signature(input, key)
      const [r, s] = [numberOf(signed.subarray(0, size)), numberOf(signed.subarray(size))]
      const both = (a: bigint, b: bigint) => Buffer.concat([bytesOf(a, size), bytesOf(b, size)])
      await target.accepted('as it was made', `${input}.${b64(both(r, s))}`)
      const most = (1n << BigInt(8 * size)) - 1n
      const edges = [0n, 1n, n - 1n, n, n + 1n, most]
      const pairs = edges.flatMap((a) => edges.map((b) => [a, b] as const))
      const mixed = edges.flatMap((edge) => [[r, edge] as const, [edge, s] as const])
      for (const [a, b] of [...pairs, ...mixed, [s, r] as const, [n - r, s] as const]) {
        await target.refused(`${alg}: r ${a}, s ${b}`, `${input}.${b64(both(a, b))}`, 'R_SIGNATURE')
      }
    }
  })

  it('knows numbers that begin with a zero, and with a digit that would make them negative', async () => {
    for (const [alg, size] of [
      ['ES256', 32],
      ['ES384', 48],
      ['ES512', 66],
    ] as const) {
      const key = target.key(alg)
      const input = inputOf(key)
      // Random, so another one each time: of the two short curves one in 256 begins so.
      const seen = { 'r short': 0, 's short': 0, 'r high': 0, 's high': 0 }
      for (let n = 0; n < 60 || (size < 66 && Math.min(...Object.values(seen)) === 0); n += 1) {
        const signed = signature(input, key)
        const [r = 0, s = 0] = [signed[0], signed[size]]
        if (r === 0) seen['r short'] += 1
        if (s === 0) seen['s short'] += 1
        if (r >= 0x80) seen['r high'] += 1
        if (s >= 0x80) seen['s high'] += 1
        if (r === 0 || s === 0 || n < 40) await target.accepted(alg, `${input}.${b64(signed)}`)
      }
    }
  })

  it('has for each signature one twin, which says nothing else', async () => {
    const key = target.key('ES256')
    const input = inputOf(key)
    const signed = signature(input, key)
    const twin = bytesOf((order['ES256'] ?? 0n) - numberOf(signed.subarray(32)), 32)
    const { claims } = await target.accepted('twin', `${input}.${b64(Buffer.concat([signed.subarray(0, 32), twin]))}`)
    assert.deepEqual(claims, (await target.accepted('it', `${input}.${b64(signed)}`)).claims)
  })

  it('is two numbers of fixed length, not ASN.1, and of the curve of the key', async () => {
    const key = target.key('ES256')
    const input = inputOf(key)
    const signed = signature(input, key)
    const der = sign('sha256', Buffer.from(input), key.privateKey)
    const cases: readonly (readonly [string, Buffer])[] = [
      ['ASN.1', der],
      ['ASN.1, cut to size', Buffer.concat([der, Buffer.alloc(64)]).subarray(0, 64)],
      [
        'a zero before each half',
        Buffer.concat([Buffer.alloc(1), signed.subarray(0, 32), Buffer.alloc(1), signed.subarray(32)]),
      ],
      [
        'as wide as P-384',
        Buffer.concat([Buffer.alloc(16), signed.subarray(0, 32), Buffer.alloc(16), signed.subarray(32)]),
      ],
      ['half', signed.subarray(0, 32)],
      ['of P-384', signature(input, target.key('ES384'))],
      ['of P-521', signature(input, target.key('ES512'))],
      ['of Ed25519', signature(input, target.key('EdDSA'))],
      ['of RSA', signature(input, target.key('RS256'))],
      ['over SHA-384', sign('sha384', Buffer.from(input), { key: key.privateKey, dsaEncoding: 'ieee-p1363' })],
    ]
    for (const [name, bytes] of cases) await target.refused(name, `${input}.${b64(bytes)}`, 'R_SIGNATURE')
  })
})

describe('Ed25519', () => {
  it('has one signature for one text by one key', async () => {
    const key = target.key('EdDSA')
    const input = inputOf(key)
    const signed = signature(input, key)
    const order = 2n ** 252n + 27742317777372353535851937790883648493n
    const little = (bytes: Buffer) => numberOf(Buffer.from(bytes).reverse())
    const s = little(signed.subarray(32))
    const withS = (value: bigint) => Buffer.concat([signed.subarray(0, 32), bytesOf(value, 32).reverse()])
    assert.deepEqual(withS(s), signed)
    const cases: readonly (readonly [string, Buffer])[] = [
      ['the order added once', withS(s + order)],
      ['the order added seven times', withS(s + 7n * order)],
      ['s of zero', withS(0n)],
      ['s of the order', withS(order)],
      ['R of zero', Buffer.concat([Buffer.alloc(32), signed.subarray(32)])],
      ['R the neutral point', Buffer.concat([Buffer.from([1]), Buffer.alloc(31), signed.subarray(32)])],
      ['neutral point and zero', Buffer.concat([Buffer.from([1]), Buffer.alloc(63)])],
      ['R with its sign turned', Buffer.from(signed.map((byte, at) => (at === 31 ? byte ^ 0x80 : byte)))],
      ['halves exchanged', Buffer.concat([signed.subarray(32), signed.subarray(0, 32)])],
      ['a byte too long', Buffer.concat([signed, Buffer.alloc(1)])],
      ['a byte too short', signed.subarray(0, 63)],
    ]
    for (const [name, bytes] of cases) await target.refused(name, `${input}.${b64(bytes)}`, 'R_SIGNATURE')
  })
})

describe('a signature of every algorithm', () => {
  it('serves no other: neither by another key’s name nor by another algorithm’s', async () => {
    for (const alg of algorithms) {
      const key = target.key(alg)
      await target.accepted(alg, token(key, target.clock.now()))
      for (const other of algorithms) {
        if (other === alg) continue
        const sameKind = alg.slice(0, 1) !== 'E' && other.slice(0, 1) !== 'E'
        const named = forge({ alg: other, kid: alg }, target.claims, key)
        await target.refused(`${alg} called ${other}`, named, sameKind ? 'R_SIGNATURE' : 'R_KEY')
        const borrowed = forge({ alg, kid: other }, target.claims, key)
        await target.refused(`${alg} by the key ${other}`, borrowed, sameKind ? 'R_SIGNATURE' : 'R_KEY')
      }
    }
  })
})
