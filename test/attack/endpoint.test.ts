import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { memoryUsage } from 'node:process'
import { describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { codeOf } from '../../src/core/errors.ts'
import { manualClock } from '../../src/lib/clock.ts'
import { createKeySource } from '../../src/lib/jwks.ts'
import { verifyJwt } from '../../src/lib/jwt.ts'
import { KeyServer, makeKey, token } from '../unit/issuer.ts'

const MiB = 1 << 20
const key = makeKey('key')
const lie = makeKey('lie', 'ES256')
/** Named as ours is. */
const stranger = makeKey('key')
const bomb = gzipSync(Buffer.alloc(100 * MiB, 0x20))

type Answer = (response: ServerResponse, own: string) => void

const open = async (timeoutMs = 5000) => {
  const server = await KeyServer.start(key)
  const clock = manualClock()
  const source = createKeySource({ uri: server.uri, fetch: server.fetch, clock, timeoutMs, random: () => 0.5 })
  const verify = async (signer = key) => verifyJwt(token(signer, clock.now()), server.issuer(), source, clock.now())
  return {
    server,
    clock,
    source,
    verify,
    /** Also a truth may come too late on a busy machine. */
    async truth() {
      for (let tries = 0; source.age() === Number.POSITIVE_INFINITY; tries += 1) {
        assert.ok(tries < 20, 'never told')
        await source.refresh().catch(() => clock.advance(61_000))
      }
    },
    /** From now on it answers so; a minute later it is asked again. */
    async lies(answer: Answer) {
      server.answer = (response) => answer(response, server.uri)
      await clock.advance(61_000)
      await source.refresh().catch(() => undefined)
    },
    async [Symbol.asyncDispose]() {
      source.close()
      await server[Symbol.asyncDispose]()
    },
  }
}

const json = (value: unknown): Answer => {
  return (response) => response.setHeader('content-type', 'application/json').end(JSON.stringify(value))
}
const good = JSON.stringify({ keys: [key.jwk] })

/** Writes as fast as it is read, for as long as anybody reads. */
const pour = (response: ServerResponse, chunk: Buffer, total: number): void => {
  let left = total
  const more = () => {
    while (left > 0 && !response.destroyed) {
      left -= chunk.length
      if (!response.write(chunk)) {
        response.once('drain', more)
        return
      }
    }
    response.end()
  }
  more()
}

/** What it may do in place of telling its keys; each leaves us without one. */
const lies: readonly (readonly [string, Answer])[] = [
  ['a page of HTML', (r) => r.setHeader('content-type', 'text/html').end('<html><body>Sign in</body></html>')],
  ['nothing', (r) => r.end()],
  ['null', json(null)],
  ['a list', json([key.jwk])],
  ['keys that are none', json({ keys: {} })],
  ['no key', json({ keys: [] })],
  ['a bare key', json(key.jwk)],
  ['keys in a text', json({ keys: JSON.stringify([key.jwk]) })],
  ['the private half too', json({ keys: [{ ...key.privateKey.export({ format: 'jwk' }), kid: 'key' }] })],
  ['a shared secret', json({ keys: [{ kty: 'oct', kid: 'key', k: 'c2VjcmV0', alg: 'HS256' }] })],
  ['a key of another kind by that name', json({ keys: [{ ...lie.jwk, kid: 'key' }] })],
  ['another name', json({ keys: [{ ...key.jwk, kid: 'KEY' }] })],
  ['no name', json({ keys: [{ ...key.jwk, kid: undefined }] })],
  ['a thousand and one keys', json({ keys: Array.from({ length: 1001 }, (_, n) => ({ ...key.jwk, kid: `${n}` })) })],
  ['a certificate instead', json({ keys: [{ kty: 'RSA', kid: 'key', x5c: ['AAAA'] }] })],
  ['an address instead', json({ jwks_uri: 'https://evil.example/keys' })],
  ['half of it', (r) => r.end(good.slice(0, good.length / 2))],
  ['less than it said', (r) => r.writeHead(200, { 'content-length': '99999' }).write(good, () => r.destroy())],
  [
    'broken text',
    (r) => r.end(Buffer.concat([Buffer.from('{"keys":["'), Buffer.from([0xff, 0xfe]), Buffer.from('"]}')])),
  ],
  ['a deep one', (r) => r.end('{"keys":'.repeat(50_000))],
  ['a redirect to itself', (r, own) => r.writeHead(302, { location: own }).end()],
  ['a redirect elsewhere', (r) => r.writeHead(307, { location: 'http://169.254.169.254/latest/meta-data' }).end(good)],
  ['created', (r) => r.writeHead(201).end(good)],
  ['no content', (r) => r.writeHead(204).end()],
  ['not modified', (r) => r.writeHead(304).end()],
  ['not found', (r) => r.writeHead(404).end(good)],
  ['an error', (r) => r.writeHead(500).end(good)],
  ['later', (r) => r.writeHead(503, { 'retry-after': '99999999' }).end()],
  ['gzip that is none', (r) => r.setHeader('content-encoding', 'gzip').end(good)],
  ['an encoding that nobody knows', (r) => r.setHeader('content-encoding', 'zstd-x').end(Buffer.alloc(100, 0xff))],
  ['a closed door', (r) => r.destroy()],
  ['no word', () => undefined],
  ['no word after the first', (r) => r.write('{"keys":[')],
  ['100 MB', (r) => pour(r, Buffer.alloc(65_536, 0x20), 100 * MiB)],
  [
    '100 MB that it announces',
    (r) => {
      r.setHeader('content-length', 100 * MiB)
      pour(r, Buffer.alloc(65_536, 0x20), 100 * MiB)
    },
  ],
  ['a gzip bomb', (r) => r.setHeader('content-encoding', 'gzip').end(bomb)],
  ['gzip in gzip', (r) => r.setHeader('content-encoding', 'gzip, gzip').end(gzipSync(bomb))],
]

/** A letter now and then, for ever: each one in time, all of them never. */
const drip: Answer = (response) => {
  const letters = [...good]
  const timer = setInterval(() => response.write(letters.shift() ?? ' '), 20)
  response.once('close', () => clearInterval(timer))
}

describe('a key endpoint that lies', () => {
  it('at the first look leaves tokens neither good nor bad, in bounded time and memory', async () => {
    for (const [name, answer] of [...lies, ['a letter at a time', drip] as const]) {
      await using r = await open(1000)
      await r.lies(answer)
      const before = memoryUsage()
      const outcome = await r.verify().then(
        (result) => ('refused' in result ? result.refused : 'accepted'),
        (error: unknown) => codeOf(error),
      )
      // A set that can be read but has not this key is an answer; everything else is none.
      assert.ok(outcome === 'E_JWKS_DOWN' || (outcome === 'R_KEY' && readable.has(name)), `${name}: ${outcome}`)
      const grown = memoryUsage().arrayBuffers + memoryUsage().external - before.arrayBuffers - before.external
      assert.ok(grown < 40 * MiB, `${name}: ${Math.round(grown / MiB)} MiB`)
    }
  })

  it('after the truth leaves the known keys in force, or takes them away only by a set that can be read', async () => {
    for (const [name, answer] of [...lies, ['a letter at a time', drip] as const]) {
      await using r = await open(1000)
      await r.truth()
      await r.lies(answer)
      const result = await r.verify()
      if (readable.has(name)) assert.deepEqual(result, { refused: 'R_KEY' }, name)
      else assert.ok(!('refused' in result), `${name}: ${JSON.stringify(result)}`)
      // It cannot slip in a key of its own by lying about the form of it.
      assert.deepEqual('refused' in (await r.verify(stranger).catch(() => ({ refused: 'down' }))), true, name)
    }
  })

  it('about the kind of its answer is believed: the content says what it is', async () => {
    await using r = await open()
    for (const type of ['text/plain', 'text/html', 'image/png', 'application/jwk-set+json', '']) {
      await r.lies((response) => response.setHeader('content-type', type).end(good))
      assert.ok(!('refused' in (await r.verify())), type)
    }
  })

  it('may compress what it tells', async () => {
    await using r = await open()
    await r.lies((response) => response.setHeader('content-encoding', 'gzip').end(gzipSync(good)))
    assert.ok(!('refused' in (await r.verify())))
  })
})

/** Sets with usable keys, or keys at all, but not this one; without any key they count as unread until told twice. */
const readable = new Set(['a key of another kind by that name', 'another name'])
