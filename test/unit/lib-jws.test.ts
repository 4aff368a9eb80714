import assert from 'node:assert/strict'
import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { openJson, publicJwk, signJson } from '../../src/lib/jws.ts'

/** RFC 8037, appendix A.1 to A.3. */
const jwk = {
  kty: 'OKP',
  crv: 'Ed25519',
  d: 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A',
  x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
}
const pem = createPrivateKey({ key: jwk, format: 'jwk' }).export({ type: 'pkcs8', format: 'pem' }).toString()

test('the public half of a key, named by its thumbprint', async () => {
  assert.deepEqual(await publicJwk(pem), {
    kty: 'OKP',
    crv: 'Ed25519',
    x: jwk.x,
    kid: 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k',
    use: 'sig',
    alg: 'EdDSA',
  })
})

test('canonical JSON is signed, with the type and the key named', async () => {
  const jws = await signJson({ b: 1, a: [undefined, 'é'] }, 'test+jws', pem)
  const [header = '', payload = ''] = jws.split('.').map((part) => Buffer.from(part, 'base64url').toString())
  const { kid } = await publicJwk(pem)
  assert.deepEqual(JSON.parse(header), { alg: 'EdDSA', typ: 'test+jws', kid })
  assert.equal(payload, '{"a":[null,"é"],"b":1}')
  assert.deepEqual(await openJson(jws, 'test+jws', ['no key', pem]), { a: [null, 'é'], b: 1 })
  assert.equal(await openJson(jws, 'other+jws', [pem]), undefined)
})

test('only an Ed25519 key signs or is published', async () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' })
  for (const text of [rsa.toString(), 'no key', '']) {
    await assert.rejects(signJson({}, 't', text), { code: 'E_SIGNING_KEY' })
    await assert.rejects(publicJwk(text), { code: 'E_SIGNING_KEY' })
  }
})
