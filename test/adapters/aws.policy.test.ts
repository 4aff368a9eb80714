import assert from 'node:assert/strict'
import { test } from 'node:test'
import { denyAll } from '../../adapters/aws/documents.ts'
import { purposes } from '../../adapters/aws/purposes.ts'
import { at, listAt } from '../e2e/json.ts'
import { documented } from './awscloud.ts'

const allowed = (name: Parameters<typeof documented>[0]): string[] =>
  listAt(documented(name), 'Statement')
    .filter((each) => at(each, 'Effect') === 'Allow')
    .flatMap((each) => [at(each, 'Action')].flat().map(String))

test('the documented policies allow every action that the adapter asks for, and no other', () => {
  const asked = new Set(Object.values(purposes).flatMap(({ action }) => (/^[a-z]+:\w+$/.test(action) ? action : [])))
  const granted = new Set([...allowed('account'), ...allowed('identityCenter'), ...allowed('queue')])
  assert.deepEqual([...granted].sort(), [...asked].sort())
  assert.deepEqual(allowed('assume'), ['sts:AssumeRole'])
})

test('no write is allowed on every role, and none on the bridge itself', () => {
  for (const each of listAt(documented('account'), 'Statement')) {
    const writes = [at(each, 'Action')].flat().some((action) => /:(Put|Delete|Attach|Detach)/.test(String(action)))
    if (!writes) continue
    const isDeny = at(each, 'Effect') === 'Deny'
    assert.match(String(at(each, 'Resource')), isDeny ? /role\/idp-bridge$/ : /role\/agents\/\*$/)
  }
})

test('the managed policy is the suspension', () => {
  assert.deepEqual(documented('managed'), JSON.parse(denyAll))
})
