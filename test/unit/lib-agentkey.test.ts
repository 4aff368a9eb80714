import assert from 'node:assert/strict'
import { createHash, createPrivateKey, generateKeyPairSync, sign } from 'node:crypto'
import { test } from 'node:test'
import { AgentIdentity } from '@microsoft/agent-governance-sdk'
import { calculateJwkThumbprint } from 'jose'
import { BridgeError } from '../../src/core/errors.ts'
import { fitOf, keyJwk, parseAgentKey, thumbprintOf, verifySignature } from '../../src/lib/agentkey.ts'

const prefix = Buffer.from('302a300506032b6570032100', 'hex')
const order = 2n ** 252n + 27742317777372353535851937790883648493n

const littleEndian = (value: bigint) => Buffer.from(value.toString(16).padStart(64, '0'), 'hex').reverse()
const ofLittleEndian = (bytes: Buffer) => BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`)

const made = () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url')
  return { raw, key: raw.toString('base64url'), privateKey }
}

const refused = (value: unknown, secret?: string) =>
  assert.throws(
    () => parseAgentKey(value),
    (error) => {
      assert.ok(error instanceof BridgeError)
      assert.equal(error.code, 'E_KEY')
      if (secret !== undefined) assert.ok(!JSON.stringify([error.message, error.hint, error.details]).includes(secret))
      return true
    },
  )

test('every export of a real identity is the same key', () => {
  for (let round = 0; round < 20; round++) {
    const identity = AgentIdentity.generate(`billing bot ${round}/é`, ['read:*'])
    const raw = Buffer.from(identity.publicKey).subarray(12)
    const key = raw.toString('base64url')
    const document = identity.toDIDDocument()
    const [method] = Array.isArray(document.verificationMethod) ? document.verificationMethod : []
    const forms: readonly unknown[] = [
      identity.toJWK(),
      identity.toJWKS().keys[0],
      identity.toJSON().publicKey,
      method.publicKeyBase64,
      `ed25519:${identity.toJSON().publicKey}`,
      raw.toString('base64'),
      `ed25519:${raw.toString('base64')}`,
      key,
      raw.toString('base64').replace(/=+$/, ''),
      Buffer.from(identity.publicKey).toString('base64url'),
    ]
    for (const form of forms) assert.equal(parseAgentKey(form), key)
  }
})

test('private keys are refused, and nothing of them is in the error', () => {
  const identity = AgentIdentity.generate('billing-bot', [])
  const whole = identity.toJWK(true)
  refused(whole, String(whole.d))
  refused({ ...whole, d: null }, String(whole.x))
  const exported = identity.exportJSON()
  refused(exported.privateKey, exported.privateKey)
  refused(exported, exported.privateKey)
})

test('what is not an Ed25519 public key is refused', () => {
  const { raw, key } = made()
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' })
  const x25519 = generateKeyPairSync('x25519').publicKey
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey
  const otherPrefix = Buffer.concat([Buffer.from(prefix).fill(0x6e, 8, 9), raw])
  const wrong: readonly unknown[] = [
    undefined,
    null,
    7,
    [key],
    {},
    '',
    'ed25519:',
    `x25519:${key}`,
    `${key}A`,
    `${key} `,
    `${key.slice(0, -1)}${key.endsWith('A') ? 'B' : 'A'}====`,
    key.slice(0, -2),
    otherPrefix.toString('base64'),
    Buffer.concat([prefix, raw, raw]).toString('base64'),
    'A'.repeat(100_000),
    rsa,
    ec.export({ format: 'jwk' }),
    x25519.export({ format: 'jwk' }),
    x25519.export({ type: 'spki', format: 'der' }).toString('base64'),
    { ...keyJwk(key), crv: 'X25519' },
    { ...keyJwk(key), use: 'enc' },
    { ...keyJwk(key), x: raw.subarray(1).toString('base64url') },
    { ...keyJwk(key), x: [key] },
    { crv: 'Ed25519', x: key },
  ]
  for (const value of wrong) refused(value)
})

test('bits left over in the last character are refused', () => {
  const { key } = made()
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const last = alphabet.indexOf(key.at(-1) ?? '')
  for (const extra of [1, 2, 3]) refused(`${key.slice(0, -1)}${alphabet[last | extra]}`)
})

/** Canonical and not, with both signs: libsodium's list of what an Ed25519 key must not be. */
const small = (() => {
  const p = 2n ** 255n - 19n
  const eight = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd83d3d706a17c7n
  const ys = [0n, 1n, p - 1n, eight, p - eight, p, p + 1n]
  return ys.flatMap((y) => [littleEndian(y), littleEndian(y | (1n << 255n))])
})()

test('points of small order are refused in every form: some libraries let one signature of theirs pass for many texts', () => {
  for (const point of small) {
    refused(point.toString('base64'))
    refused(Buffer.concat([prefix, point]).toString('base64'))
    refused(keyJwk(point.toString('base64url')))
  }
})

test('32 bytes that are no point are refused, those of every key made are taken', () => {
  let taken = 0
  for (let n = 0; n < 64; n++) {
    const bytes = createHash('sha256').update(`secret ${n}`).digest()
    try {
      parseAgentKey(bytes.toString('base64'))
      taken++
    } catch (error) {
      assert.ok(error instanceof BridgeError)
    }
    assert.doesNotThrow(() => parseAgentKey(made().key))
  }
  assert.ok(taken > 10 && taken < 54, `${taken} of 64`)
})

test('thumbprints are those of RFC 7638', async () => {
  const { key } = made()
  assert.equal(thumbprintOf(key), await calculateJwkThumbprint(keyJwk(key)))
  assert.equal(
    thumbprintOf('11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo'),
    'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k',
  )
})

test('a DID fits the key it is derived from, whatever stands before the last colon', () => {
  const { raw, key } = made()
  for (const name of ['billing-bot', '', 'a:b c/é', 'x:0123456789abcdef', 'two\nlines']) {
    const identity = AgentIdentity.generate(name, [])
    const own = parseAgentKey(identity.toJWK())
    assert.equal(fitOf(identity.did, own), 'fits')
    assert.equal(fitOf(identity.did, key), 'misfit')
    assert.equal(fitOf(identity.did.toUpperCase().replace('DID:AGENTMESH', 'did:agentmesh'), own), 'misfit')
  }
  const mesh = createHash('sha256').update(raw).digest('hex').slice(0, 32)
  assert.equal(fitOf(`did:mesh:${mesh}`, key), 'fits')
  assert.equal(fitOf(`did:mesh:${mesh}`, made().key), 'free')
  assert.equal(fitOf(`did:agentmesh:x:${mesh.slice(0, 16)}`, key), 'misfit')
})

test('a DID that is a name, a uuid or cut short says nothing about a key', () => {
  const { raw, key } = made()
  const mesh = createHash('sha256').update(raw).digest('hex')
  const names = [
    'did:agentmesh:billing-bot',
    'did:agentmesh:0123456789abcdef',
    `did:agentmesh:x:${mesh.slice(0, 15)}`,
    'did:mesh:researcher-1',
    'did:mesh:3f2504e0-4f89-41d3-9a0c-0305e82c3301',
    `did:mesh:${mesh.slice(0, 31)}`,
    `did:mesh:${mesh.slice(0, 32).toUpperCase()}x`,
    `did:mesh:x:${mesh.slice(0, 32)}`,
    `did:mesh:${mesh.slice(0, 32)}\n`,
  ]
  for (const did of names) assert.equal(fitOf(did, key), 'free', did)
})

test('a signature of the key verifies in both alphabets, and one of the real SDK does', () => {
  const { key, privateKey } = made()
  const bytes = Buffer.from('agentmesh-alias-v1\ndid:mesh:a\ndid:mesh:b')
  const signature = sign(null, bytes, privateKey)
  assert.ok(verifySignature(key, bytes, signature.toString('base64')))
  assert.ok(verifySignature(key, bytes, signature.toString('base64url')))
  const identity = AgentIdentity.generate('billing-bot', [])
  const own = Buffer.from(identity.sign(bytes)).toString('base64')
  assert.ok(verifySignature(parseAgentKey(identity.toJWK()), bytes, own))
  assert.ok(!verifySignature(key, bytes, own))
})

test('any other text, key, length or form of the signature is refused', () => {
  const { key, privateKey } = made()
  const bytes = Buffer.from('text')
  const signature = sign(null, bytes, privateKey)
  const malleable = Buffer.concat([
    signature.subarray(0, 32),
    littleEndian(ofLittleEndian(signature.subarray(32)) + order),
  ])
  const text = signature.toString('base64')
  const wrong = [
    '',
    malleable.toString('base64'),
    signature.subarray(0, 63).toString('base64'),
    Buffer.concat([signature, Buffer.alloc(1)]).toString('base64'),
    signature.toString('hex'),
    `${text} `,
    ` ${text}`,
    `ed25519:${text}`,
    `${text.slice(0, -3)}${text.at(-3) === 'B' ? 'C' : 'B'}==`,
    Buffer.alloc(64).toString('base64'),
    'A'.repeat(1_000_000),
  ]
  for (const one of wrong) assert.ok(!verifySignature(key, bytes, one), one.slice(0, 100))
  assert.ok(!verifySignature(key, Buffer.from('texT'), text))
  assert.ok(!verifySignature(made().key, bytes, text))
  assert.ok(!verifySignature('no key', bytes, text))
  for (let bit = 0; bit < 512; bit++) {
    const flipped = Buffer.from(signature)
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    assert.ok(!verifySignature(key, bytes, flipped.toString('base64')))
  }
})

test('the key of RFC 8037 signs as the RFC says', () => {
  const d = 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A'
  const x = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo'
  const privateKey = createPrivateKey({ key: { ...keyJwk(x), d }, format: 'jwk' })
  const input = Buffer.from('eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc')
  const expected = 'hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg'
  assert.equal(sign(null, input, privateKey).toString('base64url'), expected)
  assert.ok(verifySignature(parseAgentKey(x), input, expected))
})
