import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Bucket } from '../../src/lib/bucket.ts'
import { manualClock } from '../../src/lib/clock.ts'
import { Nonces } from '../../src/lib/nonces.ts'
import { isSigned, type SignedRequest, signedText, timeOf } from '../../src/lib/signedrequest.ts'

const request = (fields: Partial<SignedRequest> = {}): SignedRequest => ({
  method: 'post',
  target: '/v1/resource?x=1',
  contentType: 'application/json',
  body: Buffer.from('{"hello":"world"}'),
  did: 'did:mesh:0123456789abcdef0123456789abcdef',
  timestamp: '2026-01-02T03:04:05+00:00',
  nonce: 'Z29sZGVuLW5vbmNlLTAwMQ',
  signature: 'AAAA',
  ...fields,
})

/** From AGT's own tests: changing these bytes breaks every signer that is deployed. */
const golden =
  'agentmesh-http-request-v1\n' +
  '{"agent_did":"did:mesh:0123456789abcdef0123456789abcdef","audience":"golden.agentmesh.example",' +
  '"body_sha256":"93a23971a914e5eacbf0a8d25154cda309c3c1c72fbb9914d47c60f3cb681588",' +
  '"content_type":"application/json","method":"POST","nonce":"Z29sZGVuLW5vbmNlLTAwMQ",' +
  '"request_target":"/v1/resource?x=1","timestamp":"2026-01-02T03:04:05+00:00"}'

test('the signed text is that of AGT, byte by byte', () => {
  assert.equal(Buffer.from(signedText(request(), 'golden.agentmesh.example')).toString(), golden)
})

test('what is missing, too long or not ASCII is not signed', () => {
  assert.ok(isSigned(request()))
  for (const name of ['did', 'timestamp', 'nonce', 'signature', 'target', 'contentType'] as const) {
    for (const value of ['', 'é', 'a\nb', 'a\u0000', 'a\u007f', 'x'.repeat(2000)]) {
      assert.ok(!isSigned(request({ [name]: value })), `${name} ${value.slice(0, 5)}`)
    }
  }
})

test('a time has a time zone', () => {
  assert.equal(timeOf('2026-01-02T03:04:05Z'), Date.UTC(2026, 0, 2, 3, 4, 5))
  assert.equal(timeOf('2026-01-02T03:04:05.250+01:00'), Date.UTC(2026, 0, 2, 2, 4, 5, 250))
  for (const text of [
    '',
    '2026-01-02',
    '2026-01-02T03:04:05',
    '1767323045',
    'now',
    '2026-13-02T03:04:05Z',
    'Infinity',
  ]) {
    assert.equal(timeOf(text), undefined, text)
  }
})

test('a nonce is taken once, within its time, by the process that gave it out', async () => {
  const clock = manualClock()
  const nonces = new Nonces(clock, 1000, 10)
  const [a, b] = [nonces.issue(), nonces.issue()]
  assert.notEqual(a, b)
  assert.deepEqual([nonces.take(a), nonces.take(a)], ['fresh', 'bad'])
  assert.equal(new Nonces(clock, 1000, 10).take(b), 'bad')
  for (const wrong of ['', b.slice(1), `${b}A`, b.toLowerCase(), 'A'.repeat(54), `${b}=`, ` ${b}`]) {
    assert.equal(nonces.take(wrong), 'bad')
  }
  for (let at = 0; at < b.length; at++) {
    const other = `${b.slice(0, at)}${b[at] === 'A' ? 'B' : 'A'}${b.slice(at + 1)}`
    assert.equal(nonces.take(other), 'bad')
  }
  await clock.advance(999)
  assert.equal(nonces.take(b), 'fresh')
  const late = nonces.issue()
  await clock.advance(1000)
  assert.equal(nonces.take(late), 'bad')
})

test('nonces that came back are remembered until they expire, and bounded', async () => {
  const clock = manualClock()
  const nonces = new Nonces(clock, 1000, 3)
  const some = Array.from({ length: 4 }, () => nonces.issue())
  assert.deepEqual(
    some.map((one) => nonces.take(one)),
    ['fresh', 'fresh', 'fresh', 'full'],
  )
  assert.equal(nonces.take(some[0] ?? ''), 'bad')
  await clock.advance(1000)
  assert.equal(nonces.take(nonces.issue()), 'fresh')
})

test('a bucket lets so many through a second, and says how long to wait', async () => {
  const clock = manualClock()
  const bucket = new Bucket(clock, 4)
  assert.deepEqual(
    [1, 2, 3, 4].map(() => bucket.take()),
    [undefined, undefined, undefined, undefined],
  )
  assert.equal(bucket.take(), 250)
  await clock.advance(250)
  assert.equal(bucket.take(), undefined)
  assert.equal(bucket.take(), 250)
  await clock.advance(3_600_000)
  assert.deepEqual(
    [1, 2, 3, 4].map(() => bucket.take()),
    [undefined, undefined, undefined, undefined],
  )
  assert.equal(typeof bucket.take(), 'number')
})
