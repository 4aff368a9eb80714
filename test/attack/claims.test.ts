import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { AUDIENCE, forge, ISSUER, makeKey, type TestKey, token } from '../unit/issuer.ts'
import { Target } from './rig.ts'

let target: Target
let key: TestKey
before(async () => {
  key = makeKey('key')
  target = await Target.open([key])
})
after(() => target[Symbol.asyncDispose]())

const made = (claims: object) => token(key, target.clock.now(), claims)
/** With the value of one claim written just so. */
const written = (name: string, value: string) => {
  const { [name]: _, ...others } = { ...target.claims } as Record<string, unknown>
  return forge({ alg: 'RS256', kid: 'key' }, `{${JSON.stringify(others).slice(1, -1)},"${name}":${value}}`, key)
}

describe('a date', () => {
  it('is a number of this era', async () => {
    const absurd = [
      '1e309',
      '-1e309',
      '1e308',
      '9007199254740993',
      '253402300800',
      '-1',
      '-0.5',
      '-1e-9',
      '"1e10"',
      '""',
      'true',
    ]
    absurd.push(
      'false',
      'null',
      '[]',
      '[9999999999]',
      '{}',
      '{"valueOf":9999999999}',
      '"Infinity"',
      '"0x7fffffff"',
      '1e17',
    )
    for (const name of ['exp', 'iat', 'nbf']) {
      for (const value of absurd) await target.refused(`${name} ${value}`, written(name, value), 'R_CLAIMS')
    }
    for (const value of ['NaN', 'Infinity', '0x10', '01', '+1', '1.', '.5', '1_000']) {
      await target.refused(value, written('exp', value), 'R_TOKEN')
    }
  })

  it('is needed where it is needed, and in force', async () => {
    const { seconds } = target
    await target.refused('no exp', made({ exp: undefined }), 'R_CLAIMS')
    await target.refused('no iat', made({ iat: undefined }), 'R_CLAIMS')
    await target.refused('zero', written('exp', '0'), 'R_EXPIRED')
    await target.refused('minus zero', written('exp', '-0'), 'R_EXPIRED')
    await target.refused('the smallest', written('exp', '5e-324'), 'R_EXPIRED')
    await target.refused('a minute ago', made({ exp: seconds - 60 }), 'R_EXPIRED')
    await target.refused(
      '32 bits turned over',
      made({ exp: seconds - 2 ** 32 < 0 ? 0 : seconds - 2 ** 32 }),
      'R_EXPIRED',
    )
    await target.refused('issued tomorrow', made({ iat: seconds + 86_400, exp: seconds + 90_000 }), 'R_NOT_YET_VALID')
    await target.refused('valid tomorrow', made({ nbf: seconds + 86_400 }), 'R_NOT_YET_VALID')
    await target.refused('issued after it ends', made({ iat: seconds + 3000, exp: seconds + 10 }), 'R_NOT_YET_VALID')
    await target.refused('milliseconds', made({ exp: target.clock.now() + 3_600_000 }), 'R_CLAIMS')
    const { expiresAt } = await target.accepted('the last second there is', written('exp', '253402300799'))
    assert.equal(expiresAt, 253_402_300_799_000)
    await target.accepted('a fraction', written('exp', `${seconds + 10}.999999999999`))
    await target.accepted('with an exponent', written('exp', `${(seconds + 3600) / 1e9}e9`))
  })
})

describe('an issuer', () => {
  it('is compared byte by byte', async () => {
    const host = 'login.example.com'
    const near: unknown[] = [
      `${ISSUER}/`,
      ISSUER.toUpperCase(),
      ISSUER.replace('https:', 'http:'),
      ISSUER.replace(host, `${host}.`),
      ISSUER.replace(host, `${host}:443`),
      ISSUER.replace(host, `${host}@evil.example`),
      ISSUER.replace('o', '\u043e'),
      ISSUER.replace('/v2.0', '/./v2.0'),
      ISSUER.replace('/v2.0', '/%762.0'),
      ISSUER.replace('login', 'lo\u0261in'),
      `${ISSUER}\u0000`,
      `${ISSUER}?`,
      ` ${ISSUER}`,
      ISSUER.normalize('NFD').replace('e', 'e\u0301'),
      [ISSUER],
      { iss: ISSUER },
      null,
      0,
      true,
      '',
    ]
    for (const iss of near) await target.refused(JSON.stringify(iss), made({ iss }), 'R_ISSUER')
    await target.refused('none', made({ iss: undefined }), 'R_ISSUER')
  })
})

describe('an audience', () => {
  it('is one of ours in so many letters, alone or in a list of texts', async () => {
    const odd: unknown[] = [
      `${AUDIENCE}/`,
      ` ${AUDIENCE}`,
      `${AUDIENCE} other`,
      `${AUDIENCE},other`,
      AUDIENCE.toUpperCase(),
      `${AUDIENCE}\u0000`,
      `${AUDIENCE}\u200b`,
      [AUDIENCE, 1],
      [AUDIENCE, null],
      [AUDIENCE, [AUDIENCE]],
      [[AUDIENCE]],
      { 0: AUDIENCE, length: 1 },
      { [AUDIENCE]: true },
      [],
      '',
      null,
      0,
      Array.from({ length: 2000 }, () => 'x'),
    ]
    for (const aud of odd) await target.refused(JSON.stringify(aud).slice(0, 60), made({ aud }), 'R_AUDIENCE')
    await target.accepted('the last of 2,000', made({ aud: [...Array.from({ length: 1_999 }, () => 'x'), AUDIENCE] }))
    await target.refused('more than fits', made({ aud: Array.from({ length: 20_000 }, () => 'x') }), 'R_TOO_LARGE')
  })
})

describe('text', () => {
  it('comes out as it was signed, never folded into another', async () => {
    const near = [
      'account-1\u0000',
      'account-\u0661',
      'ACCOUNT-1',
      'account\u20101',
      'a\u0308',
      '\u00e4',
      '\ud800',
      '\udc00\ud800',
      '\u202eaccount',
      '\u{1f916}',
      '\ufb01',
      'ﬁ',
      'ı',
      'İ',
      '\u212a',
    ]
    const seen = new Set<unknown>()
    for (const oid of near) {
      const { claims } = await target.accepted(JSON.stringify(oid), made({ oid }))
      assert.equal(claims.oid, oid)
      seen.add(claims.oid)
    }
    assert.equal(seen.size, new Set(near).size)
  })
})
