import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { entra, parse, refuses } from './config-fixture.ts'

const server = 'server: { publicUrl: "https://bridge.contoso.com" }\n'
const state = 'a-random-client-state'
const graph = (members: string) => `${entra(`hooks: { graph: { ${members} } }`)}${server}`

test('change notifications are asked for of users and groups, and their secret does not print', () => {
  const { adapters } = parse(graph(`clientState: "${state}"`))
  const { contoso } = adapters
  assert.ok(contoso?.kind === 'entra' && 'hooks' in contoso)
  assert.ok(JSON.stringify(contoso).includes('"resources":["users","groups"]'))
  assert.ok(!JSON.stringify(contoso).includes(state))
})

describe('a faulty hook for change notifications is refused', () => {
  const path = 'adapters.contoso.hooks.graph'
  refuses([
    [
      'without an address to tell',
      entra(`hooks: { graph: { clientState: "${state}" } }`),
      `${path} conflict`,
      /publicUrl/,
    ],
    ['a short secret', graph('clientState: short'), `${path}.clientState bad_value`, /16/],
    [
      'a secret that Graph does not take',
      graph(`clientState: "${'x'.repeat(129)}"`),
      `${path}.clientState bad_value`,
      /128/,
    ],
    ['no resource', graph(`clientState: "${state}", resources: []`), `${path}.resources bad_value`, /users/],
    ['one twice', graph(`clientState: "${state}", resources: [users, users]`), `${path}.resources bad_value`, /once/],
    ['another', graph(`clientState: "${state}", resources: [me]`), `${path}.resources.0 bad_value`, /users/],
  ])
})
