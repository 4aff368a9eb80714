import assert from 'node:assert/strict'
import { createHmac, createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { CompactSign } from 'jose'
import type { Io } from '../../src/cli/io.ts'
import { type ReceiptOptions, receiptVerify } from '../../src/cli/receipt.ts'
import { canonical } from '../../src/core/canonical.ts'
import { receiptType } from '../../src/engine/receipts.ts'
import type { Receipt } from '../../src/engine/receiptviews.ts'
import { publicJwk, signJson } from '../../src/lib/jws.ts'

const at = '2026-11-21T10:00:00.000Z'
const receipt: Receipt = {
  version: 1,
  iss: 'https://bridge.example',
  iat: 1_795_255_230,
  did: 'did:mesh:a',
  known: true,
  hold: {
    id: 'h1',
    origin: 'runtime:agt-1',
    severity: 'kill',
    guarded: false,
    placedAt: at,
    releasableAt: null,
    releasedAt: null,
  },
  status: 'open',
  legs: [
    {
      type: 'account',
      adapter: 'north',
      id: 'a\u001b[2J',
      realm: 'north',
      state: 'failed',
      reason: 'retrying',
      error: 'E_DIRECTORY_DOWN',
      answeredAt: null,
      closedAt: null,
      reopenedAt: null,
      sessionsEndAt: null,
      observed: 'enabled',
      observedAt: at,
      attempts: 3,
      nextAt: at,
    },
    { type: 'runtime', client: 'agt-1', state: 'closed', reason: 'origin', closedAt: at },
    { type: 'descendant', did: 'did:mesh:b', holdId: 'h2', state: 'closed', legs: 1, closed: 1, closedAt: at },
  ],
  counts: { closed: 2, pending: 0, failed: 1, unsupported: 0, shared: 0, contested: 0, indeterminate: 0 },
  descendants: { total: 3, examined: 3, listed: 1 },
  audit: { seq: 7, hash: 'f'.repeat(64) },
}

const pemOf = () => generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
const pem = pemOf()
const publicPem = createPublicKey(pem).export({ type: 'spki', format: 'pem' }).toString()
const folder = mkdtempSync(join(tmpdir(), 'receipt-'))
after(() => rmSync(folder, { recursive: true, force: true }))
let jws = ''
let files = 0
const file = (text: string): string => {
  files += 1
  const path = join(folder, `${files}`)
  writeFileSync(path, text)
  return path
}
const keyFile = file(publicPem)
before(async () => {
  jws = await signJson(receipt, receiptType, pem)
})

const verify = async (text: string, options: Partial<ReceiptOptions> = {}) => {
  const out: string[] = []
  const io: Io = {
    env: {},
    out: (line) => out.push(line),
    err: (line) => out.push(line),
    colour: false,
    stop: new AbortController().signal,
    onHangup: () => undefined,
    die: () => undefined,
  }
  const code = await receiptVerify(io, file(text), { jwks: [], key: [keyFile], json: true, ...options })
  return { code, out: out.join('\n') }
}

const fault = async (text: string, options: Partial<ReceiptOptions> = {}): Promise<unknown> => {
  const { code, out } = await verify(text, options)
  assert.equal(code, 70, out)
  const told: unknown = JSON.parse(out)
  assert.partialDeepStrictEqual(told, { valid: false })
  return told !== null && typeof told === 'object' && 'fault' in told ? told.fault : undefined
}

const encode = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
const beside = (given: object, signature = jws, space?: number) =>
  JSON.stringify({ ...given, jws: signature }, null, space)
/** Signed with the true key, whatever is in it. */
const signed = (text: string, header: Readonly<Record<string, unknown>> = {}) =>
  publicJwk(pem).then(({ kid }) =>
    new CompactSign(new TextEncoder().encode(text))
      .setProtectedHeader({ alg: 'EdDSA', typ: receiptType, kid, ...header })
      .sign(createPrivateKey(pem)),
  )
test('a receipt as the API answers it, pretty-printed or not, or its signature alone', async () => {
  for (const text of [beside(receipt), beside(receipt, jws, 2), jws, `\n${jws}\n`]) {
    const { code, out } = await verify(text)
    assert.equal(code, 0, out)
    const told: unknown = JSON.parse(out)
    assert.deepEqual(told, { valid: true, kid: (await publicJwk(pem)).kid, receipt })
  }
})

test('for people: who signed when, a line a leg, and no control character of a name', async () => {
  const { code, out } = await verify(jws, { json: false })
  assert.equal(code, 0)
  assert.match(out, /^valid: signed by https:\/\/bridge\.example at 2026-11-21T\S+, key \S+$/m)
  assert.match(out, /^status open$/m)
  assert.match(out, /failed +account +north\/a�\[2J +— +retrying \(E_DIRECTORY_DOWN\)$/m)
  assert.match(out, /closed +runtime +agt-1 +2026-11-21T10:00:00\.000Z +origin$/m)
  assert.match(out, /closed +descendant +did:mesh:b/)
  assert.match(out, /and 2 more descendants/)
})

test('any of several keys: PEM of either half, or key sets, past keys included', async () => {
  const other = file(pemOf())
  const set = async (...pems: string[]) => file(JSON.stringify({ keys: await Promise.all(pems.map(publicJwk)) }))
  assert.equal((await verify(jws, { key: [other, file(pem)] })).code, 0)
  assert.equal((await verify(jws, { key: [], jwks: [await set(pemOf(), pem)] })).code, 0)
  assert.equal((await verify(jws, { key: [other], jwks: [await set(pem)] })).code, 0)
  assert.equal(await fault(jws, { key: [other] }), 'key')
  assert.equal(await fault(jws, { key: [], jwks: [await set(pemOf())] }), 'key')
  assert.equal(await fault(jws, { key: [other], jwks: [file('{"keys":[]}')] }), 'key')
})

test('another key under the same kid does not verify', async () => {
  const jwk = { ...(await publicJwk(pemOf())), kid: (await publicJwk(pem)).kid }
  assert.equal(await fault(jws, { key: [], jwks: [file(JSON.stringify({ keys: [jwk] }))] }), 'signature')
})

test('an unsigned or differently signed receipt is refused', async () => {
  const { kid } = await publicJwk(pem)
  const payload = encode(canonical(receipt))
  const none = encode({ alg: 'none', typ: receiptType, kid })
  assert.equal(await fault(`${none}.${payload}.`), 'form')
  assert.equal(await fault(`${none}.${payload}.AAAA`), 'algorithm')
  // The public key taken for a shared secret.
  const head = encode({ alg: 'HS256', typ: receiptType, kid })
  for (const secret of [publicPem, publicPem.trim(), Buffer.from((await publicJwk(pem)).x, 'base64url')]) {
    const mac = createHmac('sha256', secret).update(`${head}.${payload}`).digest('base64url')
    assert.equal(await fault(`${head}.${payload}.${mac}`), 'algorithm')
  }
  const text = canonical(receipt)
  assert.equal(await fault(await signed(text, { typ: 'audit-head+jws' })), 'type')
  assert.equal(await fault(await signed(text, { typ: undefined })), 'type')
  assert.equal(await fault(await signed(text, { kid: 'another' })), 'key')
  assert.equal(await fault(await signed(text, { kid: undefined })), 'key')
  for (const more of [{ jku: 'https://evil.example' }, { jwk: await publicJwk(pem) }, { x5c: [] }, { cty: 'x' }]) {
    assert.equal(await fault(await signed(text, more)), 'header')
  }
  assert.equal(await fault(beside(receipt, await signJson(receipt, receiptType, pemOf()))), 'key')
  assert.equal(await fault(JSON.stringify(receipt)), 'unsigned')
  assert.equal(await fault(JSON.stringify({ ...receipt, jws: null })), 'unsigned')
  assert.equal(await fault(JSON.stringify({ ...receipt, jws: 7 })), 'unsigned')
})

test('a changed payload, signature or header is refused', async () => {
  const [head = '', payload = '', signature = ''] = jws.split('.')
  const changed = encode(canonical({ ...receipt, status: 'closed' }))
  assert.equal(await fault(`${head}.${changed}.${signature}`), 'signature')
  const flipped = `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`
  assert.equal(await fault(`${head}.${payload}.${flipped}`), 'signature')
  // Stray bits that decode to the same bytes.
  const last = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const stray = last[last.indexOf(signature.at(-1) ?? '') + 1] ?? ''
  assert.equal(await fault(`${head}.${payload}.${signature.slice(0, -1)}${stray}`), 'form')
  for (const more of [`${jws}=`, `${jws}.`, `${jws}.${signature}`, `${jws} x`, `${jws}\n${jws}`, '', 'a.b', '{']) {
    assert.ok(['form', 'json'].includes(String(await fault(more))), more)
  }
})

test('what stands beside the signature must be what was signed', async () => {
  assert.equal(await fault(beside({ ...receipt, status: 'closed' })), 'differs')
  assert.equal(await fault(beside({ ...receipt, legs: receipt.legs.slice(1) })), 'differs')
  assert.equal(await fault(beside({ ...receipt, more: 1 })), 'differs')
  const { known: _known, ...less } = receipt
  assert.equal(await fault(beside(less)), 'differs')
  // One reader takes the first of two members, another the last.
  const text = beside(receipt)
  assert.equal(await fault(text.replace('"status":"open"', '"status":"closed","status":"open"')), 'json')
  assert.equal(await fault(text.replace('"status":"open"', '"st\\u0061tus":"closed","status":"open"')), 'json')
  assert.equal(await fault(`${text}x`), 'json')
  assert.equal(await fault(`${text}${text}`), 'json')
  assert.equal(await fault(text.replace('{', '{"__proto__":{},')), 'json')
})

test('signed, but no receipt that this release can read', async () => {
  const text = canonical(receipt)
  assert.equal(await fault(await signed(JSON.stringify(receipt, null, 1))), 'payload')
  assert.equal(await fault(await signed(`${text} `)), 'payload')
  assert.equal(await fault(await signed(text.replace('"known":true', '"known":false,"known":true'))), 'payload')
  assert.equal(await fault(await signed(canonical({ ...receipt, version: 2 }))), 'payload')
  assert.equal(await fault(await signed('[]')), 'payload')
  const head = await signed(text)
  const twice = Buffer.from(head.split('.')[0] ?? '', 'base64url')
    .toString()
    .replace('{', '{"alg":"none",')
  assert.equal(await fault([encode(twice), ...head.split('.').slice(1)].join('.')), 'form')
})

test('what cannot be checked is a mistake of the caller', async () => {
  const refused = (options: Partial<ReceiptOptions>) => assert.rejects(verify(jws, options), { code: 'E_USAGE' })
  await refused({ key: [] })
  await refused({ key: [join(folder, 'missing')] })
  await refused({ key: [file('no key')] })
  await refused({ key: [], jwks: [file('{')] })
  await refused({ key: [], jwks: [file('{"keys":7}')] })
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'pem' })
  await refused({ key: [file(rsa.toString())] })
})
