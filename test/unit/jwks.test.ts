import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { describe, it } from 'node:test'
import type { PinnedFetch } from '../../src/core/adapter.ts'
import { BridgeError, codeOf } from '../../src/core/errors.ts'
import { manualClock } from '../../src/lib/clock.ts'
import { createKeySource, type FetchReason, type KeySourceOptions } from '../../src/lib/jwks.ts'
import { ISSUER, KeyServer, makeKey } from './issuer.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

const one = makeKey('k1')
const two = makeKey('k2')
const header = (kid: string, alg = 'RS256') => ({ kid, alg })
const isDown = (error: unknown) => codeOf(error) === 'E_JWKS_DOWN'

async function rig(over: Partial<KeySourceOptions> = {}) {
  const server = await KeyServer.start(one)
  const clock = manualClock()
  const fetches: { reason: FetchReason; ok: boolean; keys: number }[] = []
  const warnings: string[] = []
  const source = createKeySource({
    uri: server.uri,
    fetch: server.fetch,
    clock,
    random: () => 0.5,
    onFetch: (fetched) => fetches.push(fetched),
    log: { warn: (_fields, text) => warnings.push(text) },
    ...over,
  })
  const key = (kid: string, alg?: string) => source.key(header(kid, alg), ISSUER)
  return {
    server,
    clock,
    source,
    fetches,
    warnings,
    key,
    async [Symbol.asyncDispose]() {
      source.close()
      await server[Symbol.asyncDispose]()
    },
  }
}

/** The socket answers in real time, so what happens in the background is waited for. */
async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; !condition(); turn++) {
    assert.ok(turn < 20_000, 'waited in vain')
    await new Promise((resolve) => setImmediate(resolve))
  }
}

describe('the key cache', () => {
  it('gives a key that it holds at once, the very one that it gives when asked, and none that it would have to ask about', async () => {
    await using r = await rig()
    const held = (kid: string, alg?: string) => r.source.held(header(kid, alg), ISSUER)
    assert.equal(held('k1'), undefined, 'before the first document')
    const key = await r.key('k1')
    assert.ok(key)
    assert.equal(held('k1'), key)
    assert.equal(held('k1', 'ES256'), undefined)
    assert.equal(held('k2'), undefined)
    assert.equal(r.fetches.length, 1)
    await r.clock.advance(3_600_000)
    assert.equal(held('k1'), undefined, 'the document is due')
    await r.source.refresh()
    assert.equal(held('k1'), key)
    r.server.down()
    await assert.rejects(r.source.refresh(), isDown)
    assert.equal(held('k1'), undefined, 'the endpoint fails')
    assert.equal(await r.key('k1'), key)
    r.server.answer = undefined
    r.server.publish(two)
    await r.source.refresh()
    assert.equal(held('k1'), undefined, 'it was withdrawn')
    const second = await r.key('k2')
    assert.ok(second)
    assert.equal(held('k2'), second)
    r.source.close()
    assert.equal(held('k2'), undefined)
  })

  it('tells whoever asks nothing of where the keys are', async () => {
    await using r = await rig()
    r.server.answer = (response) => response.writeHead(500).end()
    const error: unknown = await r.key('k1').catch((thrown: unknown) => thrown)
    assert.ok(error instanceof BridgeError && isDown(error))
    const { host, pathname } = new URL(r.server.uri)
    for (const told of [error.message, error.hint ?? '']) {
      assert.ok(told !== '' && !told.includes(host) && !told.includes(pathname), told)
    }
  })

  it('fetches once for any number of callers', async () => {
    await using r = await rig()
    const found = await Promise.all(Array.from({ length: 1000 }, () => r.key('k1')))
    assert.equal(r.server.hits, 1)
    assert.equal(new Set(found).size, 1)
    assert.equal(found[0]?.type, 'public')
    assert.equal(r.source.age(), 0)
    await r.clock.advance(59 * MINUTE_MS)
    await r.key('k1')
    assert.equal(r.server.hits, 1)
    assert.deepEqual(r.fetches, [{ reason: 'first', ok: true, keys: 1 }])
  })

  it('takes a new kid after one fetch, however many tokens carry it', async () => {
    await using r = await rig()
    await r.key('k1')
    r.server.publish(one, two)
    const found = await Promise.all(Array.from({ length: 1000 }, () => r.key('k2')))
    assert.ok(found.every((key) => key !== undefined && key === found[0]))
    assert.equal(r.server.hits, 2)
  })

  it('forgets a withdrawn kid at the next refresh and keeps the others as they are', async () => {
    await using r = await rig()
    r.server.publish(one, two)
    const kept = await r.key('k1')
    assert.ok(await r.key('k2'))
    r.server.publish(one)
    await r.source.refresh()
    assert.equal(await r.key('k2'), undefined)
    assert.equal(await r.key('k1'), kept)
    r.server.keys = [{ ...two.jwk, kid: 'k1' }]
    await r.source.refresh()
    assert.notEqual(await r.key('k1'), kept, 'another key under the same kid is another object')
  })

  it('fetches at most once in five minutes for unknown kids', async () => {
    await using r = await rig()
    await r.key('k1')
    for (let round = 0; round < 3; round++) {
      const before = r.server.hits
      await Promise.all(Array.from({ length: 500 }, (_, at) => r.key(`random-${round}-${at}`)))
      for (let at = 0; at < 100; at++) assert.equal(await r.key(`later-${round}-${at}`), undefined)
      await r.clock.advance(5 * MINUTE_MS - 1)
      assert.equal(await r.key('still'), undefined)
      assert.equal(r.server.hits - before, 1)
      await r.clock.advance(1)
    }
  })

  it('needs no second fetch for a kid that the first one would have shown', async () => {
    await using r = await rig()
    assert.equal(await r.key('random'), undefined)
    for (let at = 0; at < 100; at++) assert.equal(await r.key(`random-${at}`), undefined)
    assert.equal(r.server.hits, 1)
  })

  it('keeps to one fetch in five minutes for unknown kids while the endpoint is down', async () => {
    await using r = await rig()
    await r.key('k1')
    r.server.down()
    const begun = r.server.hits
    for (let minute = 0; minute < 60; minute++) {
      for (let at = 0; at < 20; at++) await assert.rejects(r.key(`random-${minute}-${at}`), isDown)
      assert.ok(await r.key('k1'))
      await r.clock.advance(MINUTE_MS)
    }
    const fetched = r.server.hits - begun
    assert.ok(fetched >= 5 && fetched <= 12, `${fetched} fetches in an hour`)
  })

  it('cannot tell about an unknown kid while the endpoint is down, and can again afterwards', async () => {
    await using r = await rig()
    await r.key('k1')
    r.server.down()
    await assert.rejects(r.key('k2'), isDown)
    r.server.answer = undefined
    r.server.publish(one, two)
    await r.clock.advance(6 * MINUTE_MS)
    assert.ok(await r.key('k2'))
  })

  it('is asked for again in the background after an hour', async () => {
    await using r = await rig()
    await r.key('k1')
    await r.clock.advance(HOUR_MS)
    let release = () => {}
    r.server.answer = (response) => {
      release = () => response.end(JSON.stringify({ keys: [two.jwk] }))
    }
    assert.ok(await r.key('k1'), 'the old document serves while the new one is under way')
    await until(() => r.server.hits === 2)
    assert.ok(await r.key('k1'))
    release()
    await until(() => r.fetches.length === 2)
    assert.ok(await r.key('k2'))
    assert.equal(r.fetches[1]?.reason, 'stale')
  })
})

describe('an endpoint that is down', () => {
  it('is lived without for 24 hours, then nothing is verified', async () => {
    await using r = await rig()
    await r.key('k1')
    r.server.down()
    for (let hour = 0; hour < 24; hour++) {
      assert.ok(await r.key('k1'))
      await until(() => r.fetches.length >= 1)
      await assert.rejects(r.source.refresh(), isDown)
      await r.clock.advance(HOUR_MS - (hour === 23 ? 1 : 0))
    }
    assert.ok(await r.key('k1'), 'a millisecond before')
    await r.clock.advance(1)
    await assert.rejects(r.key('k1'), isDown)
    await assert.rejects(r.key('k1'), isDown)
    r.server.answer = undefined
    await r.clock.advance(6 * MINUTE_MS)
    assert.ok(await r.key('k1'))
    assert.equal(r.source.age(), 0)
  })

  it('is tried again soon when there is nothing to go on, but not at once', async () => {
    await using r = await rig()
    r.server.down()
    await Promise.all(Array.from({ length: 100 }, () => assert.rejects(r.key('k1'), isDown)))
    for (let at = 0; at < 100; at++) await assert.rejects(r.key('k1'), isDown)
    assert.equal(r.server.hits, 1)
    assert.equal(r.source.age(), Number.POSITIVE_INFINITY)
    const failure = await r.key('k1').catch((error: unknown) => error)
    assert.ok(failure instanceof BridgeError && failure.retry && failure.status === 503)
    assert.ok(failure.retryAfterMs !== undefined && failure.retryAfterMs <= 1500)
    r.server.answer = undefined
    await r.clock.advance(failure.retryAfterMs)
    assert.ok(await r.key('k1'))
  })

  it('is tried ever less often, as it asks, but within minutes', async () => {
    await using r = await rig()
    r.server.down()
    let waits: number[] = []
    const measure = async (rounds: number) => {
      waits = []
      for (let round = 0; round < rounds; round++) {
        const failure = await r.key('k1').catch((error: unknown) => error)
        assert.ok(failure instanceof BridgeError)
        waits.push(failure.retryAfterMs ?? 0)
        await r.clock.advance(failure.retryAfterMs ?? 0)
      }
    }
    await measure(9)
    assert.deepEqual(waits, [1000, 1500, 2500, 4500, 8500, 16_500, 30_500, 30_500, 30_500])
    r.server.answer = (response) => response.writeHead(429, { 'retry-after': '120' }).end()
    await measure(1)
    assert.ok(waits.every((wait) => wait >= 120_000 && wait < 125_000))
    r.server.answer = (response) => response.writeHead(503, { 'retry-after': '86400' }).end()
    await measure(1)
    assert.ok(waits.every((wait) => wait <= 310_000))
  })

  const garbage: Record<string, (response: ServerResponse) => void> = {
    'text that is not JSON': (response) => response.end('<html>down for maintenance</html>'),
    'a list': (response) => response.end('[]'),
    'an object without keys': (response) => response.end('{}'),
    'keys that are no list': (response) => response.end('{"keys":{}}'),
    'half a document': (response) => response.end('{"keys":[{"kty":"RSA"'),
    'text that is not UTF-8': (response) => response.end(Buffer.from([0x7b, 0xff, 0x7d])),
    nothing: (response) => response.end(),
    'no content': (response) => response.writeHead(204).end(),
    'no key': (response) => response.end('{"keys":[]}'),
    'no usable key': (response) => response.end('{"keys":[{"kty":"oct","k":"AAAA","kid":"k1"},null,1]}'),
    'too many keys': (response) => {
      const keys = Array.from({ length: 1001 }, (_, at) => ({ kty: 'OKP', kid: `${at}` }))
      response.end(JSON.stringify({ keys }))
    },
    'an error with a document': (response) => response.writeHead(500).end(JSON.stringify({ keys: [two.jwk] })),
    'not modified': (response) => response.writeHead(304).end(),
    'a cut connection': (response) => response.socket?.destroy(),
    'a cut body': (response) => {
      response.writeHead(200, { 'content-length': '1000' })
      response.write('{"keys":')
      setImmediate(() => response.socket?.destroy())
    },
    'a body over 512 KiB': (response) => {
      response.end(JSON.stringify({ keys: [two.jwk], filler: 'x'.repeat(512 * 1024) }))
    },
  }
  for (const [name, answer] of Object.entries(garbage)) {
    it(`may answer ${name}: the last good document stays`, async () => {
      await using r = await rig()
      const kept = await r.key('k1')
      r.server.answer = answer
      await assert.rejects(r.source.refresh(), isDown)
      assert.equal(await r.key('k1'), kept)
      assert.equal(r.warnings.length, 1)
      await using fresh = await rig()
      fresh.server.answer = answer
      await assert.rejects(fresh.key('k1'), isDown)
    })
  }

  it('is not followed elsewhere, nor drained of 100 MB, also by a fetch that would', async () => {
    await using elsewhere = await KeyServer.start(two)
    const naive: PinnedFetch = (url, init) => fetch(url, init)
    for (const over of [{}, { fetch: naive }]) {
      await using r = await rig(over)
      r.server.answer = (response) => response.writeHead(302, { location: elsewhere.uri }).end()
      await assert.rejects(r.source.refresh(), isDown)
      assert.equal(elsewhere.hits, 0)

      let sent = 0
      r.server.answer = (response) => {
        const more = () => {
          while (sent < 100e6 && !response.destroyed) {
            sent += 65_536
            if (!response.write(Buffer.alloc(65_536, 0x20))) return
          }
          response.end()
        }
        response.on('drain', more)
        more()
      }
      await assert.rejects(r.source.refresh(), isDown)
      assert.ok(sent < 50e6, `${sent} bytes sent`)
    }
  })

  it('may hang, before its answer or in it', async () => {
    const deaf: PinnedFetch = (url) => fetch(url)
    const hangs: ((response: ServerResponse) => void)[] = [
      () => {},
      (response) => void response.writeHead(200).write('{"keys":['),
    ]
    for (const fetch of [undefined, deaf]) {
      for (const answer of hangs) {
        await using r = await rig({ timeoutMs: 3_000, ...(fetch && { fetch }) })
        r.server.answer = answer
        await assert.rejects(r.source.refresh(), isDown)
        r.server.answer = undefined
        await r.source.refresh()
        assert.ok(await r.key('k1'))
      }
    }
  })

  it('is believed to have withdrawn all keys only when it says so twice, a minute apart', async () => {
    await using r = await rig()
    await r.key('k1')
    r.server.keys = []
    await assert.rejects(r.source.refresh(), isDown)
    await r.clock.advance(MINUTE_MS - 1)
    await assert.rejects(r.source.refresh(), isDown)
    assert.ok(await r.key('k1'))
    await r.clock.advance(1)
    await r.source.refresh()
    assert.equal(await r.key('k1'), undefined)
    r.server.publish(one)
    await r.source.refresh()
    assert.ok(await r.key('k1'))
  })
})

describe('a key', () => {
  const publish = async (r: Awaited<ReturnType<typeof rig>>, jwk: object) => {
    r.server.keys = [two.jwk, jwk]
    await r.source.refresh()
  }

  it('must be for signatures, public, strong and named', async () => {
    await using r = await rig()
    const only = async (jwk: object) => {
      await publish(r, jwk)
      return await r.key('k1')
    }
    assert.ok(await only(one.jwk))
    assert.ok(
      await only({ ...one.jwk, use: undefined, alg: 'RS256', key_ops: ['verify'], x5c: ['junk'], x5u: 'http://x' }),
    )
    const bad: object[] = [
      { ...one.jwk, use: 'enc' },
      { ...one.jwk, use: ['sig'] },
      { ...one.jwk, key_ops: ['sign'] },
      { ...one.jwk, key_ops: 'verify' },
      { ...one.jwk, kid: undefined },
      { ...one.jwk, kid: 1 },
      { ...one.jwk, kid: ['k1'] },
      { ...one.jwk, alg: 'RS384' },
      { ...one.jwk, alg: 'HS256' },
      { ...one.jwk, alg: 1 },
      { ...one.jwk, kty: 'oct', k: 'AAAA' },
      { ...one.jwk, kty: 'rsa' },
      { ...one.jwk, n: undefined },
      { ...one.jwk, e: 'AQ' },
      { ...one.jwk, e: 'AA' },
      { ...one.jwk, e: 'Ag' },
      { ...one.jwk, e: one.jwk.n },
      { ...one.jwk, n: Buffer.alloc(4096, 0xff).toString('base64url') },
      { ...one.privateKey.export({ format: 'jwk' }), kid: 'k1' },
      makeKey('k1', 'RS256', { bits: 1024 }).jwk,
      makeKey('k1', 'RS256', { bits: 2047 }).jwk,
      { ...one.jwk, n: `AAAAAAAA${makeKey('k1', 'RS256', { bits: 1024 }).jwk.n}`.padStart(400, 'A') },
    ]
    for (const [at, jwk] of bad.entries()) assert.equal(await only(jwk), undefined, `key ${at}`)
  })

  it('fits only the algorithms of its kind', async () => {
    const p256 = makeKey('k1', 'ES256').jwk
    const p384 = makeKey('k1', 'ES384').jwk
    const p521 = makeKey('k1', 'ES512').jwk
    const ed = makeKey('k1', 'EdDSA').jwk
    const rows: [object, string[]][] = [
      [one.jwk, ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']],
      [p256, ['ES256']],
      [p384, ['ES384']],
      [p521, ['ES512']],
      [ed, ['EdDSA', 'Ed25519']],
      [{ ...p256, crv: 'P-384' }, []],
      [{ ...p256, crv: 'secp256k1' }, []],
      [{ ...p256, x: p256.y, y: p256.x }, []],
      [{ ...ed, crv: 'X25519' }, []],
      [{ ...ed, x: 'AAAA' }, []],
    ]
    const all = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']
    await using r = await rig()
    for (const [jwk, algs] of rows) {
      await publish(r, jwk)
      for (const alg of [...all, 'HS256', 'none', 'ES256K', 'toString']) {
        assert.equal((await r.key('k1', alg)) !== undefined, algs.includes(alg), `${JSON.stringify(jwk)} ${alg}`)
      }
    }
  })

  it('with an issuer member serves that issuer alone', async () => {
    const TENANT = '11111111-2222-3333-4444-555555555555'
    const rows: [member: unknown, issuer: string, served: boolean][] = [
      [ISSUER, ISSUER, true],
      [`${ISSUER}/`, ISSUER, false],
      [ISSUER.replace('1111', '9999'), ISSUER, false],
      [ISSUER.replace(TENANT, '{tenantid}'), ISSUER, true],
      [ISSUER.replace(TENANT, '{tenantid}'), ISSUER.replace(TENANT, `${TENANT}/evil`), false],
      [ISSUER.replace(TENANT, '{tenantid}'), ISSUER.replace(TENANT, ''), false],
      [ISSUER.replace(TENANT, '{tenantid}'), `https://sts.windows.net/${TENANT}/`, false],
      ['{tenantid}', ISSUER, false],
      ['{tenantid}{tenantid}', 'ab', false],
      ['', ISSUER, false],
      [1, ISSUER, false],
      [null, ISSUER, false],
    ]
    await using r = await rig()
    for (const [member, issuer, served] of rows) {
      r.server.keys = [{ ...one.jwk, issuer: member }, two.jwk]
      await r.source.refresh()
      assert.equal((await r.source.key(header('k1'), issuer)) !== undefined, served, `${member} for ${issuer}`)
    }
  })

  it('that shares its kid is told apart by kind, algorithm and issuer, or not used', async () => {
    await using r = await rig()
    const ec = makeKey('k1', 'ES256')
    const twin = { ...two.jwk, kid: 'k1' }
    r.server.keys = [one.jwk, ec.jwk, one.jwk, { ...one.jwk }]
    const rsa = await r.key('k1')
    assert.equal(rsa?.asymmetricKeyType, 'rsa')
    assert.equal((await r.key('k1', 'ES256'))?.asymmetricKeyType, 'ec')
    r.server.keys = [
      { ...one.jwk, issuer: 'https://a.example' },
      { ...twin, issuer: ISSUER },
    ]
    await r.source.refresh()
    assert.ok(await r.key('k1'))
    r.server.keys = [one.jwk, twin]
    await r.source.refresh()
    for (let at = 0; at < 10; at++) assert.equal(await r.key('k1'), undefined)
    assert.equal(r.warnings.length, 1)
  })

  it('named like an object member is only a name', async () => {
    await using r = await rig()
    for (const kid of ['__proto__', 'constructor', 'hasOwnProperty', '']) assert.equal(await r.key(kid), undefined)
    r.server.keys = [{ ...one.jwk, kid: 'constructor' }]
    await r.source.refresh()
    assert.ok(await r.key('constructor'))
  })

  it('may have 999 others beside it', async () => {
    await using r = await rig()
    const ed = makeKey('x', 'EdDSA').jwk
    r.server.keys = [one.jwk, ...Array.from({ length: 999 }, (_, at) => ({ ...ed, kid: `ed-${at}` }))]
    assert.ok(await r.key('k1'))
    assert.ok(await r.key('ed-998', 'EdDSA'))
  })
})

describe('the owner', () => {
  it('refreshes every hour, and again after a failure, until told to stop', async () => {
    await using r = await rig({ random: () => 1 })
    const stop = new AbortController()
    const running = r.source.start(stop.signal)
    await until(() => r.clock.sleeping === 1)
    assert.equal(r.server.hits, 1)
    for (let hour = 2; hour <= 5; hour++) {
      await r.clock.advance(HOUR_MS)
      await until(() => r.fetches.length === hour && r.clock.sleeping === 1)
      assert.equal(r.server.hits, hour)
    }
    r.server.down()
    await r.clock.advance(HOUR_MS)
    await until(() => r.fetches.length === 6 && r.clock.sleeping === 1)
    r.server.answer = undefined
    await r.clock.advance(6 * MINUTE_MS)
    await until(() => r.fetches.length === 7 && r.clock.sleeping === 1)
    assert.equal(r.source.age() < MINUTE_MS, true)
    stop.abort()
    await running
    assert.equal(r.clock.sleeping, 0)
  })

  it('may close it: what is under way ends and nothing is fetched any more', async () => {
    await using r = await rig()
    r.server.answer = () => {}
    const waiting = assert.rejects(r.key('k1'), isDown)
    const running = r.source.start(new AbortController().signal)
    await until(() => r.server.hits === 1)
    r.source.close()
    await Promise.all([waiting, running])
    await assert.rejects(r.key('k1'), isDown)
    await assert.rejects(r.source.refresh(), isDown)
    assert.equal(r.server.hits, 1)
  })
})
