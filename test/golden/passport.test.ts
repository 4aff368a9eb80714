import assert from 'node:assert/strict'
import { test } from 'node:test'
import { passportType, statusListType } from '../../src/core/passport.ts'
import { signJson } from '../../src/lib/jws.ts'
import { verifyPassport } from '../../src/lib/passport.ts'
import { signingKey } from '../engine/published.ts'
import { fenced, read, section } from './markdown.ts'

const page = read('docs/passport.md')
const example = (heading: string): unknown => {
  const [first, ...others] = fenced(section(page, heading), 'json')
  assert.ok(first !== undefined && others.length === 0, heading)
  return JSON.parse(first)
}

test('the passport and the list of docs/passport.md are what is verified', async () => {
  const key = signingKey()
  const { checks, passport, valid } = await verifyPassport(
    await signJson(example('What a passport says'), passportType, key.pem),
    {
      keys: [key],
      revoked: [],
      statusList: await signJson(example('Status lists'), statusListType, key.pem),
      now: 1_795_255_205_000,
      issuer: 'https://bridge.contoso.com',
      audience: 'https://shop.contoso.com',
    },
  )
  assert.deepEqual(
    checks.filter(({ ok }) => !ok),
    [],
  )
  assert.ok(valid)
  assert.deepEqual(passport, example('What a passport says'))
})
