import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync, sign } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { principal, register } from '../e2e/agents.ts'
import { at, listAt, parsed } from '../e2e/json.ts'
import { audience, startWorld } from '../e2e/world.ts'

/**
 * Tokens as AGT's claim check (A25–A29) and its relay's verifier (V5–V9) judge them, here always with a signature that
 * counts. docs/coming-from-agt.md has the table of all cases.
 */
type Members = Readonly<Record<string, unknown>>
const did = 'did:mesh:holder'
const b64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
const partOf = (text: string | undefined): object =>
  Object(parsed(Buffer.from(text ?? '', 'base64url').toString('utf8')))

test('tokens of AGT, case by case', { timeout: 120_000 }, async (t: TestContext) => {
  await using world = await startWorld()
  await using daemon = await world.daemon()
  const { tenant, contoso } = world
  const id = contoso.agents.scout
  await register(daemon.as('registrar'), { did, name: 'x', principals: [principal(id)] })

  const seconds = Math.floor(Date.now() / 1000)
  const issue = (claims: Members = {}, more: { version?: 'v1' | 'v2'; header?: Members } = {}) =>
    tenant.issueToken({ kind: 'agent', id, audience, claims, ...more })
  const judged = async (token: string): Promise<unknown> => {
    const { status, body, text } = await daemon.as('gateway').post('/v1/tokens/verify', { token })
    assert.equal(status, 200, text)
    return body
  }
  const accepted = async (token: string) => {
    const body = await judged(token)
    assert.partialDeepStrictEqual(body, { valid: true, actor: { did } })
    return body
  }
  const refused = async (token: string, ...codes: readonly string[]) => {
    const body = await judged(token)
    assert.equal(at(body, 'valid'), false, JSON.stringify(body))
    const told = listAt(body, 'codes').map(String)
    assert.ok(
      told.some((code) => codes.includes(code)),
      `${told} and not ${codes}`,
    )
  }
  const keyFetches = () => tenant.requests.filter(({ path }) => path.endsWith('/keys')).length

  await t.test('V9: HS256, no algorithm and none are refused before any key is fetched', async () => {
    for (const version of ['v1', 'v2'] as const) await accepted(issue({}, { version }))
    const [first, second] = issue().split('.')
    // A key that is not known yet would be asked for, were the algorithm not looked at before.
    const header = { ...partOf(first), kid: 'of-nobody' }
    const before = keyFetches()
    const under = (alg: string | undefined, seal: (input: string) => string) => {
      const input = `${b64({ ...header, alg })}.${second}`
      return `${input}.${seal(input)}`
    }
    const hmac = (input: string) => createHmac('sha256', 'secret').update(input).digest('base64url')
    await refused(under('HS256', hmac), 'R_ALGORITHM')
    await refused(
      under('none', () => 'AAAA'),
      'R_ALGORITHM',
      'R_TOKEN',
    )
    await refused(
      under(undefined, () => 'AAAA'),
      'R_ALGORITHM',
      'R_TOKEN',
    )
    assert.equal(keyFetches(), before)
  })

  await t.test(
    'A25, V5, V7: both versions of a token are good, whether the app is named by appid or by azp',
    async () => {
      for (const version of ['v1', 'v2'] as const) {
        const token = issue({}, { version })
        const claims = partOf(token.split('.')[1])
        assert.equal('azp' in claims, version === 'v2')
        assert.equal('appid' in claims, version === 'v1')
        assert.partialDeepStrictEqual(await accepted(token), { actor: { principal: { adapter: 'contoso', id } } })
      }
    },
  )

  await t.test('A26: expired, and not yet valid', async () => {
    await refused(issue({ exp: seconds - 120 }), 'R_EXPIRED')
    await refused(issue({ nbf: seconds + 3_600 }), 'R_NOT_YET_VALID')
    await refused(issue({ exp: undefined }), 'R_CLAIMS')
  })

  await t.test('A27: another issuer', async () => {
    await refused(issue({ iss: 'https://login.example.com/v2.0' }), 'R_ISSUER')
    await refused(issue({ iss: `https://sts.windows.net/${contoso.agents.analyst}/` }), 'R_ISSUER')
  })

  await t.test('A28: another audience as text and in a list; a list with ours', async () => {
    await refused(issue({ aud: 'api://else' }), 'R_AUDIENCE')
    await refused(issue({ aud: ['api://else', 'api://other'] }), 'R_AUDIENCE')
    await accepted(issue({ aud: ['api://else', audience] }))
  })

  await t.test('A29: what is no JWT', async () => {
    for (const text of ['not-a-token', 'a.b', 'a.b.c', '..', `${issue()}.x`]) await refused(text, 'R_TOKEN')
  })

  await t.test('V6: wrong tenant, no tenant, expired, wrong key, wrong audience and issuer: each refused', async () => {
    await refused(issue({ tid: contoso.agents.analyst }), 'R_TENANT')
    await refused(issue({ tid: undefined }), 'R_TENANT')
    const [first, second] = issue().split('.')
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const input = `${first}.${second}`
    await refused(`${input}.${sign('sha256', Buffer.from(input), privateKey).toString('base64url')}`, 'R_SIGNATURE')
    const empty = await daemon.as('gateway').post('/v1/tokens/verify', { token: '' })
    assert.notEqual(at(empty.body, 'valid'), true)
  })

  await t.test('V8: more than 16 KiB', async () => {
    await refused(issue({ padding: 'x'.repeat(20_000) }), 'R_TOO_LARGE')
  })
})
