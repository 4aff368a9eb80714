import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { kill, path, registerAll, scoutDid } from './agents.ts'
import { at, parsed, textAt } from './json.ts'
import { run } from './process.ts'
import { until } from './until.ts'
import { startWorld, tokenOf } from './world.ts'

const publicUrl = 'https://bridge.test'

test('a passport is issued, checked offline, and worth nothing from the moment of a kill', async () => {
  await using world = await startWorld({ server: { publicUrl } })
  const daemon = await world.daemon()
  await registerAll(daemon, world)
  const env = { IDP_BRIDGE_URL: daemon.origin, IDP_BRIDGE_TOKEN: tokenOf('registrar') }
  const issued = await run(['passport', 'issue', scoutDid, '--lifetime', '10m', '--audience', 'shop'], { env })
  assert.equal(issued.code, 0, issued.err)
  const { aud, exp = 0, iat = 0, status, sub } = decodeJwt(issued.out)
  assert.deepEqual([sub, aud, exp - iat], [scoutDid, 'shop', 600])
  const place = at(status, 'status_list')
  const uri = textAt(place, 'uri')
  assert.ok(uri.startsWith(`${publicUrl}/statuslists/`), uri)
  const listPath = uri.slice(publicUrl.length)

  const file = (name: string, text: string): string => {
    const name_ = join(world.folder, name)
    writeFileSync(name_, text)
    return name_
  }
  const fetched = async (from: string) => (await daemon.nobody.get(from)).text
  const token = file('passport.jwt', `${issued.out}\n`)
  const jwks = file('jwks.json', await fetched('/.well-known/jwks.json'))
  const revoked = file('revoked.json', await fetched('/.well-known/jwks-revoked.json'))
  const list = file('list.jwt', await fetched(listPath))
  const verify = (...more: string[]) => run(['passport', 'verify', token, '--audience', 'shop', ...more])

  const offline = await verify('--jwks', jwks, '--revoked', revoked, '--status-list', list, '--issuer', publicUrl)
  assert.equal(offline.code, 0, offline.out + offline.err)
  assert.match(offline.out, /^valid$/m)
  assert.match(offline.out, /^ {2}ok {2}status {7}valid$/m)
  const online = ['--jwks', `${daemon.origin}/.well-known/jwks.json`, '--status-list', `${daemon.origin}${listPath}`]

  await kill(daemon, scoutDid)
  const killed = await verify(...online, '--json')
  assert.equal(killed.code, 70)
  assert.partialDeepStrictEqual(parsed(killed.out), { valid: false, statusChecked: true, passport: { sub: scoutDid } })
  assert.match(killed.out, /"check":"status","ok":false,"text":"suspended"/)
  const held = await daemon.as('registrar').post(path(scoutDid, '/passport'))
  assert.deepEqual([held.status, at(held.body, 'code')], [409, 'E_HELD'])

  // A crash later it is the same, at another address.
  daemon.process.signal('SIGKILL')
  await daemon.process.ended()
  await using again = await world.daemon()
  assert.equal((await again.nobody.get(listPath)).status, 200)
  const still = await again.as('runtime').post(path(scoutDid, '/passport'))
  assert.equal(still.status, 409, still.text)
})

test('a key that is taken back by a reload signs nothing any more, and everybody is told', async () => {
  await using world = await startWorld({ server: { publicUrl } })
  await using daemon = await world.daemon()
  await registerAll(daemon, world)
  const issue = async () => {
    const answer = await daemon.as('runtime').post(path(scoutDid, '/passport'))
    assert.equal(answer.status, 200, answer.text)
    return answer.body
  }
  const first = await issue()
  const { kid = '' } = decodeProtectedHeader(textAt(first, 'passport'))
  const uri = textAt(at(first, 'status'), 'uri').slice(publicUrl.length)
  const second = join(world.folder, 'second.pem')
  writeFileSync(second, generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }))
  world.configure({ signing: { keys: [{ file: world.keyFile }, { file: second }], revoked: [kid] } })
  daemon.process.signal('SIGHUP')
  await until('everybody is told', async () => {
    const { body } = await daemon.nobody.get('/.well-known/jwks-revoked.json')
    return JSON.stringify(body) === JSON.stringify({ revoked: [{ kid }] })
  })
  const jwks = await daemon.nobody.get('/.well-known/jwks.json')
  assert.ok(!jwks.text.includes(kid))
  const kids = [textAt(await issue(), 'passport'), (await daemon.nobody.get(uri)).text].map(
    (token) => decodeProtectedHeader(token).kid,
  )
  assert.equal(new Set(kids).size, 1)
  assert.ok(kids.every((one) => one !== kid && jwks.text.includes(String(one))))
})

test('a bridge that issues none answers a reader of revoked keys with a refusal, not with a fault', async () => {
  await using world = await startWorld()
  const daemon = await world.daemon()
  const { status, body } = await daemon.nobody.get('/statuslists/any-1/1/1795255200/jwks-revoked.json')
  assert.deepEqual([status, at(body, 'code')], [410, 'E_NO_PASSPORTS'])
})
