import assert from 'node:assert/strict'
import { test } from 'node:test'
import { credential, entra, faultsOf, minimal, TENANT } from '../unit/config-fixture.ts'

/** What AGT's modules refuse in their arguments and environment is refused here in the configuration, before anything starts. */
const codes = (text: string) => faultsOf(text).map(({ path, code }) => `${path} ${code}`)
const group = '22222222-2222-3333-4444-555555555555'

test('A23, V1: no directory is configured: no token of one is verified, and that is no fault', () => {
  assert.deepEqual(codes(minimal), [])
})

test('A24, V2: half of what names a directory is refused, with what is missing', () => {
  assert.deepEqual(codes(entra('').replace(`tenantId: ${TENANT},`, '')), ['adapters.contoso.tenantId missing'])
  assert.deepEqual(codes(entra('').replace(TENANT, '""')), ['adapters.contoso.tenantId bad_value'])
  assert.deepEqual(codes(credential('{ type: clientSecret, secret: hush-hush-hush-hush }')), [
    'adapters.contoso.credential.clientId missing',
  ])
})

test('G1: a credential without its secret is refused', () => {
  for (const secret of ['', ', secret: ""']) {
    assert.deepEqual(codes(credential(`{ type: clientSecret, clientId: ${TENANT}${secret} }`)), [
      'adapters.contoso.credential.secret bad_value',
    ])
  }
})

test('G7: a map of groups may be empty; a group without id, or that gives nothing, is refused', () => {
  assert.deepEqual(codes(entra('groups: {}')), [])
  assert.deepEqual(codes(entra(`groups: { ${group}: ["read:reports"] }`)), [])
  assert.deepEqual(codes(entra('groups: { "": ["read:reports"] }')), ['adapters.contoso.groups. bad_value'])
  assert.deepEqual(codes(entra(`groups: { ${group}: [] }`)), [`adapters.contoso.groups.${group} bad_value`])
})
